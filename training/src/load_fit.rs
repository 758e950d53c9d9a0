//! The load model: for each slot of the day three linear functions of the features, one for each quantile.
//!
//! A slot of the day has few rows on a small site. It is held to what all slots have in common by a ridge
//! towards weights fitted to all of them, which are found first.

use indicatif::ProgressBar;
use ndarray::{Array1, Array2, ShapeBuilder};
use sunkeep_models::contract::QUANTILES;
use sunkeep_models::load_features::WIDTH;
use sunkeep_models::time::SLOTS_PER_DAY;

use crate::parallel;
use crate::quantile_fit::{FitError, FitSettings, fit_quantile};
use crate::table::SlotRows;

/// Rows the common weights are fitted to at most.
const MOST_COMMON_ROWS: usize = 60_000;
/// Rows of one slot of the day below which there is nothing to fit.
pub(crate) const LEAST_ROWS: usize = 60;
const COMMON: FitSettings = FitSettings { passes: 25, ridge: 1.0, least_residual: 5e-3 };
const BY_SLOT: FitSettings = FitSettings { passes: 25, ridge: 400.0, least_residual: 5e-3 };

/// The weights of a load model.
#[derive(Debug, Clone, PartialEq)]
pub struct LoadWeights {
    /// By slot of the day, then by quantile: [`WIDTH`] weights, the first of which is the constant (the
    /// first column of a row selects the slot of the day).
    pub by_slot: Vec<Three>,
    /// Rows fitted to.
    pub rows: usize,
}

/// Rows as a fit wants them.
#[derive(Debug, Clone, PartialEq)]
pub struct Matrix {
    /// [`WIDTH`] columns, column-major; the first is the constant 1 and not the slot of the day.
    pub rows: Array2<f64>,
    /// What was measured, over the level.
    pub targets: Array1<f64>,
}

/// The weights of the three quantiles.
pub type Three = [Array1<f64>; QUANTILES.len()];

/// Why there is no load model.
#[derive(Debug, thiserror::Error)]
pub enum LoadFitError {
    /// Not enough was measured.
    #[error(
        "slot {slot} of the day has {rows} rows to fit, {LEAST_ROWS} are wanted: the series are too short"
    )]
    TooFewRows {
        /// Slot of the day.
        slot: usize,
        /// Rows it has.
        rows: usize,
    },
    /// The solver failed.
    #[error(transparent)]
    Fit(#[from] FitError),
}

/// Fits a load model to rows by slot of the day.
pub fn fit_load(by_slot: &[SlotRows], progress: &ProgressBar) -> Result<LoadWeights, LoadFitError> {
    for (slot, rows) in by_slot.iter().enumerate() {
        if rows.targets.len() < LEAST_ROWS {
            return Err(LoadFitError::TooFewRows { slot, rows: rows.targets.len() });
        }
    }
    progress.set_length((SLOTS_PER_DAY + 1) as u64);
    progress.set_position(0);
    let total = by_slot.iter().map(|rows| rows.targets.len()).sum();
    let mut chosen = SlotRows::default();
    for rows in by_slot {
        rows.copy_every(every(total), &mut chosen);
    }
    let common = fit_common(&Matrix::of(&chosen))?;
    progress.inc(1);
    // Each slot is a problem of its own: which processor solves it changes nothing.
    let by_slot = parallel::each(SLOTS_PER_DAY, |slot| {
        let fitted = fit_slot(&Matrix::of(&by_slot[slot]), &common);
        progress.inc(1);
        fitted
    })?;
    Ok(LoadWeights { by_slot, rows: total })
}

/// Of so many rows, each how-manieth the common weights are fitted to.
pub(crate) fn every(total: usize) -> usize {
    total.div_ceil(MOST_COMMON_ROWS).max(1)
}

/// Fits the weights that all slots of the day have in common, to an even choice of their rows.
pub(crate) fn fit_common(rows: &Matrix) -> Result<Three, FitError> {
    fit_quantiles(rows, &[(); 3].map(|()| Array1::zeros(WIDTH)), COMMON)
}

/// Fits the weights of one slot of the day, held to the common ones.
pub(crate) fn fit_slot(rows: &Matrix, common: &Three) -> Result<Three, FitError> {
    fit_quantiles(rows, common, BY_SLOT)
}

fn fit_quantiles(rows: &Matrix, prior: &Three, settings: FitSettings) -> Result<Three, FitError> {
    let fit = |place: usize| {
        fit_quantile(&rows.rows, &rows.targets, &prior[place], f64::from(QUANTILES[place]), settings)
    };
    Ok([fit(0)?, fit(1)?, fit(2)?])
}

impl Matrix {
    /// The rows as a matrix.
    pub fn of(rows: &SlotRows) -> Self {
        let count = rows.targets.len();
        let matrix = Array2::from_shape_fn((count, WIDTH).f(), |(row, column)| match column {
            0 => 1.0,
            column => f64::from(rows.features[row * WIDTH + column]),
        });
        Self { rows: matrix, targets: rows.targets.iter().map(|target| f64::from(*target)).collect() }
    }
}

impl LoadWeights {
    /// The answer of the fitted weights themselves to one row: what every runtime must reproduce.
    pub fn answer(&self, row: &[f32]) -> [f64; QUANTILES.len()] {
        let weights = &self.by_slot[row[0] as usize];
        let features = Array1::from_iter((0..WIDTH).map(|column| match column {
            0 => 1.0,
            column => f64::from(row[column]),
        }));
        [weights[0].dot(&features), weights[1].dot(&features), weights[2].dot(&features)]
    }
}
