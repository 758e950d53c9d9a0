//! What a run is going to do, what of it is done, and the report. All of it are small text files in the
//! output folder, each written whole or not at all, so that a run that was killed goes on where it stood.

use core::ops::RangeInclusive;
use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::Write as _;
use std::path::{Path, PathBuf};

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use super::error::LakeError;
use super::slots::Made;

/// The slot table in the output folder.
pub const SLOTS_FILE: &str = "slots.parquet";
/// The report in the output folder; it is there when everything else is.
pub const FEATURES_TOML: &str = "features.toml";
/// Folder of unfinished work in the output folder.
const WORK: &str = "unfinished";
/// Folder in it of rows that are parted by passes.
const ROWS: &str = "rows";
/// Cases that a report names for each cause.
pub(super) const MOST_NAMED: usize = 100;
/// Longest of these text files that is read, bytes.
const MOST_TEXT: u64 = 64 << 20;

/// How often each cause was met, by its name.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Counts(BTreeMap<String, u64>);

impl Counts {
    /// Counts a cause.
    pub fn add(&mut self, cause: &str, count: u64) {
        if let Some(known) = self.0.get_mut(cause) {
            *known += count;
        } else {
            self.0.insert(cause.to_owned(), count);
        }
    }

    /// Adds all of another.
    pub fn absorb(&mut self, other: &Self) {
        other.0.iter().for_each(|(cause, count)| self.add(cause, *count));
    }

    /// How often a cause was met.
    pub fn get(&self, cause: &str) -> u64 {
        self.0.get(cause).copied().unwrap_or(0)
    }

    /// All causes with their counts.
    pub fn iter(&self) -> impl Iterator<Item = (&str, u64)> {
        self.0.iter().map(|(cause, count)| (cause.as_str(), *count))
    }
}

/// Cases that somebody should look at, by cause; of each cause the first [`MOST_NAMED`].
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Noted(BTreeMap<String, Vec<String>>);

impl Noted {
    /// Names a case.
    pub fn add(&mut self, cause: &str, case: String) {
        let named = self.0.entry(cause.to_owned()).or_default();
        if named.len() < MOST_NAMED {
            named.push(case);
        }
    }

    /// Adds all of another.
    pub fn absorb(&mut self, other: &Self) {
        for (cause, cases) in &other.0 {
            for case in cases {
                self.add(cause, case.clone());
            }
        }
    }

    /// All cases with their causes.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.iter().flat_map(|(cause, cases)| cases.iter().map(|case| (cause.as_str(), case.as_str())))
    }
}

/// Some sites whose records are read together.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Pass {
    /// The first site, by name.
    pub(super) first: String,
    /// The last site.
    pub(super) last: String,
    /// Records of them all.
    pub(super) rows: u64,
}

/// What is to be done.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Plan {
    /// Fingerprint of the files of the lake.
    pub(super) lake: String,
    /// Issues at the most.
    pub(super) issues: u64,
    /// Fingerprint of the features.
    pub(super) feature_hash: String,
    /// What it is made with: finished passes of another version are not gone on from.
    pub(super) versions: Versions,
    /// Sites that have records.
    pub(super) sites: u64,
    /// The passes.
    pub(super) passes: Vec<Pass>,
    /// What counts before anything is read: files left out and such.
    pub(super) counts: Counts,
    /// What is to be named of it.
    pub(super) noted: Noted,
}

/// What a pass made of its records.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub(super) struct PassSlots {
    /// First and last slot.
    pub(super) span: Option<(i64, i64)>,
    /// Slots.
    pub(super) slots: u64,
    /// What was read and masked.
    pub(super) counts: Counts,
    /// What is to be named of it.
    pub(super) noted: Noted,
}

impl PassSlots {
    pub(super) fn of(made: Made, noted: Noted) -> Self {
        Self { span: made.span, slots: made.slots, counts: made.counts, noted }
    }
}

/// What some passes gave.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub(super) struct PartFeatures {
    /// Issues.
    pub(super) issues: u64,
    /// Rows for each slot of the day.
    pub(super) rows: Vec<u64>,
    /// Sites that gave rows.
    pub(super) sites: u64,
    /// Sites of which nobody knows the zone: they give none.
    pub(super) zoneless: u64,
    /// The first of them.
    pub(super) noted: Noted,
}

/// `features.toml`: what the feature table is and where it comes from.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct FeaturesToml {
    /// Fingerprint of the features: `load_features::feature_hash`.
    pub feature_hash: String,
    /// Fingerprint of the files of the lake: SHA-256 over names, lengths and rows.
    pub lake: String,
    /// Sites that gave rows.
    pub sites: u64,
    /// Slots in the slot table.
    pub slots: u64,
    /// Bound on the issues that was asked for.
    pub most_issues: u64,
    /// Slots between two issues of a site: the choice, in place of a seed.
    pub stride: i64,
    /// Issues that gave rows.
    pub issues: u64,
    /// Rows of the feature table.
    pub rows: u64,
    /// Rows for each local slot of the day.
    pub rows_of_slot: Vec<u64>,
    /// What span of time the slots are from.
    pub span: Option<Span>,
    /// What it was made with.
    pub versions: Versions,
    /// What was read and masked, by cause.
    pub counts: Counts,
    /// Cases that somebody should look at.
    pub noted: Noted,
}

