//! The file: how it is opened, laid out, bounded and, when damaged, set aside. No records are read or
//! written here.

use std::ffi::OsString;
use std::fs::{File, OpenOptions, TryLockError};
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use rusqlite::{Connection, OpenFlags};

use super::error::{JournalError, OPENING_TO_READ, is_damage};
use super::points::StoreId;

/// "SUNK": marks a database as a journal.
const APPLICATION: i64 = 0x5355_4e4b;
/// Layout this version reads and writes.
const LAYOUT: i64 = 8;
/// Size of a page, bytes. A commit rewrites whole pages, so small ones write less; the measurement is in
/// the example `journal_bytes`.
pub const PAGE_SIZE: u32 = 512;
/// The write-ahead log is carried over into the database when it reaches this, and cut back to it.
pub(super) const LOG_BYTES: u64 = 512 << 10;
/// Damaged files that are kept.
const SET_ASIDE: usize = 2;
/// How long to wait for a reader that holds a lock.
const BUSY: Duration = Duration::from_secs(5);

const LAYOUT_SQL: &str = "
CREATE TABLE meta(id INTEGER PRIMARY KEY CHECK(id = 0), store BLOB NOT NULL, boot INTEGER NOT NULL);
CREATE TABLE settings(id INTEGER PRIMARY KEY, digest BLOB NOT NULL UNIQUE, settings BLOB NOT NULL,
    text TEXT NOT NULL);
CREATE TABLE block(seq INTEGER PRIMARY KEY, boot INTEGER NOT NULL, first INTEGER NOT NULL,
    last INTEGER NOT NULL, unix INTEGER, cycles INTEGER NOT NULL,
    changes INTEGER NOT NULL, digest BLOB NOT NULL, data BLOB NOT NULL);
CREATE TABLE minute(id INTEGER PRIMARY KEY, boot INTEGER NOT NULL, uptime INTEGER NOT NULL, unix INTEGER,
    data BLOB NOT NULL);
CREATE TABLE event(id INTEGER PRIMARY KEY, lane INTEGER NOT NULL, boot INTEGER NOT NULL, uptime INTEGER NOT NULL,
    unix INTEGER, what TEXT NOT NULL, fields TEXT NOT NULL);
CREATE INDEX event_of_lane ON event(lane, id);
CREATE TABLE mark(name INTEGER PRIMARY KEY, upto INTEGER NOT NULL);
CREATE TABLE slot(slot INTEGER PRIMARY KEY, data BLOB NOT NULL);
CREATE TABLE counter(name TEXT PRIMARY KEY, total INTEGER NOT NULL) WITHOUT ROWID;
CREATE TABLE learnt(name TEXT PRIMARY KEY, data BLOB NOT NULL);
INSERT INTO meta VALUES(0, randomblob(16), 0);
";

/// A file that was damaged, and where it is now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SetAside {
    /// Its new name.
    pub path: PathBuf,
    /// What was wrong with it.
    pub reason: String,
}

/// Keeps other writers away while it lives; the system lets go of it however the process ends.
#[derive(Debug)]
pub(super) struct WriterLock {
    /// None on a disk that takes no file: then nobody else writes either.
    _file: Option<File>,
}

impl WriterLock {
    pub(super) fn take(path: &Path) -> Result<Self, JournalError> {
        let file = |source| JournalError::File { path: path.into(), doing: "creating its lock file", source };
        let name = beside(path, ".lock");
        let lock = match OpenOptions::new().create(true).truncate(false).write(true).open(name) {
            Ok(lock) => lock,
            Err(error) if takes_nothing(&error) && path.exists() => return Ok(Self { _file: None }),
            Err(error) => return Err(file(error)),
        };
        match lock.try_lock() {
            Ok(()) => Ok(Self { _file: Some(lock) }),
            Err(TryLockError::WouldBlock) => Err(JournalError::InUse { path: path.into() }),
            Err(TryLockError::Error(source)) => Err(file(source)),
        }
    }
}

fn takes_nothing(error: &std::io::Error) -> bool {
    use std::io::ErrorKind as Kind;
    matches!(error.kind(), Kind::ReadOnlyFilesystem | Kind::StorageFull)
}

/// An open database and its number.
#[derive(Debug)]
pub(super) struct Opened {
    pub(super) connection: Connection,
    pub(super) store: StoreId,
}

/// Opens the journal for writing, and makes it if it is not there.
pub(super) fn open(path: &Path, page_size: u32) -> Result<Opened, JournalError> {
    let fail = |doing| move |source| JournalError::Database { path: path.into(), doing, source };
    let connection = Connection::open(path).map_err(fail("opening it"))?;
    connection.busy_timeout(BUSY).map_err(fail("setting it up"))?;
    let pragma = |name: &str, value: &dyn rusqlite::ToSql| connection.pragma_update(None, name, value);
    pragma("page_size", &page_size).map_err(fail("setting its page size"))?;
    let mode = connection.query_row("PRAGMA journal_mode = WAL", [], |row| row.get::<_, String>(0));
    mode.map_err(fail("opening its write-ahead log"))?;
    pragma("synchronous", &"FULL").map_err(fail("setting it up"))?;
    pragma("journal_size_limit", &(LOG_BYTES as i64)).map_err(fail("setting it up"))?;
    pragma("wal_autocheckpoint", &(LOG_BYTES as i64 / i64::from(page_size)))
        .map_err(fail("setting it up"))?;
    pragma("cache_size", &-256).map_err(fail("setting it up"))?;
    lay_out(path, &connection)?;
    let store = store_of(&connection).map_err(fail("reading its store number"))?;
    Ok(Opened { connection, store })
}

