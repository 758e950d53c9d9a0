//! A lake as the fleet writes it: files that are durable under their name or not there at all, in a folder or in
//! an object store; lists of them, and their removal. What is in the files is for others.

mod compact;
mod erase;
mod folder;
mod prune;
mod remote;
mod repeats;

use core::fmt;
use std::fs::File;
use std::io;
use std::path::Path;
use std::sync::Arc;

use arrow_array::RecordBatch;
use object_store::ObjectStore;
use object_store::path::Path as StorePath;
use parquet::arrow::ArrowWriter;
use parquet::basic::{Compression, ZstdLevel};
use parquet::errors::ParquetError;
use parquet::file::properties::WriterProperties;
use tempfile::NamedTempFile;
use url::Url;

use folder::Folder;
use remote::Remote;

pub use compact::{Compacted, Compaction};
pub use erase::{Erased, Erasure};
pub use prune::{BY_HOUR, Pruned, prune};

/// Files that one listing may have.
pub const MOST_FILES: usize = 1_000_000;
/// Rows of a page: a reader can skip the pages of sites it does not want.
const PAGE_ROWS: usize = 512;
/// Rows of a group: what a writer holds encoded.
const GROUP_ROWS: usize = 1 << 17;

/// Why something could not be done to a lake.
#[derive(Debug, thiserror::Error)]
pub enum LakeError {
    /// No lake can be there.
    #[error("--lake {location:?}: {reason}; expected a folder, s3://…, gs:// or az://…")]
    Location {
        /// What was given.
        location: String,
        /// What is wrong with it.
        reason: String,
    },
    /// The system or the store refused.
    #[error("{name}: {doing}: {source}")]
    File {
        /// Which file or folder of the lake.
        name: String,
        /// What was tried.
        doing: &'static str,
        /// What it said.
        source: io::Error,
    },
    /// Not Parquet, or not such rows.
    #[error("{name}: {doing}: {reason}")]
    Table {
        /// Which file or folder of the lake.
        name: String,
        /// What was tried.
        doing: &'static str,
        /// What is wrong.
        reason: String,
    },
    /// More files than are listed.
    #[error("{name}: more than {MOST_FILES} files; expected less")]
    Files {
        /// Which folder.
        name: String,
    },
}

impl LakeError {
    pub(crate) fn file(name: &str, doing: &'static str) -> impl Fn(io::Error) -> Self {
        move |source| Self::File { name: name.to_owned(), doing, source }
    }

    pub(crate) fn table<E: fmt::Display>(name: &str, doing: &'static str) -> impl Fn(E) -> Self {
        move |error| Self::Table { name: name.to_owned(), doing, reason: error.to_string() }
    }
}

/// A file of a lake.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LakeFile {
    /// Its path below the root of the lake.
    pub name: String,
    /// Its length.
    pub bytes: u64,
    /// When it was written, ms since 1970.
    pub modified_ms: i64,
}

/// A lake that can be written.
#[derive(Debug, Clone)]
pub enum Lake {
    /// A folder of this machine.
    Folder(Folder),
    /// An object store.
    Remote(Remote),
}

impl Lake {
    /// Opens a folder, which is made where it is missing, or an object store by its URL. Stores in a cloud take
    /// their credentials from the environment, and are there where they were compiled in (feature `clouds`).
    pub fn open(location: &str) -> Result<Self, LakeError> {
        let refused = |reason: String| LakeError::Location { location: location.into(), reason };
        if !location.contains("://") {
            return Folder::open(Path::new(location)).map(Self::Folder);
        }
        let url = Url::parse(&format!("{}/", location.trim_end_matches('/')));
        let url = url.map_err(|error| refused(error.to_string()))?;
        if url.scheme() == "file" {
            let path = url.to_file_path().map_err(|()| refused("no path of this machine".into()))?;
            return Folder::open(&path).map(Self::Folder);
        }
        let (store, prefix) = object_store::parse_url_opts(&url, std::env::vars())
            .map_err(|error| refused(error.to_string()))?;
        Self::in_store(store.into(), prefix)
    }

    /// A lake in a store, below this path.
    pub fn in_store(store: Arc<dyn ObjectStore>, prefix: StorePath) -> Result<Self, LakeError> {
        Remote::new(store, prefix).map(Self::Remote)
    }

