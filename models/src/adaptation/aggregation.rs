//! Which expert to believe: Bernstein online aggregation (Wintenberger, "Optimal learning with Bernstein
//! online aggregation", 2017) of the quantiles of several experts, under the pinball loss.
//!
//! Weights are kept for each quantile; what an expert lost or won is shared between all slots of the day.
//! Regrets are those of the loss made linear at the combined forecast, so that the combination is weighed
//! against the best mixture and not only the best expert.
//!
//! An expert may sleep through a slot: what it says is [`ASLEEP`] then, it has no part in the combination, and
//! it neither wins nor loses (Gaillard, Stoltz and van Erven, "A second-order bound with excess losses", 2014).

use serde::{Deserialize, Serialize};

use crate::contract::QUANTILES;

/// Quantiles of one slot, over the level of the site.
pub type Three = [f32; QUANTILES.len()];

/// What an expert says of a slot of which it knows nothing.
pub const ASLEEP: Three = [f32::NAN; QUANTILES.len()];

/// Weight below which an expert counts for nothing.
const LEAST_WEIGHT: f64 = 1e-9;

/// The regrets so far. Its size never changes.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Aggregation {
    /// By expert and quantile: sum of the regrets, each less its rate times its square.
    regret: Vec<[f64; QUANTILES.len()]>,
    /// Sum of squared regrets.
    squares: Vec<[f64; QUANTILES.len()]>,
    /// Largest regret of any expert so far.
    largest: [f64; QUANTILES.len()],
}

impl Aggregation {
    /// Knows nothing of this many experts.
    pub fn of(experts: usize) -> Self {
        Self { regret: vec![[0.0; 3]; experts], squares: vec![[0.0; 3]; experts], largest: [0.0; 3] }
    }

    /// The weights of the experts for each quantile, starting from `prior`: none is negative, and those of
    /// a quantile sum to one.
    pub fn weights(&self, prior: &[f64]) -> Vec<[f64; QUANTILES.len()]> {
        let mut weights = vec![[0.0; QUANTILES.len()]; self.regret.len()];
        for quantile in 0..QUANTILES.len() {
            let logs: Vec<f64> = prior
                .iter()
                .enumerate()
                .map(|(expert, share)| {
                    let rate = self.rate(expert, quantile, *share);
                    share.ln() + rate.ln() + rate * self.regret[expert][quantile]
                })
                .collect();
            let largest = logs.iter().copied().fold(f64::NEG_INFINITY, f64::max);
            let shares: Vec<f64> = logs.iter().map(|log| (log - largest).exp()).collect();
            let sum: f64 = shares.iter().sum();
            for (into, (share, prior)) in weights.iter_mut().zip(shares.iter().zip(prior)) {
                into[quantile] = if sum.is_finite() { share / sum } else { *prior };
            }
        }
        weights
    }

    /// How fast an expert's weight follows its regrets.
    fn rate(&self, expert: usize, quantile: usize, prior: f64) -> f64 {
        let cautious = 0.5 / self.largest[quantile].max(1e-9);
        cautious.min((-prior.ln() / self.squares[expert][quantile].max(1e-12)).sqrt())
    }

    /// Learns what came of one issue: for each slot what the experts said, and what was measured.
    pub fn learn(&mut self, prior: &[f64], said: &[Vec<Three>], truths: &[Option<f32>]) {
        let weights = self.weights(prior);
        let mut mean = vec![[[0.0; 2]; QUANTILES.len()]; prior.len()];
        let mut count = 0.0_f64;
        for (experts, truth) in said.iter().zip(truths) {
            let Some(truth) = truth.filter(|truth| truth.is_finite()) else { continue };
            count += 1.0;
            let mixed = mixture(&weights, experts);
            for quantile in 0..QUANTILES.len() {
                let slope = f64::from(u8::from(truth < mixed[quantile])) - f64::from(QUANTILES[quantile]);
                for (mean, said) in mean.iter_mut().zip(experts) {
                    if is_asleep(said) {
                        continue;
                    }
                    let regret = slope * (f64::from(mixed[quantile]) - f64::from(said[quantile]));
                    mean[quantile][0] += regret;
                    mean[quantile][1] += regret * regret;
                }
            }
        }
        if count == 0.0 {
            return;
        }
        for quantile in 0..QUANTILES.len() {
            for mean in &mean {
                self.largest[quantile] = self.largest[quantile].max((mean[quantile][0] / count).abs());
            }
            for (expert, mean) in mean.iter().enumerate() {
                let [regret, square] = mean[quantile].map(|sum| sum / count);
                self.squares[expert][quantile] += square;
                let rate = self.rate(expert, quantile, prior[expert]);
                self.regret[expert][quantile] += regret - rate * square;
            }
        }
    }

    /// Whether this has the size for so many experts and holds numbers only.
    pub fn is_sound(&self, experts: usize) -> bool {
        let all = self.regret.iter().chain(&self.squares).chain(core::iter::once(&self.largest)).flatten();
        let sized = self.regret.len() == experts && self.squares.len() == experts;
        sized && all.into_iter().all(|sum| sum.is_finite())
    }
}

/// Whether an expert says nothing of a slot.
pub fn is_asleep(said: &Three) -> bool {
    said.iter().any(|value| value.is_nan())
}

