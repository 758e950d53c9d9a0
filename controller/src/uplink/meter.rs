//! Counts the bytes on the line, and what a month of them comes to.

use std::sync::atomic::{AtomicU64, Ordering};

use crate::journal::Lane;
use crate::journal::outbox::Metered;

/// Bytes of a segment on a usual line.
const SEGMENT: u64 = 1400;
/// Headers of TCP with time stamps and of IP: of each segment, and of what acknowledges it.
const HEADERS: u64 = 2 * 52;
/// Bytes that are worth writing down: a power cut may forget so many.
const WRITTEN: i64 = 4096;
/// Share of the month's bytes that telemetry may use, in percent: the rest is for what is more urgent.
const TELEMETRY_PERCENT: u64 = 90;

/// Bytes since the start.
#[derive(Debug, Default)]
pub(super) struct Meter {
    out: AtomicU64,
    into: AtomicU64,
    headers: AtomicU64,
}

impl Meter {
    pub(super) fn went_out(&self, bytes: usize) {
        self.out.fetch_add(bytes as u64, Ordering::Relaxed);
        self.reckon(bytes);
    }

    pub(super) fn came_in(&self, bytes: usize) {
        self.into.fetch_add(bytes as u64, Ordering::Relaxed);
        self.reckon(bytes);
    }

    fn reckon(&self, bytes: usize) {
        self.headers.fetch_add((bytes as u64).div_ceil(SEGMENT) * HEADERS, Ordering::Relaxed);
    }

    /// Out, in; TLS included, headers not.
    pub(super) fn read(&self) -> (u64, u64) {
        (self.out.load(Ordering::Relaxed), self.into.load(Ordering::Relaxed))
    }

    /// All of it, headers reckoned in.
    fn all(&self) -> u64 {
        let (out, into) = self.read();
        out + into + self.headers.load(Ordering::Relaxed)
    }
}

/// A month's bytes, and how many there may be.
#[derive(Debug)]
pub(super) struct Budget {
    month_bytes: Option<u64>,
    metered: Metered,
    written: Metered,
    /// What the meter showed when it was read last.
    read: u64,
}

impl Budget {
    /// Goes on from what the journal knows.
    pub(super) fn new(month_bytes: Option<u64>, metered: Metered) -> Self {
        Self { month_bytes, metered, written: metered, read: 0 }
    }

    /// Adds what the meter counted since; `month` is none while nobody knows the time: then the month goes on. Returns what
    /// is worth writing down.
    pub(super) fn add(&mut self, meter: &Meter, month: Option<i64>) -> Option<Metered> {
        let all = meter.all();
        let news = i64::try_from(all.saturating_sub(self.read)).unwrap_or(i64::MAX);
        self.read = all;
        if let Some(month) = month.filter(|month| *month > self.metered.month) {
            // What was counted before the first month was known is of it.
            let bytes = if self.metered.month == 0 { self.metered.bytes } else { 0 };
            self.metered = Metered { month, bytes };
        }
        self.metered.bytes = self.metered.bytes.saturating_add(news);
        let Metered { month, bytes } = self.written;
        if self.metered.month == month && self.metered.bytes - bytes < WRITTEN {
            return None;
        }
        self.written = self.metered;
        Some(self.metered)
    }

    /// Whether a lane may send; alerts always may.
    pub(super) fn allows(&self, lane: Lane) -> bool {
        let (Some(most), used) = (self.month_bytes, self.metered.bytes.unsigned_abs()) else { return true };
        match lane {
            Lane::Alerts => true,
            Lane::Answers | Lane::Decisions => used < most,
            Lane::Telemetry => used < most / 100 * TELEMETRY_PERCENT,
        }
    }
}

/// The month of a moment (seconds since 1970, UTC), counted from the year 0.
pub(super) fn month(unix: i64) -> Option<i64> {
    let date = jiff::Timestamp::from_second(unix).ok()?.to_zoned(jiff::tz::TimeZone::UTC).date();
    Some(i64::from(date.year()) * 12 + i64::from(date.month()) - 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn telemetry_stops_first_alerts_never_and_a_month_begins_anew() {
        let meter = Meter::default();
        let mut budget = Budget::new(Some(1_000_000), Metered::default());
        let november = month(1_795_305_600);
        assert_eq!(november, Some(2026 * 12 + 10));
        let allowed = |budget: &Budget| Lane::ALL.map(|lane| budget.allows(lane));
        meter.went_out(700_000);
        budget.add(&meter, None);
        assert_eq!(allowed(&budget), [true; 4]);
        meter.came_in(150_000);
        let metered = budget.add(&meter, november);
        assert_eq!(
            metered.unwrap().bytes,
            850_000 + 104 * (500 + 108),
            "with headers, and what came before the time was known"
        );
        assert_eq!(allowed(&budget), [true, true, true, false]);
        meter.went_out(100);
        assert_eq!(budget.add(&meter, november), None, "not worth a page of the disk");
        meter.went_out(100_000);
        budget.add(&meter, november);
        assert_eq!(allowed(&budget), [true, false, false, false]);
        // A start goes on where it was.
        let mut again = Budget::new(Some(1_000_000), budget.metered);
        again.add(&Meter::default(), None);
        assert_eq!(allowed(&again), [true, false, false, false]);
        // A clock that goes back gives no month twice.
        again.add(&Meter::default(), november.map(|month| month - 1));
        assert_eq!(allowed(&again), [true, false, false, false]);
        again.add(&Meter::default(), november.map(|month| month + 1));
        assert_eq!(allowed(&again), [true; 4]);
        assert_eq!(allowed(&Budget::new(None, budget.metered)), [true; 4], "no budget");
    }
}
