//! The seam to time: the only place of the hub that asks what time it is.
//!
//! Uptime never jumps; the wall clock is believed only where it is plausible, and its jumps are somebody
//! else's business. In a simulation both are driven from outside (see [`crate::lockstep`]).

use sunkeep_models::quantity::Seconds;
use sunkeep_models::time::{TimeSource, Uptime, WallTime};

/// 2026-01-01: this program did not exist before, so a clock that shows less has not been set.
pub const EARLIEST: i64 = 1_767_225_600;
/// 2100-01-01: a clock that shows more is broken.
pub const LATEST: i64 = 4_102_444_800;

/// What time it is, as far as known.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Now {
    /// Since the hub was switched on.
    pub uptime: Uptime,
    /// The wall clock, where plausible.
    pub wall: Option<WallTime>,
}

/// Tells the time.
pub trait Clock: Send {
    /// The time now.
    fn now(&self) -> Now;
}

/// The clocks of the operating system.
#[derive(Debug, Clone, Copy, Default)]
pub struct SystemClock;

impl Clock for SystemClock {
    fn now(&self) -> Now {
        let since_boot = rustix::time::clock_gettime(rustix::time::ClockId::Boottime);
        let millis = u64::try_from(since_boot.tv_sec).unwrap_or(0) * 1000
            + u64::try_from(since_boot.tv_nsec).unwrap_or(0) / 1_000_000;
        let wall = rustix::time::clock_gettime(rustix::time::ClockId::Realtime).tv_sec;
        Now { uptime: Uptime(millis), wall: plausible(wall) }
    }
}

/// A reading of the system's clock, unless it cannot be right.
fn plausible(unix: i64) -> Option<WallTime> {
    // Without word from the system on how well it is synchronised, a minute is what an NTP-less board that
    // saves its clock at shutdown is off after a short outage.
    (EARLIEST..LATEST).contains(&unix).then_some(WallTime {
        unix,
        source: TimeSource::System,
        uncertainty: Seconds(60.0),
    })
}

/// Deviation of the wall clock from the hub's own count that is taken over at once: a clock being set.
const SMALL_STEP: i64 = 15 * 60;
/// How long a larger step must last before it is believed.
const STEADY_FOR: Seconds = Seconds(600.0);

/// A wall clock that does not jump with the system's: it goes on counting from what was last believed, and
/// takes over a large step only when that has lasted.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct SteadyClock {
    /// Wall time minus uptime, s.
    believed: Option<i64>,
    /// A step that waits to be believed, and since when.
    pending: Option<(i64, Uptime)>,
}

/// What became of a reading of the wall clock.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step {
    /// The clock goes on as it did.
    None,
    /// The clock shows something else by so many seconds; the hub goes by its own count meanwhile.
    Doubted(i64),
    /// The clock shows nothing plausible; the hub goes by its own count, if it has one.
    Unknown,
    /// A step was taken over, of so many seconds.
    Taken(i64),
}

impl SteadyClock {
    /// The time to go by, given what the clocks say.
    pub fn steady(&mut self, now: Now) -> (Now, Step) {
        let uptime = i64::try_from(now.uptime.0 / 1000).unwrap_or(i64::MAX);
        let step = match (now.wall.map(|wall| wall.unix - uptime), self.believed) {
            (None, _) => Step::Unknown,
            (Some(offset), None) => {
                self.believed = Some(offset);
                Step::None
            }
            (Some(offset), Some(believed)) => self.judge(offset, believed, now.uptime),
        };
        let wall = self.believed.map(|offset| WallTime {
            unix: uptime.saturating_add(offset),
            source: now.wall.map_or(TimeSource::System, |wall| wall.source),
            uncertainty: now.wall.map_or(Seconds(600.0), |wall| wall.uncertainty),
        });
        (Now { uptime: now.uptime, wall }, step)
    }

    fn judge(&mut self, offset: i64, believed: i64, uptime: Uptime) -> Step {
        let by = offset - believed;
        if by.abs() <= SMALL_STEP {
            self.pending = None;
            self.believed = Some(offset);
            return Step::None;
        }
        match self.pending {
            Some((pending, since)) if (offset - pending).abs() <= SMALL_STEP => {
                if uptime.since(since) < STEADY_FOR {
                    return Step::Doubted(by);
                }
                self.pending = None;
                self.believed = Some(offset);
                Step::Taken(by)
            }
            _ => {
                self.pending = Some((offset, uptime));
                Step::Doubted(by)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(uptime: u64, unix: Option<i64>) -> Now {
        Now {
            uptime: Uptime::from_seconds(uptime),
            wall: unix.map(|unix| WallTime { unix, source: TimeSource::System, uncertainty: Seconds(60.0) }),
        }
    }

    #[test]
    fn a_clock_that_says_1970_or_2100_is_not_believed() {
        assert_eq!(plausible(0), None);
        assert_eq!(plausible(LATEST), None);
        assert_eq!(plausible(EARLIEST).map(|wall| wall.unix), Some(EARLIEST));
    }

    #[test]
    fn a_clock_that_is_pulled_is_counted_on_and_a_lasting_step_is_taken_over() {
        let mut clock = SteadyClock::default();
        let unix = |(now, _): (Now, Step)| now.wall.map(|wall| wall.unix);
        assert_eq!(unix(clock.steady(at(10, None))), None);
        assert_eq!(unix(clock.steady(at(20, Some(EARLIEST)))), Some(EARLIEST));
        assert_eq!(unix(clock.steady(at(30, None))), Some(EARLIEST + 10), "the count goes on alone");
        let year = 365 * 86_400;
        let doubted = clock.steady(at(40, Some(EARLIEST + 20 + year)));
        assert_eq!(doubted.1, Step::Doubted(year));
        assert_eq!(unix(doubted), Some(EARLIEST + 20));
        assert_eq!(clock.steady(at(50, Some(EARLIEST + 30))).1, Step::None, "the clock came back");
        clock.steady(at(60, Some(EARLIEST + 40 + year)));
        assert_eq!(clock.steady(at(600, Some(EARLIEST + 580 + year))).1, Step::Doubted(year));
        let taken = clock.steady(at(661, Some(EARLIEST + 641 + year)));
        assert_eq!(taken.1, Step::Taken(year));
        assert_eq!(unix(taken), Some(EARLIEST + 641 + year));
    }

    #[test]
    fn a_clock_that_is_set_by_a_minute_is_followed_at_once() {
        let mut clock = SteadyClock::default();
        clock.steady(at(20, Some(EARLIEST)));
        let (now, step) = clock.steady(at(30, Some(EARLIEST + 70)));
        assert_eq!((now.wall.map(|wall| wall.unix), step), (Some(EARLIEST + 70), Step::None));
    }
}
