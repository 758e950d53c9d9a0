//! A model ready to ship: the ONNX file with its contract, and the proof that it answers as it was fitted.

use std::collections::BTreeMap;
use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};

use sunkeep_models::contract::{
    Contract, ContractError, FileFacts, Golden, Kind, ModelScore, QUANTILES, Training,
};
use sunkeep_models::digest::sha256_hex;
use sunkeep_models::forecast::ForecastError;
use sunkeep_models::load_features::{WIDTH, feature_hash};
use sunkeep_models::onnx::OnnxForecaster;
use sunkeep_models::time::{HORIZON, SLOTS_PER_DAY, Slot};

use crate::load_fit::LoadWeights;
use crate::onnx_file::{input, onnx_bytes, output};
use crate::prior::site_digest;
use crate::table::SlotRows;

/// Name of the ONNX file in its folder.
pub const ONNX_FILE: &str = "load.onnx";
/// Name of the contract in its folder.
pub const CONTRACT_FILE: &str = "model.toml";
/// Name of the list of digests of sites in its folder, where they are too many for the contract.
pub const SITES_FILE: &str = "sites.txt";
/// Sites whose digests a contract carries at most: of more, only the digest of the list.
pub const MOST_LISTED_SITES: usize = 1000;
/// Golden vectors of a model.
const GOLDEN_ROWS: usize = 8;
/// How far tract may lie from the fitted weights, over one plus the size of the answer: the rounding of
/// 32-bit floats summed over a row.
pub const AGREEMENT: f64 = 1e-5;

/// The ONNX file and its contract.
#[derive(Debug, Clone, PartialEq)]
pub struct Bundle {
    /// The file.
    pub onnx: Vec<u8>,
    /// What it promises.
    pub contract: Contract,
    /// The list of the sites' digests, one a line, where the contract does not carry them.
    pub site_list: Option<String>,
}

/// What a contract says of the rows a model was fitted to.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Summary {
    /// Rows fitted to.
    pub rows: usize,
    /// First and last slot of the targets.
    pub span: Option<(Slot, Slot)>,
    /// Digests of the names of the sites ([`site_digest`]), in order.
    pub sites: Vec<String>,
    /// As in [`Contract::typical_day`].
    pub typical_day: Vec<[f32; QUANTILES.len()]>,
    /// Rows for the golden vectors, of [`WIDTH`] values.
    pub golden: Vec<Vec<f32>>,
    /// Seed of the choice of rows, if there was one.
    pub seed: Option<u64>,
    /// Versions of what made the rows.
    pub versions: BTreeMap<String, String>,
}

/// How closely tract reproduced the fit.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Agreement {
    /// Rows compared.
    pub rows: usize,
    /// Largest difference, over one plus the size of the answer.
    pub largest: f64,
}

/// Why there is no bundle.
#[derive(Debug, thiserror::Error)]
pub enum BundleError {
    /// The model does not pass the checks of a hub.
    #[error("the fitted model would be refused by a hub: {0}")]
    Contract(#[from] ContractError),
    /// It cannot be run.
    #[error("the fitted model does not run: {0}")]
    Run(#[from] ForecastError),
    /// The file answers otherwise than the weights it was made of.
    #[error(
        "row {row} of slot {slot} of the day: tract answers {found:?}, the fitted weights {expected:?}; \
         nothing was written"
    )]
    Disagreement {
        /// Slot of the day.
        slot: usize,
        /// Row among those of the slot.
        row: usize,
        /// What tract answers.
        found: [f32; 3],
        /// What the weights answer.
        expected: [f64; 3],
    },
    /// It cannot be written.
    #[error("{}: {source}", file.display())]
    Write {
        /// The file.
        file: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
}

impl Bundle {
    /// Makes a bundle of fitted weights; `rows` are those they were fitted to, of which some become golden
    /// vectors, `sites` the names of the sites they come from.
    pub fn of(
        weights: &LoadWeights,
        rows: &[SlotRows],
        sites: &[&str],
        scores: Vec<ModelScore>,
    ) -> Result<Self, BundleError> {
        let slots = || rows.iter().flat_map(|rows| &rows.slots).copied();
        let summary = Summary {
            rows: weights.rows,
            span: slots().min().zip(slots().max()),
            sites: sites.iter().map(|site| site_digest(site)).collect(),
            typical_day: rows.iter().map(|rows| quantiles_of(&rows.targets)).collect(),
            golden: golden_rows(rows),
            ..Summary::default()
        };
        Self::summed_up(weights, summary, scores)
    }

