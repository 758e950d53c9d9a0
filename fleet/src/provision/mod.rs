//! Hubs join a fleet: an authority of its own, a certificate and key for each hub, what the broker needs to know them
//! apart, and an inventory. One folder holds all of it; whoever has it has the fleet.

mod authority;
pub(crate) mod files;
mod forget;
mod inventory;
mod mosquitto;

use std::path::{Path, PathBuf};

use sunkeep_models::bundle::Bundle;
use sunkeep_models::wire::is_name;

use authority::{Authority, Subject};
use files::{failed, write_new, write_over};

use inventory::ERASED;

pub use forget::{forget, hubs_of};
pub use inventory::{Entry, Inventory};

/// Certificates hold from this year on, and the authority's to that one: hubs and brokers whose clocks are wrong must not
/// find them too young.
const FIRST_YEAR: i32 = 2020;
const LAST_YEAR: i32 = 2120;
/// Most hubs that are made at once.
pub const MOST_HUBS: u32 = 100_000;
/// The name under which `sunkeep-fleet ingest` comes to the broker.
pub const INGEST: &str = "ingest";

/// The name under which the operator's other tools come to the broker.
pub const OPERATOR: &str = "operator";

/// Why something could not be made.
#[derive(Debug, thiserror::Error)]
pub enum ProvisionError {
    /// The file system refused.
    #[error("{path}: {doing}: {source}")]
    File {
        /// Which file.
        path: PathBuf,
        /// What was tried.
        doing: &'static str,
        /// What the system said.
        source: std::io::Error,
    },
    /// The system gave no random bytes.
    #[error("the system gives no random bytes: {0}")]
    Randomness(getrandom::Error),
    /// A certificate could not be signed.
    #[error("cannot sign: {0}")]
    Signing(rcgen::Error),
    /// The authority's key cannot be read.
    #[error("{path}: holds no private key in PEM: {source}")]
    Key {
        /// Which file.
        path: PathBuf,
        /// What was wrong.
        source: rcgen::Error,
    },
    /// A line of the inventory cannot be read.
    #[error("{path}:{line}: read {read:?}, expected the columns {expected}, revoked yes or no")]
    Inventory {
        /// Which file.
        path: PathBuf,
        /// Its line, from 1.
        line: usize,
        /// What stands there.
        read: String,
        /// What may.
        expected: &'static str,
    },
    /// A broker's address that hubs could not use.
    #[error("the broker is {0:?}; expected mqtts://HOST[:PORT]")]
    Broker(String),
    /// A name that cannot be part of a topic.
    #[error(
        "{0:?} is no name for a hub; expected 1 to 64 letters, digits, _, - or ., and not \
         {INGEST:?}, {OPERATOR:?} or {ERASED:?}"
    )]
    Name(String),
    /// A hub of this name is there already.
    #[error("{0} is in the inventory already")]
    Twice(String),
    /// No hub of this name.
    #[error("{0} is not in the inventory, or was taken back before")]
    Unknown(String),
    /// The bundle could not be written.
    #[error("a bundle cannot be written: {0}")]
    Bundle(#[from] toml::ser::Error),
}

/// Years in which a certificate holds: from the beginning of the first to the beginning of `end`.
#[derive(Debug, Clone, Copy)]
struct Years {
    first: i32,
    end: i32,
}

/// What is to be made.
#[derive(Debug, Clone)]
pub struct Request {
    /// Folder of the fleet.
    pub fleet: PathBuf,
    /// The broker, `mqtts://HOST:PORT`.
    pub broker: String,
    /// Names of the sites; a hub bears that of its site.
    pub sites: Vec<String>,
    /// Year at whose beginning the hubs' certificates run out.
    pub until_year: i32,
}

