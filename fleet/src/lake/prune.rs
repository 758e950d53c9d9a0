//! Retention: files of hours that are older than a fleet keeps go, table by table.

use sunkeep_models::lake::{EVENTS, QUARANTINE, TELEMETRY, WEATHER_FORECASTS, hour_of_folder};

use super::{Lake, LakeError, LakeFile};

/// The tables that lie in folders of hours, and so can be pruned by age.
pub const BY_HOUR: [&str; 4] = [TELEMETRY, EVENTS, QUARANTINE, WEATHER_FORECASTS];
/// Files that are removed before their folders are written to the disk.
const TOGETHER: usize = 1000;
const HOUR_MS: i64 = 3_600_000;

/// What was removed, or would be.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Pruned {
    /// Files.
    pub files: u64,
    /// Their length, bytes.
    pub bytes: u64,
    /// Files that stay.
    pub kept: u64,
    /// Files in no folder of an hour; they stay.
    pub unplaced: u64,
}

/// Removes the files of one of [`BY_HOUR`] whose hour had ended by `before_ms`; with `dry_run` only counts them. Done
/// again it goes on where it was stopped.
pub fn prune(lake: &Lake, table: &str, before_ms: i64, dry_run: bool) -> Result<Pruned, LakeError> {
    let mut done = Pruned::default();
    let mut old: Vec<LakeFile> = Vec::new();
    for file in lake.list(table)? {
        match hour_of_folder(&file.name) {
            None => done.unplaced += 1,
            Some(hour) if hour + HOUR_MS <= before_ms => {
                done.files += 1;
                done.bytes += file.bytes;
                old.push(file);
            }
            Some(_) => done.kept += 1,
        }
    }
    if !dry_run {
        for files in old.chunks(TOGETHER) {
            let names: Vec<&str> = files.iter().map(|file| file.name.as_str()).collect();
            lake.remove(&names)?;
            lake.remove_empty_folders(&names)?;
        }
    }
    Ok(done)
}
