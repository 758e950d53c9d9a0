//! When something is sent: pauses between sessions, whether telemetry is due, and how much of it goes into a message.
//! Pure; the time is counted in records, for a hub may not know another.

use std::time::Duration;

/// First pause after a session ended.
const FIRST_PAUSE: Duration = Duration::from_secs(2);
/// Longest pause.
const LONGEST_PAUSE: Duration = Duration::from_mins(10);
/// A message that took longer than this to be acknowledged was too large for the line.
const SLOW: Duration = Duration::from_secs(20);
/// One that took no longer than this could have been larger.
const QUICK: Duration = Duration::from_secs(4);
/// Fewest and most records of a message of telemetry.
const SIZES: (usize, usize) = (15, 720);
/// Most messages on the way at a time.
pub(super) const MOST_MESSAGES: usize = 8;

/// Pauses that double, each with a part of chance: a thousand hubs must not come back in the same second.
#[derive(Debug, Default)]
pub(super) struct Backoff {
    tries: u32,
}

impl Backoff {
    pub(super) fn next(&mut self) -> Duration {
        let whole = FIRST_PAUSE.saturating_mul(1 << self.tries.min(16)).min(LONGEST_PAUSE);
        self.tries = self.tries.saturating_add(1);
        // Without chance from the system the pause is the whole one.
        let chance = getrandom::u32().map_or(1.0, |number| f64::from(number) / f64::from(u32::MAX));
        whole.mul_f64(0.5 + 0.5 * chance)
    }
}

/// Whether telemetry goes now: when enough has gathered and the sun carries the modem, or when it has waited for long.
pub(super) fn is_due(waiting: u64, gather: u16, background_work: bool, waits_hours: u16) -> bool {
    let gather = u64::from(gather);
    let patience = gather.max(u64::from(waits_hours) * 60);
    waiting >= gather && (background_work || waiting >= patience)
}

/// How much is sent at once: more on a line that is good, less on one that is slow or breaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Load {
    /// Records of a message of telemetry.
    records: usize,
    /// Messages that may be on the way.
    messages: usize,
}

impl Load {
    /// What goes together when nothing is known of the line.
    pub(super) fn new(records: u16) -> Self {
        Self { records: usize::from(records).clamp(SIZES.0, SIZES.1), messages: 1 }
    }

    pub(super) fn records(self) -> usize {
        self.records
    }

    pub(super) fn messages(self) -> usize {
        self.messages
    }

    /// A connection begins: one message first, for what is on the way when it breaks is sent again.
    pub(super) fn begin(&mut self) {
        self.messages = 1;
    }

    /// A message was acknowledged after this time; `full`: it held as many records as it might.
    pub(super) fn acknowledged(&mut self, time: Duration, full: bool) {
        self.messages = (self.messages + 1).min(MOST_MESSAGES);
        if time > SLOW {
            self.halve();
        } else if full && time < QUICK {
            self.records = (self.records * 2).min(SIZES.1);
        }
    }

    /// A connection ended before anything was acknowledged, and something was on the way.
    pub(super) fn halve(&mut self) {
        self.records = (self.records / 2).max(SIZES.0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_double_up_to_ten_minutes_and_are_never_all_the_same() {
        let mut backoff = Backoff::default();
        let pauses: Vec<f64> = (0..20).map(|_| backoff.next().as_secs_f64()).collect();
        for (try_, pause) in pauses.iter().enumerate() {
            let whole = (2.0 * 2_f64.powi(try_ as i32)).min(600.0);
            assert!((whole / 2.0..=whole).contains(pause), "try {try_}: {pause}");
        }
        assert!(pauses[12..].windows(2).any(|pair| (pair[0] - pair[1]).abs() > 1.0), "{pauses:?}");
    }

    #[test]
    fn telemetry_waits_for_sun_and_not_for_ever() {
        assert!(!is_due(59, 60, true, 12), "too few");
        assert!(is_due(60, 60, true, 12));
        assert!(!is_due(60, 60, false, 12), "no sun");
        assert!(is_due(720, 60, false, 12), "for long enough");
        assert!(is_due(60, 60, false, 0), "does not wait");
    }

    #[test]
    fn less_is_sent_at_once_on_a_slow_line_and_more_on_a_quick_one() {
        let mut load = Load::new(60);
        (0..5).for_each(|_| load.acknowledged(Duration::from_secs(30), true));
        assert_eq!((load.records(), load.messages()), (15, 6));
        load.begin();
        load.acknowledged(Duration::from_secs(10), true);
        assert_eq!((load.records(), load.messages()), (15, 2), "neither slow nor quick");
        (0..9).for_each(|_| load.acknowledged(Duration::from_secs(1), true));
        assert_eq!((load.records(), load.messages()), (720, 8));
        load.halve();
        assert_eq!(load.records(), 360);
    }
}
