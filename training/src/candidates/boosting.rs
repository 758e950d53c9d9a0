//! Gradient boosting of trees under the pinball loss, over all slots of the day, with the crate `perpetual`.

use perpetual::objective::Objective;
use perpetual::{Matrix, PerpetualBooster};
use sunkeep_models::contract::QUANTILES;
use sunkeep_models::load_features::WIDTH;

use super::{CandidateError, Fitted};
use crate::table::SlotRows;

/// Rows fitted to at most: an even choice.
const MOST_ROWS: usize = 40_000;
/// How much is spent on a fit; the one setting of the crate.
const BUDGET: f32 = 0.3;
/// Seconds that a fit may take.
const TIMEOUT: f32 = 120.0;
/// Bytes of a node in ONNX: feature, value, two children, mode, weight.
const NODE_BYTES: usize = 40;

pub(super) fn boosting(rows: &[SlotRows]) -> Result<Fitted, CandidateError> {
    let total: usize = rows.iter().map(|rows| rows.targets.len()).sum();
    let mut chosen = SlotRows::default();
    for rows in rows {
        rows.copy_every(total.div_ceil(MOST_ROWS).max(1), &mut chosen);
    }
    let count = chosen.targets.len();
    // Column by column.
    let values: Vec<f64> = (0..WIDTH)
        .flat_map(|column| chosen.features.iter().skip(column).step_by(WIDTH).map(|value| f64::from(*value)))
        .collect();
    let targets: Vec<f64> = chosen.targets.iter().map(|target| f64::from(*target)).collect();
    let mut boosters = Vec::with_capacity(QUANTILES.len());
    for quantile in QUANTILES {
        let mut booster = PerpetualBooster::default()
            .set_objective(Objective::QuantileLoss { quantile: Some(f64::from(quantile)) })
            .set_budget(BUDGET)
            .set_num_threads(Some(2))
            .set_timeout(Some(TIMEOUT));
        booster
            .fit(&Matrix::new(&values, count, WIDTH), &targets, None, None)
            .map_err(|error| CandidateError::Fit { what: "boosting", why: error.to_string() })?;
        boosters.push(booster);
    }
    let nodes: usize =
        boosters.iter().flat_map(PerpetualBooster::get_prediction_trees).map(|tree| tree.nodes.len()).sum();
    let answer = move |row: &[f32]| {
        let row: Vec<f64> = row.iter().map(|value| f64::from(*value)).collect();
        let say = |place: usize| {
            let said = boosters[place].predict(&Matrix::new(&row, 1, WIDTH), false);
            said.first().copied().unwrap_or(0.0)
        };
        [say(0), say(1), say(2)]
    };
    Ok(Fitted { bytes: nodes * NODE_BYTES, answer: Box::new(answer) })
}
