//! Conformal correction: the ends of the band are moved until as many slots fall outside as they should.
//!
//! Each end is moved a step out for each miss and a small step in for each hit, in shares of the width of
//! the band (the quantile tracking of Angelopoulos, Candès and Tibshirani, "Conformal PID Control for Time
//! Series Prediction", 2023), so that over time the share of misses is right whatever the load does. What
//! is learnt at a slot of the day is shared with those beside it.

use serde::{Deserialize, Serialize};

use super::aggregation::Three;
use crate::time::SLOTS_PER_DAY;

/// Step of an end for a miss, in widths of the band.
const STEP: f32 = 0.02;
/// Slots on either side that share what is learnt.
const REACH: usize = 4;
/// Least width of a band, over the level: steps are shares of it.
const LEAST_WIDTH: f32 = 0.05;
/// Furthest an end is moved, in widths of the band.
const FURTHEST: f32 = 3.0;

/// How far each end was moved, by slot of the day. Its size never changes.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Conformal {
    /// P10 and P90, in widths of the band; positive is up.
    moved: Vec<[f32; 2]>,
}

impl Default for Conformal {
    fn default() -> Self {
        Self { moved: vec![[0.0; 2]; SLOTS_PER_DAY] }
    }
}

impl Conformal {
    /// The corrected band of a slot of the day: in order, none negative. The median stays.
    pub fn correct(&self, slot: usize, said: &Three) -> Three {
        let [low, middle, high] = *said;
        let width = high - low + LEAST_WIDTH;
        let [down, up] = self.moved[slot % SLOTS_PER_DAY];
        let middle = middle.max(0.0);
        [(low + down * width).clamp(0.0, middle), middle, (high + up * width).max(middle)]
    }

    /// Learns what came of one issue: slots of the day with what was said, uncorrected, and measured.
    pub fn learn(&mut self, said: &[(usize, Three)], truths: &[Option<f32>]) {
        let mut steps = [[0.0; 2]; SLOTS_PER_DAY];
        for ((slot, said), truth) in said.iter().zip(truths) {
            let Some(truth) = truth.filter(|truth| truth.is_finite()) else { continue };
            let [low, _, high] = self.correct(*slot, said);
            let below = |end: f32| f32::from(u8::from(truth <= end));
            steps[slot % SLOTS_PER_DAY] = [0.1 - below(low), 0.9 - below(high)];
        }
        let all = ((REACH + 1) * (REACH + 1)) as f32;
        for (slot, moved) in self.moved.iter_mut().enumerate() {
            for (end, moved) in moved.iter_mut().enumerate() {
                let shared: f32 = (0..=2 * REACH)
                    .map(|place| {
                        let weight = (REACH + 1 - place.abs_diff(REACH)) as f32;
                        weight * steps[(slot + SLOTS_PER_DAY + place - REACH) % SLOTS_PER_DAY][end]
                    })
                    .sum();
                *moved = (*moved + STEP * shared / all).clamp(-FURTHEST, FURTHEST);
            }
        }
    }

    /// Whether this has the right size and holds numbers only.
    pub fn is_sound(&self) -> bool {
        self.moved.len() == SLOTS_PER_DAY && self.moved.iter().flatten().all(|moved| moved.is_finite())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_band_that_is_too_narrow_or_too_wide_ends_up_holding_four_fifths() {
        // Measured: evenly spread from 0.5 to 1.5, so that 0.6 and 1.4 are the right ends.
        for said in [[0.8, 1.0, 1.2], [0.4, 1.0, 1.6]] {
            let mut conformal = Conformal::default();
            let issue: Vec<(usize, Three)> = (0..48).map(|slot| (slot, said)).collect();
            let (mut inside, mut count) = (0, 0);
            for day in 0..900_usize {
                let truths: Vec<Option<f32>> =
                    (0..48).map(|slot| Some(0.5 + ((day * 613 + slot * 389) % 997) as f32 / 996.0)).collect();
                for (slot, truth) in truths.iter().enumerate().filter(|_| day >= 600) {
                    let [low, _, high] = conformal.correct(slot, &said);
                    inside += usize::from(truth.is_some_and(|truth| truth >= low && truth <= high));
                    count += 1;
                }
                conformal.learn(&issue, &truths);
            }
            let coverage = inside as f32 / count as f32;
            assert!((0.77..0.83).contains(&coverage), "{said:?}: {coverage}");
        }
    }

    #[test]
    fn a_corrected_band_is_in_order_and_not_negative() {
        let mut conformal = Conformal::default();
        let issue: Vec<(usize, Three)> = (0..48).map(|slot| (slot, [0.2, 0.3, 2.0])).collect();
        for truth in [0.0, 50.0, f32::NAN] {
            for _ in 0..200 {
                conformal.learn(&issue, &[Some(truth); 48]);
            }
            let [low, middle, high] = conformal.correct(7, &[0.2, 0.3, 2.0]);
            assert!(0.0 <= low && low <= middle && middle <= high && high.is_finite());
            assert!(conformal.is_sound());
        }
    }
}