/// Opens the journal for reading, beside a hub that writes or alone.
pub(super) fn open_to_read(path: &Path) -> Result<Connection, JournalError> {
    let fail = |doing| move |source| JournalError::Database { path: path.into(), doing, source };
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(path, flags).map_err(fail(OPENING_TO_READ))?;
    connection.busy_timeout(BUSY).map_err(fail("setting it up"))?;
    let (application, layout) = marks(&connection).map_err(fail("reading its header"))?;
    judge(path, application, layout)?;
    Ok(connection)
}

/// Opens a journal that is there on a disk that takes nothing, to read back what was known. The index of
/// the log is held in memory, for which SQLite wants a lock that a read-only file cannot have, so none is
/// taken; without a log the file is taken as it stands. The writer lock keeps others away.
pub(super) fn open_to_recall(path: &Path) -> Result<(Connection, StoreId), JournalError> {
    let fail = |doing| move |source| JournalError::Database { path: path.into(), doing, source };
    let log = std::fs::metadata(beside(path, "-wal")).map_or(0, |data| data.len());
    let name = path.to_string_lossy().replace('%', "%25").replace('?', "%3f").replace('#', "%23");
    let name = format!("file:{name}?{}", if log > 0 { "vfs=unix-none" } else { "immutable=1" });
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_URI;
    let connection = Connection::open_with_flags(name, flags).map_err(fail("opening it to recall"))?;
    let mode = connection.query_row("PRAGMA locking_mode = EXCLUSIVE", [], |_| Ok(()));
    mode.map_err(fail("setting it up"))?;
    let (application, layout) = marks(&connection).map_err(fail("reading its header"))?;
    judge(path, application, layout)?;
    let store = store_of(&connection).map_err(fail("reading its store number"))?;
    Ok((connection, store))
}

fn marks(connection: &Connection) -> rusqlite::Result<(i64, i64)> {
    let pragma = |name: &str| connection.pragma_query_value(None, name, |row| row.get(0));
    Ok((pragma("application_id")?, pragma("user_version")?))
}

fn judge(path: &Path, application: i64, layout: i64) -> Result<(), JournalError> {
    if application != APPLICATION {
        return Err(JournalError::NotAJournal { path: path.into(), found: application });
    }
    if layout != LAYOUT {
        return Err(JournalError::Newer { path: path.into(), found: layout, known: LAYOUT });
    }
    Ok(())
}

fn lay_out(path: &Path, connection: &Connection) -> Result<(), JournalError> {
    let fail = |doing| move |source| JournalError::Database { path: path.into(), doing, source };
    let (application, layout) = marks(connection).map_err(fail("reading its header"))?;
    let tables = connection
        .query_row("SELECT count(*) FROM sqlite_schema", [], |row| row.get::<_, i64>(0))
        .map_err(fail("reading its tables"))?;
    if tables > 0 || application != 0 {
        return judge(path, application, layout);
    }
    // One transaction: a power cut leaves the whole layout, or an empty file that is laid out next time.
    let sql = format!(
        "BEGIN IMMEDIATE; {LAYOUT_SQL} PRAGMA application_id = {APPLICATION}; PRAGMA user_version = {LAYOUT}; COMMIT;"
    );
    connection.execute_batch(&sql).map_err(fail("laying out its tables"))
}

pub(super) fn store_of(connection: &Connection) -> rusqlite::Result<StoreId> {
    connection.query_row("SELECT store FROM meta", [], |row| Ok(StoreId(row.get(0)?)))
}

/// Device and inode of the file that has this name now.
pub(super) fn identity(path: &Path) -> Result<(u64, u64), JournalError> {
    let looked = std::fs::metadata(path);
    let data = looked.map_err(|source| JournalError::File {
        path: path.into(),
        doing: "looking whether it is still there",
        source,
    })?;
    Ok((data.dev(), data.ino()))
}

/// Says what is wrong with a file that only a new one helps.
pub(super) fn damage(error: &JournalError) -> Option<String> {
    match error {
        JournalError::Database { source, .. } if is_damage(source) => Some(source.to_string()),
        _ => None,
    }
}

/// Moves a damaged journal out of the way. At most [`SET_ASIDE`] are kept; the newest bears number 1.
pub(super) fn set_aside(path: &Path, reason: String) -> Result<SetAside, JournalError> {
    let fail =
        |source| JournalError::File { path: path.into(), doing: "moving the damaged file aside", source };
    let name = |number: usize, part: &str| beside(path, &format!(".damaged-{number}{part}"));
    for part in ["-wal", ""] {
        for number in (1..SET_ASIDE).rev() {
            rename_if_there(&name(number, part), &name(number + 1, part)).map_err(fail)?;
        }
        // The log first: SQLite throws away a log that it finds beside a new file.
        rename_if_there(&beside(path, part), &name(1, part)).map_err(fail)?;
    }
    remove_if_there(&beside(path, "-shm")).map_err(fail)?;
    Ok(SetAside { path: name(1, ""), reason })
}

fn rename_if_there(from: &Path, to: &Path) -> std::io::Result<()> {
    match std::fs::rename(from, to) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => remove_if_there(to),
        other => other,
    }
}

fn remove_if_there(path: &Path) -> std::io::Result<()> {
    match std::fs::remove_file(path) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(()),
        other => other,
    }
}

/// The path with something appended to the file's name.
pub(super) fn beside(path: &Path, end: &str) -> PathBuf {
    let mut name = OsString::from(path);
    name.push(end);
    PathBuf::from(name)
}
