//! What the fleet says to a hub: commands, to be done once, and the desired document, which holds until the next; and the
//! document in which the hub reports what became of that. JSON, small, bounded, and refused whole where anything in it is not
//! known: half a command is another command.
//!
//! Not here: whether a hub does what it is told.

use std::collections::BTreeMap;
use std::fmt;

use serde::de::{MapAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize};

use super::{MOST_TEXT, Refused, VERSION, at_most, checked_name, json};

/// Longest command, bytes.
pub const MOST_COMMAND: usize = 4 << 10;
/// Longest desired or reported document, bytes.
pub const MOST_DOCUMENT: usize = 16 << 10;
/// Most keys of a document.
pub const MOST_KEYS: usize = 64;

/// Something to be done once.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Command {
    /// Its name: a hub does nothing twice under one.
    pub id: String,
    /// From then on it is not to be done any more, seconds since 1970.
    pub expires: i64,
    /// What is to be done.
    pub action: Action,
}

/// What a hub may be asked to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Action {
    /// End, so that the system starts the hub anew.
    Restart,
    /// Ask every device now, the silent ones too, and say who answers.
    Probe,
    /// Keep a load on for a while.
    KeepOn {
        /// Its name.
        load: String,
        /// For how long.
        minutes: u16,
    },
    /// Forget that the fleet asked for that.
    Release {
        /// Its name.
        load: String,
    },
    /// Send records again that the fleet misses, both ends included.
    Resend {
        /// The journal they are of.
        store: [u8; 16],
        /// Whether these are minutes of telemetry; else events of any lane.
        telemetry: bool,
        /// First number.
        from: i64,
        /// Last number.
        upto: i64,
    },
}

/// A command as it is written.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct WrittenCommand {
    v: u64,
    id: String,
    expires: i64,
    #[serde(rename = "do")]
    action: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    load: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    minutes: Option<u16>,
    #[serde(skip_serializing_if = "Option::is_none")]
    store: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    table: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    from: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    upto: Option<i64>,
}

impl Action {
    /// Its word.
    pub fn word(&self) -> &'static str {
        match self {
            Self::Restart => "restart",
            Self::Probe => "probe",
            Self::KeepOn { .. } => "keep_on",
            Self::Release { .. } => "release",
            Self::Resend { .. } => "resend",
        }
    }
}

impl Command {
    /// Reads a command.
    pub fn read(bytes: &[u8]) -> Result<Self, Refused> {
        let written: WrittenCommand = document(bytes, MOST_COMMAND)?;
        version(written.v)?;
        let id = checked_name(&written.id)?.to_owned();
        let expires = written.expires;
        Ok(Self { id, expires, action: written.action()? })
    }

    /// Writes it.
    pub fn write(&self) -> String {
        let mut written = WrittenCommand {
            v: VERSION,
            id: self.id.clone(),
            expires: self.expires,
            action: self.action.word().into(),
            load: None,
            minutes: None,
            store: None,
            table: None,
            from: None,
            upto: None,
        };
        match &self.action {
            Action::Restart | Action::Probe => {}
            Action::KeepOn { load, minutes } => {
                (written.load, written.minutes) = (Some(load.clone()), Some(*minutes));
            }
            Action::Release { load } => written.load = Some(load.clone()),
            Action::Resend { store, telemetry, from, upto } => {
                written.store = Some(json::digits(store));
                written.table = Some(if *telemetry { "telemetry" } else { "events" }.into());
                (written.from, written.upto) = (Some(*from), Some(*upto));
            }
        }
        // Strings and numbers: nothing of this can fail.
        serde_json::to_string(&written).unwrap_or_default()
    }
}

