//! Counts the bytes on the line: what a metered contract counts, but for the headers of TCP and IP.

use std::sync::atomic::{AtomicU64, Ordering};

/// Bytes since the start.
#[derive(Debug, Default)]
pub(super) struct Meter {
    out: AtomicU64,
    into: AtomicU64,
}

impl Meter {
    pub(super) fn went_out(&self, bytes: usize) {
        self.out.fetch_add(bytes as u64, Ordering::Relaxed);
    }

    pub(super) fn came_in(&self, bytes: usize) {
        self.into.fetch_add(bytes as u64, Ordering::Relaxed);
    }

    /// Out, in.
    pub(super) fn read(&self) -> (u64, u64) {
        (self.out.load(Ordering::Relaxed), self.into.load(Ordering::Relaxed))
    }
}