/// The weighted mean of what the experts say that are awake, quantile by quantile; in order. Nothing but
/// zeros where all sleep.
pub fn mixture(weights: &[[f64; QUANTILES.len()]], experts: &[Three]) -> Three {
    let awake = || weights.iter().zip(experts).filter(|(_, said)| !is_asleep(said));
    let mut mixed: Three = core::array::from_fn(|quantile| {
        // Those awake may have lost all their weight to those asleep: then they count alike.
        let least = if awake().all(|(weight, _)| weight[quantile] < LEAST_WEIGHT) { 1.0 } else { 0.0 };
        let (sum, weights) = awake().fold((0.0, 0.0), |(sum, weights), (weight, said)| {
            let weight = weight[quantile].max(least);
            (sum + weight * f64::from(said[quantile]), weights + weight)
        });
        if weights > 0.0 { (sum / weights) as f32 } else { 0.0 }
    });
    mixed.sort_by(f32::total_cmp);
    mixed
}

/// Mean pinball loss of three quantiles.
pub fn pinball(said: &Three, truth: f32) -> f32 {
    let loss = |(level, said): (f32, f32)| (level * (truth - said)).max((level - 1.0) * (truth - said));
    QUANTILES.into_iter().zip(*said).map(loss).sum::<f32>() / QUANTILES.len() as f32
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const PRIOR: [f64; 3] = [0.5, 0.3, 0.2];

    fn assert_distribution(aggregation: &Aggregation) {
        let weights = aggregation.weights(&PRIOR);
        for quantile in 0..3 {
            let sum: f64 = weights.iter().map(|weight| weight[quantile]).sum();
            assert!((sum - 1.0).abs() < 1e-9, "{weights:?}");
            assert!(weights.iter().all(|weight| (0.0..=1.0).contains(&weight[quantile])), "{weights:?}");
        }
    }

    proptest! {
        #[test]
        fn weights_stay_a_distribution_whatever_is_said_and_measured(
            days in prop::collection::vec(
                prop::collection::vec((prop::array::uniform9(0.0..50.0_f32), prop::option::of(-1.0..60.0_f32)), 1..8),
                1..30,
            ),
        ) {
            let mut aggregation = Aggregation::of(3);
            for day in days {
                let said: Vec<Vec<Three>> =
                    day.iter().map(|(nine, _)| nine.as_chunks::<3>().0.to_vec()).collect();
                let truths: Vec<Option<f32>> = day.iter().map(|(_, truth)| *truth).collect();
                aggregation.learn(&PRIOR, &said, &truths);
                assert_distribution(&aggregation);
                let mixed = mixture(&aggregation.weights(&PRIOR), &said[0]);
                prop_assert!(0.0 <= mixed[0] && mixed[0] <= mixed[1] && mixed[1] <= mixed[2]);
                prop_assert!(aggregation.is_sound(3));
            }
        }
    }

    #[test]
    fn a_broken_expert_loses_its_weight_and_the_good_one_gains() {
        let mut aggregation = Aggregation::of(3);
        let said = vec![vec![[20.0, 30.0, 40.0], [0.8, 1.0, 1.2], [0.3, 0.6, 2.0]]; 48];
        let truths: Vec<Option<f32>> = (0..48).map(|slot| Some(0.76 + 0.01 * slot as f32)).collect();
        for _ in 0..30 {
            aggregation.learn(&PRIOR, &said, &truths);
        }
        let weights = aggregation.weights(&PRIOR);
        for quantile in 0..3 {
            assert!(weights[0][quantile] < 0.02, "{weights:?}");
            assert!(weights[1][quantile] > 0.5, "{weights:?}");
        }
    }

    #[test]
    fn who_sleeps_has_no_part_and_neither_wins_nor_loses() {
        let mut aggregation = Aggregation::of(3);
        let said = vec![vec![ASLEEP, [0.8, 1.0, 1.2], [0.3, 0.6, 2.0]]; 48];
        let truths = vec![Some(1.0); 48];
        let before = aggregation.regret[0];
        for _ in 0..30 {
            aggregation.learn(&PRIOR, &said, &truths);
            assert_distribution(&aggregation);
        }
        assert_eq!(aggregation.regret[0], before);
        let weights = aggregation.weights(&PRIOR);
        let [low, middle, high] = mixture(&weights, &said[0]);
        assert!(low >= 0.3 && (0.6..=1.0).contains(&middle) && high <= 2.0, "{low} {middle} {high}");
        // The one that is awake says it all, whatever its weight.
        assert_eq!(mixture(&[[1.0; 3], [0.0; 3]], &[ASLEEP, [1.0, 2.0, 3.0]]), [1.0, 2.0, 3.0]);
        assert_eq!(mixture(&[[1.0; 3]], &[ASLEEP]), [0.0; 3]);
    }

    #[test]
    fn nothing_measured_teaches_nothing() {
        let mut aggregation = Aggregation::of(3);
        aggregation.learn(&PRIOR, &[vec![[1.0; 3]; 3]], &[None]);
        aggregation.learn(&PRIOR, &[vec![[1.0; 3]; 3]], &[Some(f32::NAN)]);
        assert_eq!(aggregation, Aggregation::of(3));
        assert!((aggregation.weights(&PRIOR)[0][1] - 0.5).abs() < 0.2);
    }

    #[test]
    fn the_loss_of_three_quantiles() {
        assert!((pinball(&[5.0, 10.0, 15.0], 20.0) - (1.5 + 5.0 + 4.5) / 3.0).abs() < 1e-6);
    }
}
