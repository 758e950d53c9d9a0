//! Trusted metadata in a folder under the names that the suite looks for.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::Context;
use sunkeep_ota::limits::Limits;
use sunkeep_ota::tuf::document::Kind;
use sunkeep_ota::tuf::refresh::Want;
use sunkeep_ota::tuf::trusted::{Floors, Trusted};

const OTHERS: [Kind; 3] = [Kind::Timestamp, Kind::Snapshot, Kind::Targets];
/// Beside the documents; not a document, so not `.json`.
const FLOORS: &str = "floors";

/// The folder.
pub(crate) struct Local(PathBuf);

impl Local {
    pub(crate) fn new(folder: PathBuf) -> Self {
        Self(folder)
    }

    pub(crate) fn init(&self, root: &Path) -> anyhow::Result<()> {
        fs::create_dir_all(&self.0)?;
        let bytes = fs::read(root).with_context(|| root.display().to_string())?;
        write(&self.0.join("root.json"), &bytes)
    }

    pub(crate) fn load(&self, limits: &Limits) -> anyhow::Result<Trusted> {
        let root = fs::read(self.file(Kind::Root)).context("no trusted root")?;
        let floors = match fs::read(self.0.join(FLOORS)) {
            Ok(bytes) => serde_json::from_slice(&bytes).context("reading the floors")?,
            Err(_) => Floors::default(),
        };
        let kept: Vec<(Kind, Vec<u8>)> =
            OTHERS.iter().filter_map(|kind| Some((*kind, fs::read(self.file(*kind)).ok()?))).collect();
        let kept: Vec<(Kind, &[u8])> = kept.iter().map(|(kind, bytes)| (*kind, bytes.as_slice())).collect();
        let (trusted, damage) = Trusted::restore(&root, &kept, floors, limits)?;
        for refusal in damage {
            eprintln!("left out: {refusal}");
        }
        Ok(trusted)
    }

    pub(crate) fn save(&self, trusted: &Trusted) -> anyhow::Result<()> {
        write(&self.0.join(FLOORS), &serde_json::to_vec(trusted.floors())?)?;
        for kind in [Kind::Root].into_iter().chain(OTHERS) {
            match trusted.bytes(kind) {
                Some(bytes) => write(&self.file(kind), bytes)?,
                None => drop(fs::remove_file(self.file(kind))),
            }
        }
        Ok(())
    }

    /// What is kept of a delegated role: bytes that nobody trusts yet.
    pub(crate) fn role(&self, role: &str) -> Option<Vec<u8>> {
        fs::read(self.0.join(format!("{}.json", escaped(role)))).ok()
    }

    pub(crate) fn keep_role(&self, role: &str, bytes: &[u8]) -> anyhow::Result<()> {
        write(&self.0.join(format!("{}.json", escaped(role))), bytes)
    }

    fn file(&self, kind: Kind) -> PathBuf {
        self.0.join(format!("{}.json", kind.name()))
    }
}

/// A name as one part of a path.
pub(crate) fn escaped(name: &str) -> String {
    let path = Want { role: name.to_owned(), version: None, cap: 0 }.path();
    path.trim_end_matches(".json").to_owned()
}

/// Writes a file whole.
pub(crate) fn write(file: &Path, bytes: &[u8]) -> anyhow::Result<()> {
    let part = file.with_extension("part");
    fs::write(&part, bytes).with_context(|| part.display().to_string())?;
    fs::rename(&part, file).with_context(|| file.display().to_string())
}
