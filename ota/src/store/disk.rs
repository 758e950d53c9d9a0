//! The seam to the disk: the few operations by which the store writes, so that a test can fail or stop at each
//! of them. How they are put together is in `durable`.

use std::fmt;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use rustix::fs::{FlockOperation, OFlags, flock, statvfs};

/// Most entries of one folder that are looked at.
const LIST_CAP: usize = 4_096;

/// File operations, each of which may fail.
pub trait Disk: fmt::Debug {
    /// Bytes of a plain file; an error where it holds more than `cap`, or is no plain file.
    fn read(&self, file: &Path, cap: usize) -> io::Result<Vec<u8>>;
    /// Names in a folder; none where there is no folder.
    fn list(&self, folder: &Path) -> io::Result<Vec<String>>;
    /// Makes a folder, if it is not there, in a folder that is.
    fn make_folder(&self, folder: &Path) -> io::Result<()>;
    /// Writes a new file; an error where anything of that name exists.
    fn create(&self, file: &Path, bytes: &[u8]) -> io::Result<()>;
    /// Brings a file's bytes to the medium.
    fn sync(&self, file: &Path) -> io::Result<()>;
    /// Gives a file another name in its folder, in place of what had that name.
    fn rename(&self, from: &Path, to: &Path) -> io::Result<()>;
    /// Brings a folder's names to the medium.
    fn sync_folder(&self, folder: &Path) -> io::Result<()>;
    /// Takes a name away; no error where there is none.
    fn remove(&self, file: &Path) -> io::Result<()>;
    /// Takes an empty folder away; no error where there is none.
    fn remove_folder(&self, folder: &Path) -> io::Result<()>;
    /// Bytes free for this process.
    fn free(&self, folder: &Path) -> io::Result<u64>;
    /// Locks a file against all other processes; `WouldBlock` where another holds it.
    fn lock(&self, file: &Path) -> io::Result<Lock>;
}

/// Held as long as the store is open.
#[derive(Debug)]
pub struct Lock(#[expect(dead_code, reason = "dropping it unlocks")] Option<File>);

impl Lock {
    /// A lock that nothing contends for, for disks in memory.
    pub fn unshared() -> Self {
        Self(None)
    }
}

/// The file system.
#[derive(Debug, Clone, Copy, Default)]
pub struct FileSystem;

impl Disk for FileSystem {
    fn read(&self, file: &Path, cap: usize) -> io::Result<Vec<u8>> {
        // Without NONBLOCK a pipe in the file's place would hang the hub.
        let flags = OFlags::NOFOLLOW | OFlags::NONBLOCK;
        let open = OpenOptions::new().read(true).custom_flags(flags.bits() as i32).open(file)?;
        if !open.metadata()?.is_file() {
            return Err(io::Error::new(io::ErrorKind::IsADirectory, "not a plain file"));
        }
        let mut bytes = Vec::new();
        open.take(cap as u64 + 1).read_to_end(&mut bytes)?;
        if bytes.len() > cap {
            return Err(io::Error::new(io::ErrorKind::FileTooLarge, format!("more than {cap} bytes")));
        }
        Ok(bytes)
    }

    fn list(&self, folder: &Path) -> io::Result<Vec<String>> {
        let entries = match fs::read_dir(folder) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            entries => entries?,
        };
        // A name that is no text is none of ours.
        entries
            .take(LIST_CAP)
            .filter_map(|entry| entry.map(|entry| entry.file_name().into_string().ok()).transpose())
            .collect()
    }

    fn make_folder(&self, folder: &Path) -> io::Result<()> {
        match fs::create_dir(folder) {
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists && folder.is_dir() => Ok(()),
            made => made,
        }
    }

    fn create(&self, file: &Path, bytes: &[u8]) -> io::Result<()> {
        // create_new is O_EXCL, which follows no link either.
        let mut new = OpenOptions::new().write(true).create_new(true).mode(0o600).open(file)?;
        new.write_all(bytes)
    }

    fn sync(&self, file: &Path) -> io::Result<()> {
        File::open(file)?.sync_all()
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        fs::rename(from, to)
    }

    fn sync_folder(&self, folder: &Path) -> io::Result<()> {
        File::open(folder)?.sync_all()
    }

    fn remove(&self, file: &Path) -> io::Result<()> {
        match fs::remove_file(file) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
            removed => removed,
        }
    }

    fn remove_folder(&self, folder: &Path) -> io::Result<()> {
        match fs::remove_dir(folder) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
            removed => removed,
        }
    }

    fn free(&self, folder: &Path) -> io::Result<u64> {
        let stats = statvfs(folder)?;
        Ok(stats.f_bavail.saturating_mul(stats.f_frsize))
    }

    fn lock(&self, file: &Path) -> io::Result<Lock> {
        let flags = OFlags::NOFOLLOW.bits() as i32;
        let open =
            OpenOptions::new().write(true).create(true).truncate(false).custom_flags(flags).open(file)?;
        flock(&open, FlockOperation::NonBlockingLockExclusive)?;
        Ok(Lock(Some(open)))
    }
}
