//! What can be wrong with a journal, told to whoever opens or reads it.

use std::path::PathBuf;

/// Why a journal cannot be opened or read.
#[derive(Debug, thiserror::Error)]
pub enum JournalError {
    /// The file, or its folder, does not allow it.
    #[error(
        "journal {path}: {doing}: {source}; expected a folder that can be written, with room on its disk"
    )]
    File {
        /// Which file.
        path: PathBuf,
        /// What was tried.
        doing: &'static str,
        /// What the system said.
        source: std::io::Error,
    },
    /// The database does not allow it.
    #[error("journal {path}: {doing}: {source}{}", hint(doing, source))]
    Database {
        /// Which file.
        path: PathBuf,
        /// What was tried.
        doing: &'static str,
        /// What SQLite said.
        source: rusqlite::Error,
    },
    /// Another process writes to it.
    #[error("journal {path}: another process has it open for writing; only one hub may")]
    InUse {
        /// Which file.
        path: PathBuf,
    },
    /// A database, but no journal of ours: it is left alone.
    #[error("journal {path}: is a database of something else (application id {found:#x}); name another file")]
    NotAJournal {
        /// Which file.
        path: PathBuf,
        /// The application id it carries.
        found: i64,
    },
    /// Written by a version with another layout: it is left alone.
    #[error(
        "journal {path}: has layout {found}, this version knows {known}; it is left alone: use the version that wrote it, or move it away"
    )]
    Newer {
        /// Which file.
        path: PathBuf,
        /// Layout of the file.
        found: i64,
        /// Layout this version writes.
        known: i64,
    },
    /// While the hub ran, another file was put in the place of its own.
    #[error(
        "journal {path}: another file was put in its place while the hub ran; start the hub again to use it"
    )]
    Replaced {
        /// Which file.
        path: PathBuf,
    },
    /// A bound that nothing fits into.
    #[error("journal: a bound of {given} bytes is too small; expected at least {least}")]
    TooSmall {
        /// What was asked for.
        given: u64,
        /// The least that works.
        least: u64,
    },
}

/// What is done first by those who only read.
pub(super) const OPENING_TO_READ: &str = "opening it to read";

/// What to try, where that is known.
fn hint(doing: &str, source: &rusqlite::Error) -> &'static str {
    use rusqlite::ErrorCode as Code;
    match source.sqlite_error_code() {
        Some(Code::CannotOpen) if doing == OPENING_TO_READ => "; expected the journal of a hub that has run",
        Some(Code::DiskFull) => "; the disk is full",
        Some(Code::ReadOnly) => "; the file or its disk is read-only",
        Some(Code::CannotOpen) => "; expected a folder that exists and can be written, with room on its disk",
        Some(Code::SystemIoFailure) => "; the disk failed or is full",
        _ => "",
    }
}

/// Whether the file itself is damaged, so that only a new one helps.
pub(super) fn is_damage(source: &rusqlite::Error) -> bool {
    use rusqlite::ErrorCode as Code;
    matches!(source.sqlite_error_code(), Some(Code::DatabaseCorrupt | Code::NotADatabase))
}
