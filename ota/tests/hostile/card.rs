//! A card in memory that forgets what was not synced, stops or fails at a chosen step, and lies when told to.
//!
//! The fault model: bytes of a file that was not synced come back whole, cut, empty, or with zeros or rubbish at
//! the end; of the changes to a folder's names since its last sync, some first ones are there and the others
//! are not. A rename is there or not. What was synced stays, unless the card lies.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};
use std::rc::Rc;

use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use sunkeep_ota::store::disk::{Disk, Lock};

#[derive(Debug, Clone, PartialEq)]
enum Entry {
    Folder,
    File(usize),
}

#[derive(Debug, Clone)]
enum Change {
    Set(PathBuf, Entry),
    Rename(PathBuf, PathBuf),
    Remove(PathBuf),
}

impl Change {
    fn folder(&self) -> &Path {
        let (Self::Set(path, _) | Self::Rename(path, _) | Self::Remove(path)) = self;
        path.parent().unwrap()
    }

    fn apply(&self, names: &mut BTreeMap<PathBuf, Entry>) {
        match self {
            Self::Set(path, entry) => {
                names.insert(path.clone(), entry.clone());
            }
            Self::Rename(from, to) => {
                if let Some(entry) = names.remove(from) {
                    names.insert(to.clone(), entry);
                }
            }
            Self::Remove(path) => {
                names.remove(path);
            }
        }
    }
}

#[derive(Debug, Clone)]
struct Content {
    seen: Vec<u8>,
    on_medium: Option<Vec<u8>>,
}

/// What goes wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// Power is cut in this step; all later ones fail.
    Cut(usize),
    /// This step fails, once.
    Once(usize, io::ErrorKind),
    /// Every step that writes fails from this one on.
    From(usize, io::ErrorKind),
}

#[derive(Debug, Clone)]
struct Inside {
    names: BTreeMap<PathBuf, Entry>,
    names_on_medium: BTreeMap<PathBuf, Entry>,
    pending: Vec<Change>,
    contents: Vec<Content>,
    steps: usize,
    fault: Option<Fault>,
    lies: bool,
    unreadable: Option<PathBuf>,
    free: u64,
}

/// The card; clones are the same card.
#[derive(Debug, Clone)]
pub struct Card(Rc<RefCell<Inside>>);

impl Card {
    pub fn new() -> Self {
        let root = BTreeMap::from([(PathBuf::from("/"), Entry::Folder)]);
        Self(Rc::new(RefCell::new(Inside {
            names: root.clone(),
            names_on_medium: root,
            pending: Vec::new(),
            contents: Vec::new(),
            steps: 0,
            fault: None,
            lies: false,
            unreadable: None,
            free: 1 << 30,
        })))
    }

    /// Another card with the same on it.
    pub fn copy(&self) -> Self {
        Self(Rc::new(RefCell::new(self.0.borrow().clone())))
    }

    /// Arms a fault; steps count from now.
    pub fn arm(&self, fault: Option<Fault>) {
        let mut inside = self.0.borrow_mut();
        inside.fault = fault;
        inside.steps = 0;
    }

    pub fn steps(&self) -> usize {
        self.0.borrow().steps
    }

    /// From now on, syncing does nothing.
    pub fn lie(&self) {
        self.0.borrow_mut().lies = true;
    }

    pub fn set_free(&self, bytes: u64) {
        self.0.borrow_mut().free = bytes;
    }

    /// Reads of this file fail.
    pub fn make_unreadable(&self, file: Option<&str>) {
        self.0.borrow_mut().unreadable = file.map(PathBuf::from);
    }

    /// Changes the bytes of a file on the medium, as bad blocks would.
    pub fn corrupt(&self, file: &str, change: impl Fn(&mut Vec<u8>)) {
        let mut inside = self.0.borrow_mut();
        let Some(Entry::File(at)) = inside.names.get(Path::new(file)).cloned() else {
            panic!("no {file} on the card")
        };
        change(&mut inside.contents[at].seen);
        inside.contents[at].on_medium = Some(inside.contents[at].seen.clone());
    }

    pub fn files(&self) -> Vec<String> {
        self.0.borrow().names.keys().map(|path| path.display().to_string()).collect()
    }

    /// Power comes back: what is on the medium, as chance has it.
    pub fn reboot(&self, chance: &mut ChaCha8Rng) {
        let mut inside = self.0.borrow_mut();
        let mut names = inside.names_on_medium.clone();
        let mut reached: BTreeMap<PathBuf, bool> = BTreeMap::new();
        for change in inside.pending.clone() {
            let going = reached.entry(change.folder().to_owned()).or_insert(true);
            *going = *going && chance.random_range(0..4) > 0;
            if *going {
                change.apply(&mut names);
            }
        }
        for content in &mut inside.contents {
            let bytes = content.on_medium.clone().unwrap_or_else(|| {
                let mut bytes = content.seen.clone();
                let cut = chance.random_range(0..=bytes.len());
                match chance.random_range(0..5) {
                    0 => bytes.truncate(cut),
                    1 => bytes.clear(),
                    2 => bytes[cut..].fill(0),
                    3 => bytes[cut..].iter_mut().for_each(|byte| *byte ^= 0x5a),
                    _ => {}
                }
                bytes
            });
            *content = Content { seen: bytes.clone(), on_medium: Some(bytes) };
        }
        // What lies in a folder that is not there is not there either.
        let folders: Vec<PathBuf> = names
            .iter()
            .filter(|(_, entry)| **entry == Entry::Folder)
            .map(|(path, _)| path.clone())
            .collect();
        names.retain(|path, _| path.ancestors().skip(1).all(|above| folders.iter().any(|one| one == above)));
        inside.names = names.clone();
        inside.names_on_medium = names;
        inside.pending.clear();
        inside.fault = None;
        inside.lies = false;
    }

