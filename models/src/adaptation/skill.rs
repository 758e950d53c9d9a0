//! Skill against persistence, measured on this site.

use serde::{Deserialize, Serialize};

use super::aggregation::{Three, pinball};

/// Share of the sums that is kept with every issue: half is forgotten in two weeks of two issues a day.
const KEPT: f64 = 0.975;
/// Slots below which nothing is said, weighted by age: those of three days, of two issues each.
const LEAST_SLOTS: f64 = 288.0;

/// Sums of the losses of both.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Skill {
    ours: f64,
    persistence: f64,
    slots: f64,
}

impl Skill {
    /// Learns what came of one issue: what was forecast, what persistence would have said, what was
    /// measured.
    pub fn learn(&mut self, said: &[(Three, Three)], truths: &[Option<f32>]) {
        self.ours *= KEPT;
        self.persistence *= KEPT;
        self.slots *= KEPT;
        for ((ours, persistence), truth) in said.iter().zip(truths) {
            let Some(truth) = truth.filter(|truth| truth.is_finite()) else { continue };
            self.ours += f64::from(pinball(ours, truth));
            self.persistence += f64::from(pinball(persistence, truth));
            self.slots += 1.0;
        }
    }

    /// One less the loss over that of persistence: 0 is no better, 1 is perfect; `None` before three days
    /// were measured, or where persistence is never wrong.
    pub fn ratio(&self) -> Option<f64> {
        let known = self.slots >= LEAST_SLOTS && self.persistence > 0.0;
        known.then(|| 1.0 - self.ours / self.persistence)
    }

    /// Whether this holds numbers only.
    pub fn is_sound(&self) -> bool {
        [self.ours, self.persistence, self.slots].iter().all(|sum| sum.is_finite() && *sum >= 0.0)
    }
}
