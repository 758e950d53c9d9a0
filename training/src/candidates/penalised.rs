//! Linear models of the mean of a transformed target, for each slot of the day: elastic net, lasso, partial
//! least squares. Quantiles are those of the residuals where the target is transformed. The one setting of each is
//! chosen on the newest fifth of the rows of four slots of the day.

use linfa::prelude::*;
use linfa_elasticnet::ElasticNet;
use linfa_pls::PlsRegression;
use ndarray::{Array1, Array2, Axis};
use sunkeep_models::contract::QUANTILES;
use sunkeep_models::load_features::WIDTH;
use sunkeep_models::time::SLOTS_PER_DAY;

use super::{CandidateError, Fitted};
use crate::parallel;
use crate::table::SlotRows;

/// Slots of the day on which a setting is chosen.
const CHOSEN_ON: [usize; 4] = [6, 18, 30, 42];
/// Columns that are a power over the level.
const POWERS: [std::ops::Range<usize>; 2] = [1..9, 10..16];

/// What is fitted in the place of the target.
#[derive(Clone, Copy)]
enum Transform {
    /// Square roots of target and powers.
    Root,
    /// The inverse hyperbolic sine of the target.
    Asinh,
}

impl Transform {
    fn target(self, target: f64) -> f64 {
        match self {
            Self::Root => target.max(0.0).sqrt(),
            Self::Asinh => target.asinh(),
        }
    }

    fn back(self, value: f64) -> f64 {
        match self {
            Self::Root => value.max(0.0) * value.max(0.0),
            Self::Asinh => value.sinh(),
        }
    }

    fn inputs(self, row: &[f32]) -> [f64; WIDTH - 1] {
        std::array::from_fn(|place| {
            let (column, value) = (place + 1, f64::from(row[place + 1]));
            let power = POWERS.iter().any(|powers| powers.contains(&column));
            match self {
                Self::Root if power => value.max(0.0).sqrt(),
                _ => value,
            }
        })
    }
}

/// Finds weights and constant for standardised inputs and a target.
type Solver = fn(&Array2<f64>, &Array1<f64>, f64) -> Result<(Array1<f64>, f64), String>;

/// One slot of the day.
struct Linear {
    weights: Vec<f64>,
    constant: f64,
    residuals: [f64; QUANTILES.len()],
}

/// Elastic net, half lasso and half ridge, on roots.
pub(super) fn elastic_net(rows: &[SlotRows]) -> Result<Fitted, CandidateError> {
    by_slot("elastic net", rows, Transform::Root, &[3e-4, 3e-3, 3e-2], |x, y, penalty| {
        net(x, y, penalty, 0.5)
    })
}

/// A lasso, as the LEAR model of price forecasting has one for each hour (Lago and others, "Forecasting
/// day-ahead electricity prices", 2021).
pub(super) fn lasso(rows: &[SlotRows]) -> Result<Fitted, CandidateError> {
    by_slot("lasso", rows, Transform::Asinh, &[3e-4, 3e-3, 3e-2], |x, y, penalty| net(x, y, penalty, 1.0))
}

/// Partial least squares, on roots.
pub(super) fn latent(rows: &[SlotRows]) -> Result<Fitted, CandidateError> {
    by_slot("PLS", rows, Transform::Root, &[3.0, 6.0, 12.0], |x, y, components| {
        let targets = y.clone().insert_axis(Axis(1));
        let params = PlsRegression::params(components as usize).scale(false).max_iterations(500);
        let fitted = params.fit(&Dataset::new(x.clone(), targets)).map_err(|error| error.to_string())?;
        // The weights, found by asking: nothing, then one in each column.
        let mut probes = Array2::zeros((x.ncols() + 1, x.ncols()));
        for column in 0..x.ncols() {
            probes[[column + 1, column]] = 1.0;
        }
        let said: Array2<f64> = fitted.predict(&probes);
        let weights = (0..x.ncols()).map(|column| said[[column + 1, 0]] - said[[0, 0]]).collect();
        Ok((weights, said[[0, 0]]))
    })
}

