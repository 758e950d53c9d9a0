//! Linear quantile regression that a hub learns from its own load, one issue after the other.
//!
//! One set of weights for each of [`KNOTS`] times of the day and each quantile; between two knots the
//! weights are interpolated. The pinball loss is minimised as in training, by majorisation (Hunter and
//! Lange, "Quantile Regression via an MM Algorithm", 2000), but each row is weighed once, by its residual
//! when it was seen; what is kept are the sums of a least-squares problem, whose size does not grow. So the
//! outer quantiles follow slowly, over three to four times what is remembered, and need a good start. A
//! ridge holds the weights to the answer of the fleet's model, so that a site that has told nothing yet
//! gets exactly that. What the inputs mean is the business of `experts`.

use serde::{Deserialize, Serialize};

use crate::contract::QUANTILES;
use crate::time::SLOTS_PER_DAY;

/// Inputs of a row, the constant and the three answers of the fleet's model included.
pub const INPUTS: usize = 37;
/// Place of the three answers of the fleet's model among the inputs.
pub const PRIOR_INPUTS: usize = 33;
/// Times of the day that have weights of their own.
pub const KNOTS: usize = 12;

/// How much stronger the ridge is before anything was learnt; the excess fades as the issues add up.
pub const YOUNG: f64 = 40.0;

/// Slots between two knots.
const SPACING: usize = SLOTS_PER_DAY / KNOTS;
/// Slots from a knot at which a row no longer counts for it.
const REACH: usize = 5;
/// Elements of the upper triangle of a matrix of the inputs.
const TRIANGLE: usize = INPUTS * (INPUTS + 1) / 2;
/// Sets of weights.
const SETS: usize = KNOTS * QUANTILES.len();

/// How a regression learns.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Learning {
    /// Share of what was learnt that is kept with every issue.
    pub kept: f32,
    /// Strength of the ridge in the long run; it starts [`YOUNG`] times as strong, so that the first days do
    /// not carry the weights away.
    pub ridge: f64,
    /// Smallest residual that is told from zero, for each quantile, in units of the target.
    pub least_residual: [f32; QUANTILES.len()],
}

/// A row with what came of it.
#[derive(Debug, Clone, PartialEq)]
pub struct Sample {
    /// Slot of the day, 0 to 47.
    pub slot: usize,
    /// The inputs.
    pub inputs: [f32; INPUTS],
    /// What was measured, if it was.
    pub target: Option<f32>,
}

/// The sums and the weights they give. Its size never changes.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Regression {
    /// Issues learnt from.
    issues: u32,
    /// Upper triangles of the weighted squares, set by set.
    squares: Vec<f32>,
    /// Weighted products of inputs and target, set by set.
    products: Vec<f32>,
    /// Weights, set by set: by knot, then by quantile.
    weights: Vec<f32>,
}

impl Default for Regression {
    fn default() -> Self {
        let weights = (0..SETS).flat_map(|set| prior_weights(set % QUANTILES.len())).collect();
        Self { issues: 0, squares: vec![0.0; SETS * TRIANGLE], products: vec![0.0; SETS * INPUTS], weights }
    }
}

/// The weights that repeat the answer of the fleet's model.
fn prior_weights(quantile: usize) -> [f32; INPUTS] {
    let mut weights = [0.0; INPUTS];
    weights[PRIOR_INPUTS + quantile] = 1.0;
    weights
}

impl Regression {
    /// Issues learnt from.
    pub fn issues(&self) -> u32 {
        self.issues
    }

    /// The three quantiles of a row; not yet in order.
    pub fn answer(&self, slot: usize, inputs: &[f32; INPUTS]) -> [f32; QUANTILES.len()] {
        let (before, aside) = (slot / SPACING % KNOTS, (slot % SPACING) as f32 / SPACING as f32);
        let after = (before + 1) % KNOTS;
        core::array::from_fn(|quantile| {
            let dot = |knot: usize| -> f32 {
                let weights = &self.weights[(knot * QUANTILES.len() + quantile) * INPUTS..][..INPUTS];
                weights.iter().zip(inputs).map(|(weight, input)| weight * input).sum()
            };
            dot(before) * (1.0 - aside) + dot(after) * aside
        })
    }

