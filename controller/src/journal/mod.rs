//! The journal: what the cycle saw and decided, kept through power cuts, and replayed to the same decisions.
//!
//! ```text
//!   cycle --> Recorder --block--> Queue (bounded) --> writer thread --one transaction--> SQLite, WAL, FULL
//!                 |                  ^                     |
//!                 +--minutes, slots--+                     +--> committed, health (watch channels)
//! ```
//!
//! The cycle never waits for the disk. A block is committed at once when something was switched, else within
//! a minute; what the watch channel calls committed survives the power being cut. Bounds: the file and its
//! log in bytes, the blocks that wait in bytes, and every list beside them in entries; the oldest goes first.
//!
//! Not here: what the records mean, who reads them out to the fleet, and the page.

mod block;
mod column;
mod error;
#[cfg(feature = "fuzzing")]
pub mod fuzzing;
mod moment;
pub mod outbox;
mod points;
mod queue;
mod recorder;
mod replay;
mod schema;
mod store;
mod writer;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use sunkeep_core::Settings;
use sunkeep_models::quantity::Seconds;
use tokio::sync::watch;

pub use error::JournalError;
pub use moment::{Moment, known_span, moment};
pub use points::{
    DemandPoint, EventPoint, Lane, LoadPoint, MINUTE_MS, MinutePoint, SlotPoint, Stamp, StoreId,
};
pub use recorder::Recorder;
pub use replay::{ChangeRow, Changes, Finding, ReplayReport, TimeRange, What, replay};
pub use schema::{PAGE_SIZE, SetAside};
pub use store::{KEPT_MINUTES, KEPT_SLOTS, LEAST_BYTES, LastKnown, RECALLED_MINUTES};

use queue::{Batch, Queue, SettingsRow};
use schema::WriterLock;
use store::{Recalled, Store, recall};
use writer::{Writer, begin_anew};

/// Bounds of a journal.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct JournalOptions {
    /// Bytes that the file and its write-ahead log may take; at least [`LEAST_BYTES`].
    pub max_bytes: u64,
    /// Bytes of blocks that wait in memory while the disk does not take them.
    pub kept_bytes: usize,
    /// A block that changes nothing ends after this much uptime: the most a power cut may take.
    pub block_span: Seconds,
    /// Size of a page of a file that is made, bytes: a power of two from 512.
    pub page_size: u32,
}

impl Default for JournalOptions {
    /// 64 MB on the disk, 2 MB in memory (a day of quiet blocks), a minute to a block.
    fn default() -> Self {
        Self { max_bytes: 64 << 20, kept_bytes: 2 << 20, block_span: Seconds(60.0), page_size: PAGE_SIZE }
    }
}

/// Whether records reach the disk.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum JournalHealth {
    /// They do.
    Working,
    /// They wait in memory; it is tried again and again.
    Failing {
        /// What went wrong first.
        reason: String,
    },
}

/// What a start found.
#[derive(Debug, Clone, PartialEq)]
pub struct Recovered {
    /// Number of the store.
    pub store: StoreId,
    /// Number of this boot, from 1.
    pub boot: u32,
    /// Where the hub stood when it last wrote; `None` in a new journal.
    pub last: Option<LastKnown>,
    /// Means of the last 40 days' slots, oldest first.
    pub slots: Vec<SlotPoint>,
    /// The last two days' minutes, oldest first.
    pub minutes: Vec<MinutePoint>,
    /// Totals of pulse counters.
    pub counters: BTreeMap<String, u64>,
    /// What was learnt, by name.
    pub learnt: BTreeMap<String, Vec<u8>>,
    /// Rows that could not be read, and were passed over.
    pub unreadable: u64,
    /// The file that was there, if it was damaged.
    pub set_aside: Option<SetAside>,
}

/// What a journal knows, beside a hub that writes or without one; nothing is written, and no boot is counted.
pub fn recovered(path: &Path) -> Result<Recovered, JournalError> {
    let fail = |doing| move |source| JournalError::Database { path: path.into(), doing, source };
    let connection = schema::open_to_read(path)?;
    let store = schema::store_of(&connection).map_err(fail("reading its store number"))?;
    let recalled = recall(&connection).map_err(fail("reading what was known"))?;
    let Recalled { last, slots, minutes, counters, learnt, unreadable, boot, .. } = recalled;
    Ok(Recovered { store, boot, last, slots, minutes, counters, learnt, unreadable, set_aside: None })
}

/// An open journal. Dropping it ends the writer after one more try, without waiting for it; [`Self::close`]
/// waits.
#[derive(Debug)]
pub struct Journal {
    path: PathBuf,
    queue: Arc<Queue>,
    store: Arc<Mutex<StoreId>>,
    health: watch::Receiver<JournalHealth>,
    committed: watch::Receiver<Option<u64>>,
    thread: Option<JoinHandle<()>>,
}

