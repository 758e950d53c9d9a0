//! `model.toml`: what a model file promises, and the check that it is a promise this hub can hold it to.
//!
//! Only the text is judged here. Whether the ONNX file keeps the promise is the business of `onnx`.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::load_features::{WIDTH, feature_hash};
use crate::time::{HORIZON, SLOTS_PER_DAY};

/// Largest ONNX file that is read, bytes: what a retrained model may cost a metered link.
pub const MOST_MODEL_BYTES: usize = 60_000;
/// Largest `model.toml` that is read, bytes.
pub const MOST_CONTRACT_BYTES: usize = 32_000;
/// Golden vectors a contract must bring at the least, and may at the most.
pub const GOLDEN: core::ops::RangeInclusive<usize> = 3..=HORIZON;
/// The quantiles of every load model: P10, P50, P90.
pub const QUANTILES: [f32; 3] = [0.1, 0.5, 0.9];

/// What a model file is and what it promises.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Contract {
    /// What it forecasts.
    pub kind: Kind,
    /// Counts up with every published model of the kind.
    pub version: u32,
    /// Fingerprint of the features it was fitted to: [`feature_hash`].
    pub feature_hash: String,
    /// Slots it forecasts: [`HORIZON`].
    pub horizon: usize,
    /// Quantiles it answers with: [`QUANTILES`].
    pub quantiles: Vec<f32>,
    /// Least version of Sunkeep that can run it, as in `0.1.0`.
    pub least_controller: String,
    /// The ONNX file.
    pub file: FileFacts,
    /// Its one input: the rows of `load_features`.
    pub input: Port,
    /// Its one output: for each row the quantiles over the level of the site, one.
    pub output: Port,
    /// Where it comes from.
    pub training: Training,
    /// P10, P50 and P90 of each slot of the local day over the level of a site, over all sites: what a
    /// site is taken for of which little was measured.
    pub typical_day: Vec<[f32; QUANTILES.len()]>,
    /// Rows with the answers they must get.
    pub golden: Vec<Golden>,
}

/// What a model forecasts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// Power of all loads of a site.
    Load,
}

/// What identifies the ONNX file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FileFacts {
    /// Length, bytes.
    pub bytes: usize,
    /// SHA-256, 64 hexadecimal digits.
    pub sha256: String,
}

/// An input or output of the graph; its elements are 32-bit floats.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Port {
    /// Its name in the graph.
    pub name: String,
    /// Slots of the horizon, then columns.
    pub shape: [usize; 2],
}

/// What a model was fitted to and how it did.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Training {
    /// First day of the data, UTC, as in `2016-01-01`.
    pub first_day: String,
    /// Last day of the data, UTC.
    pub last_day: String,
    /// Sites.
    pub sites: usize,
    /// The first eight hexadecimal digits of the SHA-256 of the name of each site, in order: tells whether
    /// a site was among them, and no more. Empty where `site_list` stands for them.
    pub site_digests: Vec<String>,
    /// SHA-256 of a file beside the contract that lists the digests, one a line: of a fleet whose list would be
    /// too long for a hub, which has no use for it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub site_list: Option<String>,
    /// Rows fitted to.
    pub rows: usize,
    /// Seed of the choice of rows, where they were drawn and not taken at a fixed stride.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub seed: Option<u64>,
    /// Versions of what made the model, by name: `sunkeep`, and what made its feature table.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub versions: BTreeMap<String, String>,
    /// Backtests on days that a model fitted without them had not seen.
    pub scores: Vec<ModelScore>,
}

/// The outcome of one backtest of one method; shares of the mean load.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ModelScore {
    /// Which data.
    pub set: String,
    /// Which method.
    pub method: String,
    /// Mean absolute error of P50 over the mean load.
    pub nmae: f32,
    /// Mean pinball loss of the three quantiles over the mean load.
    pub pinball: f32,
    /// Share of slots inside P10 to P90; 0.8 is wanted.
    pub coverage: f32,
}

/// A row and the answer it must get.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Golden {
    /// One row of features.
    pub row: Vec<f32>,
    /// The quantiles over the level.
    pub expected: [f32; 3],
}