fn net(x: &Array2<f64>, y: &Array1<f64>, penalty: f64, l1_ratio: f64) -> Result<(Array1<f64>, f64), String> {
    let fitted = ElasticNet::params()
        .penalty(penalty)
        .l1_ratio(l1_ratio)
        .max_iterations(400)
        .tolerance(1e-3)
        .fit(&Dataset::new(x.clone(), y.clone()))
        .map_err(|error| error.to_string())?;
    Ok((fitted.hyperplane().clone(), fitted.intercept()))
}

fn by_slot(
    what: &'static str,
    rows: &[SlotRows],
    transform: Transform,
    settings: &[f64],
    solver: Solver,
) -> Result<Fitted, CandidateError> {
    let failed = |why: String| CandidateError::Fit { what, why };
    let mut best = (f64::INFINITY, settings[0]);
    for setting in settings {
        let losses = parallel::each(CHOSEN_ON.len(), |place| {
            held_back(&rows[CHOSEN_ON[place]], transform, *setting, solver)
        });
        let loss = losses.map_err(failed)?.iter().sum();
        if loss < best.0 {
            best = (loss, *setting);
        }
    }
    let fitted = parallel::each(SLOTS_PER_DAY, |slot| {
        let all: Vec<usize> = (0..rows[slot].targets.len()).collect();
        Linear::of(&rows[slot], &all, transform, best.1, solver)
    })
    .map_err(failed)?;
    let answer = move |row: &[f32]| fitted[row[0] as usize].answer(row, transform);
    // Weights, constant and residuals of each slot, in 32 bits.
    Ok(Fitted { bytes: SLOTS_PER_DAY * (WIDTH + QUANTILES.len()) * 4, answer: Box::new(answer) })
}

/// Mean error of the median on the newest fifth of the rows, fitted to the others.
fn held_back(rows: &SlotRows, transform: Transform, setting: f64, solver: Solver) -> Result<f64, String> {
    let mut order: Vec<usize> = (0..rows.targets.len()).collect();
    order.sort_by_key(|place| rows.slots[*place]);
    let (known, newest) = order.split_at(order.len() * 4 / 5);
    let fitted = Linear::of(rows, known, transform, setting, solver)?;
    let error = |place: &usize| {
        let row = &rows.features[place * WIDTH..][..WIDTH];
        (fitted.answer(row, transform)[1] - f64::from(rows.targets[*place])).abs()
    };
    Ok(newest.iter().map(error).sum::<f64>() / newest.len().max(1) as f64)
}

impl Linear {
    fn of(
        rows: &SlotRows,
        places: &[usize],
        transform: Transform,
        setting: f64,
        solver: Solver,
    ) -> Result<Self, String> {
        let mut inputs = Array2::zeros((places.len(), WIDTH - 1));
        for (mut into, place) in inputs.rows_mut().into_iter().zip(places) {
            let row = transform.inputs(&rows.features[place * WIDTH..][..WIDTH]);
            into.iter_mut().zip(row).for_each(|(into, value)| *into = value);
        }
        let targets: Array1<f64> =
            places.iter().map(|place| transform.target(f64::from(rows.targets[*place]))).collect();
        let mean = inputs.mean_axis(Axis(0)).ok_or("no rows")?;
        // A column that never changes stays zero.
        let scale =
            inputs.std_axis(Axis(0), 0.0).mapv(|spread| if spread > 1e-9 { 1.0 / spread } else { 0.0 });
        let standard = (&inputs - &mean) * &scale;
        let (weights, constant) = solver(&standard, &targets, setting)?;
        let mut residuals: Vec<f64> =
            (&targets - &standard.dot(&weights)).iter().map(|left| left - constant).collect();
        residuals.sort_by(f64::total_cmp);
        let at =
            |quantile: f32| residuals[(f64::from(quantile) * (residuals.len() - 1) as f64).round() as usize];
        let weights = weights * &scale;
        Ok(Self {
            constant: constant - weights.dot(&mean),
            weights: weights.to_vec(),
            residuals: QUANTILES.map(at),
        })
    }

    fn answer(&self, row: &[f32], transform: Transform) -> [f64; QUANTILES.len()] {
        let inputs = transform.inputs(row);
        let said: f64 = self.weights.iter().zip(inputs).map(|(weight, input)| weight * input).sum();
        self.residuals.map(|residual| transform.back(self.constant + said + residual))
    }
}
