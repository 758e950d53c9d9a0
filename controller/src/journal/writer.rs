//! The writer thread: takes what waits, commits it, and goes on trying while the disk does not let it.

use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::watch;

use super::JournalHealth;
use super::error::JournalError;
use super::points::StoreId;
use super::queue::{Batch, Queue, SettingsRow};
use super::schema::{self, LOG_BYTES, SetAside, WriterLock, beside};
use super::store::Store;

/// First pause after a failure; doubles up to [`LONGEST_PAUSE`].
const FIRST_PAUSE: Duration = Duration::from_secs(1);
const LONGEST_PAUSE: Duration = Duration::from_secs(30);

/// Everything the thread owns.
#[derive(Debug)]
pub(super) struct Writer {
    pub(super) path: PathBuf,
    pub(super) max_bytes: u64,
    pub(super) page_size: u32,
    pub(super) boot: u32,
    pub(super) queue: Arc<Queue>,
    /// Closed after a failure, and opened again for the next try.
    pub(super) store: Option<Store>,
    /// Device and inode of the hub's own file.
    pub(super) identity: (u64, u64),
    pub(super) store_id: Arc<Mutex<StoreId>>,
    pub(super) health: watch::Sender<JournalHealth>,
    pub(super) committed: watch::Sender<Option<u64>>,
    /// The newest settings: a journal that has to be begun anew needs them.
    pub(super) settings: Option<SettingsRow>,
    pub(super) _lock: WriterLock,
}

impl Writer {
    pub(super) fn run(mut self) {
        let mut pause = None;
        loop {
            let work = self.queue.next(pause);
            match self.write(&work.batch) {
                Ok(()) => {
                    pause = None;
                    self.report(JournalHealth::Working);
                    self.acknowledge(&work.batch);
                    if work.stopping && self.queue.is_empty() {
                        return;
                    }
                }
                Err(error) => {
                    self.report(JournalHealth::Failing { reason: error.to_string() });
                    self.recover_from(&error);
                    if work.stopping {
                        return;
                    }
                    pause = Some(pause.map_or(FIRST_PAUSE, |pause: Duration| (pause * 2).min(LONGEST_PAUSE)));
                }
            }
        }
    }

    fn acknowledge(&mut self, batch: &Batch) {
        if let Some((_, row)) = batch.settings.last() {
            self.settings = Some(row.clone());
        }
        if let Some(block) = batch.blocks.last() {
            self.committed.send_replace(Some(block.head.seq));
        }
        self.queue.committed(batch);
    }

    /// Tells a change of health once.
    fn report(&self, health: JournalHealth) {
        self.health.send_if_modified(|told| {
            let news = core::mem::discriminant(told) != core::mem::discriminant(&health);
            if news {
                *told = health;
            }
            news
        });
    }

    fn write(&mut self, batch: &Batch) -> Result<(), JournalError> {
        let fail =
            |source| JournalError::Database { path: self.path.clone(), doing: "writing to it", source };
        // A file that was deleted or replaced under us would take records and lose them. Another file must
        // not even be opened, for the log beside it belongs to ours. A disk that was away and is back may
        // bear another number; what is on it belongs together.
        let (device, inode) = schema::identity(&self.path)?;
        let replaced = || JournalError::Replaced { path: self.path.clone() };
        if device == self.identity.0 && inode != self.identity.1 {
            return Err(replaced());
        }
        let store = match &mut self.store {
            Some(store) if device == self.identity.0 => store,
            closed => {
                *closed = None;
                let store = Store::open(&self.path, self.max_bytes, self.page_size)?;
                if store.opened().store != *self.store_id.lock().unwrap_or_else(PoisonError::into_inner) {
                    return Err(replaced());
                }
                store.settle().map_err(fail)?;
                self.identity = (device, inode);
                closed.insert(store)
            }
        };
        store.write(self.boot, batch).map_err(fail)?;
        // SQLite cuts the log back by itself unless a reader was in the way.
        let log = std::fs::metadata(beside(&self.path, "-wal")).map_or(0, |data| data.len());
        if log > 2 * LOG_BYTES {
            // The batch is on the disk; a log that stays long for now is no failure of it.
            let _ = store.settle();
        }
        Ok(())
    }

    /// Closes the file, for after a failed write nothing it believes to have written can be relied on; sets
    /// a damaged one aside and begins anew.
    fn recover_from(&mut self, error: &JournalError) {
        self.store = None;
        let Some(reason) = schema::damage(error) else { return };
        let begun = begin_anew(&self.path, reason, self.max_bytes, self.page_size);
        if let (Ok((store, _)), Ok(identity)) = (begun, schema::identity(&self.path)) {
            self.identity = identity;
            *self.store_id.lock().unwrap_or_else(PoisonError::into_inner) = store.opened().store;
            if let Some(row) = &self.settings {
                self.queue.push_settings(row.clone());
            }
            self.store = Some(store);
        }
    }
}

/// Sets a damaged journal aside and begins a new one in its place.
pub(super) fn begin_anew(
    path: &std::path::Path,
    reason: String,
    max_bytes: u64,
    page_size: u32,
) -> Result<(Store, SetAside), JournalError> {
    let aside = schema::set_aside(path, reason)?;
    Ok((Store::open(path, max_bytes, page_size)?, aside))
}