/// Why a model is refused.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum ContractError {
    /// Too much text.
    #[error("model.toml: {bytes} bytes, at most {MOST_CONTRACT_BYTES} are read")]
    TextTooLarge {
        /// Its length.
        bytes: usize,
    },
    /// Not TOML, or a key that is missing, unknown or of the wrong type.
    #[error("model.toml: {0}")]
    Text(String),
    /// A value this hub cannot work with.
    #[error("model.toml: {key} is {found}, expected {expected}")]
    Value {
        /// Which key.
        key: &'static str,
        /// What it says.
        found: String,
        /// What it may say.
        expected: String,
    },
    /// The file is larger than any model may be.
    #[error("model file: {bytes} bytes, at most {MOST_MODEL_BYTES} are read")]
    FileTooLarge {
        /// Its length.
        bytes: usize,
    },
    /// The file is another one than the contract speaks of.
    #[error("model file: {what} is {found}, model.toml says {expected}")]
    File {
        /// `length` or `SHA-256`.
        what: &'static str,
        /// Of the file.
        found: String,
        /// Of the contract.
        expected: String,
    },
    /// The file is no ONNX model that can be run here.
    #[error("model file: {0}")]
    Graph(String),
    /// An input or output is not what the contract says.
    #[error("model file: {what} is {found}, model.toml says {expected}")]
    Port {
        /// `input` or `output`.
        what: &'static str,
        /// Of the graph.
        found: String,
        /// Of the contract.
        expected: String,
    },
    /// A weight is not a number.
    #[error("model file: weight {place} of {tensor:?} is {value}, expected a finite number")]
    Weight {
        /// Which tensor.
        tensor: String,
        /// Which element.
        place: usize,
        /// What it is.
        value: f32,
    },
    /// The model answers otherwise than promised.
    #[error("golden vector {place}: the model answers {found:?}, model.toml says {expected:?}")]
    Golden {
        /// Which vector.
        place: usize,
        /// The answer.
        found: [f32; 3],
        /// The promise.
        expected: [f32; 3],
    },
}

impl Contract {
    /// Reads and checks a `model.toml`. Unknown keys are refused.
    pub fn parse(text: &str) -> Result<Self, ContractError> {
        if text.len() > MOST_CONTRACT_BYTES {
            return Err(ContractError::TextTooLarge { bytes: text.len() });
        }
        let contract: Self =
            toml::from_str(text).map_err(|error| ContractError::Text(error.to_string().trim_end().into()))?;
        contract.check()?;
        Ok(contract)
    }

    /// Checks that this is a model for this hub's features, horizon and version.
    pub fn check(&self) -> Result<(), ContractError> {
        let controller = env!("CARGO_PKG_VERSION");
        let key = "least_controller";
        let least = version_of(&self.least_controller);
        expect(key, &self.least_controller, &"a version such as 0.1.0", least.is_some())?;
        let runs = format!("at most {controller}, which runs here");
        expect(key, &self.least_controller, &runs, least <= version_of(controller))?;
        let hash = feature_hash();
        expect("feature_hash", &self.feature_hash, &hash, self.feature_hash == hash)?;
        expect("horizon", &self.horizon, &HORIZON, self.horizon == HORIZON)?;
        let (found, wanted) = (format!("{:?}", self.quantiles), format!("{QUANTILES:?}"));
        expect("quantiles", &found, &wanted, self.quantiles == QUANTILES)?;
        for (key, port, columns) in
            [("input.shape", &self.input, WIDTH), ("output.shape", &self.output, QUANTILES.len())]
        {
            let wanted = [HORIZON, columns];
            expect(key, &format!("{:?}", port.shape), &format!("{wanted:?}"), port.shape == wanted)?;
        }
        let (bytes, range) = (self.file.bytes, 1..=MOST_MODEL_BYTES);
        expect("file.bytes", &bytes, &format!("1 to {MOST_MODEL_BYTES}"), range.contains(&bytes))?;
        let (sites, digests) = (self.training.sites, self.training.site_digests.len());
        let listed = digests == 0 && self.training.site_list.is_some();
        let wanted = format!("{sites}, one for each site, or none and a site_list");
        expect("training.site_digests", &digests, &wanted, sites == digests || listed)?;
        let slots = self.typical_day.len();
        expect("typical_day", &format!("{slots} slots"), &"48 slots", slots == SLOTS_PER_DAY)?;
        for value in self.typical_day.iter().flatten() {
            expect("typical_day", value, &"0 to 50", (0.0..=50.0).contains(value))?;
        }
        self.check_golden()
    }

    fn check_golden(&self) -> Result<(), ContractError> {
        let count = self.golden.len();
        let range = format!("{} to {} vectors", GOLDEN.start(), GOLDEN.end());
        expect("golden", &count, &range, GOLDEN.contains(&count))?;
        for golden in &self.golden {
            let width = golden.row.len();
            let wanted = format!("{WIDTH} values");
            expect("golden.row", &format!("{width} values"), &wanted, width == WIDTH)?;
            for value in golden.row.iter().chain(&golden.expected) {
                expect("golden", value, &"a finite number", value.is_finite())?;
            }
        }
        Ok(())
    }

    /// The text of a `model.toml`.
    pub fn to_toml(&self) -> Result<String, ContractError> {
        toml::to_string(self).map_err(|error| ContractError::Text(error.to_string()))
    }
}

fn expect(
    key: &'static str,
    found: &dyn core::fmt::Display,
    expected: &dyn core::fmt::Display,
    holds: bool,
) -> Result<(), ContractError> {
    if holds {
        return Ok(());
    }
    Err(ContractError::Value { key, found: found.to_string(), expected: expected.to_string() })
}

/// Major, minor, patch.
fn version_of(text: &str) -> Option<[u32; 3]> {
    let parts: Vec<u32> = text.split('.').map(|part| part.parse().ok()).collect::<Option<_>>()?;
    parts.try_into().ok()
}
