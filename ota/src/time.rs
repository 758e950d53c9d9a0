//! Moments of signed documents, and what a hub without a clock may take for a lower bound of the time. Reading a
//! clock belongs to the caller.

use std::fmt;

use serde::{Deserialize, Serialize};

/// How far above the newest signed time a clock is believed: two years, s. A hub that lay on a shelf for
/// longer goes by the signed time, and its updates go on.
pub const CLOCK_BOUND: i64 = 2 * 366 * 86_400;

/// Seconds since 1970-01-01 00:00:00 UTC, leap seconds not counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Utc(pub i64);

impl Utc {
    /// Reads `2027-01-31T12:00:00Z`, and no other form (4.2.3 of the specification).
    pub fn parse(text: &str) -> Option<Self> {
        let bytes = text.as_bytes();
        if bytes.len() != 20 {
            return None;
        }
        for (place, separator) in [(4, b'-'), (7, b'-'), (10, b'T'), (13, b':'), (16, b':'), (19, b'Z')] {
            if bytes[place] != separator {
                return None;
            }
        }
        let number = |from: usize, to: usize| {
            bytes[from..to].iter().try_fold(0_i64, |sum, digit| {
                digit.is_ascii_digit().then(|| sum * 10 + i64::from(digit - b'0'))
            })
        };
        let (year, month, day) = (number(0, 4)?, number(5, 7)?, number(8, 10)?);
        let (hour, minute, second) = (number(11, 13)?, number(14, 16)?, number(17, 19)?);
        let fits = (1970..=9999).contains(&year)
            && (1..=12).contains(&month)
            && (1..=month_days(year, month)).contains(&day)
            && hour < 24
            && minute < 60
            && second < 60;
        fits.then(|| Self(days_since_epoch(year, month, day) * 86_400 + hour * 3_600 + minute * 60 + second))
    }
}

impl fmt::Display for Utc {
    fn fmt(&self, to: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (days, seconds) = (self.0.div_euclid(86_400), self.0.rem_euclid(86_400));
        let mut year = 1970 + days.div_euclid(366);
        // The guess is short by less than a year in three hundred: a few dozen rounds at most.
        while days_since_epoch(year + 1, 1, 1) <= days {
            year += 1;
        }
        let mut month = 1;
        while month < 12 && days_since_epoch(year, month + 1, 1) <= days {
            month += 1;
        }
        let day = days - days_since_epoch(year, month, 1) + 1;
        let (hour, minute, second) = (seconds / 3_600, seconds / 60 % 60, seconds % 60);
        write!(to, "{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}Z")
    }
}

fn is_leap(year: i64) -> bool {
    year % 4 == 0 && (year % 100 != 0 || year % 400 == 0)
}

fn month_days(year: i64, month: i64) -> i64 {
    match month {
        2 => 28 + i64::from(is_leap(year)),
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    }
}

fn days_since_epoch(year: i64, month: i64, day: i64) -> i64 {
    let before = year - 1;
    let leaps = before.div_euclid(4) - before.div_euclid(100) + before.div_euclid(400) - 477;
    (year - 1970) * 365 + leaps + (1..month).map(|month| month_days(year, month)).sum::<i64>() + day - 1
}

/// A time that has certainly passed. The true time is this or later, so a document that expired before it is
/// expired, and of one that did not nothing is known.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct LowerBound(pub Utc);

/// The newest times that signed documents stated.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct SignedTime {
    /// By roles whose keys are kept offline: root and targets. What targets signed is forgotten when a key of
    /// theirs is rotated.
    pub offline: Utc,
    /// By roles whose keys lie on a server: timestamp and snapshot. Forgotten when such a key is rotated,
    /// because who stole it may have signed a time far ahead.
    pub online: Utc,
}

impl Default for SignedTime {
    fn default() -> Self {
        Self { offline: Utc(0), online: Utc(0) }
    }
}

impl SignedTime {
    /// The newest of both.
    pub fn newest(&self) -> Utc {
        self.offline.max(self.online)
    }
}

/// What became of the clock's word.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ClockUse {
    /// There is none.
    Absent,
    /// It was taken.
    Taken,
    /// It is behind what was signed: the signed time was taken.
    Behind,
    /// It is too far ahead to be true: the signed time was taken.
    Implausible,
}

/// The lower bound to judge documents by: the newest of what was signed, when this software was built, and the
/// clock where that is plausible. A clock never raises what is stored.
pub fn lower_bound(signed: SignedTime, built: Utc, clock: Option<Utc>) -> (LowerBound, ClockUse) {
    let floor = signed.newest().max(built);
    match clock {
        None => (LowerBound(floor), ClockUse::Absent),
        Some(clock) if clock < floor => (LowerBound(floor), ClockUse::Behind),
        Some(clock) if clock.0 - floor.0 > CLOCK_BOUND => (LowerBound(floor), ClockUse::Implausible),
        Some(clock) => (LowerBound(clock), ClockUse::Taken),
    }
}
