//! Chunks of downloads: each a file of its own, written whole, so that what is there is verified and a restart
//! fetches none of it again. A download is named by the hash of its content: chunks of two never mix.

use std::path::{Path, PathBuf};

use crate::digest::{from_hex, hex, sha256};
use crate::reason::{Reason, Refusal};
use crate::release::Release;
use crate::store::Store;
use crate::store::disk::Disk;
use crate::store::durable::{self, failed};

/// Downloads kept at once.
const DOWNLOADS_CAP: usize = 4;
const FOLDER: &str = "chunks";

/// What became of a chunk.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Put {
    /// It was missing and is on the disk now.
    New,
    /// It was there already; the bytes were not looked at.
    Known,
}

/// A download under way.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Download {
    sha256: [u8; 32],
    length: u64,
    size: u32,
    digests: Option<Vec<[u8; 32]>>,
    here: Vec<bool>,
}

impl Download {
    /// Chunks in all.
    pub fn count(&self) -> u32 {
        self.here.len() as u32
    }

    /// Chunks that are missing, lowest first.
    pub fn missing(&self) -> impl Iterator<Item = u32> + '_ {
        self.here.iter().enumerate().filter(|(_, here)| !**here).map(|(index, _)| index as u32)
    }

    /// One bit a chunk, 1 where it is here, the lowest chunk in the lowest bit of the first byte.
    pub fn bitmap(&self) -> Vec<u8> {
        self.here
            .chunks(8)
            .map(|eight| eight.iter().enumerate().map(|(bit, here)| u8::from(*here) << bit).sum())
            .collect()
    }

    /// Bytes of a chunk; nothing past the end.
    pub fn chunk_bytes(&self, index: u32) -> Option<usize> {
        let start = u64::from(index) * u64::from(self.size);
        let left = self.length.checked_sub(start).filter(|left| *left > 0)?;
        Some(left.min(u64::from(self.size)) as usize)
    }

    fn check(&self, index: u32, bytes: &[u8]) -> Result<(), Refusal> {
        let subject = format!("chunk {index} of {}", hex(&self.sha256));
        match self.chunk_bytes(index) {
            Some(expected) if expected == bytes.len() => {}
            expected => {
                let detail = format!("{} bytes, expected {expected:?}", bytes.len());
                return Err(Refusal::new(Reason::ChunkRange, subject, detail));
            }
        }
        let wrong = self.digests.as_ref().is_some_and(|all| all.get(index as usize) != Some(&sha256(bytes)));
        if wrong {
            return Err(Refusal::new(Reason::ChunkHash, subject, "its hash is not the signed one"));
        }
        Ok(())
    }

    fn folder(&self, store: &Path) -> PathBuf {
        store.join(FOLDER).join(hex(&self.sha256))
    }
}

fn name_of(index: u32) -> String {
    format!("{index:06}")
}

impl<D: Disk> Store<D> {
    /// Begins or goes on with the download of a release; chunks that are on the disk are verified again.
    pub fn download(&self, release: &Release) -> Result<Download, Refusal> {
        let count = release.length.div_ceil(u64::from(release.chunks.size)) as usize;
        let mut download = Download {
            sha256: release.sha256,
            length: release.length,
            size: release.chunks.size,
            digests: release.chunks.digests.clone(),
            here: vec![false; count],
        };
        let folder = download.folder(&self.folder);
        let names = self.list(&folder)?;
        if names.is_empty() {
            let others = self.list(&self.folder.join(FOLDER))?;
            if others.len() >= DOWNLOADS_CAP && !others.contains(&hex(&release.sha256)) {
                let detail = format!("{} downloads are under way", others.len());
                return Err(Refusal::new(Reason::CountCap, "downloads", detail));
            }
            self.check_room(release.length.saturating_mul(2))?;
            for folder in [&self.folder.join(FOLDER), &folder] {
                self.disk.make_folder(folder).map_err(|error| failed("making the folder", folder, &error))?;
                let parent = folder.parent().unwrap_or(&self.folder);
                self.disk.sync_folder(parent).map_err(|error| failed("fsync", parent, &error))?;
            }
        }
        for name in names {
            let file = folder.join(&name);
            let index = name.parse().ok().filter(|index| name_of(*index) == name);
            let good = index.and_then(|index| {
                let bytes = self.disk.read(&file, download.size as usize).ok()?;
                download.check(index, &bytes).ok().map(|()| index)
            });
            match good.and_then(|index| download.here.get_mut(index as usize)) {
                Some(here) => *here = true,
                // Torn, or of another cut: fetched again.
                None => self.disk.remove(&file).map_err(|error| failed("removing", &file, &error))?,
            }
        }
        Ok(download)
    }

    /// Keeps a chunk. A chunk that is here already is known, whatever the bytes now are.
    pub fn put_chunk(&self, download: &mut Download, index: u32, bytes: &[u8]) -> Result<Put, Refusal> {
        let known = download.here.get(index as usize) == Some(&true);
        if known {
            return Ok(Put::Known);
        }
        download.check(index, bytes)?;
        self.check_room(bytes.len() as u64)?;
        durable::write(&self.disk, &download.folder(&self.folder).join(name_of(index)), bytes)?;
        download.here[index as usize] = true;
        Ok(Put::New)
    }

    /// The content, when all chunks are here and its hash is the signed one. Otherwise all chunks are given
    /// up: one of them is wrong, and nothing says which.
    pub fn assemble(&self, download: &Download) -> Result<Vec<u8>, Refusal> {
        let subject = hex(&download.sha256);
        if let Some(index) = download.missing().next() {
            return Err(Refusal::new(Reason::OutOfOrder, subject, format!("chunk {index} is missing")));
        }
        let folder = download.folder(&self.folder);
        let mut content = Vec::with_capacity(download.length as usize);
        for index in 0..download.count() {
            let file = folder.join(name_of(index));
            let bytes = self
                .disk
                .read(&file, download.size as usize)
                .map_err(|error| failed("reading", &file, &error))?;
            content.extend(bytes);
        }
        if sha256(&content) != download.sha256 {
            self.forget_download(&download.sha256)?;
            let detail = "the whole has another hash; all chunks were given up";
            return Err(Refusal::new(Reason::ContentHash, subject, detail));
        }
        Ok(content)
    }

    /// Gives up all downloads but these: what the operator withdrew must not stand in the way for ever.
    pub fn keep_downloads(&self, wanted: &[[u8; 32]]) -> Result<(), Refusal> {
        for name in self.list(&self.folder.join(FOLDER))? {
            match from_hex(&name) {
                Some(sha256) if !wanted.contains(&sha256) => self.forget_download(&sha256)?,
                // One of these, or nothing of ours.
                _ => {}
            }
        }
        Ok(())
    }

    /// Removes folders of downloads that hold nothing: a power cut left them.
    pub(crate) fn tidy_downloads(&self) -> Result<(), Refusal> {
        for name in self.list(&self.folder.join(FOLDER))? {
            if let Some(sha256) = from_hex(&name)
                && self.list(&self.folder.join(FOLDER).join(&name))?.is_empty()
            {
                self.forget_download(&sha256)?;
            }
        }
        Ok(())
    }

    /// Gives a download up, or tidies after it.
    pub fn forget_download(&self, sha256: &[u8; 32]) -> Result<(), Refusal> {
        let folder = self.folder.join(FOLDER).join(hex(sha256));
        for name in self.list(&folder)? {
            let file = folder.join(name);
            self.disk.remove(&file).map_err(|error| failed("removing", &file, &error))?;
        }
        self.disk.remove_folder(&folder).map_err(|error| failed("removing", &folder, &error))
    }
}