    /// Learns from the rows of one issue. Rows without a target, or with a value that is no number, tell
    /// nothing.
    pub fn learn(&mut self, samples: &[Sample], learning: &Learning) {
        let told = |sample: &&Sample| {
            sample.target.is_some_and(f32::is_finite) && sample.inputs.iter().all(|input| input.is_finite())
        };
        let mut samples = samples.iter().filter(told).peekable();
        if samples.peek().is_none() {
            return;
        }
        for sum in self.squares.iter_mut().chain(&mut self.products) {
            *sum *= learning.kept;
        }
        for sample in samples {
            self.add(sample, learning);
        }
        self.issues = self.issues.saturating_add(1);
        let ridge = learning.ridge * (1.0 + YOUNG / f64::from(self.issues));
        for set in 0..SETS {
            if let Some(weights) = self.solved(set, ridge) {
                self.weights[set * INPUTS..][..INPUTS].copy_from_slice(&weights);
            }
        }
    }

    fn add(&mut self, sample: &Sample, learning: &Learning) {
        let target = sample.target.unwrap_or(0.0);
        let inputs = &sample.inputs;
        let mut outer = [0.0; TRIANGLE];
        let pairs = (0..INPUTS).flat_map(|row| (row..INPUTS).map(move |column| inputs[row] * inputs[column]));
        for (into, product) in outer.iter_mut().zip(pairs) {
            *into = product;
        }
        let answer = self.answer(sample.slot, inputs);
        for knot in 0..KNOTS {
            let apart = sample.slot.abs_diff(knot * SPACING);
            let apart = apart.min(SLOTS_PER_DAY - apart.min(SLOTS_PER_DAY));
            if apart >= REACH {
                continue;
            }
            let near = 1.0 - apart as f32 / REACH as f32;
            for (quantile, level) in QUANTILES.iter().enumerate() {
                let size = learning.least_residual[quantile] + (target - answer[quantile]).abs();
                let weight = near / size;
                let wanted = target + (2.0 * level - 1.0) * size;
                let set = knot * QUANTILES.len() + quantile;
                for (sum, product) in self.squares[set * TRIANGLE..][..TRIANGLE].iter_mut().zip(&outer) {
                    *sum += weight * product;
                }
                for (sum, input) in self.products[set * INPUTS..][..INPUTS].iter_mut().zip(inputs) {
                    *sum += weight * wanted * input;
                }
            }
        }
    }

    /// The weights that the sums of a set give; `None` where they cannot be found, and the old ones stay.
    fn solved(&self, set: usize, ridge: f64) -> Option<[f32; INPUTS]> {
        let mut matrix = [[0.0_f64; INPUTS]; INPUTS];
        let mut sums = self.squares[set * TRIANGLE..][..TRIANGLE].iter();
        for row in 0..INPUTS {
            for (below, sum) in matrix[row..].iter_mut().zip(&mut sums) {
                below[row] = f64::from(*sum);
            }
            matrix[row][row] += ridge;
        }
        let prior = prior_weights(set % QUANTILES.len());
        let products = &self.products[set * INPUTS..][..INPUTS];
        let wanted: [f64; INPUTS] =
            core::array::from_fn(|place| f64::from(products[place]) + ridge * f64::from(prior[place]));
        let solved = solve(&mut matrix, wanted)?.map(|weight| weight as f32);
        solved.iter().all(|weight| weight.is_finite()).then_some(solved)
    }

    /// Whether this has the size of a regression and holds numbers only: what a file said may be used.
    pub fn is_sound(&self) -> bool {
        let sizes = [self.squares.len(), self.products.len(), self.weights.len()];
        let all = self.squares.iter().chain(&self.products).chain(&self.weights);
        sizes == [SETS * TRIANGLE, SETS * INPUTS, SETS * INPUTS] && all.into_iter().all(|sum| sum.is_finite())
    }
}

