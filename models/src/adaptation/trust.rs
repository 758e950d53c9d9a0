//! Whom not to ask: experts, and the fleet's model, that have lost their skill of late.
//!
//! Aggregation weighs the whole past of a site and is slow to forget. Here are the pinball losses of the last
//! days only. An expert that lost clearly more than the best profile is left out until it has recovered; the
//! fleet's model, whose answers are also inputs of the regressions, is replaced by the site's own profiles
//! as if there were none. What is left out is still scored, and comes back by itself.

use core::ops::Range;

use serde::{Deserialize, Serialize};

/// Share of the losses that is kept with every issue: half is forgotten in two days of one issue each.
const KEPT: f64 = 0.7;
/// Loss over that of the best profile from which on an expert is left out.
const MARGIN: f64 = 1.2;
/// The same while the whole forecast loses more than the best profile by [`BEHIND`].
const STRICT: f64 = 1.0;
/// Loss of the whole forecast over that of the best profile from which on it is behind.
const BEHIND: f64 = 1.15;
/// Loss of the fleet's model over that of the profiles that stand in for it, from which on they do.
const MODEL_MARGIN: f64 = 1.3;
/// Slots below which nobody is judged, weighted by age.
const LEAST_SLOTS: f64 = 24.0;

/// Losses of the last days, sums of the pinball. Its size never changes.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Trust {
    experts: Vec<f64>,
    whole: f64,
    /// Of the fleet's model, and of the profiles that stand in for it.
    model: [f64; 2],
    slots: f64,
}

/// What came of one issue: sums of the pinball losses over its measured slots.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Losses {
    pub(super) experts: Vec<f64>,
    pub(super) whole: f64,
    /// Of the fleet's model, and of the profiles that stand in for it.
    pub(super) model: [f64; 2],
    /// Measured slots.
    pub(super) slots: usize,
}

impl Trust {
    /// Knows nothing of this many experts.
    pub(super) fn of(experts: usize) -> Self {
        Self { experts: vec![0.0; experts], whole: 0.0, model: [0.0; 2], slots: 0.0 }
    }

    /// Learns what came of one issue; nothing where nothing was measured.
    pub(super) fn learn(&mut self, losses: &Losses) {
        if losses.slots == 0 {
            return;
        }
        let sums = self.experts.iter_mut().chain([&mut self.whole]).chain(&mut self.model);
        let new = losses.experts.iter().chain([&losses.whole]).chain(&losses.model);
        for (sum, new) in sums.zip(new) {
            *sum = *sum * KEPT + if new.is_finite() { *new } else { 0.0 };
        }
        self.slots = self.slots * KEPT + losses.slots as f64;
    }

    /// Which experts are to be left out; never the best of the profiles.
    pub(super) fn asleep(&self, profiles: Range<usize>) -> Vec<bool> {
        let best = self.experts[profiles].iter().copied().fold(f64::INFINITY, f64::min);
        let margin = if self.whole > BEHIND * best { STRICT } else { MARGIN };
        self.experts.iter().map(|loss| self.slots >= LEAST_SLOTS && *loss > margin * best).collect()
    }

    /// Whether the fleet's model is to be asked at all.
    pub(super) fn believes_model(&self) -> bool {
        let [model, profiles] = self.model;
        self.slots < LEAST_SLOTS || model <= MODEL_MARGIN * profiles
    }

    /// Whether this has the size for so many experts and holds numbers only.
    pub(super) fn is_sound(&self, experts: usize) -> bool {
        let sums = self.experts.iter().chain([&self.whole, &self.slots]).chain(&self.model);
        self.experts.len() == experts && sums.copied().all(|sum| sum.is_finite() && sum >= 0.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn losses(experts: [f64; 3], whole: f64, model: f64) -> Losses {
        Losses { experts: experts.to_vec(), whole, model: [model, 1.0], slots: 48 }
    }

    #[test]
    fn what_lost_its_skill_is_left_out_in_a_day_or_two_and_comes_back() {
        let mut trust = Trust::of(3);
        assert_eq!(trust.asleep(1..3), [false; 3], "nobody is judged before anything was measured");
        for _ in 0..40 {
            trust.learn(&losses([0.8, 1.0, 1.15], 0.8, 0.9));
        }
        assert_eq!(trust.asleep(1..3), [false; 3]);
        assert!(trust.believes_model());
        trust.learn(&losses([9.0, 1.0, 1.15], 3.0, 9.0));
        assert_eq!(trust.asleep(1..3), [true, false, true], "the whole is behind: only the best is left");
        assert!(!trust.believes_model());
        for _ in 0..12 {
            trust.learn(&losses([0.8, 1.0, 1.15], 0.8, 0.9));
        }
        assert_eq!(trust.asleep(1..3), [false; 3]);
        assert!(trust.believes_model());
        trust.learn(&Losses { slots: 0, ..losses([99.0; 3], 99.0, 99.0) });
        assert!(trust.believes_model(), "a day without measurements tells nothing");
    }
}
