//! Other models that could stand in the place of the fleet's, fitted to the same rows and scored on the same days:
//! the sites of each part with what was fitted to the others before the first scored slot, without what a hub
//! learns beside the model. Only the linear quantile regression can be shipped; the others are here to be beaten or
//! to earn their place.

mod forest;
mod penalised;

use std::sync::Arc;
use std::time::Instant;

use indicatif::ProgressBar;
use sunkeep_models::contract::QUANTILES;
use sunkeep_models::forecast::{Forecast, ForecastError, Forecaster};
use sunkeep_models::history::SlotHistory;
use sunkeep_models::load_features::{LEAST_MEASURED, WIDTH, load_rows};
use sunkeep_models::time::{Slot, Zone};

use crate::backtest::{BacktestError, MethodScore, Set, forecast_days, parts, summed_up};
use crate::load_fit::fit_load;
use crate::onnx_file::onnx_bytes;
use crate::table::SlotRows;

/// A candidate that was fitted.
pub struct Fitted {
    /// Bytes of its ONNX file; of those that have none here, an estimate from its weights or nodes.
    pub bytes: usize,
    answer: Box<Answer>,
}

/// The quantiles of a row over the level, not yet in order.
type Answer = dyn Fn(&[f32]) -> [f64; QUANTILES.len()] + Send + Sync;

/// A kind of model.
pub struct Candidate {
    /// Name for the table.
    pub name: &'static str,
    fit: fn(&[SlotRows]) -> Result<Fitted, CandidateError>,
}

/// Why a candidate cannot be fitted or scored.
#[derive(Debug, thiserror::Error)]
pub enum CandidateError {
    /// The fit failed.
    #[error("{what}: the fit failed: {why}")]
    Fit {
        /// Which candidate.
        what: &'static str,
        /// What its solver said.
        why: String,
    },
    /// The backtest failed.
    #[error(transparent)]
    Backtest(#[from] BacktestError),
}

/// A row of the table.
#[derive(Debug, Clone, PartialEq)]
pub struct Row {
    /// Name of the candidate.
    pub name: String,
    /// Scores by set.
    pub scores: Vec<MethodScore>,
    /// Bytes: see [`Fitted::bytes`].
    pub bytes: usize,
    /// Seconds of all fits.
    pub seconds: f64,
}

/// All candidates, the one in use first.
pub const ALL: [Candidate; 5] = [
    Candidate { name: "linear quantile regression", fit: linear },
    Candidate { name: "elastic net on roots", fit: penalised::elastic_net },
    Candidate { name: "PLS on roots", fit: penalised::latent },
    Candidate { name: "LEAR-like lasso", fit: penalised::lasso },
    Candidate { name: "forest on the residuals", fit: forest::forest },
];

/// Fits and scores all candidates, and the mean of their quantiles.
pub fn compare(sets: &[Set], progress: &ProgressBar) -> Result<Vec<Row>, CandidateError> {
    let parts = parts(sets, progress)?;
    progress.set_length((parts.len() * ALL.len()) as u64);
    progress.set_position(0);
    progress.set_message("fits");
    let mut rows: Vec<Row> = ALL.iter().map(|candidate| Row::of(candidate.name)).collect();
    rows.push(Row::of("mean of all of these"));
    let mut runs: Vec<Vec<_>> = rows.iter().map(|_| Vec::new()).collect();
    for part in &parts {
        let mut fitted = Vec::with_capacity(ALL.len());
        for (candidate, row) in ALL.iter().zip(&mut rows) {
            let began = now();
            let model = (candidate.fit)(&part.others)?;
            row.seconds += began.elapsed().as_secs_f64();
            row.bytes = row.bytes.max(model.bytes);
            fitted.push(Arc::new(model));
            progress.inc(1);
        }
        let combined = Combined { name: "mean", models: fitted.clone() };
        for site in &part.sites {
            let alone = fitted.iter().map(|model| Combined { name: "one", models: vec![Arc::clone(model)] });
            let methods: Vec<Combined> = alone.collect();
            for (runs, method) in runs.iter_mut().zip(methods.iter().chain([&combined])) {
                runs.push((*site, forecast_days(sets, *site, method)?));
            }
        }
    }
    let bytes = rows.iter().map(|row| row.bytes).sum();
    let seconds = rows.iter().map(|row| row.seconds).sum();
    if let Some(mean) = rows.last_mut() {
        (mean.bytes, mean.seconds) = (bytes, seconds);
    }
    for (row, mut runs) in rows.iter_mut().zip(runs) {
        runs.sort_by_key(|(site, _)| *site);
        let runs = runs.into_iter().map(|(_, run)| run).collect();
        row.scores = summed_up(sets, &[row.name.as_str()], runs).scores;
    }
    Ok(rows)
}

#[expect(clippy::disallowed_methods, reason = "the time of a fit is what is measured; nothing depends on it")]
fn now() -> Instant {
    Instant::now()
}

impl Row {
    fn of(name: &str) -> Self {
        Self { name: name.into(), scores: Vec::new(), bytes: 0, seconds: 0.0 }
    }
}

/// The mean of some models as a forecaster.
struct Combined {
    name: &'static str,
    models: Vec<Arc<Fitted>>,
}

impl Forecaster for Combined {
    fn name(&self) -> &str {
        self.name
    }

    fn forecast(&self, history: &SlotHistory, issued: Slot, zone: &Zone) -> Result<Forecast, ForecastError> {
        let rows = load_rows(history, issued, zone).ok_or_else(|| ForecastError::TooLittleHistory {
            method: self.name.into(),
            measured: history.measured(),
            wanted: LEAST_MEASURED,
        })?;
        let mut watts: [Vec<f32>; QUANTILES.len()] = Default::default();
        for row in rows.values.chunks_exact(WIDTH) {
            let mut sum = [0.0; QUANTILES.len()];
            for model in &self.models {
                let mut said = (model.answer)(row);
                said.sort_by(f64::total_cmp);
                sum.iter_mut().zip(said).for_each(|(sum, said)| *sum += said);
            }
            for (watts, sum) in watts.iter_mut().zip(sum) {
                watts.push((sum / self.models.len() as f64) as f32 * rows.level);
            }
        }
        Forecast::checked(self.name, issued, watts)
    }
}

fn linear(rows: &[SlotRows]) -> Result<Fitted, CandidateError> {
    let weights = fit_load(rows, &ProgressBar::hidden()).map_err(|error| CandidateError::Fit {
        what: "linear quantile regression",
        why: error.to_string(),
    })?;
    Ok(Fitted { bytes: onnx_bytes(&weights).len(), answer: Box::new(move |row| weights.answer(row)) })
}
