//! From `[uplink]` as written to how the fleet is reached.

use std::path::PathBuf;

use sunkeep_models::wire::is_name;
use toml::Spanned;

use crate::uplink::{MOST_TEMPLATE, Template};

use super::Problems;
use super::file::{SiteTable, UplinkTable};

/// What is put in for the name of the hub.
const HUB: &str = "{hub}";
/// What is put in for the kind of message.
const LANE: &str = "{lane}";
/// Where messages go unless told.
const TOPIC: &str = "sunkeep/v1/{hub}/up/{lane}";
/// What is put in for the kind of what the fleet sends.
const KIND: &str = "{kind}";
/// Where the fleet sends to unless told.
const TOPIC_DOWN: &str = "sunkeep/v1/{hub}/down/{kind}";

/// How the fleet is reached, and what may be sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Uplink {
    /// Name or address of the broker.
    pub host: String,
    /// Its port.
    pub port: u16,
    /// How the line is secured; none on a line that is the home's own.
    pub tls: Option<TlsFiles>,
    /// Name of the hub, and of its client at the broker.
    pub hub: String,
    /// Name of the site.
    pub site: String,
    /// Topic, with `{hub}` and `{lane}` to be put in.
    pub topic: String,
    /// Whether the hub takes commands and settings from the fleet.
    pub listens: bool,
    /// Topic of what the fleet sends, with `{hub}` and `{kind}` to be put in.
    pub topic_down: String,
    /// Form of messages.
    pub encoding: Encoding,
    /// What makes messages of records in the plain form, where they are to be of another.
    pub template: Option<String>,
    /// Minutes of telemetry that are gathered before they are sent.
    pub telemetry_minutes: u16,
    /// Hours for which telemetry waits for sun.
    pub waits_for_sun_hours: u16,
    /// Bytes that may go over the line in a month, headers reckoned in; none where it costs nothing.
    pub month_bytes: Option<u64>,
    /// Time without a message after which the line is tried, s.
    pub keep_alive_s: u16,
}

/// Files of the secured line, PEM.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TlsFiles {
    /// Certificates of those who may sign the broker's; several while one takes over from another.
    pub ca: PathBuf,
    /// Certificate of this hub and its key.
    pub own: Option<(PathBuf, PathBuf)>,
}

/// Form of messages.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Encoding {
    /// Columns in CBOR, packed.
    #[default]
    Compact,
    /// A JSON object for each record.
    Json,
}

pub(super) fn uplink(table: &UplinkTable, site: &SiteTable, problems: &mut Problems<'_>) -> Option<Uplink> {
    let (secured, host, port) = broker(&table.broker, problems)?;
    let tls = match (&table.ca, &table.certificate, &table.key) {
        (Some(ca), own, key) if secured => {
            Some(TlsFiles { ca: ca.into(), own: own_files(table, own.as_ref(), key.as_ref(), problems) })
        }
        (None, None, None) if !secured => None,
        (None, ..) if secured => {
            let what = "mqtts:// wants ca, a file with the certificate that signs the broker's".into();
            problems.at(&table.broker.span(), what);
            None
        }
        _ => {
            let what = "ca, certificate and key are for mqtts://, and broker begins with mqtt://".into();
            problems.at(&table.broker.span(), what);
            None
        }
    };
    let site = table.site.as_ref().unwrap_or(&site.name);
    let hub = table.hub.as_ref().unwrap_or(site);
    for (key, name) in [("hub", hub), ("site", site)] {
        let read = name.get_ref();
        if !is_name(read) {
            let what = format!(
                "{key} of [uplink] is {read:?}, a part of topics and tables: expected 1 to 64 letters, digits, _, - or ."
            );
            problems.at(&name.span(), what);
        }
    }
    Some(Uplink {
        host,
        port,
        tls,
        hub: hub.get_ref().clone(),
        site: site.get_ref().clone(),
        topic: topic("topic", table.topic.as_ref(), TOPIC, LANE, problems),
        // On a line that anybody can write to, anybody could be the fleet.
        listens: table.listens.unwrap_or(secured),
        topic_down: topic("topic_down", table.topic_down.as_ref(), TOPIC_DOWN, KIND, problems),
        encoding: table.encoding,
        template: template(table, problems),
        telemetry_minutes: whole(
            "telemetry_minutes",
            table.telemetry_minutes.as_ref(),
            1,
            1440,
            60,
            problems,
        ),
        waits_for_sun_hours: whole(
            "waits_for_sun_hours",
            table.waits_for_sun_hours.as_ref(),
            0,
            168,
            12,
            problems,
        ),
        month_bytes: table
            .monthly_mb
            .as_ref()
            .map(|value| u64::from(whole("monthly_mb", Some(value), 1, 65_535, 1, problems)) * 1_000_000),
        keep_alive_s: whole("keep_alive_s", table.keep_alive_s.as_ref(), 5, 65_535, 1500, problems),
    })
}