    /// Makes a bundle of fitted weights and a summary of the rows they were fitted to.
    pub fn summed_up(
        weights: &LoadWeights,
        summary: Summary,
        scores: Vec<ModelScore>,
    ) -> Result<Self, BundleError> {
        let onnx = onnx_bytes(weights);
        let day = |slot: Option<Slot>| slot.map_or_else(String::new, day_of);
        let listed = summary.sites.len() <= MOST_LISTED_SITES;
        let site_list = (!listed).then(|| summary.sites.join("\n") + "\n");
        let mut versions = summary.versions;
        versions.insert("sunkeep".into(), env!("CARGO_PKG_VERSION").into());
        let contract = Contract {
            kind: Kind::Load,
            version: 1,
            feature_hash: feature_hash(),
            horizon: HORIZON,
            quantiles: QUANTILES.to_vec(),
            least_controller: env!("CARGO_PKG_VERSION").into(),
            file: FileFacts { bytes: onnx.len(), sha256: sha256_hex(&onnx) },
            input: input(),
            output: output(),
            training: Training {
                first_day: day(summary.span.map(|(first, _)| first)),
                last_day: day(summary.span.map(|(_, last)| last)),
                sites: summary.sites.len(),
                site_list: site_list.as_ref().map(|list| sha256_hex(list.as_bytes())),
                site_digests: if listed { summary.sites } else { Vec::new() },
                rows: summary.rows,
                seed: summary.seed,
                versions,
                scores,
            },
            typical_day: summary.typical_day,
            golden: summary
                .golden
                .into_iter()
                .map(|row| {
                    let expected = weights.answer(&row).map(|answer| answer as f32);
                    Golden { row, expected }
                })
                .collect(),
        };
        contract.check()?;
        Ok(Self { onnx, contract, site_list })
    }

    /// Loads it as a hub would.
    pub fn load(&self) -> Result<OnnxForecaster, BundleError> {
        Ok(OnnxForecaster::load(&self.contract.to_toml()?, &self.onnx)?)
    }

    /// Runs every row through tract and compares the answers with those of the fitted weights.
    pub fn check_agreement(
        &self,
        weights: &LoadWeights,
        rows: &[SlotRows],
    ) -> Result<Agreement, BundleError> {
        let model = self.load()?;
        let mut agreement = Agreement { rows: 0, largest: 0.0 };
        for (slot, rows) in rows.iter().enumerate() {
            for (batch, features) in rows.features.chunks(HORIZON * WIDTH).enumerate() {
                let mut padded = features.to_vec();
                padded.resize(HORIZON * WIDTH, 0.0);
                let answers = model.answer(&padded)?;
                for (place, (row, found)) in features.chunks_exact(WIDTH).zip(answers).enumerate() {
                    let expected = weights.answer(row);
                    let apart: [f64; 3] = std::array::from_fn(|quantile| {
                        let expected = expected[quantile];
                        (f64::from(found[quantile]) - expected).abs() / (1.0 + expected.abs())
                    });
                    // NaN is not near anything.
                    if !apart.iter().all(|apart| *apart <= AGREEMENT) {
                        let row = batch * HORIZON + place;
                        return Err(BundleError::Disagreement { slot, row, found, expected });
                    }
                    agreement.rows += 1;
                    agreement.largest = apart.into_iter().fold(agreement.largest, f64::max);
                }
            }
        }
        Ok(agreement)
    }

    /// Writes the files into a folder, which is made if need be; the contract comes last.
    pub fn write(&self, folder: &Path) -> Result<(), BundleError> {
        let failed = |file: &Path| {
            let file = file.to_owned();
            move |source| BundleError::Write { file, source }
        };
        fs::create_dir_all(folder).map_err(failed(folder))?;
        let text = self.contract.to_toml()?;
        let list = self.site_list.as_ref().map(|list| (SITES_FILE, list.as_bytes()));
        let both = [(ONNX_FILE, self.onnx.as_slice()), (CONTRACT_FILE, text.as_bytes())];
        for (name, bytes) in list.into_iter().chain(both) {
            let file = folder.join(name);
            let part = folder.join(format!("{name}.part"));
            let mut written = fs::File::create(&part).map_err(failed(&part))?;
            written.write_all(bytes).and_then(|()| written.sync_all()).map_err(failed(&part))?;
            fs::rename(&part, &file).map_err(failed(&file))?;
        }
        Ok(())
    }
}

/// Rows from all over the day.
fn golden_rows(rows: &[SlotRows]) -> Vec<Vec<f32>> {
    (0..GOLDEN_ROWS)
        .filter_map(|place| {
            let rows = rows.get(place * SLOTS_PER_DAY / GOLDEN_ROWS)?;
            let row = golden_place(rows.targets.len(), place * SLOTS_PER_DAY / GOLDEN_ROWS)?;
            Some(rows.features.chunks_exact(WIDTH).nth(row)?.to_vec())
        })
        .collect()
}

/// Which of so many rows of a slot of the day becomes a golden vector; `None` where none does.
pub(crate) fn golden_place(rows: usize, slot: usize) -> Option<usize> {
    let place = slot * GOLDEN_ROWS / SLOTS_PER_DAY;
    (rows > 0 && slot == place * SLOTS_PER_DAY / GOLDEN_ROWS).then(|| rows * place / GOLDEN_ROWS)
}

/// P10, P50 and P90 of what was measured over the level, as in [`Contract::typical_day`].
pub(crate) fn quantiles_of(targets: &[f32]) -> [f32; QUANTILES.len()] {
    let mut sorted = targets.to_vec();
    sorted.sort_by(f32::total_cmp);
    QUANTILES.map(|quantile| {
        let place = (quantile * sorted.len().saturating_sub(1) as f32).round() as usize;
        sorted.get(place).map_or(1.0, |watts| watts.clamp(0.0, 50.0))
    })
}

/// The day of a slot, UTC, as in `2016-01-01`.
pub(crate) fn day_of(slot: Slot) -> String {
    let moment = jiff::Timestamp::from_second(slot.start()).unwrap_or(jiff::Timestamp::UNIX_EPOCH);
    moment.strftime("%Y-%m-%d").to_string()
}