impl Journal {
    /// Opens the journal, or makes it; counts the boot, reads back what was known, and starts the writer.
    /// A damaged file is moved aside and a new one begun. A disk that is full or read-only is no error
    /// as long as the file can be read: then the journal starts in [`JournalHealth::Failing`].
    ///
    /// The recorder belongs to the cycle, and there is one.
    pub fn open(path: &Path, options: JournalOptions) -> Result<(Self, Recorder, Recovered), JournalError> {
        let JournalOptions { max_bytes, kept_bytes, block_span, page_size } = options;
        if max_bytes < LEAST_BYTES {
            return Err(JournalError::TooSmall { given: max_bytes, least: LEAST_BYTES });
        }
        let lock = WriterLock::take(path)?;
        let Begun { store, id, recalled, boot, set_aside, failure } = begin(path, max_bytes, page_size)?;
        let queue = Arc::new(Queue::new(kept_bytes));
        let store_id = Arc::new(Mutex::new(id));
        let health = failure
            .as_ref()
            .map_or(JournalHealth::Working, |error| JournalHealth::Failing { reason: error.to_string() });
        let (health_told, health) = watch::channel(health);
        let (committed_told, committed) = watch::channel(None);
        let writer = Writer {
            path: path.into(),
            max_bytes,
            page_size,
            boot,
            queue: Arc::clone(&queue),
            store,
            identity: schema::identity(path)?,
            store_id: Arc::clone(&store_id),
            health: health_told,
            committed: committed_told,
            settings: None,
            _lock: lock,
        };
        let thread =
            std::thread::Builder::new().name("journal".into()).spawn(|| writer.run()).map_err(|source| {
                JournalError::File { path: path.into(), doing: "starting its writer thread", source }
            })?;
        let recorder = Recorder::new(Arc::clone(&queue), boot, recalled.next_seq, block_span);
        let Recalled { last, slots, minutes, counters, learnt, unreadable, .. } = recalled;
        let recovered =
            Recovered { store: id, boot, last, slots, minutes, counters, learnt, unreadable, set_aside };
        let journal =
            Self { path: path.into(), queue, store: store_id, health, committed, thread: Some(thread) };
        Ok((journal, recorder, recovered))
    }

    /// Which file.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Number of the store. It changes only when the file was found damaged and begun anew.
    pub fn store(&self) -> StoreId {
        *self.store.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Stores the settings that cycles run under, with the text they came from, ahead of their blocks.
    pub fn keep_settings(&self, settings: &Settings, text: &str) {
        let digest = settings.digest();
        self.queue.push_settings(SettingsRow { digest, settings: settings.clone(), text: text.into() });
    }

    /// Where those who send records say what has arrived.
    pub fn sent(&self) -> outbox::Sent {
        outbox::Sent::new(Arc::clone(&self.queue))
    }

    /// Tells when records stop reaching the disk, and when they reach it again; each once.
    pub fn health(&self) -> watch::Receiver<JournalHealth> {
        self.health.clone()
    }

    /// Number of the newest block that is on the disk; none since this boot began.
    pub fn committed(&self) -> watch::Receiver<Option<u64>> {
        self.committed.clone()
    }

    /// Records given up since this boot began, because they waited too long for the disk.
    pub fn dropped(&self) -> u64 {
        self.queue.dropped()
    }

    /// Blocks that wait for the disk.
    pub fn waiting(&self) -> usize {
        self.queue.kept()
    }

    /// Has everything written that was handed over, now; waits at the most so long and says whether it is
    /// on the disk. The block being built is the recorder's: end it first.
    pub fn flush(&self, patience: Duration) -> bool {
        self.queue.flush(patience)
    }

    /// Writes what waits and ends the writer; says whether everything is on the disk. With a disk that
    /// hangs, the writer is left behind after `patience`.
    pub fn close(mut self, patience: Duration) -> bool {
        let written = self.queue.flush(patience);
        self.queue.stop();
        if let Some(thread) = self.thread.take().filter(|_| written) {
            return thread.join().is_ok();
        }
        written
    }
}

impl Drop for Journal {
    fn drop(&mut self) {
        self.queue.stop();
    }
}

struct Begun {
    /// Closed where the disk takes nothing.
    store: Option<Store>,
    id: StoreId,
    recalled: Recalled,
    boot: u32,
    set_aside: Option<SetAside>,
    /// Why the boot could not be written yet.
    failure: Option<JournalError>,
}

/// Opens and reads; a damaged file gets one new beginning, and one on a disk that takes nothing is read.
fn begin(path: &Path, max_bytes: u64, page_size: u32) -> Result<Begun, JournalError> {
    let error = match Store::open(path, max_bytes, page_size).and_then(|store| begin_boot(path, store, None))
    {
        Ok(begun) => return Ok(begun),
        Err(error) => error,
    };
    if let Some(reason) = schema::damage(&error) {
        let (store, aside) = begin_anew(path, reason, max_bytes, page_size)?;
        return begin_boot(path, store, Some(aside));
    }
    if !matches!(error, JournalError::Database { .. }) {
        return Err(error);
    }
    let Ok((connection, id)) = schema::open_to_recall(path) else { return Err(error) };
    let Ok(recalled) = recall(&connection) else { return Err(error) };
    let boot = recalled.boot.saturating_add(1);
    Ok(Begun { store: None, id, recalled, boot, set_aside: None, failure: Some(error) })
}

fn begin_boot(path: &Path, mut store: Store, set_aside: Option<SetAside>) -> Result<Begun, JournalError> {
    let fail = |doing| move |source| JournalError::Database { path: path.into(), doing, source };
    let recalled = recall(&store.opened().connection).map_err(fail("reading what was known"))?;
    let (id, boot) = (store.opened().store, recalled.boot.saturating_add(1));
    match store.write(boot, &Batch::default()).map_err(fail("counting this boot")) {
        Ok(()) => Ok(Begun { store: Some(store), id, recalled, boot, set_aside, failure: None }),
        Err(error) if schema::damage(&error).is_some() => Err(error),
        Err(error) => Ok(Begun { store: None, id, recalled, boot, set_aside, failure: Some(error) }),
    }
}
