//! What a hub keeps of updates on its card, and how it survives power cuts, bad blocks and full disks.
//!
//! ```text
//! lock          one writer
//! state.a .b    the state, written in turn (`state`)
//! slot-C-a -b   content of channel C's two slots (`slots`); the factory model is built in, outside
//! chunks/H/N    verified chunk N of the download whose SHA-256 is H (`chunks`)
//! *.part        not complete; removed at start
//! ```

pub mod chunks;
pub mod disk;
mod durable;
mod slots;
pub mod state;

pub use slots::Served;

use std::io;
use std::path::{Path, PathBuf};

use crate::limits::Limits;
use crate::reason::{Reason, Refusal};
use crate::store::disk::{Disk, Lock};
use crate::store::durable::{PART, failed};
use crate::store::state::{HubState, STATE_CAP};
use crate::tuf::trusted::Trusted;

const COPIES: [&str; 2] = ["state.a", "state.b"];

/// Why a store cannot be opened.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// Another process has it, or the disk fails.
    #[error(transparent)]
    Refused(#[from] Refusal),
    /// Neither copy of the state can be read: floors may be lost, so that this is never taken for a new hub.
    /// The way out is [`Store::start_over`], which sets both aside and is reported.
    #[error("both copies of the state in {} are unreadable: {}", folder.display(), damage.join("; "))]
    BothCopiesBad {
        /// The store.
        folder: PathBuf,
        /// What is wrong with each.
        damage: Vec<String>,
    },
}

/// The store, open and locked.
#[derive(Debug)]
pub struct Store<D> {
    disk: D,
    folder: PathBuf,
    state: HubState,
    /// Which copy holds it.
    copy: usize,
    /// Never given twice, even where a write failed half-way.
    next_counter: u64,
    /// Bytes that are left free for journal and telemetry.
    reserve: u64,
    _lock: Lock,
}

/// A store as found.
#[derive(Debug)]
pub struct Opened<D> {
    /// The store.
    pub store: Store<D>,
    /// What was found damaged and made good from the other copy.
    pub damage: Vec<Refusal>,
}

impl<D: Disk> Store<D> {
    /// Opens the store in a folder, whose parent exists. A folder without any state is that of a new hub and
    /// begins with the factory's root. `reserve` bytes of the disk are left free.
    pub fn open(
        disk: D,
        folder: &Path,
        factory_root: &[u8],
        limits: &Limits,
        reserve: u64,
    ) -> Result<Opened<D>, OpenError> {
        let lock = lock(&disk, folder)?;
        let mut states = Vec::new();
        let mut damage = Vec::new();
        for (copy, name) in COPIES.iter().enumerate() {
            match read_copy(&disk, &folder.join(name)) {
                Ok(Some(state)) => states.push((state, copy)),
                Ok(None) => {}
                Err(refusal) => damage.push(refusal),
            }
        }
        let newest = states.into_iter().max_by_key(|(state, _)| state.counter);
        if newest.is_none() && !damage.is_empty() {
            let damage = damage.iter().map(Refusal::to_string).collect();
            return Err(OpenError::BothCopiesBad { folder: folder.to_owned(), damage });
        }
        let (state, copy) = match newest {
            Some(newest) => newest,
            None => (HubState::begin(&Trusted::begin(factory_root, limits)?), 1),
        };
        let next_counter = state.counter + 1;
        let folder = folder.to_owned();
        let mut store = Self { disk, folder, state, copy, next_counter, reserve, _lock: lock };
        store.tidy()?;
        store.tidy_downloads()?;
        for refusal in &damage {
            store.state.report(refusal);
        }
        Ok(Opened { store, damage })
    }