/// Whether the line is secured, host, port.
pub(super) fn broker(broker: &Spanned<String>, problems: &mut Problems<'_>) -> Option<(bool, String, u16)> {
    let read = broker.get_ref();
    let parts = || {
        let (scheme, place) = read.split_once("://")?;
        let secured = match scheme {
            "mqtt" => false,
            "mqtts" => true,
            _ => return None,
        };
        let usual = if secured { 8883 } else { 1883 };
        let place = place.strip_suffix('/').unwrap_or(place);
        // An address of IPv6 stands in brackets.
        let (host, port) = match place.rsplit_once(':') {
            Some((host, port)) if !port.contains(']') => (host, port.parse().ok()?),
            _ => (place, usual),
        };
        let host = host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host);
        let plain = !host.is_empty() && !host.contains(['/', '@', '?', '#', ' ']);
        plain.then(|| (secured, host.to_owned(), port))
    };
    let parts = parts();
    if parts.is_none() {
        let what = format!("broker is {read:?}, expected mqtts://HOST[:8883] or mqtt://HOST[:1883]");
        problems.at(&broker.span(), what);
    }
    parts
}

fn own_files(
    table: &UplinkTable,
    certificate: Option<&String>,
    key: Option<&String>,
    problems: &mut Problems<'_>,
) -> Option<(PathBuf, PathBuf)> {
    if certificate.is_some() != key.is_some() {
        problems.at(
            &table.broker.span(),
            "certificate and key belong together, and one of them is missing".into(),
        );
    }
    Some((certificate?.into(), key?.into()))
}

fn topic(
    key: &str,
    topic: Option<&Spanned<String>>,
    usual: &str,
    part: &str,
    problems: &mut Problems<'_>,
) -> String {
    let Some(topic) = topic else { return usual.into() };
    let read = topic.get_ref();
    let rest = read.replace(HUB, "").replace(part, "");
    if !read.contains(part) || read.len() > 200 || rest.contains(['+', '#', '{', '}', '\0']) {
        let what = format!(
            "{key} is {read:?}, expected a topic with {part}, and {HUB} if need be, such as {usual:?}"
        );
        problems.at(&topic.span(), what);
    }
    read.clone()
}

fn template(table: &UplinkTable, problems: &mut Problems<'_>) -> Option<String> {
    let written = table.template.as_ref()?;
    let text = written.get_ref();
    if table.encoding != Encoding::Json {
        problems.at(
            &written.span(),
            "template makes messages of the plain form: it wants encoding = \"json\"".into(),
        );
    } else if text.len() > MOST_TEMPLATE {
        let what = format!("template has {} bytes, expected {MOST_TEMPLATE} at most", text.len());
        problems.at(&written.span(), what);
    } else if let Err(error) = Template::new(text) {
        problems.at(&written.span(), format!("template: {error}"));
    }
    Some(text.clone())
}

pub(super) fn whole(
    key: &str,
    value: Option<&Spanned<u16>>,
    least: u16,
    most: u16,
    usual: u16,
    problems: &mut Problems<'_>,
) -> u16 {
    let Some(value) = value else { return usual };
    let read = *value.get_ref();
    if !(least..=most).contains(&read) {
        problems.at(&value.span(), format!("{key} is {read}, expected {least} to {most}"));
    }
    read.clamp(least, most)
}

impl Uplink {
    /// The topic of a lane.
    pub fn topic_of(&self, lane: &str) -> String {
        self.topic.replace(HUB, &self.hub).replace(LANE, lane)
    }

    /// The topic on which the fleet sends something of this kind.
    pub fn topic_down_of(&self, kind: &str) -> String {
        self.topic_down.replace(HUB, &self.hub).replace(KIND, kind)
    }
}
