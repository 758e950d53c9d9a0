//! A feature table on disk: the rows a fleet's load model is fitted to, by slot of the day.
//!
//! A folder with `features.toml` ([`Facts`]) and one folder for each local slot of the day,
//! `slot_of_day=00` to `slot_of_day=47`, with Parquet files in it: the columns of [`IDENTITY`] (the site, the
//! slots of issue and target, the level in W), those of `load_features::COLUMNS`, and `target`, what was measured
//! over the level. What a row means is said in `sunkeep_models::load_features`; here is only its form.

mod facts;
mod read;
mod write;

pub use facts::Facts;
pub use read::{FeatureTable, SlotTable};
pub use write::write;

use std::path::PathBuf;

use parquet::errors::ParquetError;

/// Name of the facts in the folder of a table.
pub const FACTS_FILE: &str = "features.toml";
/// The columns before those of the features: what a row is about.
pub const IDENTITY: [&str; 4] = ["site", "issued", "target_slot", "level"];
/// The column after the features.
pub const TARGET: &str = "target";
/// Files a slot of the day may have.
pub const MOST_FILES: usize = 10_000;
/// Rows of a slot of the day that are read into memory at once at most; of more, each k-th.
pub const MOST_SLOT_ROWS: usize = 60_000;

/// Why a table cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum TableError {
    /// A file or folder cannot be read or written.
    #[error("{}: {source}", file.display())]
    File {
        /// Which.
        file: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// A file is no Parquet file, or a damaged one.
    #[error("{}: {source}", file.display())]
    Parquet {
        /// Which.
        file: PathBuf,
        /// What was wrong.
        source: ParquetError,
    },
    /// It holds something else than a feature table.
    #[error("{}: {what}", file.display())]
    Contents {
        /// Which file or folder.
        file: PathBuf,
        /// What was read, where in it, and what was expected.
        what: String,
    },
}

/// Name of the folder of a slot of the day.
pub fn slot_folder(slot: usize) -> String {
    format!("slot_of_day={slot:02}")
}
