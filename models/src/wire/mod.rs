//! What hubs and fleet say to one another, as bytes. From hubs: telemetry by the batch, and events one by one, each with
//! the identity of every record, in two forms: [`compact`], a zstd frame of CBOR in columns, and [`json`], a line a person can
//! read. To hubs: commands and settings ([`down`]), and the [`weather`].
//! `WIRE.md` beside this file describes both for readers in other languages.
//!
//! A decoder takes bytes from anybody: every length has a bound here, and what is beyond it is refused by name.
//! Not here: topics, when something is sent, and what the fleet does with it.

mod column;
pub mod compact;
pub mod down;
pub mod json;
mod refused;
pub mod weather;

pub use refused::Refused;

/// Version of both forms. A reader takes what it does not know in a message of its own version or a later one as
/// something to leave alone, and refuses nothing but what breaks the bounds.
pub const VERSION: u64 = 1;

/// Longest message, bytes, as it travels.
pub const MOST_BYTES: usize = 256 << 10;
/// Longest message, bytes, once it is unpacked.
pub const MOST_UNPACKED: usize = 4 << 20;
/// Most records of a message: a day of minutes.
pub const MOST_RECORDS: usize = 1440;
/// Most channels of telemetry: 64 loads with two each, and the home's own.
pub const MOST_CHANNELS: usize = 256;
/// Longest name, bytes.
pub const MOST_NAME: usize = 64;
/// Longest text in an event, bytes.
pub const MOST_TEXT: usize = 1024;
/// Most fields of an event.
pub const MOST_FIELDS: usize = 32;

/// Who sends: part of the identity of every record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sender {
    /// Name of the site.
    pub site: String,
    /// Name of the hub.
    pub hub: String,
    /// Random number of its journal: a card that was written anew is a new store.
    pub store: [u8; 16],
}

/// Which record, and when it was made. With the hub and the store, `boot` and `sequence` are its identity.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stamp {
    /// Starts of the hub, counted by the store from 1.
    pub boot: i64,
    /// Counts up within the store, telemetry and events apart.
    pub sequence: i64,
    /// Time since the start, ms: the end of what the record speaks for.
    pub uptime_ms: i64,
    /// The same on the wall clock, ms since 1970; `None` where nobody had told the time.
    pub wall_ms: Option<i64>,
}

/// Telemetry of a hub: records in the order they were made, by channel.
#[derive(Debug, Clone, PartialEq)]
pub struct Telemetry {
    /// Who.
    pub from: Sender,
    /// A stamp for each record.
    pub stamps: Vec<Stamp>,
    /// For each record, the length of the interval that its means are over, ms.
    pub spans_ms: Vec<i64>,
    /// What was measured.
    pub channels: Vec<Channel>,
}

/// One quantity, a value for each record.
#[derive(Debug, Clone, PartialEq)]
pub struct Channel {
    /// Name with the unit at its end: `battery_v`, `load.television.w`; `…_on` is 0 or 1.
    pub name: String,
    /// What the whole numbers are divided by: 10 keeps tenths.
    pub parts: u32,
    /// Whole numbers; `None` where nothing was measured.
    pub values: Vec<Option<i64>>,
}

/// Something that happened.
#[derive(Debug, Clone, PartialEq)]
pub struct Event {
    /// Which record.
    pub stamp: Stamp,
    /// What, in a word: `switched`, `alert`, `time_learnt`.
    pub what: String,
    /// The numbers and names that belong to it, in this order.
    pub fields: Vec<(String, Field)>,
}

/// A fact of an event.
#[derive(Debug, Clone, PartialEq)]
pub enum Field {
    /// Words.
    Text(String),
    /// A number, in the unit at the end of its name.
    Number(f64),
    /// Yes or no.
    Flag(bool),
}

/// One message.
#[derive(Debug, Clone, PartialEq)]
pub enum Message {
    /// What was measured.
    Telemetry(Telemetry),
    /// What happened.
    Events {
        /// Who.
        from: Sender,
        /// In the order it happened.
        events: Vec<Event>,
    },
}

impl Message {
    /// Reads a message of either form; they tell themselves apart by their first byte.
    pub fn read(bytes: &[u8]) -> Result<Self, Refused> {
        if bytes.len() > MOST_BYTES {
            return Err(Refused::TooLong {
                what: "message",
                found: bytes.len() as u64,
                most: MOST_BYTES as u64,
            });
        }
        if bytes.first() == Some(&b'{') { json::read(bytes) } else { compact::read(bytes) }
    }

    /// Who sent it.
    pub fn from(&self) -> &Sender {
        match self {
            Self::Telemetry(telemetry) => &telemetry.from,
            Self::Events { from, .. } => from,
        }
    }

    /// Records in it.
    pub fn records(&self) -> usize {
        match self {
            Self::Telemetry(telemetry) => telemetry.stamps.len(),
            Self::Events { events, .. } => events.len(),
        }
    }
}

impl Channel {
    /// The value of a record in its unit.
    pub fn value(&self, record: usize) -> Option<f64> {
        self.values.get(record).copied().flatten().map(|value| value as f64 / f64::from(self.parts))
    }
}

/// Whether this is a name: it may be part of a topic, a folder or a column, so it is 1 to [`MOST_NAME`] letters, digits,
/// `_`, `-` and `.`.
pub fn is_name(text: &str) -> bool {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-' | b'.');
    (1..=MOST_NAME).contains(&text.len()) && text.bytes().all(plain)
}

fn checked_name(name: &str) -> Result<&str, Refused> {
    if is_name(name) { Ok(name) } else { Err(Refused::Name(name.chars().take(MOST_NAME).collect())) }
}

fn at_most(what: &'static str, found: u64, most: usize) -> Result<usize, Refused> {
    if found > most as u64 {
        return Err(Refused::TooLong { what, found, most: most as u64 });
    }
    Ok(found as usize)
}
