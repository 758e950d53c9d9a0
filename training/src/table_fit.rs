//! Fits the fleet's load model to a feature table on disk, in bounded memory: the common weights to an even
//! choice of all rows, then each slot of the day by itself, as many at once as there are processors.
//!
//! The same rows give the same weights, bit for bit, as a fit to rows in memory (`load_fit`).

use std::collections::BTreeSet;

use indicatif::ProgressBar;
use ndarray::{Axis, concatenate};
use sunkeep_models::contract::QUANTILES;
use sunkeep_models::load_features::WIDTH;
use sunkeep_models::time::{SLOTS_PER_DAY, Slot};

use crate::bundle::{Agreement, Bundle, BundleError, Summary, golden_place, quantiles_of};
use crate::feature_table::{FeatureTable, SlotTable, TableError};
use crate::load_fit::{LEAST_ROWS, LoadFitError, LoadWeights, Matrix, Three, every, fit_common, fit_slot};
use crate::parallel;
use crate::prior::site_digest;
use crate::quantile_fit::{FitError, pinball};
use crate::table::SlotRows;

/// Rows of a slot of the day that are kept to compare tract with the fit at most.
const MOST_CHECKED_ROWS: usize = 1000;

/// What a fit to a table gave.
#[derive(Debug, Clone, PartialEq)]
pub struct TableFit {
    /// The weights.
    pub weights: LoadWeights,
    /// What a contract says of the rows.
    pub summary: Summary,
    /// Mean pinball loss of each quantile on the rows fitted to, over the level.
    pub pinball: [f64; QUANTILES.len()],
    /// An even choice of the rows, by slot of the day.
    checked: Vec<SlotRows>,
}

/// Why there is no fit.
#[derive(Debug, thiserror::Error)]
pub enum TableFitError {
    /// The table cannot be read.
    #[error(transparent)]
    Table(#[from] TableError),
    /// There is nothing to fit, or the solver failed.
    #[error(transparent)]
    Fit(#[from] LoadFitError),
    /// The model cannot be exported.
    #[error(transparent)]
    Bundle(#[from] BundleError),
}

impl From<FitError> for TableFitError {
    fn from(error: FitError) -> Self {
        Self::Fit(error.into())
    }
}

/// One fitted slot of the day.
struct SlotFit {
    weights: Three,
    rows: usize,
    losses: [f64; QUANTILES.len()],
    typical: [f32; QUANTILES.len()],
    golden: Option<Vec<f32>>,
    span: Option<(Slot, Slot)>,
    sites: BTreeSet<String>,
    checked: SlotRows,
}

/// Fits a load model to a feature table.
pub fn fit_table(table: &FeatureTable, progress: &ProgressBar) -> Result<TableFit, TableFitError> {
    for slot in 0..SLOTS_PER_DAY {
        let rows = table.slot_rows(slot);
        if rows < LEAST_ROWS {
            return Err(LoadFitError::TooFewRows { slot, rows }.into());
        }
    }
    progress.set_length(2 * SLOTS_PER_DAY as u64);
    progress.set_position(0);
    let every = every(table.rows());
    let chosen = parallel::each(SLOTS_PER_DAY, |slot| {
        let chosen = table.slot(slot, every).map(|rows| rows.matrix);
        progress.inc(1);
        chosen
    })?;
    let common = fit_common(&joined(&chosen))?;
    drop(chosen);
    let fits = parallel::each(SLOTS_PER_DAY, |slot| {
        let rows = table.slot(slot, table.thinning(slot))?;
        let fit = SlotFit::of(slot, &rows, &common);
        progress.inc(1);
        fit.map_err(TableFitError::from)
    })?;
    Ok(summed_up(table, fits))
}

impl TableFit {
    /// Exports the model and compares its answers with those of the fitted weights.
    pub fn bundle(&self) -> Result<(Bundle, Agreement), BundleError> {
        let bundle = Bundle::summed_up(&self.weights, self.summary.clone(), Vec::new())?;
        let agreement = bundle.check_agreement(&self.weights, &self.checked)?;
        Ok((bundle, agreement))
    }
}

impl SlotFit {
    fn of(slot: usize, table: &SlotTable, common: &Three) -> Result<Self, FitError> {
        let Matrix { rows, targets } = &table.matrix;
        let weights = fit_slot(&table.matrix, common)?;
        let losses = std::array::from_fn(|quantile| {
            let predicted = rows.dot(&weights[quantile]);
            pinball(targets, &predicted, f64::from(QUANTILES[quantile])) * targets.len() as f64
        });
        let row = |place: usize| {
            let mut row: Vec<f32> = rows.row(place).iter().map(|value| *value as f32).collect();
            row[0] = slot as f32;
            row
        };
        let count = targets.len();
        let mut checked = SlotRows::default();
        for place in (0..count).step_by(count.div_ceil(MOST_CHECKED_ROWS).max(1)) {
            checked.features.extend(row(place));
            checked.targets.push(targets[place] as f32);
        }
        let in_32_bits: Vec<f32> = targets.iter().map(|target| *target as f32).collect();
        Ok(Self {
            weights,
            rows: count,
            losses,
            typical: quantiles_of(&in_32_bits),
            golden: golden_place(count, slot).map(row),
            span: table.span,
            sites: table.sites.clone(),
            checked,
        })
    }
}

fn joined(parts: &[Matrix]) -> Matrix {
    let rows: Vec<_> = parts.iter().map(|part| part.rows.view()).collect();
    let targets: Vec<_> = parts.iter().map(|part| part.targets.view()).collect();
    // Parts of the same width always fit together.
    let rows = concatenate(Axis(0), &rows).unwrap_or_else(|_| ndarray::Array2::zeros((0, WIDTH)));
    let targets = concatenate(Axis(0), &targets).unwrap_or_default();
    Matrix { rows: column_major(&rows), targets }
}

/// The same matrix in the order in which a fit walks through it.
fn column_major(rows: &ndarray::Array2<f64>) -> ndarray::Array2<f64> {
    use ndarray::ShapeBuilder;
    let mut into = ndarray::Array2::zeros(rows.dim().f());
    into.assign(rows);
    into
}

fn summed_up(table: &FeatureTable, fits: Vec<SlotFit>) -> TableFit {
    let rows = fits.iter().map(|fit| fit.rows).sum();
    let span = fits.iter().filter_map(|fit| fit.span);
    let span = span.reduce(|all, one| (all.0.min(one.0), all.1.max(one.1)));
    let sites: BTreeSet<&String> = fits.iter().flat_map(|fit| &fit.sites).collect();
    let summary = Summary {
        rows,
        span,
        sites: sites.into_iter().map(|site| site_digest(site)).collect(),
        typical_day: fits.iter().map(|fit| fit.typical).collect(),
        golden: fits.iter().filter_map(|fit| fit.golden.clone()).collect(),
        seed: table.facts.seed,
        versions: table.facts.versions.clone(),
    };
    let pinball = std::array::from_fn(|quantile| {
        fits.iter().map(|fit| fit.losses[quantile]).sum::<f64>() / rows.max(1) as f64
    });
    let (weights, checked) = fits.into_iter().map(|fit| (fit.weights, fit.checked)).unzip();
    TableFit { weights: LoadWeights { by_slot: weights, rows }, summary, pinball, checked }
}
