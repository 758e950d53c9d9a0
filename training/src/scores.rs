//! How good forecasts were: the measures of a load backtest, site by site and in the mean of the sites.

use std::collections::BTreeMap;

/// One forecast step with what came of it, W.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Outcome {
    /// Local day, counted from 1970-01-01.
    pub day: i64,
    /// Measured.
    pub truth: f32,
    /// P10, P50, P90.
    pub quantiles: [f32; 3],
    /// Expected power.
    pub mean: f32,
}

/// The measures of one method.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Score {
    /// Mean absolute error of P50 over the mean load.
    pub nmae: f64,
    /// Mean pinball loss of the three quantiles over the mean load.
    pub pinball: f64,
    /// Share of steps inside P10 to P90.
    pub coverage: f64,
    /// Mean error of the energy of a day, by the expected power, over the mean energy of a day.
    pub daily: f64,
}

/// Scores the steps of one site; nothing where there are none or no load.
pub fn score(outcomes: &[Outcome]) -> Option<Score> {
    let count = outcomes.len() as f64;
    let total: f64 = outcomes.iter().map(|outcome| f64::from(outcome.truth)).sum();
    if total <= 0.0 {
        return None;
    }
    let (mut error, mut pinball, mut inside) = (0.0, 0.0, 0.0);
    let mut days: BTreeMap<i64, [f64; 2]> = BTreeMap::new();
    for outcome in outcomes {
        let truth = f64::from(outcome.truth);
        let [low, middle, high] = outcome.quantiles.map(f64::from);
        let mean = f64::from(outcome.mean);
        error += (truth - middle).abs();
        for (quantile, value) in [(0.1, low), (0.5, middle), (0.9, high)] {
            pinball += (quantile * (truth - value)).max((quantile - 1.0) * (truth - value)) / 3.0;
        }
        inside += f64::from(u8::from(truth >= low && truth <= high));
        let day = days.entry(outcome.day).or_default();
        day[0] += truth;
        day[1] += mean;
    }
    let daily: f64 = days.values().map(|[truth, forecast]| (truth - forecast).abs()).sum();
    Some(Score {
        nmae: error / total,
        pinball: pinball / total,
        coverage: inside / count,
        daily: daily / total,
    })
}

/// The mean over sites.
pub fn mean_score(scores: &[Score]) -> Option<Score> {
    let count = scores.len() as f64;
    (count > 0.0).then(|| {
        let mean = |value: fn(&Score) -> f64| scores.iter().map(value).sum::<f64>() / count;
        Score {
            nmae: mean(|score| score.nmae),
            pinball: mean(|score| score.pinball),
            coverage: mean(|score| score.coverage),
            daily: mean(|score| score.daily),
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_known_case() {
        let outcome = |day, truth, quantiles| Outcome { day, truth, quantiles, mean: 10.0 };
        let score = score(&[
            outcome(0, 10.0, [5.0, 10.0, 15.0]),
            outcome(0, 20.0, [5.0, 10.0, 15.0]),
            outcome(1, 0.0, [5.0, 10.0, 15.0]),
        ])
        .unwrap();
        assert!((score.nmae - 20.0 / 30.0).abs() < 1e-12);
        assert!((score.coverage - 1.0 / 3.0).abs() < 1e-12);
        // Errors of the days: 10 and 10 of 30.
        assert!((score.daily - 20.0 / 30.0).abs() < 1e-12);
        // 0.5+0+0.5, 1.5+5+4.5, 4.5+5+1.5, a third of each.
        assert!((score.pinball - 23.0 / 3.0 / 30.0).abs() < 1e-12);
        assert_eq!(super::score(&[]), None);
    }
}