    /// One step that writes: whether it is done, and how it ends.
    fn step(&self, writes: impl FnOnce(&mut Inside) -> io::Result<()>) -> io::Result<()> {
        let mut inside = self.0.borrow_mut();
        inside.steps += 1;
        let step = inside.steps;
        match inside.fault {
            Some(Fault::Cut(at)) if step > at => return Err(io::Error::other("no power")),
            Some(Fault::Once(at, kind)) if step == at => return Err(kind.into()),
            Some(Fault::From(at, kind)) if step >= at => return Err(kind.into()),
            _ => {}
        }
        writes(&mut inside)?;
        if inside.fault == Some(Fault::Cut(step)) {
            return Err(io::Error::other("power is cut"));
        }
        Ok(())
    }

    fn change(&self, change: Change) -> io::Result<()> {
        self.step(|inside| {
            change.apply(&mut inside.names);
            inside.pending.push(change);
            Ok(())
        })
    }
}

impl Disk for Card {
    fn read(&self, file: &Path, cap: usize) -> io::Result<Vec<u8>> {
        let inside = self.0.borrow();
        if inside.unreadable.as_deref() == Some(file) {
            return Err(io::Error::other("bad block"));
        }
        match inside.names.get(file) {
            Some(Entry::File(at)) if inside.contents[*at].seen.len() <= cap => {
                Ok(inside.contents[*at].seen.clone())
            }
            Some(Entry::File(_)) => Err(io::ErrorKind::FileTooLarge.into()),
            Some(Entry::Folder) => Err(io::ErrorKind::IsADirectory.into()),
            None => Err(io::ErrorKind::NotFound.into()),
        }
    }

    fn list(&self, folder: &Path) -> io::Result<Vec<String>> {
        let inside = self.0.borrow();
        let names = inside.names.keys().filter(|path| path.parent() == Some(folder));
        Ok(names.filter_map(|path| Some(path.file_name()?.to_str()?.to_owned())).collect())
    }

    fn make_folder(&self, folder: &Path) -> io::Result<()> {
        if self.0.borrow().names.get(folder) == Some(&Entry::Folder) {
            return Ok(());
        }
        self.change(Change::Set(folder.to_owned(), Entry::Folder))
    }

    fn create(&self, file: &Path, bytes: &[u8]) -> io::Result<()> {
        self.step(|inside| {
            if inside.names.contains_key(file) {
                return Err(io::ErrorKind::AlreadyExists.into());
            }
            if inside.names.get(file.parent().unwrap()) != Some(&Entry::Folder) {
                return Err(io::ErrorKind::NotFound.into());
            }
            inside.contents.push(Content { seen: bytes.to_vec(), on_medium: None });
            let change = Change::Set(file.to_owned(), Entry::File(inside.contents.len() - 1));
            change.apply(&mut inside.names);
            inside.pending.push(change);
            Ok(())
        })
    }

    fn sync(&self, file: &Path) -> io::Result<()> {
        self.step(|inside| {
            let Some(Entry::File(at)) = inside.names.get(file).cloned() else {
                return Err(io::ErrorKind::NotFound.into());
            };
            if !inside.lies {
                inside.contents[at].on_medium = Some(inside.contents[at].seen.clone());
            }
            Ok(())
        })
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        if !self.0.borrow().names.contains_key(from) {
            return Err(io::ErrorKind::NotFound.into());
        }
        self.change(Change::Rename(from.to_owned(), to.to_owned()))
    }

    fn sync_folder(&self, folder: &Path) -> io::Result<()> {
        self.step(|inside| {
            if inside.lies {
                return Ok(());
            }
            let (now, later) =
                inside.pending.drain(..).partition::<Vec<_>, _>(|change| change.folder() == folder);
            for change in now {
                change.apply(&mut inside.names_on_medium);
            }
            inside.pending = later;
            Ok(())
        })
    }

    fn remove(&self, file: &Path) -> io::Result<()> {
        if !self.0.borrow().names.contains_key(file) {
            return Ok(());
        }
        self.change(Change::Remove(file.to_owned()))
    }

    fn remove_folder(&self, folder: &Path) -> io::Result<()> {
        self.remove(folder)
    }

    fn free(&self, _: &Path) -> io::Result<u64> {
        Ok(self.0.borrow().free)
    }

    fn lock(&self, _: &Path) -> io::Result<Lock> {
        Ok(Lock::unshared())
    }
}

/// The seed of a test, printed first; `SUNKEEP_SEED` repeats a run.
pub fn seeded() -> ChaCha8Rng {
    let seed = std::env::var("SUNKEEP_SEED").ok().and_then(|seed| seed.parse().ok()).unwrap_or(20_261_121);
    println!("SUNKEEP_SEED={seed}");
    ChaCha8Rng::seed_from_u64(seed)
}
