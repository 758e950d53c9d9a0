//! What can be wrong with a lake or with what is made of it.

use std::path::PathBuf;

use datafusion::error::DataFusionError;

use super::source::LakeFile;

/// Why there is no feature table.
#[derive(Debug, thiserror::Error)]
pub enum LakeError {
    /// The lake's location cannot be understood.
    #[error("lake {location:?}: {reason}; expected a folder, or an URL such as s3://bucket/lake")]
    Location {
        /// As it was given.
        location: String,
        /// What is wrong with it.
        reason: String,
    },
    /// The store does not answer, or refuses.
    #[error("lake: {doing}: {source}")]
    Store {
        /// What was tried.
        doing: String,
        /// What the store said.
        source: object_store::Error,
    },
    /// There is nothing to read.
    #[error(
        "{table}/ holds no Parquet file in {location}; expected telemetry/year=…/month=…/day=…/hour=…/*.parquet"
    )]
    Empty {
        /// Where.
        location: String,
        /// Which table of the lake.
        table: &'static str,
    },
    /// A file is broken, or is not what it should be.
    #[error("{file}{}: {reason}", row_group_text(*row_group))]
    File {
        /// Its path in the lake.
        file: String,
        /// The row group, counted from 0; `None` where the whole file is meant.
        row_group: Option<usize>,
        /// What was read and what was expected.
        reason: String,
    },
    /// Several files are broken.
    #[error("{count} broken files, the first: {first}; --leave-out-broken reads the others")]
    Files {
        /// How many.
        count: usize,
        /// The first of them.
        first: Box<LakeError>,
    },
    /// The table of the sites contradicts itself or names no zone.
    #[error("sites/: {0}")]
    Sites(String),
    /// A query failed.
    #[error("{doing}: {source}")]
    Query {
        /// What was asked.
        doing: &'static str,
        /// What the engine said.
        source: Box<DataFusionError>,
    },
    /// A cluster was asked for and cannot be had.
    #[error("cluster {url:?}: {reason}")]
    Cluster {
        /// Its address.
        url: String,
        /// Why not.
        reason: String,
    },
    /// The output folder does not allow it.
    #[error("{}: {doing}: {source}", path.display())]
    Output {
        /// Which file or folder.
        path: PathBuf,
        /// What was tried.
        doing: &'static str,
        /// What the system said.
        source: std::io::Error,
    },
    /// A table that is made here cannot be written or read again.
    #[error("{}: {source}", path.display())]
    Table {
        /// Which file.
        path: PathBuf,
        /// What the Parquet library said.
        source: parquet::errors::ParquetError,
    },
    /// The folder holds something else's work.
    #[error("{}: {reason}; --restart does away with it and begins anew", path.display())]
    Foreign {
        /// Which file.
        path: PathBuf,
        /// What does not fit.
        reason: String,
    },
    /// A bound that nothing fits into, or that something does not fit into.
    #[error("{what} is {found}, expected {expected}")]
    Bound {
        /// Which bound.
        what: &'static str,
        /// What it is.
        found: String,
        /// What it may be.
        expected: String,
    },
}

fn row_group_text(row_group: Option<usize>) -> String {
    row_group.map_or_else(String::new, |number| format!(", row group {number}"))
}

impl LakeError {
    /// For `map_err` on a query.
    pub(super) fn query(doing: &'static str) -> impl Fn(DataFusionError) -> Self {
        move |source| Self::Query { doing, source: Box::new(source) }
    }

    /// Of a file of the lake.
    pub(super) fn file(file: &LakeFile, row_group: Option<usize>, reason: String) -> Self {
        Self::File { file: file.name.clone(), row_group, reason }
    }

    /// For `map_err` on a file of the output folder.
    pub(super) fn output(path: &std::path::Path, doing: &'static str) -> impl Fn(std::io::Error) -> Self {
        move |source| Self::Output { path: path.into(), doing, source }
    }

    /// For `map_err` on a table of the output folder.
    pub(super) fn table(path: &std::path::Path) -> impl Fn(parquet::errors::ParquetError) -> Self {
        move |source| Self::Table { path: path.into(), source }
    }
}
