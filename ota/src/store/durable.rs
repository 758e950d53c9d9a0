//! Writing so that a power cut leaves the old file or the new one: temporary file, fsync, rename, fsync of the
//! folder. What is written belongs to the callers.

use std::io;
use std::path::{Path, PathBuf};

use crate::reason::{Reason, Refusal};
use crate::store::disk::Disk;

/// Ending of files that are not complete; whatever bears it after a restart is rubbish.
pub(crate) const PART: &str = ".part";

/// A failed file operation as a refusal.
pub(crate) fn failed(step: &str, file: &Path, error: &io::Error) -> Refusal {
    let reason = match error.kind() {
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => Reason::DiskFull,
        io::ErrorKind::IsADirectory
        | io::ErrorKind::NotADirectory
        | io::ErrorKind::AlreadyExists
        | io::ErrorKind::FileTooLarge => Reason::BadFile,
        // O_NOFOLLOW met a link.
        _ if error.raw_os_error() == Some(rustix::io::Errno::LOOP.raw_os_error()) => Reason::BadFile,
        io::ErrorKind::WouldBlock => Reason::Locked,
        _ => Reason::StorageFault,
    };
    Refusal::new(reason, file.display().to_string(), format!("{step}: {error}"))
}

/// Writes a file whole, in place of an older one. When it returns, the file outlives a power cut; when it
/// fails, or power is cut before, the file is as it was or as it should become.
pub(crate) fn write(disk: &impl Disk, file: &Path, bytes: &[u8]) -> Result<(), Refusal> {
    let part = part_of(file);
    let folder = file.parent().unwrap_or(Path::new("."));
    let step =
        |name: &'static str, at: &Path, done: io::Result<()>| done.map_err(|error| failed(name, at, &error));
    // What an earlier cut left behind. A link goes by itself, not what it points to.
    step("removing a leftover", &part, disk.remove(&part))?;
    let written = step("writing", &part, disk.create(&part, bytes))
        .and_then(|()| step("fsync", &part, disk.sync(&part)))
        .and_then(|()| step("rename", &part, disk.rename(&part, file)));
    if written.is_err() {
        // On a full disk the rubbish would stay in the way; if this fails too, the next start removes it.
        let _ = disk.remove(&part);
    }
    written?;
    step("fsync of the folder", folder, disk.sync_folder(folder))
}

/// The temporary name beside a file.
fn part_of(file: &Path) -> PathBuf {
    let mut name = file.file_name().unwrap_or_default().to_owned();
    name.push(PART);
    file.with_file_name(name)
}