/// Makes hubs; calls `made` after each.
pub fn provision(request: &Request, mut made: impl FnMut(usize)) -> Result<Inventory, ProvisionError> {
    let Request { fleet, broker, sites, until_year } = request;
    let (host, port) = address(broker)?;
    let hubs = fleet.join("hubs");
    std::fs::create_dir_all(&hubs).map_err(failed(&hubs, "making it"))?;
    let mut inventory = Inventory::open(fleet)?;
    for (place, site) in sites.iter().enumerate() {
        checked(site)?;
        if inventory.has(site) || sites[..place].contains(site) {
            return Err(ProvisionError::Twice(site.clone()));
        }
    }
    let long = Years { first: FIRST_YEAR, end: LAST_YEAR };
    let authority = Authority::open(fleet, long)?;
    broker_side(fleet, &authority, &host, port, &inventory)?;
    let years = Years { first: FIRST_YEAR, end: *until_year };
    for (place, site) in sites.iter().enumerate() {
        let signed = authority.sign(Subject::Client(site), years)?;
        let bundle = Bundle {
            broker: broker.clone(),
            site: site.clone(),
            hub: site.clone(),
            ca: authority.certificate.clone(),
            certificate: signed.certificate,
            key: signed.key,
        };
        // A bundle without its line in the inventory is left over from a run that was cut off, and nobody has it.
        write_over(&hubs.join(format!("{site}.toml")), 0o600, &toml::to_string(&bundle)?)?;
        inventory.entries.push(Entry {
            site: site.clone(),
            hub: site.clone(),
            serial: signed.serial,
            valid_until: format!("{until_year}-01-01"),
            revoked: false,
        });
        made(place + 1);
    }
    inventory.write()?;
    Ok(inventory)
}

/// Takes a hub's certificate back: the broker refuses it once it has read the new list.
pub fn revoke(fleet: &Path, hub: &str) -> Result<PathBuf, ProvisionError> {
    let mut inventory = Inventory::open(fleet)?;
    let entry = inventory.entries.iter_mut().find(|entry| entry.hub == hub && !entry.revoked);
    entry.ok_or_else(|| ProvisionError::Unknown(hub.into()))?.revoked = true;
    let authority = Authority::open(fleet, Years { first: FIRST_YEAR, end: LAST_YEAR })?;
    publish_revoked(&authority, &inventory)?;
    inventory.write()?;
    Ok(fleet.join("ca.crl"))
}

/// The list is counted by what is on it, and nothing ever leaves it.
fn publish_revoked(authority: &Authority, inventory: &Inventory) -> Result<(), ProvisionError> {
    let revoked = inventory.revoked();
    authority.publish_revoked(&revoked, revoked.len() as u64 + 1)
}

/// What the broker needs, where it is not there yet: certificate, list of what was taken back, rules, configuration.
fn broker_side(
    fleet: &Path,
    authority: &Authority,
    host: &str,
    port: u16,
    inventory: &Inventory,
) -> Result<(), ProvisionError> {
    let long = Years { first: FIRST_YEAR, end: LAST_YEAR };
    let clients = [INGEST, OPERATOR].map(|name| (name, Subject::Client(name)));
    for (name, subject) in [("broker", Subject::Broker(host))].into_iter().chain(clients) {
        let (certificate, key) = (fleet.join(format!("{name}.pem")), fleet.join(format!("{name}.key")));
        if !certificate.exists() {
            let signed = authority.sign(subject, long)?;
            write_over(&key, 0o600, &signed.key)?;
            write_new(&certificate, 0o644, &signed.certificate)?;
        }
    }
    if !fleet.join("ca.crl").exists() {
        publish_revoked(authority, inventory)?;
    }
    for (name, text) in
        [("mosquitto.acl", mosquitto::rules()), ("mosquitto.conf", mosquitto::configuration(fleet, port))]
    {
        let path = fleet.join(name);
        if !path.exists() {
            write_new(&path, 0o644, &text)?;
        }
    }
    Ok(())
}

/// Host and port of the broker.
fn address(broker: &str) -> Result<(String, u16), ProvisionError> {
    let refused = || ProvisionError::Broker(broker.into());
    let place = broker.strip_prefix("mqtts://").ok_or_else(refused)?;
    let place = place.strip_suffix('/').unwrap_or(place);
    let (host, port) = match place.rsplit_once(':') {
        Some((host, port)) if !port.contains(']') => (host, port.parse().map_err(|_| refused())?),
        _ => (place, 8883),
    };
    if host.is_empty() || host.contains(['/', '@', '?', '#', ' ']) {
        return Err(refused());
    }
    Ok((host.into(), port))
}

fn checked(name: &str) -> Result<(), ProvisionError> {
    let free = ![INGEST, OPERATOR, ERASED].contains(&name);
    if is_name(name) && free { Ok(()) } else { Err(ProvisionError::Name(name.into())) }
}