impl WrittenCommand {
    /// What is to be done, with exactly the members that belong to it.
    fn action(self) -> Result<Action, Refused> {
        let Self { load, minutes, store, table, from, upto, .. } = self;
        let name = |load: Option<String>| load.ok_or(Refused::Missing("load"));
        let other = [
            ("load", load.is_some()),
            ("minutes", minutes.is_some()),
            ("store", store.is_some()),
            ("table", table.is_some()),
            ("from", from.is_some()),
            ("upto", upto.is_some()),
        ];
        let only = |known: &[&str]| {
            let stray = other.iter().find(|(name, there)| *there && !known.contains(name));
            stray.map_or(Ok(()), |(name, _)| Err(Refused::Stray((*name).into())))
        };
        match &*self.action {
            "restart" => only(&[]).map(|()| Action::Restart),
            "probe" => only(&[]).map(|()| Action::Probe),
            "keep_on" => {
                only(&["load", "minutes"])?;
                let minutes = minutes.ok_or(Refused::Missing("minutes"))?;
                Ok(Action::KeepOn { load: name(load)?, minutes })
            }
            "release" => only(&["load"]).and_then(|()| Ok(Action::Release { load: name(load)? })),
            "resend" => {
                only(&["store", "table", "from", "upto"])?;
                let store = json::store(&store.ok_or(Refused::Missing("store"))?)?;
                let telemetry = match &*table.ok_or(Refused::Missing("table"))? {
                    "telemetry" => true,
                    "events" => false,
                    other => return Err(Refused::Kind(other.chars().take(MOST_TEXT).collect())),
                };
                let (from, upto) =
                    (from.ok_or(Refused::Missing("from"))?, upto.ok_or(Refused::Missing("upto"))?);
                Ok(Action::Resend { store, telemetry, from, upto })
            }
            other => Err(Refused::Action(other.chars().take(64).collect())),
        }
    }
}

/// A value of a document.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Setting {
    /// Yes or no.
    Flag(bool),
    /// A number, in the unit at the end of its key.
    Number(f64),
    /// A word.
    Text(String),
}

impl fmt::Display for Setting {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Flag(flag) => flag.fmt(f),
            Self::Number(number) => number.fmt(f),
            Self::Text(text) => write!(f, "{text:?}"),
        }
    }
}

/// Settings by key, each there once.
#[derive(Debug, Clone, PartialEq, Default, Serialize)]
#[serde(transparent)]
pub struct Set(pub BTreeMap<String, Setting>);

impl<'de> Deserialize<'de> for Set {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        struct Once;
        impl<'de> Visitor<'de> for Once {
            type Value = Set;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "at most {MOST_KEYS} keys, each once, with a number, a word, true or false")
            }
            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Set, A::Error> {
                let mut set = BTreeMap::new();
                while let Some((key, value)) = map.next_entry::<String, Setting>()? {
                    if set.contains_key(&key) {
                        return Err(serde::de::Error::custom(format!("{key:?} is there twice")));
                    }
                    if set.len() >= MOST_KEYS {
                        return Err(serde::de::Error::custom(format!(
                            "there are more than {MOST_KEYS} keys"
                        )));
                    }
                    set.insert(key, value);
                }
                Ok(Set(set))
            }
        }
        from.deserialize_map(Once)
    }
}

/// The settings a fleet wishes a hub to have besides those of its file. The whole of it: what a key is not there for is as the
/// file has it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Desired {
    v: u64,
    /// Counts up; a hub goes by the highest.
    pub version: u64,
    /// The settings.
    pub set: Set,
}

impl Desired {
    /// A document.
    pub fn new(version: u64, set: BTreeMap<String, Setting>) -> Self {
        Self { v: VERSION, version, set: Set(set) }
    }

    /// Reads a document.
    pub fn read(bytes: &[u8]) -> Result<Self, Refused> {
        let desired: Self = document(bytes, MOST_DOCUMENT)?;
        version(desired.v)?;
        Ok(desired)
    }
}

/// What a hub says of its settings.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Reported {
    v: u64,
    /// The desired version that was looked at last; 0 where there was none.
    pub version: u64,
    /// What became of it: `none`, `trial`, `applied`, `refused`, `reverted`.
    pub state: String,
    /// Why not, each with the key it is about where it is about one.
    pub reasons: Vec<Reason>,
    /// The version that holds; 0 for the file alone.
    pub in_force: u64,
    /// What it sets.
    pub set: Set,
    /// Version of the hub's software.
    pub software: String,
}

/// Why a document does not hold.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reason {
    /// The key, or nothing.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub key: Option<String>,
    /// What was read and what was expected.
    pub why: String,
}

