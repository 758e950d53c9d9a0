//! From `[home_assistant]` as written to the broker of the home's own.

use sunkeep_models::wire::is_name;

use super::Problems;
use super::file::{HomeAssistantTable, SiteTable};
use super::uplink::{broker, whole};

/// Before the topics of announcements, unless told.
const PREFIX: &str = "homeassistant";

/// The broker that Home Assistant hears.
#[derive(Clone, PartialEq, Eq)]
pub struct HomeAssistant {
    /// Name or address of the broker.
    pub host: String,
    /// Its port.
    pub port: u16,
    /// User and password.
    pub login: Option<(String, String)>,
    /// Before the topics of announcements.
    pub prefix: String,
    /// Name of the hub: the site's unless told.
    pub hub: String,
    /// Time between two states, s.
    pub every_s: u16,
}

impl std::fmt::Debug for HomeAssistant {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        // The password stays out of logs.
        f.debug_struct("HomeAssistant")
            .field("host", &self.host)
            .field("port", &self.port)
            .finish_non_exhaustive()
    }
}

pub(super) fn home_assistant(
    table: &HomeAssistantTable,
    site: &SiteTable,
    problems: &mut Problems<'_>,
) -> Option<HomeAssistant> {
    let (secured, host, port) = broker(&table.broker, problems)?;
    if secured {
        let what =
            "mqtts:// is for the fleet; the broker of the home's own network is mqtt://HOST[:1883]".into();
        problems.at(&table.broker.span(), what);
    }
    if table.user.is_some() != table.password.is_some() {
        problems
            .at(&table.broker.span(), "user and password belong together, and one of them is missing".into());
    }
    let prefix = table.prefix.as_ref().map_or(PREFIX, |prefix| prefix.get_ref());
    if let (false, Some(read)) = (is_name(prefix), &table.prefix) {
        problems.at(&read.span(), format!("prefix is {prefix:?}, expected letters, digits, _, - or ."));
    }
    let hub = table.hub.as_ref().unwrap_or(&site.name).get_ref().clone();
    Some(HomeAssistant {
        host,
        port,
        login: table.user.clone().zip(table.password.clone()),
        prefix: prefix.into(),
        hub,
        every_s: whole("every_s", table.every_s.as_ref(), 1, 3600, 10, problems),
    })
}