    /// Sets both copies of an unreadable state aside (`*.bad`) and begins with the factory's root: floors are
    /// lost, which is reported; the operator sees it by the floors a hub reports.
    pub fn start_over(
        disk: D,
        folder: &Path,
        factory_root: &[u8],
        limits: &Limits,
        reserve: u64,
    ) -> Result<Opened<D>, OpenError> {
        let lock = lock(&disk, folder)?;
        for name in COPIES {
            let (from, to) = (folder.join(name), folder.join(format!("{name}.bad")));
            match disk.rename(&from, &to) {
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                moved => moved.map_err(|error| failed("setting aside", &from, &error))?,
            }
        }
        disk.sync_folder(folder).map_err(|error| failed("fsync of the folder", folder, &error))?;
        drop(lock);
        let mut opened = Self::open(disk, folder, factory_root, limits, reserve)?;
        let refusal = Refusal::new(Reason::StorageFault, "state", "began anew; version floors are lost");
        let mut state = opened.store.state.clone();
        state.report(&refusal);
        opened.store.commit(state)?;
        opened.damage.push(refusal);
        Ok(opened)
    }

    /// What is remembered.
    pub fn state(&self) -> &HubState {
        &self.state
    }

    /// Remembers another state. When it fails, the old one holds, in memory and after a restart, unless the
    /// failure came so late that the new one is on the disk already: a restart then finds the new one.
    pub fn commit(&mut self, mut state: HubState) -> Result<(), Refusal> {
        state.counter = self.next_counter;
        self.next_counter += 1;
        let copy = 1 - self.copy;
        durable::write(&self.disk, &self.folder.join(COPIES[copy]), &state.to_bytes()?)?;
        self.copy = copy;
        self.state = state;
        Ok(())
    }

    /// Remembers what a refresh came to: what was trusted by its end, and the refusal that ended it, if one
    /// did. Writes nothing where nothing changed.
    pub fn commit_refresh(&mut self, trusted: &Trusted, refusal: Option<&Refusal>) -> Result<(), Refusal> {
        let mut state = self.state.clone();
        state.set_trusted(trusted);
        if let Some(refusal) = refusal {
            state.report(refusal);
        }
        if state == self.state { Ok(()) } else { self.commit(state) }
    }

    /// Removes what a power cut left behind.
    fn tidy(&self) -> Result<(), Refusal> {
        for name in self.list(&self.folder)?.iter().filter(|name| name.ends_with(PART)) {
            let file = self.folder.join(name);
            // A folder of that name is left alone; writing there will be refused.
            if let Err(error) = self.disk.remove(&file)
                && error.kind() != io::ErrorKind::IsADirectory
            {
                return Err(failed("removing a leftover", &file, &error));
            }
        }
        Ok(())
    }

    fn list(&self, folder: &Path) -> Result<Vec<String>, Refusal> {
        self.disk.list(folder).map_err(|error| failed("listing", folder, &error))
    }

    /// Refuses to write so many bytes where that would eat into the reserve.
    fn check_room(&self, bytes: u64) -> Result<(), Refusal> {
        let free = self.disk.free(&self.folder).map_err(|error| failed("statvfs", &self.folder, &error))?;
        if free < bytes.saturating_add(self.reserve) {
            let detail = format!("{free} bytes free, {bytes} needed and {} kept free", self.reserve);
            return Err(Refusal::new(Reason::DiskFull, self.folder.display().to_string(), detail));
        }
        Ok(())
    }
}

fn lock(disk: &impl Disk, folder: &Path) -> Result<Lock, Refusal> {
    disk.make_folder(folder).map_err(|error| failed("making the folder", folder, &error))?;
    // Without this the whole store may be gone after a power cut, and the hub take itself for a new one.
    let parent = folder.parent().unwrap_or(Path::new("."));
    disk.sync_folder(parent).map_err(|error| failed("fsync of the folder", parent, &error))?;
    let file = folder.join("lock");
    disk.lock(&file).map_err(|error| failed("locking", &file, &error))
}

/// One copy of the state; nothing where there is none.
fn read_copy(disk: &impl Disk, file: &Path) -> Result<Option<HubState>, Refusal> {
    match disk.read(file, STATE_CAP) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(failed("reading", file, &error)),
        Ok(bytes) => HubState::from_bytes(&bytes)
            .map(Some)
            .map_err(|why| Refusal::new(Reason::StorageFault, file.display().to_string(), why)),
    }
}