/// From when to when.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Span {
    /// First slot.
    pub first_slot: i64,
    /// Last slot.
    pub last_slot: i64,
    /// Day of the first slot, UTC.
    pub first_day: String,
    /// Day of the last slot, UTC.
    pub last_day: String,
}

/// Versions of what decides about the result.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Versions {
    /// Of Sunkeep.
    pub sunkeep: String,
    /// Of the engine.
    pub datafusion: String,
    /// Of what wrote the files.
    pub parquet_writer: String,
}

impl Versions {
    /// Those of this program.
    pub fn here() -> Self {
        Self {
            sunkeep: env!("CARGO_PKG_VERSION").into(),
            datafusion: datafusion::DATAFUSION_VERSION.into(),
            parquet_writer: parquet::file::properties::DEFAULT_CREATED_BY.into(),
        }
    }
}

/// The places of unfinished work.
#[derive(Debug, Clone)]
pub(super) struct Workplace {
    folder: PathBuf,
}

impl Workplace {
    /// Of an output folder, made where it is not there.
    pub(super) fn of(out: &Path) -> Result<Self, LakeError> {
        let folder = out.join(WORK);
        fs::create_dir_all(&folder).map_err(LakeError::output(&folder, "create"))?;
        Ok(Self { folder })
    }

    pub(super) fn plan(&self) -> PathBuf {
        self.folder.join("plan.toml")
    }

    pub(super) fn spill(&self) -> PathBuf {
        self.folder.join("spill")
    }

    /// Makes the folder of what did not fit into memory, empty: a killed run leaves its own there.
    pub(super) fn clear_spill(&self) -> Result<(), LakeError> {
        let folder = self.spill();
        remove_folder(&folder)?;
        fs::create_dir_all(&folder).map_err(LakeError::output(&folder, "create"))
    }

    /// Makes the folder of rows that are parted by passes, empty: a run that goes on parts them anew.
    pub(super) fn clear_rows(&self) -> Result<(), LakeError> {
        let folder = self.folder.join(ROWS);
        remove_folder(&folder)?;
        fs::create_dir_all(&folder).map_err(LakeError::output(&folder, "create"))
    }

    /// The rows of a table for some passes (first to last), until their slots are made.
    pub(super) fn rows(&self, table: &str, passes: RangeInclusive<usize>) -> PathBuf {
        let (first, last) = passes.into_inner();
        self.folder.join(ROWS).join(format!("{table}-{first:05}-{last:05}.parquet"))
    }

    pub(super) fn slots(&self, pass: usize) -> PathBuf {
        self.folder.join(format!("slots-{pass:05}.parquet"))
    }

    pub(super) fn slots_done(&self, pass: usize) -> PathBuf {
        self.folder.join(format!("slots-{pass:05}.toml"))
    }

    /// Folder of the rows of features of a part. They depend on the stride, so it is part of the name.
    pub(super) fn features(&self, part: usize, stride: i64) -> PathBuf {
        self.folder.join(format!("features-{stride}-{part:05}"))
    }

    pub(super) fn features_done(&self, part: usize, stride: i64) -> PathBuf {
        self.folder.join(format!("features-{stride}-{part:05}.toml"))
    }

    /// Does away with it.
    pub(super) fn remove(out: &Path) -> Result<(), LakeError> {
        remove_folder(&out.join(WORK))
    }
}

/// Removes a folder with all that is in it; that it is not there is as well.
fn remove_folder(folder: &Path) -> Result<(), LakeError> {
    match fs::remove_dir_all(folder) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            Err(LakeError::output(folder, "remove")(error))
        }
        _ => Ok(()),
    }
}

/// Reads one of the text files; `None` where it is not there.
pub(super) fn read_toml<T: DeserializeOwned>(path: &Path) -> Result<Option<T>, LakeError> {
    let length = match fs::metadata(path) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        other => other.map_err(LakeError::output(path, "read"))?.len(),
    };
    let foreign = |reason: String| LakeError::Foreign { path: path.into(), reason };
    if length > MOST_TEXT {
        return Err(foreign(format!("it has {length} bytes, at most {MOST_TEXT} are read")));
    }
    let text = fs::read_to_string(path).map_err(LakeError::output(path, "read"))?;
    toml::from_str(&text).map(Some).map_err(|error| foreign(error.to_string()))
}

/// Writes one of the text files, whole or not at all.
pub(super) fn write_toml<T: Serialize>(path: &Path, value: &T) -> Result<(), LakeError> {
    let text = toml::to_string(value)
        .map_err(|error| LakeError::output(path, "write")(std::io::Error::other(error)))?;
    let half = path.with_added_extension("half");
    let written = File::create(&half).and_then(|mut file| {
        file.write_all(text.as_bytes())?;
        file.sync_all()
    });
    written.map_err(LakeError::output(&half, "write"))?;
    fs::rename(&half, path).map_err(LakeError::output(path, "put in place"))
}
