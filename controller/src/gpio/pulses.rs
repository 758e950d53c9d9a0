//! From edges of an input to a number of pulses and a mean rate. Pure.
//!
//! A pulse is an active level that lasts at least the debounce time, after the line was inactive for at least
//! the debounce time. It is counted when that level ends.
//!
//! The rate is the energy of the pulses that came divided by the time between them. While no pulse comes it
//! cannot be more than one pulse in the time since the last one: that bound is reported as soon as it is lower
//! than the last rate. So the reported rate is never more than what the meter's pulses allow, and is too high
//! by at most one pulse's worth in the time since the last pulse.

use std::time::Duration;

use sunkeep_models::time::Uptime;

use super::{Edge, PulseInput};

/// Counter of one input.
#[derive(Debug)]
pub(super) struct PulseCounter {
    active_low: bool,
    debounce: Duration,
    per_pulse: f64,
    pulses: u64,
    /// The level on the wire and since when; unknown before the first edge.
    wire: Option<(bool, Duration)>,
    /// The level without bouncing: active or not.
    active: bool,
    /// The last pulse: when it began, and when this hub saw it.
    last: Option<(Duration, Uptime)>,
    rate: Option<f64>,
}

impl PulseCounter {
    pub(super) fn new(input: &PulseInput) -> Self {
        Self {
            active_low: input.active_low,
            debounce: input.debounce,
            per_pulse: input.per_pulse,
            pulses: 0,
            wire: None,
            active: false,
            last: None,
            rate: None,
        }
    }

    /// Takes the edges since the last call; returns how many pulses they hold.
    pub(super) fn take(&mut self, edges: &[Edge], now: Uptime) -> u64 {
        let begun: Vec<_> = edges.iter().filter_map(|edge| self.settle(edge)).collect();
        let Some(&newest) = begun.last() else { return 0 };
        let count = begun.len() as u64;
        self.pulses += count;
        // From the pulse before to the newest: as many intervals as pulses, or one fewer if there was none before.
        let (oldest, intervals) = self.last.map_or((begun[0], count - 1), |(at, _)| (at, count));
        let hours = newest.saturating_sub(oldest).as_secs_f64() / 3600.0;
        if intervals > 0 && hours > 0.0 {
            self.rate = Some(intervals as f64 * self.per_pulse / hours);
        }
        self.last = Some((newest, now));
        count
    }

    /// The level before this edge has ended: if it lasted long enough it was no bouncing. Returns when the
    /// pulse began that this confirms.
    fn settle(&mut self, edge: &Edge) -> Option<Duration> {
        let to = edge.high != self.active_low;
        let (level, since) = *self.wire.get_or_insert((!to, edge.at));
        if level == to {
            return None;
        }
        self.wire = Some((to, edge.at));
        if edge.at.saturating_sub(since) < self.debounce || self.active == level {
            return None;
        }
        self.active = level;
        level.then_some(since)
    }

    /// Pulses so far.
    pub(super) fn pulses(&self) -> u64 {
        self.pulses
    }

    /// The mean rate at `now`, in units an hour; `None` before the second pulse.
    pub(super) fn rate(&self, now: Uptime) -> Option<f64> {
        let (_, seen) = self.last?;
        let rate = self.rate?;
        let hours = now.since(seen).0 / 3600.0;
        Some(if hours > 0.0 { rate.min(self.per_pulse / hours) } else { rate })
    }
}

#[cfg(test)]
mod tests {
    use super::super::Bias;
    use super::*;
    use crate::driver::{Channel, Counter};
    use proptest::prelude::*;

    fn counter(debounce_ms: u64) -> PulseCounter {
        PulseCounter::new(&PulseInput {
            line: 1,
            active_low: true,
            bias: Bias::Up,
            debounce: Duration::from_millis(debounce_ms),
            per_pulse: 0.5,
            counter: Counter(0),
            rate: Channel(0),
        })
    }

    fn edges(levels: &[(u64, bool)]) -> Vec<Edge> {
        levels.iter().map(|&(ms, high)| Edge { at: Duration::from_millis(ms), high }).collect()
    }

    #[test]
    fn clean_pulses_make_a_count_and_a_rate() {
        let mut counter = counter(10);
        let now = Uptime::from_seconds;
        assert_eq!(counter.take(&edges(&[(0, false), (50, true)]), now(1)), 1);
        assert_eq!((counter.pulses(), counter.rate(now(1))), (1, None));
        // Two more at 2 s and 4 s: half a watt-hour every two seconds is 900 W.
        let more = edges(&[(2000, false), (2050, true), (4000, false), (4050, true)]);
        assert_eq!(counter.take(&more, now(5)), 2);
        assert_eq!(counter.pulses(), 3);
        assert!((counter.rate(now(5)).unwrap() - 900.0).abs() < 1e-9);
        // Two seconds without a pulse still allow 900 W, twenty allow 90 W, and so on down.
        assert!((counter.rate(now(7)).unwrap() - 900.0).abs() < 1e-9);
        assert!((counter.rate(now(25)).unwrap() - 90.0).abs() < 1e-9);
        assert!((counter.rate(now(1805)).unwrap() - 1.0).abs() < 1e-9);
    }

    #[test]
    fn a_contact_that_bounces_counts_once() {
        let mut counter = counter(10);
        let closing = edges(&[(0, false), (1, true), (2, false), (4, true), (20, false)]);
        let opening = edges(&[(70, true), (71, false), (73, true), (75, false), (76, true)]);
        assert_eq!(counter.take(&[closing, opening].concat(), Uptime(0)), 1);
        assert_eq!(counter.take(&edges(&[(200, false), (250, true)]), Uptime(1000)), 1);
        assert_eq!(counter.take(&edges(&[(300, false), (303, true)]), Uptime(2000)), 0, "a spike");
    }

    proptest! {
        #[test]
        fn as_many_pulses_as_the_meter_gave_however_the_contact_bounces(
            pulses in prop::collection::vec((30_u64..200, 40_u64..2000, prop::collection::vec(1_u64..4, 0..4)), 1..40),
            chunk in 1_usize..20,
        ) {
            let (mut at, mut wire) = (0, Vec::new());
            let level = |at: &mut u64, bounces: &[u64], settled: bool, wire: &mut Vec<(u64, bool)>| {
                // Bounces end in the level that then stays.
                wire.push((*at, settled));
                for pause in bounces {
                    wire.push((*at + pause, !settled));
                    *at += pause + 1;
                    wire.push((*at, settled));
                }
            };
            for (width, pause, bounces) in &pulses {
                level(&mut at, bounces, false, &mut wire);
                at += width;
                level(&mut at, bounces, true, &mut wire);
                at += pause;
            }
            let mut counter = counter(20);
            let mut counted = 0;
            for part in edges(&wire).chunks(chunk) {
                counted += counter.take(part, Uptime(at));
            }
            prop_assert_eq!(counted, pulses.len() as u64);
        }

        #[test]
        fn arbitrary_edges_never_make_more_than_the_debounce_allows(
            steps in prop::collection::vec((0_u64..50, any::<bool>()), 0..200),
        ) {
            let mut at = 0;
            let wire: Vec<_> = steps.iter().map(|&(step, high)| { at += step; (at, high) }).collect();
            let mut counter = counter(20);
            let counted = counter.take(&edges(&wire), Uptime(at));
            prop_assert!(counted <= at / 40 + 1);
            prop_assert!(counter.rate(Uptime(at + 1000)).is_none_or(f64::is_finite));
        }
    }
}