impl Reported {
    /// A report on no document.
    pub fn none(software: &str) -> Self {
        Self {
            v: VERSION,
            version: 0,
            state: "none".into(),
            reasons: Vec::new(),
            in_force: 0,
            set: Set::default(),
            software: software.into(),
        }
    }

    /// Reads a report.
    pub fn read(bytes: &[u8]) -> Result<Self, Refused> {
        let reported: Self = document(bytes, MOST_DOCUMENT)?;
        version(reported.v)?;
        Ok(reported)
    }

    /// Writes it. Reasons give way where it would be longer than a reader takes.
    pub fn write(&self) -> String {
        let mut shorter = self.clone();
        loop {
            let written = serde_json::to_string(&shorter).unwrap_or_default();
            if written.len() <= MOST_DOCUMENT || shorter.reasons.pop().is_none() {
                return written;
            }
        }
    }
}

fn document<'a, T: Deserialize<'a>>(bytes: &'a [u8], most: usize) -> Result<T, Refused> {
    at_most("document", bytes.len() as u64, most)?;
    serde_json::from_slice(bytes).map_err(|error| Refused::Json(error.to_string()))
}

/// A later version may mean other things by the same words: nothing of it is done.
fn version(found: u64) -> Result<(), Refused> {
    if found == VERSION { Ok(()) } else { Err(Refused::Version(found)) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_command_is_read_as_it_was_written() {
        let actions = [
            Action::Restart,
            Action::Probe,
            Action::KeepOn { load: "tv".into(), minutes: 60 },
            Action::Release { load: "tv".into() },
            Action::Resend { store: [7; 16], telemetry: true, from: 3, upto: 99 },
            Action::Resend { store: [0xab; 16], telemetry: false, from: 1, upto: 1 },
        ];
        for action in actions {
            let command = Command { id: "c-1".into(), expires: 1_900_000_000, action };
            assert_eq!(Command::read(command.write().as_bytes()), Ok(command));
        }
    }

    #[test]
    fn half_a_command_is_refused() {
        let refused = |text: &str| Command::read(text.as_bytes()).unwrap_err().to_string();
        let with = |rest: &str| format!(r#"{{"v":1,"id":"a","expires":1{rest}}}"#);
        assert!(refused(&with(r#","do":"dance""#)).contains("dance"));
        assert!(refused(&with(r#","do":"restart","load":"tv""#)).contains("load"));
        assert!(refused(&with(r#","do":"keep_on","load":"tv""#)).contains("minutes"));
        assert!(refused(&with(r#","do":"keep_on","load":"tv","minutes":-1"#)).contains("-1"));
        assert!(refused(&with(r#","do":"restart","only_if":"idle""#)).contains("only_if"));
        assert!(refused(&with(r#","do":"restart","do":"probe""#)).contains("duplicate"));
        assert!(refused(r#"{"v":2,"id":"a","expires":1,"do":"restart"}"#).contains("version"));
        assert!(refused(r#"{"v":1,"id":"a/b","expires":1,"do":"restart"}"#).contains("a/b"));
        assert!(refused(&" ".repeat(MOST_COMMAND + 1)).contains("4096"));
    }

    #[test]
    fn a_document_has_each_key_once_and_not_too_many() {
        let read = |set: &str| Desired::read(format!(r#"{{"v":1,"version":3,"set":{{{set}}}}}"#).as_bytes());
        let desired = read(r#""a":1,"b":"c","d":true"#).unwrap();
        assert_eq!(desired.set.0.len(), 3);
        assert!(read(r#""a":1,"a":2"#).unwrap_err().to_string().contains("twice"));
        assert!(read(r#""a":[1]"#).is_err());
        let many: Vec<_> = (0..=MOST_KEYS).map(|key| format!(r#""k{key}":1"#)).collect();
        assert!(read(&many.join(",")).unwrap_err().to_string().contains("64"));
    }

    #[test]
    fn a_report_never_outgrows_its_reader() {
        let mut reported = Reported::none("0.1.0");
        let why = "x".repeat(900);
        reported.reasons = (0..40).map(|_| Reason { key: None, why: why.clone() }).collect();
        let written = reported.write();
        assert!(written.len() <= MOST_DOCUMENT);
        assert!(!Reported::read(written.as_bytes()).unwrap().reasons.is_empty());
    }
}
