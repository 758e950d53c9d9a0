//! Time as a hub without a clock chip knows it: seconds since boot always, the wall clock where somebody
//! told us, and the 30-minute slots in which forecasts and plans are made.

use core::fmt;

use serde::{Deserialize, Serialize};

use crate::quantity::Seconds;

/// Length of a slot, s.
pub const SLOT_SECONDS: i64 = 1800;
/// Slots in a day.
pub const SLOTS_PER_DAY: usize = 48;
/// Length of every forecast and plan, in slots: 48 hours.
pub const HORIZON: usize = 96;

/// Time since the hub was switched on, in milliseconds. Never jumps and never goes back.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Uptime(pub u64);

impl Uptime {
    /// The moment `seconds` after the hub was switched on.
    pub const fn from_seconds(seconds: u64) -> Self {
        Self(seconds * 1000)
    }

    /// How long ago `earlier` was; nothing if it lies ahead.
    pub fn since(self, earlier: Self) -> Seconds {
        Seconds(self.0.saturating_sub(earlier.0) as f64 / 1000.0)
    }

    /// The moment `span` later.
    #[must_use]
    pub fn after(self, span: Seconds) -> Self {
        Self(self.0.saturating_add((span.0.max(0.0) * 1000.0) as u64))
    }
}

/// Who told the hub what time it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TimeSource {
    /// The operating system's clock, which passed the plausibility check.
    System,
    /// Another system that drives this hub's clock: a simulation.
    Driven,
}

/// The wall clock and how far to trust it.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct WallTime {
    /// Seconds since 1970-01-01T00:00:00Z.
    pub unix: i64,
    /// Who said so.
    pub source: TimeSource,
    /// How wrong it may be, s.
    pub uncertainty: Seconds,
}

/// A 30-minute slot, counted from 1970-01-01T00:00:00Z.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Slot(pub i64);

impl Slot {
    /// The slot that holds this moment (seconds since 1970).
    pub fn of(unix: i64) -> Self {
        Self(unix.div_euclid(SLOT_SECONDS))
    }

    /// First second of the slot, since 1970.
    pub fn start(self) -> i64 {
        self.0 * SLOT_SECONDS
    }

    /// The slot `count` later; negative is earlier.
    #[must_use]
    pub fn plus(self, count: i64) -> Self {
        Self(self.0 + count)
    }

    /// How many slots this one lies after `earlier`; negative if before.
    pub fn since(self, earlier: Self) -> i64 {
        self.0 - earlier.0
    }
}

/// A time zone by its IANA name, or a fixed offset like `+05:30`; the rules are compiled in, for a hub has
/// no reason to carry the system's database.
#[derive(Debug, Clone, PartialEq)]
pub struct Zone {
    name: String,
    rules: jiff::tz::TimeZone,
}

/// A time zone that does not exist.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("no time zone is called {0:?}; expected an IANA name such as \"Africa/Nairobi\", or \"UTC\"")]
pub struct UnknownZone(pub String);

impl Zone {
    /// Coordinated universal time.
    pub fn utc() -> Self {
        Self { name: "UTC".into(), rules: jiff::tz::TimeZone::UTC }
    }

    /// The zone of this IANA name.
    pub fn named(name: &str) -> Result<Self, UnknownZone> {
        let rules = jiff::tz::TimeZone::get(name).map_err(|_| UnknownZone(name.into()))?;
        Ok(Self { name: name.into(), rules })
    }

    /// The name it was made from.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Local calendar of the moment `unix` (seconds since 1970). Moments outside years -9999..=9999 read
    /// as the nearest that exists.
    pub fn local(&self, unix: i64) -> LocalTime {
        let bounded = unix.clamp(-377_705_023_201, 253_402_207_200);
        let moment = jiff::Timestamp::from_second(bounded).unwrap_or(jiff::Timestamp::UNIX_EPOCH);
        let offset = self.rules.to_offset(moment);
        let civil = offset.to_datetime(moment);
        LocalTime {
            day: (bounded + i64::from(offset.seconds())).div_euclid(86_400),
            second_of_day: i64::from(civil.hour()) * 3600
                + i64::from(civil.minute()) * 60
                + i64::from(civil.second()),
            day_of_year: u16::try_from(civil.day_of_year()).unwrap_or(1),
            weekday: u8::try_from(civil.weekday().to_monday_zero_offset()).unwrap_or(0),
        }
    }
}

/// A moment on the wall clock of a home.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LocalTime {
    /// Local calendar day, counted from 1970-01-01.
    pub day: i64,
    /// Seconds since local midnight, as the clock on the wall shows it.
    pub second_of_day: i64,
    /// 1 is the first of January.
    pub day_of_year: u16,
    /// 0 is Monday.
    pub weekday: u8,
}

impl LocalTime {
    /// Slot of the day, 0 to 47.
    pub fn slot_of_day(self) -> usize {
        (self.second_of_day / SLOT_SECONDS).clamp(0, SLOTS_PER_DAY as i64 - 1) as usize
    }
}

impl fmt::Display for LocalTime {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:02}:{:02}", self.second_of_day / 3600, self.second_of_day / 60 % 60)
    }
}
