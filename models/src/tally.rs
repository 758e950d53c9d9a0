//! From readings to slot means: what a slot's mean is made of, and when it is no evidence.

use serde::{Deserialize, Serialize};

use crate::quantity::Seconds;
use crate::time::{SLOT_SECONDS, Slot};

/// Share of a slot that must have been measured for its mean to count.
pub const COVERED: f64 = 0.5;

/// Collects one series into slot means.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct SlotTally {
    slot: Option<Slot>,
    seconds: f64,
    sum: f64,
    spoilt: bool,
}

/// A slot that is over.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Finished {
    /// Which.
    pub slot: Slot,
    /// Its mean power, W; `None` where too little of it was measured, or something in it was no evidence.
    pub mean: Option<f32>,
}

/// What a reading says about what it was meant to measure.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Evidence {
    /// Power that was measured, W.
    Measured(f64),
    /// Nothing was measured.
    Missing,
    /// The world was not itself: demand that was shed, sun that was throttled. The slot does not count.
    Masked,
}

impl SlotTally {
    /// Adds what held during the last `dt` of `slot`; hands out the previous slot when a new one begins.
    pub fn add(&mut self, slot: Slot, dt: Seconds, evidence: Evidence) -> Option<Finished> {
        let finished = self.turn_to(slot);
        let dt = dt.0.clamp(0.0, SLOT_SECONDS as f64);
        match evidence {
            Evidence::Measured(watts) if watts.is_finite() => {
                self.sum += watts * dt;
                self.seconds += dt;
            }
            Evidence::Measured(_) | Evidence::Missing => {}
            Evidence::Masked => self.spoilt = true,
        }
        finished
    }

    fn turn_to(&mut self, slot: Slot) -> Option<Finished> {
        if self.slot == Some(slot) {
            return None;
        }
        let enough = self.seconds >= COVERED * SLOT_SECONDS as f64 && !self.spoilt;
        let mean = enough.then(|| (self.sum / self.seconds) as f32);
        let finished = self.slot.map(|slot| Finished { slot, mean });
        *self = Self { slot: Some(slot), ..Self::default() };
        finished
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MINUTE: Seconds = Seconds(60.0);

    fn fill(tally: &mut SlotTally, slot: i64, minutes: usize, evidence: Evidence) {
        for _ in 0..minutes {
            tally.add(Slot(slot), MINUTE, evidence);
        }
    }

    #[test]
    fn the_mean_weighs_by_time_and_comes_when_the_next_slot_begins() {
        let mut tally = SlotTally::default();
        fill(&mut tally, 7, 20, Evidence::Measured(30.0));
        fill(&mut tally, 7, 10, Evidence::Measured(60.0));
        let finished = tally.add(Slot(8), MINUTE, Evidence::Missing);
        assert_eq!(finished, Some(Finished { slot: Slot(7), mean: Some(40.0) }));
        assert_eq!(tally.add(Slot(8), MINUTE, Evidence::Missing), None);
    }

    #[test]
    fn half_a_slot_unmeasured_or_one_masked_minute_makes_it_no_evidence() {
        let mut tally = SlotTally::default();
        fill(&mut tally, 7, 14, Evidence::Measured(30.0));
        fill(&mut tally, 7, 16, Evidence::Missing);
        assert_eq!(tally.add(Slot(8), MINUTE, Evidence::Masked).map(|done| done.mean), Some(None));
        fill(&mut tally, 8, 29, Evidence::Measured(30.0));
        assert_eq!(
            tally.add(Slot(9), MINUTE, Evidence::Measured(f64::NAN)).map(|done| done.mean),
            Some(None)
        );
    }
}
