//! What an ingest has counted.

use core::fmt;
use std::sync::atomic::{AtomicU64, Ordering};

/// What is counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(usize)]
pub enum Count {
    /// Messages that came from the broker, those that it sent again among them.
    Messages,
    /// Records of telemetry that are in the lake.
    Records,
    /// Events that are in the lake.
    Events,
    /// Time stamps learnt late that are in the lake.
    Corrections,
    /// Events that told a time that no boot can have begun at.
    CorrectionsRefused,
    /// Records and events that were held already when they came again.
    Repeats,
    /// Records and events whose wall time nobody can have had: filed without it.
    WallsRefused,
    /// Messages that were not taken.
    Refused,
    /// Of these, messages of which only the count is kept.
    RefusedUnkept,
    /// Messages that nobody may acknowledge (quality of service 0) and that came when the queue was full.
    Dropped,
    /// Messages that were acknowledged.
    Acknowledged,
    /// Files that are in the lake.
    Files,
    /// Connections that were made.
    Connections,
}

const NAMES: [&str; 13] = [
    "messages",
    "records",
    "events",
    "corrections",
    "corrections refused",
    "repeats",
    "walls refused",
    "refused",
    "refused and not kept",
    "dropped",
    "acknowledged",
    "files",
    "connections",
];

/// Counters that threads share.
#[derive(Debug, Default)]
pub struct Counts([AtomicU64; NAMES.len()]);

impl Counts {
    /// Adds.
    pub fn add(&self, count: Count, more: u64) {
        self.0[count as usize].fetch_add(more, Ordering::Relaxed);
    }

    /// How many so far.
    pub fn get(&self, count: Count) -> u64 {
        self.0[count as usize].load(Ordering::Relaxed)
    }
}

impl fmt::Display for Counts {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (place, (name, count)) in NAMES.iter().zip(&self.0).enumerate() {
            let comma = if place == 0 { "" } else { ", " };
            write!(formatter, "{comma}{} {name}", count.load(Ordering::Relaxed))?;
        }
        Ok(())
    }
}
