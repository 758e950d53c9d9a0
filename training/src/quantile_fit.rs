//! Linear quantile regression with linfa's least squares.
//!
//! linfa has no quantile regression. The pinball loss is minimised by majorisation (Hunter and Lange,
//! "Quantile Regression via an MM Algorithm", 2000): around the residuals r of the last pass, the loss of
//! quantile q lies below the parabola of a weighted least-squares problem with weights 1 / (e + |r|) and
//! targets y + (2q - 1)(e + |r|), so that each pass may only lower it. Each of these problems is brought to
//! its normal equations, which are as many as there are columns, and those linfa solves: a decomposition of
//! all rows would take several times as long. A ridge holds back what the data cannot tell, and keeps the
//! equations well conditioned.

use linfa::prelude::*;
use linfa_linear::LinearRegression;
use ndarray::{Array1, Array2, Axis, ShapeBuilder};

/// How a fit is made.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct FitSettings {
    /// Passes at most.
    pub passes: usize,
    /// Strength of the ridge, in rows: the weights are held to the prior as this many rows would.
    pub ridge: f64,
    /// Smallest residual that is told from zero (e above), in units of the level.
    pub least_residual: f64,
}

/// Why there is no fit.
#[derive(Debug, thiserror::Error)]
#[error("linear least squares over {rows} rows failed: {source}")]
pub struct FitError {
    rows: usize,
    source: linfa_linear::LinearError<f64>,
}

/// Fits the weights of one quantile (0 to 1) to rows and targets, starting from and held to `prior`.
pub fn fit_quantile(
    rows: &Array2<f64>,
    targets: &Array1<f64>,
    prior: &Array1<f64>,
    quantile: f64,
    settings: FitSettings,
) -> Result<Array1<f64>, FitError> {
    let mut weights = prior.clone();
    for pass in 0..settings.passes {
        // Coarse first: small residuals get their full weight as the fit settles.
        let least = settings.least_residual.max(0.1 * 0.6_f64.powi(pass as i32));
        let residuals = targets - &rows.dot(&weights);
        let next = least_squares(rows, targets, &residuals, prior, quantile, least, settings.ridge)?;
        let change = (&next - &weights).iter().fold(0.0_f64, |largest, change| largest.max(change.abs()));
        weights = next;
        if change < 1e-4 && least <= settings.least_residual {
            break;
        }
    }
    Ok(weights)
}

fn least_squares(
    rows: &Array2<f64>,
    targets: &Array1<f64>,
    residuals: &Array1<f64>,
    prior: &Array1<f64>,
    quantile: f64,
    least: f64,
    ridge: f64,
) -> Result<Array1<f64>, FitError> {
    let (count, width) = rows.dim();
    let size: Array1<f64> = residuals.mapv(|residual| least + residual.abs());
    let wanted: Array1<f64> = targets + &(&size * (2.0 * quantile - 1.0));
    // Column-major, the order in which the product below walks.
    let mut weighted = Array2::<f64>::zeros((count, width).f());
    for (mut column, from) in weighted.axis_iter_mut(Axis(1)).zip(rows.axis_iter(Axis(1))) {
        for ((into, value), size) in column.iter_mut().zip(from).zip(&size) {
            *into = value / size;
        }
    }
    let mut squares = rows.t().dot(&weighted);
    let mut products = weighted.t().dot(&wanted);
    for column in 0..width {
        squares[[column, column]] += ridge;
        products[column] += ridge * prior[column];
    }
    let fitted = LinearRegression::new()
        .with_intercept(false)
        .fit(&Dataset::new(squares, products))
        .map_err(|source| FitError { rows: count, source })?;
    Ok(fitted.params().clone())
}

/// Mean pinball loss of predictions for a quantile.
pub fn pinball(targets: &Array1<f64>, predicted: &Array1<f64>, quantile: f64) -> f64 {
    let sum: f64 = targets
        .iter()
        .zip(predicted)
        .map(|(target, predicted)| {
            let above = target - predicted;
            (quantile * above).max((quantile - 1.0) * above)
        })
        .sum();
    sum / targets.len().max(1) as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    const SETTINGS: FitSettings = FitSettings { passes: 60, ridge: 1e-6, least_residual: 1e-3 };

    #[test]
    fn the_quantiles_of_a_constant_are_those_of_the_sample() {
        let rows = Array2::ones((101, 1).f());
        let targets = Array1::from_iter((0..101).map(|place| f64::from(place) / 50.0));
        let prior = Array1::zeros(1);
        for (quantile, expected) in [(0.1, 0.2), (0.5, 1.0), (0.9, 1.8)] {
            let fitted = fit_quantile(&rows, &targets, &prior, quantile, SETTINGS).unwrap();
            assert!((fitted[0] - expected).abs() < 0.02, "{quantile}: {fitted}, expected {expected}");
        }
    }

    #[test]
    fn no_step_around_the_fit_lowers_the_loss() {
        // Skewed noise whose spread grows with x: the three quantiles have different slopes.
        let x: Vec<f64> = (0..400).map(|place| f64::from(place % 20) / 10.0).collect();
        let noise: Vec<f64> = (0..400).map(|place| f64::from(place * 7919 % 401) / 401.0).collect();
        let rows = Array2::from_shape_fn((400, 2).f(), |(row, column)| [1.0, x[row]][column]);
        let targets = Array1::from_iter(x.iter().zip(&noise).map(|(x, e)| 1.0 + x + x * e * e * 3.0));
        for quantile in [0.1, 0.5, 0.9] {
            let fitted = fit_quantile(&rows, &targets, &Array1::zeros(2), quantile, SETTINGS).unwrap();
            let loss = |weights: &Array1<f64>| pinball(&targets, &rows.dot(weights), quantile);
            for step in [[0.05, 0.0], [-0.05, 0.0], [0.0, 0.05], [0.0, -0.05]] {
                let aside = &fitted + &Array1::from_vec(step.to_vec());
                assert!(loss(&aside) > loss(&fitted) - 1e-4, "{quantile}: {fitted} could move by {step:?}");
            }
        }
    }
}
