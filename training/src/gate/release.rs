//! The release folder of a model that was promoted: its file and contract, with what it was worth, and the
//! card. It appears whole or not at all.

use std::fs;
use std::path::{Path, PathBuf};

use sunkeep_models::contract::{Contract, ContractError, ModelScore};

use super::card::CARD_FILE;
use super::figures::Figure;
use super::{Comparison, Rivals};
use crate::bundle::{CONTRACT_FILE, ONNX_FILE, SITES_FILE};

/// Why there is no release.
#[derive(Debug, thiserror::Error)]
pub enum ReleaseError {
    /// There is something already.
    #[error("{}: exists; a release is written into a folder of its own", folder.display())]
    Exists {
        /// The folder.
        folder: PathBuf,
    },
    /// It cannot be written.
    #[error("{}: {source}", file.display())]
    Write {
        /// The file or folder.
        file: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// A hub would refuse the contract.
    #[error("the contract of the release: {0}")]
    Contract(#[from] ContractError),
}

/// Refuses a folder that exists, before anything is computed.
pub fn check_free(folder: &Path) -> Result<(), ReleaseError> {
    if folder.exists() { Err(ReleaseError::Exists { folder: folder.into() }) } else { Ok(()) }
}

/// The contract of the release: that of the challenger with the scores of the comparison, and a version above
/// the champion's.
pub fn contract(rivals: &Rivals, comparison: &Comparison) -> Contract {
    let mut contract = rivals.challenger.contract().clone();
    contract.version = contract.version.max(rivals.champion.contract().version.saturating_add(1));
    let rounded = |value: f64| ((value * 1e5).round() / 1e5) as f32;
    let of = |figure: Figure| comparison.findings.iter().find(|finding| finding.figure == figure);
    let [pinball, nmae] = [of(Figure::Pinball), of(Figure::Nmae)];
    let coverages = comparison.runs.each_ref().map(|runs| super::card::coverage(runs));
    let models = ["challenger", "champion"].into_iter().zip([1, 0]).filter_map(|(method, place)| {
        let value = |finding: &super::rule::Finding| [finding.champion, finding.challenger][place];
        Some(ModelScore {
            set: "held back".into(),
            method: method.into(),
            nmae: rounded(value(nmae?)),
            pinball: rounded(value(pinball?)),
            coverage: rounded(coverages[place]),
        })
    });
    contract.training.scores = models.collect();
    contract
}

/// Writes the release: into a folder beside it that then takes its name, so that no half of it is ever there.
/// `model` is the challenger's folder, `card` the text of the card.
pub fn write(folder: &Path, model: &Path, contract: &Contract, card: &str) -> Result<(), ReleaseError> {
    check_free(folder)?;
    contract.check()?;
    let text = contract.to_toml()?;
    let name =
        folder.file_name().map_or_else(|| "release".into(), |name| name.to_string_lossy().into_owned());
    let part = folder.with_file_name(format!(".{name}.part"));
    let failed = |file: &Path| {
        let file = file.to_owned();
        move |source| ReleaseError::Write { file, source }
    };
    if part.exists() {
        // What an earlier run left when it was killed.
        fs::remove_dir_all(&part).map_err(failed(&part))?;
    }
    fs::create_dir_all(&part).map_err(failed(&part))?;
    for name in [ONNX_FILE, SITES_FILE] {
        let from = model.join(name);
        if name == ONNX_FILE || contract.training.site_list.is_some() {
            let bytes = fs::read(&from).map_err(failed(&from))?;
            written(&part.join(name), &bytes)?;
        }
    }
    written(&part.join(CARD_FILE), card.as_bytes())?;
    written(&part.join(CONTRACT_FILE), text.as_bytes())?;
    fs::rename(&part, folder).map_err(failed(folder))?;
    let above = folder.parent().filter(|above| !above.as_os_str().is_empty()).unwrap_or(Path::new("."));
    fs::File::open(above).and_then(|above| above.sync_all()).map_err(failed(above))
}

fn written(file: &Path, bytes: &[u8]) -> Result<(), ReleaseError> {
    use std::io::Write;
    let open = || {
        let mut opened = fs::File::create(file)?;
        opened.write_all(bytes)?;
        opened.sync_all()
    };
    open().map_err(|source| ReleaseError::Write { file: file.into(), source })
}
