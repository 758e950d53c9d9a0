//! Files of a fleet's folder: secrets are their owner's alone, and what was there is never half overwritten.

use std::fs::{File, OpenOptions};
use std::io::{Read as _, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;

use super::ProvisionError;

/// Longest file that is read, bytes: an inventory of half a million hubs.
const MOST_BYTES: u64 = 64 << 20;

pub(crate) fn read(path: &Path) -> Result<String, ProvisionError> {
    let mut text = String::new();
    let file = File::open(path).map_err(failed(path, "opening it"))?;
    file.take(MOST_BYTES).read_to_string(&mut text).map_err(failed(path, "reading it"))?;
    Ok(text)
}

/// Writes a file that is not there yet.
pub(crate) fn write_new(path: &Path, mode: u32, text: &str) -> Result<(), ProvisionError> {
    let file = OpenOptions::new().write(true).create_new(true).mode(mode).open(path);
    let mut file = file.map_err(failed(path, "making it"))?;
    file.write_all(text.as_bytes()).and_then(|()| file.sync_all()).map_err(failed(path, "writing it"))
}

/// Writes a file in place of what is there: the old one or the new one stands there, whatever happens.
pub(crate) fn write_over(path: &Path, mode: u32, text: &str) -> Result<(), ProvisionError> {
    let mut name = path.as_os_str().to_owned();
    name.push(".new");
    let new = Path::new(&name);
    match std::fs::remove_file(new) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            return Err(failed(new, "removing it")(error));
        }
        _ => {}
    }
    write_new(new, mode, text)?;
    std::fs::rename(new, path).map_err(failed(path, "renaming its new version"))?;
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    File::open(folder).and_then(|folder| folder.sync_all()).map_err(failed(folder, "syncing it"))
}

pub(crate) fn failed(path: &Path, doing: &'static str) -> impl Fn(std::io::Error) -> ProvisionError {
    move |source| ProvisionError::File { path: path.into(), doing, source }
}
