//! Which model of the fleet may be used to score a site: one that has seen neither the site nor anything
//! of any other at or after the first slot that is scored. It is fitted so, or it is refused.

use std::fs;
use std::path::{Path, PathBuf};

use indicatif::ProgressBar;
use ndarray::Array1;
use sunkeep_models::contract::{ContractError, MOST_CONTRACT_BYTES, MOST_MODEL_BYTES};
use sunkeep_models::digest::sha256_hex;
use sunkeep_models::load_features::WIDTH;
use sunkeep_models::onnx::OnnxForecaster;
use sunkeep_models::time::{SLOTS_PER_DAY, Slot};

use crate::bundle::{Bundle, BundleError, CONTRACT_FILE, ONNX_FILE, SITES_FILE, day_of};
use crate::load_fit::{LoadFitError, LoadWeights, fit_load};
use crate::table::{SlotRows, Table, rows_before};

/// Parts into which the sites are divided at the most: the sites of a part are scored with a model fitted
/// to the others.
pub const PARTS: usize = 4;
/// Largest list of sites that is read, bytes: nine for each of a million.
const MOST_SITES_BYTES: usize = 9_000_000;

/// Why there is no prior.
#[derive(Debug, thiserror::Error)]
pub enum PriorError {
    /// A file cannot be read.
    #[error("{}: {source}", file.display())]
    Read {
        /// The file.
        file: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// It is no model for this hub.
    #[error("{}: {source}", folder.display())]
    Refused {
        /// The folder.
        folder: PathBuf,
        /// What was wrong with it.
        source: ContractError,
    },
    /// The list of its sites is another one.
    #[error("{}: {SITES_FILE} has the SHA-256 {found}, {CONTRACT_FILE} says {expected}", folder.display())]
    Sites {
        /// The folder.
        folder: PathBuf,
        /// Of the file.
        found: String,
        /// Of the contract.
        expected: String,
    },
    /// It has seen the site.
    #[error("{}: the prior was fitted to a site called {site:?}, which is to be scored", folder.display())]
    Site {
        /// The folder.
        folder: PathBuf,
        /// The site.
        site: String,
    },
    /// It has seen the future.
    #[error("{}: the prior was fitted to data up to {last_day}, the first scored day is {first_scored}", folder.display())]
    Future {
        /// The folder.
        folder: PathBuf,
        /// Last day of its data, UTC.
        last_day: String,
        /// First day that is scored, UTC.
        first_scored: String,
    },
    /// The fit failed.
    #[error(transparent)]
    Fit(#[from] LoadFitError),
    /// The model cannot be exported.
    #[error(transparent)]
    Bundle(#[from] BundleError),
}

/// Reads the prior of a folder and refuses it where it has seen one of these sites, or anything at or after
/// the day (UTC) of the first slot that is scored.
pub fn read_prior(folder: &Path, sites: &[&str], first_scored: Slot) -> Result<OnnxForecaster, PriorError> {
    let read = |name: &str, most: usize| {
        let file = folder.join(name);
        let length = fs::metadata(&file).map(|facts| facts.len());
        let bytes = length.and_then(|length| {
            if length > most as u64 {
                Err(std::io::Error::other(format!("{length} bytes, at most {most} are read")))
            } else {
                fs::read(&file)
            }
        });
        bytes.map_err(|source| PriorError::Read { file, source })
    };
    let text = read(CONTRACT_FILE, MOST_CONTRACT_BYTES)?;
    let onnx = read(ONNX_FILE, MOST_MODEL_BYTES)?;
    let model = OnnxForecaster::load(&String::from_utf8_lossy(&text), &onnx)
        .map_err(|source| PriorError::Refused { folder: folder.into(), source })?;
    let training = &model.contract().training;
    let listed = match &training.site_list {
        Some(sha256) => site_list(&read(SITES_FILE, MOST_SITES_BYTES)?, sha256)
            .map_err(|found| PriorError::Sites { folder: folder.into(), found, expected: sha256.clone() })?,
        None => training.site_digests.clone(),
    };
    for site in sites {
        if listed.contains(&site_digest(site)) {
            return Err(PriorError::Site { folder: folder.into(), site: (*site).into() });
        }
    }
    let (last_day, first_scored) = (training.last_day.clone(), day_of(first_scored));
    if last_day >= first_scored {
        return Err(PriorError::Future { folder: folder.into(), last_day, first_scored });
    }
    Ok(model)
}

/// The digests of a list of sites; the SHA-256 it has, if that is not the one expected.
fn site_list(list: &[u8], sha256: &str) -> Result<Vec<String>, String> {
    let found = sha256_hex(list);
    if found != sha256 {
        return Err(found);
    }
    Ok(String::from_utf8_lossy(list).lines().map(str::to_owned).collect())
}

/// What stands for the name of a site in a contract: its digest, cut.
pub fn site_digest(site: &str) -> String {
    sha256_hex(site.as_bytes())[..8].to_owned()
}

/// Fits a prior to other sites, before a slot; to nothing, where they have too little.
pub fn fit_prior(
    others: &[(&str, &Table)],
    end: Slot,
    progress: &ProgressBar,
) -> Result<OnnxForecaster, PriorError> {
    let tables: Vec<&Table> = others.iter().map(|(_, table)| *table).collect();
    let rows = rows_before(&tables, end);
    match fit_load(&rows, progress) {
        Ok(weights) => {
            let sites: Vec<&str> = others.iter().map(|(site, _)| *site).collect();
            Ok(Bundle::of(&weights, &rows, &sites, Vec::new())?.load()?)
        }
        Err(LoadFitError::TooFewRows { .. }) => untrained(),
        Err(error) => Err(error.into()),
    }
}

/// A model that has seen no site: the mean of four profiles between the quantiles of 28 days.
pub fn untrained() -> Result<OnnxForecaster, PriorError> {
    let weights = |columns: &[(usize, f64)]| {
        let mut weights = Array1::zeros(WIDTH);
        for (column, weight) in columns {
            weights[*column] = *weight;
        }
        weights
    };
    let middle = weights(&[(1, 0.25), (2, 0.25), (3, 0.25), (15, 0.25)]);
    let three = [weights(&[(6, 1.0)]), middle, weights(&[(8, 1.0)])];
    let weights = LoadWeights { by_slot: vec![three; SLOTS_PER_DAY], rows: 0 };
    // Golden vectors want rows: those of a site that always uses the same.
    let rows: Vec<SlotRows> = (0..SLOTS_PER_DAY)
        .map(|slot| {
            let mut features = vec![1.0; WIDTH];
            features[0] = slot as f32;
            features[16..].fill(0.0);
            SlotRows { features, targets: vec![1.0], slots: vec![Slot(0)], levels: vec![1.0] }
        })
        .collect();
    let mut bundle = Bundle::of(&weights, &rows, &[], Vec::new())?;
    // Nothing is known of the spread of a site: half and twice its level.
    bundle.contract.typical_day = vec![[0.5, 1.0, 1.75]; SLOTS_PER_DAY];
    bundle.contract.training.first_day.clear();
    bundle.contract.training.last_day.clear();
    Ok(bundle.load()?)
}
