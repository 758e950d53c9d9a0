//! A lake in a folder of this machine. `object_store` does not have the system write files through to the disk,
//! so this does: file, rename, and every folder whose entries changed.

use std::collections::HashSet;
use std::fs::{self, File};
use std::io;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{SystemTime, UNIX_EPOCH};

use sunkeep_models::lake::EXTENSION;
use tempfile::NamedTempFile;

use super::{LakeError, LakeFile, MOST_FILES};

/// The names of drafts begin and end so; readers pass them over.
const DRAFT: (&str, &str) = (".draft-", ".half");
/// Deepest folder below the root: a table and four parts of an hour, and some to spare.
const DEEPEST: usize = 8;
/// Folders that are known to be on the disk.
const MOST_KNOWN: usize = 10_000;

/// A folder.
#[derive(Debug, Clone)]
pub struct Folder {
    root: PathBuf,
    /// Folders of which this process knows that they are on the disk. That they are there is not enough: another
    /// process may have made them a moment ago.
    known: Arc<Mutex<HashSet<PathBuf>>>,
}

impl Folder {
    pub(super) fn open(root: &Path) -> Result<Self, LakeError> {
        let shown = root.display().to_string();
        fs::create_dir_all(root).map_err(LakeError::file(&shown, "making the lake's folder"))?;
        let root = root.canonicalize().map_err(LakeError::file(&shown, "finding the lake's folder"))?;
        if let Some(parent) = root.parent() {
            sync(parent).map_err(LakeError::file(&shown, "writing the folder above it to the disk"))?;
        }
        Ok(Self { root, known: Arc::default() })
    }

    pub(super) fn draft(&self, name: &str) -> Result<NamedTempFile, LakeError> {
        let path = self.root.join(name);
        let folder = path.parent().unwrap_or(&self.root);
        self.make_folder(folder).map_err(LakeError::file(name, "making its folder"))?;
        tempfile::Builder::new()
            .prefix(DRAFT.0)
            .suffix(DRAFT.1)
            // Whoever trains may be somebody else than who ingests; the mask of the process has its say.
            .permissions(fs::Permissions::from_mode(0o666))
            .tempfile_in(folder)
            .map_err(LakeError::file(name, "making a draft of it"))
    }

    /// Makes what is missing of a folder, each entry durable before the next one is made.
    fn make_folder(&self, folder: &Path) -> io::Result<()> {
        let Ok(below) = folder.strip_prefix(&self.root) else {
            return Err(io::Error::other("a name that leads out of the lake"));
        };
        let known = || self.known.lock().unwrap_or_else(PoisonError::into_inner);
        if known().contains(folder) && folder.is_dir() {
            return Ok(());
        }
        let mut here = self.root.clone();
        for part in below.components() {
            let parent = here.clone();
            here.push(part);
            match fs::create_dir(&here) {
                Err(error) if error.kind() != io::ErrorKind::AlreadyExists => return Err(error),
                _ => sync(&parent)?,
            }
        }
        let mut known = known();
        if known.len() >= MOST_KNOWN {
            known.clear();
        }
        known.insert(folder.into());
        Ok(())
    }

    pub(super) fn publish(&self, name: &str, draft: NamedTempFile) -> Result<(), LakeError> {
        let path = self.root.join(name);
        draft.as_file().sync_all().map_err(LakeError::file(name, "writing it to the disk"))?;
        draft.persist(&path).map_err(|error| LakeError::file(name, "putting it in place")(error.error))?;
        sync(path.parent().unwrap_or(&self.root))
            .map_err(LakeError::file(name, "writing its folder to the disk"))
    }

    pub(super) fn read(&self, name: &str) -> Result<File, LakeError> {
        File::open(self.root.join(name)).map_err(LakeError::file(name, "opening it"))
    }