    /// Begins a file. It lies beside the lake until it is published, and goes where it is dropped.
    pub fn draft(&self, name: &str) -> Result<Draft<'_>, LakeError> {
        let file = match self {
            Self::Folder(folder) => folder.draft(name)?,
            Self::Remote(_) => NamedTempFile::new().map_err(LakeError::file(name, "making a draft of it"))?,
        };
        Ok(Draft { lake: self, name: name.into(), file })
    }

    /// Writes rows as the file of this name, in place of what is there; durable when it returns.
    pub fn write(&self, name: &str, rows: &RecordBatch) -> Result<(), LakeError> {
        let mut draft = self.draft(name)?;
        let refused = LakeError::table(name, "writing its rows");
        let writer = ArrowWriter::try_new(draft.file(), rows.schema(), Some(properties()));
        let mut writer = writer.map_err(&refused)?;
        let written = writer.write(rows).and_then(|()| writer.close().map(|_| ()));
        written.map_err(|error| full_disk(name, error))?;
        draft.publish()
    }

    /// The Parquet files below a folder, by name.
    pub fn list(&self, below: &str) -> Result<Vec<LakeFile>, LakeError> {
        let mut files = match self {
            Self::Folder(folder) => folder.list(below)?,
            Self::Remote(remote) => remote.list(below)?,
        };
        files.sort_by(|one, other| one.name.cmp(&other.name));
        Ok(files)
    }

    /// Opens a file; that of a store is fetched.
    pub fn read(&self, name: &str) -> Result<File, LakeError> {
        match self {
            Self::Folder(folder) => folder.read(name),
            Self::Remote(remote) => remote.fetch(name),
        }
    }

    /// Removes files; durable when it returns. One that is not there any more is no error.
    pub fn remove(&self, names: &[&str]) -> Result<(), LakeError> {
        match self {
            Self::Folder(folder) => folder.remove(names),
            Self::Remote(remote) => remote.remove(names),
        }
    }

    /// Removes the folders of files that are gone, as far as nothing else is in them. Stores have no folders.
    pub(crate) fn remove_empty_folders(&self, names: &[&str]) -> Result<(), LakeError> {
        match self {
            Self::Folder(folder) => folder.remove_empty(names),
            Self::Remote(_) => Ok(()),
        }
    }

    /// Removes drafts below a folder that nobody has written to since; how many.
    pub fn remove_drafts(&self, below: &str, before_ms: i64) -> Result<u64, LakeError> {
        match self {
            Self::Folder(folder) => folder.remove_drafts(below, before_ms),
            Self::Remote(_) => Ok(0),
        }
    }
}

/// A file that is not yet of the lake.
#[derive(Debug)]
pub struct Draft<'a> {
    lake: &'a Lake,
    name: String,
    file: NamedTempFile,
}

impl Draft<'_> {
    /// What to write into.
    pub fn file(&mut self) -> &mut File {
        self.file.as_file_mut()
    }

    /// Puts it under its name. It is durable when this returns.
    pub fn publish(self) -> Result<(), LakeError> {
        match self.lake {
            Lake::Folder(folder) => folder.publish(&self.name, self.file),
            Lake::Remote(remote) => remote.publish(&self.name, self.file),
        }
    }
}

/// What Parquet says of a disk, told as of a disk.
fn full_disk(name: &str, error: ParquetError) -> LakeError {
    match error {
        ParquetError::External(source) => LakeError::file(name, "writing its rows")(io::Error::other(source)),
        other => LakeError::table(name, "writing its rows")(other),
    }
}

/// How the files of the lake are written.
pub(crate) fn properties() -> WriterProperties {
    WriterProperties::builder()
        .set_compression(Compression::ZSTD(ZstdLevel::default()))
        .set_data_page_row_count_limit(PAGE_ROWS)
        .set_write_batch_size(PAGE_ROWS)
        .set_max_row_group_row_count(Some(GROUP_ROWS))
        .build()
}

/// A name that no other file has: what made it, when, and 64 random bits.
pub(crate) fn unique_name(kind: &str) -> Result<String, LakeError> {
    let mut bits = [0; 8];
    getrandom::fill(&mut bits).map_err(LakeError::table(kind, "naming a file by random bits"))?;
    Ok(format!("{kind}-{:013}-{:016x}", crate::clock::now_ms(), u64::from_be_bytes(bits)))
}
