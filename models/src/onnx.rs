//! Load models in ONNX files, run with tract behind the `Forecaster` seam.
//!
//! A file runs only after everything its contract promises was found true: length and digest, form of the
//! graph, inputs, shapes, finite weights, and the answers to the golden vectors.

pub mod form;
mod graph;
mod selected;

use std::sync::Arc;

use tract_onnx::prelude::*;

use crate::contract::{Contract, ContractError, Golden, MOST_MODEL_BYTES, QUANTILES};
use crate::digest::sha256_hex;
use crate::forecast::{Forecast, ForecastError, Forecaster};
use crate::history::SlotHistory;
use crate::load_features::{LEAST_MEASURED, WIDTH, load_rows};
use crate::time::{HORIZON, Slot, Zone};

/// Name under which ONNX models appear in logs and tables.
pub const NAME: &str = "onnx";

/// How far an answer may lie from a golden one, over one plus its size: runtimes round differently.
const GOLDEN_TOLERANCE: f32 = 1e-4;

/// A model that keeps its contract.
pub struct OnnxForecaster {
    contract: Contract,
    plan: Arc<TypedRunnableModel>,
}

impl core::fmt::Debug for OnnxForecaster {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("OnnxForecaster").field("contract", &self.contract).finish_non_exhaustive()
    }
}

impl OnnxForecaster {
    /// Checks a model against its contract and makes it ready to run.
    pub fn load(model_toml: &str, onnx_bytes: &[u8]) -> Result<Self, ContractError> {
        let contract = Contract::parse(model_toml)?;
        check_file(&contract, onnx_bytes)?;
        let plan = graph::prepare(&contract, onnx_bytes)?;
        let model = Self { contract, plan };
        model.check_golden()?;
        Ok(model)
    }

    /// What the model promised.
    pub fn contract(&self) -> &Contract {
        &self.contract
    }

    /// Answers [`HORIZON`] rows of [`WIDTH`] features, one after the other: for each row the quantiles
    /// over the level of the site.
    pub fn answer(&self, rows: &[f32]) -> Result<Vec<[f32; QUANTILES.len()]>, ForecastError> {
        let unusable = |why: String| ForecastError::Unusable { method: NAME.into(), why };
        let run = || -> TractResult<Vec<f32>> {
            let input = Tensor::from_shape(&[HORIZON, WIDTH], rows)?;
            let outputs = self.plan.run(tvec!(input.into()))?;
            let mut answers = Vec::with_capacity(HORIZON * QUANTILES.len());
            for output in &outputs {
                answers.extend(output.to_plain_array_view::<f32>()?.iter());
            }
            Ok(answers)
        };
        let answers = run().map_err(|error| unusable(format!("{error:#}")))?;
        let (answers, rest) = answers.as_chunks();
        if answers.len() == HORIZON && rest.is_empty() {
            Ok(answers.to_vec())
        } else {
            Err(unusable(format!("{} answers, expected {HORIZON}", answers.len())))
        }
    }

    fn check_golden(&self) -> Result<(), ContractError> {
        let mut rows: Vec<f32> = self.contract.golden.iter().flat_map(|golden| golden.row.clone()).collect();
        // The rest of the batch repeats the first row: its answers are not looked at.
        while rows.len() < HORIZON * WIDTH {
            rows.extend_from_within(..WIDTH);
        }
        let answers = self.answer(&rows).map_err(|error| ContractError::Graph(error.to_string()))?;
        for (place, (Golden { expected, .. }, found)) in self.contract.golden.iter().zip(answers).enumerate()
        {
            let near = expected.iter().zip(found).all(|(expected, found)| {
                (found - expected).abs() <= GOLDEN_TOLERANCE * (1.0 + expected.abs())
            });
            if !near {
                return Err(ContractError::Golden { place, found, expected: *expected });
            }
        }
        Ok(())
    }
}

impl Forecaster for OnnxForecaster {
    fn name(&self) -> &str {
        NAME
    }

    fn forecast(&self, history: &SlotHistory, issued: Slot, zone: &Zone) -> Result<Forecast, ForecastError> {
        let rows = load_rows(history, issued, zone).ok_or_else(|| ForecastError::TooLittleHistory {
            method: NAME.into(),
            measured: history.measured(),
            wanted: LEAST_MEASURED,
        })?;
        let answers = self.answer(&rows.values)?;
        let watts = |place: usize| answers.iter().map(|answer| answer[place] * rows.level).collect();
        Forecast::checked(NAME, issued, [watts(0), watts(1), watts(2)])
    }
}

fn check_file(contract: &Contract, onnx_bytes: &[u8]) -> Result<(), ContractError> {
    if onnx_bytes.len() > MOST_MODEL_BYTES {
        return Err(ContractError::FileTooLarge { bytes: onnx_bytes.len() });
    }
    let file = |what, found: String, expected: String| ContractError::File { what, found, expected };
    if onnx_bytes.len() != contract.file.bytes {
        return Err(file("length", onnx_bytes.len().to_string(), contract.file.bytes.to_string()));
    }
    let digest = sha256_hex(onnx_bytes);
    if digest != contract.file.sha256 {
        return Err(file("SHA-256", digest, contract.file.sha256.clone()));
    }
    Ok(())
}
