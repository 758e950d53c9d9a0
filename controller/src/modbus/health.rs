//! What is known of a device's health: whether it answers, when a silent one is tried again, and what about
//! it is doubtful. Each change is said once. Pure: told the time.

use std::collections::{BTreeMap, BTreeSet};

use sunkeep_models::quantity::Seconds;
use sunkeep_models::time::Uptime;

/// Requests in a row without a reply after which a device is called silent.
const MISSES: u32 = 2;
/// First wait before a silent device is tried again, s.
const FIRST_WAIT: f64 = 4.0;
/// Longest wait before a silent device is tried again, s.
const LONGEST_WAIT: f64 = 60.0;
/// A silent device is tried after this much longer even if the bus is never idle, s.
const PATIENCE_WITH_A_FULL_BUS: f64 = 300.0;
/// Good readings in a row after which a doubt is over.
const GOOD_READINGS: u8 = 10;

/// How long to leave alone what has failed and then failed `again` times more.
pub(crate) fn wait(again: u32) -> Seconds {
    Seconds((FIRST_WAIT * f64::from(1_u32 << again.min(10))).min(LONGEST_WAIT))
}

/// Whether a device answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    /// Not asked yet, or asked once in vain.
    Unknown,
    /// Its last request but at most one was answered.
    Answers,
    /// It is asked only to see whether it is back:
    /// `Unknown -> Answers <-> Silent`, `Unknown -> Silent`.
    Silent { retry_at: Uptime },
}

/// Of a device: does it answer.
#[derive(Debug)]
pub(crate) struct Health {
    state: State,
    misses: u32,
}

impl Health {
    pub(crate) fn new() -> Self {
        Self { state: State::Unknown, misses: 0 }
    }

    /// It answered; true if that is news.
    pub(crate) fn answered(&mut self) -> bool {
        self.misses = 0;
        std::mem::replace(&mut self.state, State::Answers) != State::Answers
    }

    /// It did not answer; true if it is now silent and was not before.
    pub(crate) fn missed(&mut self, now: Uptime) -> bool {
        self.misses = self.misses.saturating_add(1);
        if self.misses < MISSES {
            return false;
        }
        self.fall_silent(now, wait(self.misses - MISSES))
    }

    /// It cannot be reached at all, and is tried again after `wait`; true if it was not silent before.
    pub(crate) fn fall_silent(&mut self, now: Uptime, wait: Seconds) -> bool {
        let was = std::mem::replace(&mut self.state, State::Silent { retry_at: now.after(wait) });
        !matches!(was, State::Silent { .. })
    }

    /// When it is tried again; `None` unless silent.
    pub(crate) fn retry_at(&self) -> Option<Uptime> {
        match self.state {
            State::Silent { retry_at } => Some(retry_at),
            State::Unknown | State::Answers => None,
        }
    }

    /// Whatever it missed counts no more: a silent one is tried as soon as it may be.
    pub(crate) fn forgive(&mut self) {
        if let State::Silent { retry_at } = &mut self.state {
            *retry_at = Uptime::default();
            self.misses = 0;
        }
    }

    /// Whether a silent device has waited so long that even a full bus must make room.
    pub(crate) fn is_starved(&self, now: Uptime) -> bool {
        self.retry_at().is_some_and(|at| now >= at.after(Seconds(PATIENCE_WITH_A_FULL_BUS)))
    }

    pub(crate) fn answers(&self) -> bool {
        self.state == State::Answers
    }
}

/// What is doubtful about a device that answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Doubt {
    /// It states values that cannot be; one doubt for the whole device.
    Lies,
    /// A wanted register has no value.
    NoValue(usize),
    /// A wanted register does not exist.
    Missing(usize),
    /// It leaves one kind of request unanswered.
    Unanswered,
    /// It answers with this exception.
    Exception(u8),
}

/// The open doubts of a device.
#[derive(Debug, Default)]
pub(crate) struct Doubts {
    /// Doubt and register (or block), and how many good readings there were since.
    open: BTreeMap<(Doubt, usize), u8>,
    told: BTreeSet<Doubt>,
}

impl Doubts {
    /// There is reason to doubt; true if it must be said.
    pub(crate) fn raise(&mut self, doubt: Doubt, about: usize) -> bool {
        self.open.insert((doubt, about), 0);
        self.told.insert(doubt)
    }

    /// A good reading of `about`; true if that ends the last doubt of the device.
    pub(crate) fn ease(&mut self, about: usize) -> bool {
        if self.open.is_empty() {
            return false;
        }
        for ((_, other), good) in &mut self.open {
            *good += u8::from(*other == about);
        }
        self.open.retain(|_, good| *good < GOOD_READINGS);
        self.told.retain(|doubt| self.open.keys().any(|(open, _)| open == doubt));
        self.open.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn silence_is_said_once_and_the_wait_doubles_up_to_its_bound() {
        let mut health = Health::new();
        assert!(health.answered());
        assert!(!health.answered());
        assert!(!health.missed(Uptime(0)), "one lost reply is not silence");
        assert!(health.missed(Uptime(0)));
        let mut now = Uptime(0);
        let mut waits = Vec::new();
        for _ in 0..7 {
            let retry = health.retry_at().unwrap();
            waits.push(retry.since(now).0);
            now = retry;
            assert!(!health.missed(now), "said once");
        }
        assert_eq!(waits, [4.0, 8.0, 16.0, 32.0, 60.0, 60.0, 60.0]);
        assert!(health.answered());
        assert_eq!(health.retry_at(), None);
    }

    #[test]
    fn a_doubt_is_said_once_and_ends_after_ten_good_readings() {
        let mut doubts = Doubts::default();
        assert!(doubts.raise(Doubt::Lies, 3));
        assert!(!doubts.raise(Doubt::Lies, 4), "one report for the device");
        for reading in 0..10 {
            assert!(!doubts.ease(3), "{reading}: register 4 still lies");
        }
        for _ in 0..9 {
            assert!(!doubts.ease(4));
        }
        assert!(doubts.ease(4));
        assert!(!doubts.ease(4));
        assert!(doubts.raise(Doubt::Lies, 3), "a new lie is news");
    }
}