    pub(super) fn list(&self, below: &str) -> Result<Vec<LakeFile>, LakeError> {
        let mut files = Vec::new();
        self.walk(below, &mut |name, path| {
            if path.extension().is_none_or(|extension| extension != EXTENSION) {
                return Ok(());
            }
            let facts = match fs::metadata(path) {
                Ok(facts) => facts,
                // A compaction beside this one has removed it.
                Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
                Err(error) => return Err(LakeError::file(&name, "looking at it")(error)),
            };
            if files.len() >= MOST_FILES {
                return Err(LakeError::Files { name: below.into() });
            }
            let modified_ms = ms(facts.modified().unwrap_or(UNIX_EPOCH));
            files.push(LakeFile { name, bytes: facts.len(), modified_ms });
            Ok(())
        })?;
        Ok(files)
    }

    pub(super) fn remove(&self, names: &[&str]) -> Result<(), LakeError> {
        let mut folders: Vec<PathBuf> = Vec::new();
        for name in names {
            let path = self.root.join(name);
            match fs::remove_file(&path) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => {
                    return Err(LakeError::file(name, "removing it")(error));
                }
                _ => {}
            }
            if let Some(folder) = path.parent().filter(|folder| !folders.iter().any(|known| known == folder))
            {
                folders.push(folder.into());
            }
        }
        folders.iter().try_for_each(|folder| {
            sync(folder)
                .map_err(LakeError::file(&folder.display().to_string(), "writing the folder to the disk"))
        })
    }

    /// Removes the folders that files lay in, and those above, while they are empty; tables stay.
    pub(super) fn remove_empty(&self, names: &[&str]) -> Result<(), LakeError> {
        for name in names {
            let mut parts = Path::new(name).ancestors().skip(1).peekable();
            while let Some(folder) = parts.next() {
                let is_table = parts.peek().is_none_or(|above| above.as_os_str().is_empty());
                if is_table {
                    break;
                }
                match fs::remove_dir(self.root.join(folder)) {
                    Ok(()) => {}
                    Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                    Err(error) if error.kind() == io::ErrorKind::DirectoryNotEmpty => break,
                    Err(error) => {
                        let shown = folder.display().to_string();
                        return Err(LakeError::file(&shown, "removing the empty folder")(error));
                    }
                }
            }
        }
        Ok(())
    }

    pub(super) fn remove_drafts(&self, below: &str, before_ms: i64) -> Result<u64, LakeError> {
        let mut removed = 0;
        self.walk(below, &mut |name, path| {
            let file = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
            let written = fs::metadata(path).and_then(|facts| facts.modified()).map_or(i64::MAX, ms);
            if file.starts_with(DRAFT.0) && file.ends_with(DRAFT.1) && written < before_ms {
                fs::remove_file(path).map_err(LakeError::file(&name, "removing a draft"))?;
                removed += 1;
            }
            Ok(())
        })?;
        Ok(removed)
    }

    /// Shows every file below a folder; a folder that is not there has none.
    fn walk(
        &self,
        below: &str,
        show: &mut dyn FnMut(String, &Path) -> Result<(), LakeError>,
    ) -> Result<(), LakeError> {
        let mut open = vec![(self.root.join(below), 0)];
        while let Some((folder, depth)) = open.pop() {
            let shown = folder.display().to_string();
            let failed = LakeError::file(&shown, "listing it");
            let entries = match fs::read_dir(&folder) {
                Ok(entries) => entries,
                Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
                Err(error) => return Err(failed(error)),
            };
            for entry in entries {
                let entry = entry.map_err(&failed)?;
                let path = entry.path();
                if entry.file_type().map_err(&failed)?.is_dir() {
                    if depth < DEEPEST {
                        open.push((path, depth + 1));
                    }
                    continue;
                }
                let name = path.strip_prefix(&self.root).ok().and_then(Path::to_str).map(str::to_owned);
                if let Some(name) = name {
                    show(name, &path)?;
                }
            }
        }
        Ok(())
    }
}

/// Has the system write the entries of a folder to the disk.
fn sync(folder: &Path) -> io::Result<()> {
    File::open(folder)?.sync_all()
}

fn ms(time: SystemTime) -> i64 {
    let since = time.duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_millis()).unwrap_or(i64::MAX)
}