/// Solves a symmetric positive definite system, given by its lower triangle, by Cholesky's decomposition;
/// `None` where it is not positive definite.
fn solve(matrix: &mut [[f64; INPUTS]; INPUTS], mut wanted: [f64; INPUTS]) -> Option<[f64; INPUTS]> {
    for row in 0..INPUTS {
        for column in 0..=row {
            let (done, rest) = matrix.split_at_mut(row);
            let other = if column < row { &done[column] } else { &rest[0] };
            let dot: f64 = rest[0][..column].iter().zip(&other[..column]).map(|(a, b)| a * b).sum();
            let left = rest[0][column] - dot;
            rest[0][column] = if column < row {
                left / done[column][column]
            } else {
                let positive = left > 0.0 && left.is_finite();
                if !positive {
                    return None;
                }
                left.sqrt()
            };
        }
    }
    for row in 0..INPUTS {
        let known: f64 = (0..row).map(|column| matrix[row][column] * wanted[column]).sum();
        wanted[row] = (wanted[row] - known) / matrix[row][row];
    }
    for row in (0..INPUTS).rev() {
        let known: f64 = (row + 1..INPUTS).map(|below| matrix[below][row] * wanted[below]).sum();
        wanted[row] = (wanted[row] - known) / matrix[row][row];
    }
    Some(wanted)
}

#[cfg(test)]
mod tests {
    use super::*;

    const LEARNING: Learning = Learning { kept: 0.95, ridge: 1.0, least_residual: [0.01; 3] };

    fn sample(slot: usize, day: usize) -> Sample {
        let mut inputs = [0.0; INPUTS];
        inputs[INPUTS - 1] = 1.0;
        inputs[0] = (day % 7) as f32 / 7.0;
        inputs[PRIOR_INPUTS..PRIOR_INPUTS + 3].copy_from_slice(&[0.8, 1.0, 1.2]);
        // Evenly spread from 0 to 1 around a line.
        let spread = ((day * 37 + slot * 11) % 101) as f32 / 100.0;
        Sample { slot, inputs, target: Some(1.0 + 2.0 * inputs[0] + spread) }
    }

    #[test]
    fn a_system_is_solved() {
        let mut matrix: [[f64; INPUTS]; INPUTS] = core::array::from_fn(|row| {
            core::array::from_fn(|column| match column.cmp(&row) {
                core::cmp::Ordering::Less => 0.1,
                core::cmp::Ordering::Equal => 4.0 + row as f64,
                core::cmp::Ordering::Greater => 0.0,
            })
        });
        let expected: [f64; INPUTS] = core::array::from_fn(|place| place as f64 - 7.0);
        let wanted = core::array::from_fn(|row| {
            (0..INPUTS).map(|column| matrix[row.max(column)][row.min(column)] * expected[column]).sum()
        });
        let solved = solve(&mut matrix.clone(), wanted).unwrap();
        assert!(solved.iter().zip(expected).all(|(found, expected)| (found - expected).abs() < 1e-9));
        matrix[3][3] = -1.0;
        assert_eq!(solve(&mut matrix, wanted), None);
    }

    #[test]
    fn before_it_learnt_it_repeats_the_model() {
        let sample = sample(17, 3);
        assert_eq!(Regression::default().answer(17, &sample.inputs), [0.8, 1.0, 1.2]);
    }

    #[test]
    fn it_learns_the_line_and_the_spread_around_it() {
        let mut regression = Regression::default();
        for day in 0..300 {
            let samples: Vec<Sample> = (0..48).map(|slot| sample(slot, day)).collect();
            regression.learn(&samples, &LEARNING);
        }
        for slot in [0, 13, 47] {
            let [p10, p50, p90] = regression.answer(slot, &sample(slot, 5).inputs);
            let line = 1.0 + 10.0 / 7.0;
            for (found, expected) in [(p10, line + 0.1), (p50, line + 0.5), (p90, line + 0.9)] {
                assert!((found - expected).abs() < 0.08, "slot {slot}: {found}, expected {expected}");
            }
        }
        assert!(regression.is_sound());
    }

    #[test]
    fn absurd_rows_leave_it_sound() {
        let mut regression = Regression::default();
        for target in [Some(f32::NAN), Some(f32::INFINITY), None, Some(f32::MAX)] {
            let mut sample = sample(5, 1);
            sample.target = target;
            regression.learn(&[sample], &LEARNING);
        }
        let mut broken = sample(5, 1);
        broken.inputs[4] = f32::NAN;
        regression.learn(&[broken], &LEARNING);
        assert!(regression.answer(5, &sample(5, 1).inputs).iter().all(|answer| answer.is_finite()));
    }
}
