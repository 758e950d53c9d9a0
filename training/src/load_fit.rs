//! The load model: for each slot of the day three linear functions of the features, one for each quantile.
//!
//! A slot of the day has few rows on a small site. It is held to what all slots have in common by a ridge
//! towards weights fitted to all of them, which are found first.

use indicatif::ProgressBar;
use ndarray::{Array1, Array2, ShapeBuilder};
use sunkeep_models::contract::QUANTILES;
use sunkeep_models::load_features::WIDTH;
use sunkeep_models::time::SLOTS_PER_DAY;

use crate::quantile_fit::{FitError, FitSettings, fit_quantile};
use crate::table::SlotRows;

/// Rows the common weights are fitted to at most.
const MOST_COMMON_ROWS: usize = 60_000;
/// Rows of one slot of the day below which there is nothing to fit.
const LEAST_ROWS: usize = 60;
const COMMON: FitSettings = FitSettings { passes: 25, ridge: 1.0, least_residual: 5e-3 };
const BY_SLOT: FitSettings = FitSettings { passes: 25, ridge: 400.0, least_residual: 5e-3 };

/// The weights of a load model.
#[derive(Debug, Clone, PartialEq)]
pub struct LoadWeights {
    /// By slot of the day, then by quantile: [`WIDTH`] weights, the first of which is the constant (the
    /// first column of a row selects the slot of the day).
    pub by_slot: Vec<[Array1<f64>; QUANTILES.len()]>,
    /// Rows fitted to.
    pub rows: usize,
}

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
    let common = common_weights(by_slot)?;
    progress.inc(1);
    // Each slot is a problem of its own: which processor solves it changes nothing.
    let workers = std::thread::available_parallelism().map_or(1, usize::from).min(SLOTS_PER_DAY);
    let parts: Vec<_> = std::thread::scope(|scope| {
        let workers: Vec<_> = (0..workers)
            .map(|worker| {
                let common = &common;
                scope.spawn(move || {
                    (worker..SLOTS_PER_DAY)
                        .step_by(workers)
                        .map(|slot| {
                            let fitted = fit_quantiles(&by_slot[slot], common, BY_SLOT);
                            progress.inc(1);
                            fitted.map(|fitted| (slot, fitted))
                        })
                        .collect::<Result<Vec<_>, FitError>>()
                })
            })
            .collect();
        workers.into_iter().map(std::thread::ScopedJoinHandle::join).collect()
    });
    let mut fitted = Vec::with_capacity(SLOTS_PER_DAY);
    for part in parts {
        fitted.extend(part.unwrap_or_else(|panic| std::panic::resume_unwind(panic))?);
    }
    fitted.sort_by_key(|(slot, _)| *slot);
    let rows = by_slot.iter().map(|rows| rows.targets.len()).sum();
    Ok(LoadWeights { by_slot: fitted.into_iter().map(|(_, weights)| weights).collect(), rows })
}

/// Weights that fit all slots of the day at once, from an even choice of their rows.
fn common_weights(by_slot: &[SlotRows]) -> Result<[Array1<f64>; 3], FitError> {
    let total: usize = by_slot.iter().map(|rows| rows.targets.len()).sum();
    let every = total.div_ceil(MOST_COMMON_ROWS).max(1);
    let mut chosen = SlotRows::default();
    for rows in by_slot {
        for place in (0..rows.targets.len()).step_by(every) {
            chosen.features.extend_from_slice(&rows.features[place * WIDTH..][..WIDTH]);
            chosen.targets.push(rows.targets[place]);
            chosen.slots.push(rows.slots[place]);
        }
    }
    let nothing = [(); 3].map(|()| Array1::zeros(WIDTH));
    fit_quantiles(&chosen, &nothing, COMMON)
}

fn fit_quantiles(
    rows: &SlotRows,
    prior: &[Array1<f64>; 3],
    settings: FitSettings,
) -> Result<[Array1<f64>; 3], FitError> {
    let count = rows.targets.len();
    let matrix = Array2::from_shape_fn((count, WIDTH).f(), |(row, column)| match column {
        0 => 1.0,
        column => f64::from(rows.features[row * WIDTH + column]),
    });
    let targets: Array1<f64> = rows.targets.iter().map(|target| f64::from(*target)).collect();
    let fit =
        |place: usize| fit_quantile(&matrix, &targets, &prior[place], f64::from(QUANTILES[place]), settings);
    Ok([fit(0)?, fit(1)?, fit(2)?])
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
