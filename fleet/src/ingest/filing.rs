//! The thread that writes what was held into the lake. A batch stays here until all its files are durable; then,
//! and not before, its messages are acknowledged.

use core::time::Duration;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::Receiver;

use arrow_array::RecordBatch;
use arrow_schema::ArrowError;
use sunkeep_models::lake::{CORRECTIONS, EVENTS, EXTENSION, QUARANTINE, TELEMETRY, hour_folder};
use tokio::sync::mpsc::UnboundedSender;

use super::IngestError;
use super::counts::{Count, Counts};
use super::held::{Delivery, Held};
use super::{columns, happened, quarantine};
use crate::clock::{rest, steady};
use crate::lake::{Lake, LakeError, unique_name};

/// Waits after a file that could not be written: from, and at most.
const RETRY: (Duration, Duration) = (Duration::from_secs(1), Duration::from_secs(30));
/// Tries of a file once the process is to stop.
const LAST_TRIES: u32 = 3;
/// Names of files begin so.
const MADE: &str = "ingest";

/// Files batches until nobody hands over any more.
pub(super) fn run(
    lake: &Lake,
    batches: &Receiver<Held>,
    durable: &UnboundedSender<Vec<Delivery>>,
    stopping: &AtomicBool,
    counts: &Counts,
) -> Result<(), IngestError> {
    while let Ok(held) = batches.recv() {
        let filing = Filing { lake, stopping, counts };
        filing.file(&held).map_err(|source| IngestError::Lake { held: held.deliveries.len(), source })?;
        // Where nobody hears it, the broker sends them again, and readers drop the repeats.
        let _ = durable.send(held.deliveries);
    }
    Ok(())
}

struct Filing<'a> {
    lake: &'a Lake,
    stopping: &'a AtomicBool,
    counts: &'a Counts,
}

impl Filing<'_> {
    /// Writes one file after the other, so that the columns of one only are in memory.
    fn file(&self, held: &Held) -> Result<(), LakeError> {
        let begun = steady();
        let mut files = 0;
        for (hour, rows) in &held.rows {
            let written = self.written(TELEMETRY, Some(*hour), || columns::rows(&held.messages, rows))?;
            self.counts.add(Count::Records, written);
            files += 1;
        }
        for (hour, events) in &held.events {
            let written = self.written(EVENTS, Some(*hour), || happened::rows(events))?;
            self.counts.add(Count::Events, written);
            files += 1;
        }
        if !held.corrections.is_empty() {
            let rows = || happened::correction_rows(&held.corrections);
            self.counts.add(Count::Corrections, self.written(CORRECTIONS, None, rows)?);
            files += 1;
        }
        for (hour, messages) in &held.quarantine {
            self.written(QUARANTINE, Some(*hour), || quarantine::rows(messages))?;
            files += 1;
        }
        self.counts.add(Count::Files, files);
        tracing::info!(
            messages = held.deliveries.len(),
            records = held.records,
            files,
            ms = begun.elapsed().as_millis() as u64,
            "filed"
        );
        Ok(())
    }

    /// Writes a file, and tries again until that succeeds; how many rows it has.
    fn written(
        &self,
        table: &str,
        hour: Option<i64>,
        rows: impl Fn() -> Result<RecordBatch, ArrowError>,
    ) -> Result<u64, LakeError> {
        let folder = match hour {
            Some(hour) => format!("{table}/{}", hour_folder(hour)),
            None => table.to_owned(),
        };
        let rows = rows().map_err(LakeError::table(&folder, "making its rows"))?;
        let name = format!("{folder}/{}.{EXTENSION}", unique_name(MADE)?);
        let mut wait = RETRY.0;
        for tried in 1.. {
            match self.lake.write(&name, &rows) {
                Ok(()) => break,
                // Rows that Parquet refuses, it refuses always.
                Err(error @ LakeError::Table { .. }) => return Err(error),
                Err(error) if tried >= LAST_TRIES && self.stopping.load(Ordering::Relaxed) => {
                    return Err(error);
                }
                Err(error) => {
                    tracing::error!(
                        "{error}; nothing of it is acknowledged, next try in {} s",
                        wait.as_secs()
                    );
                    rest(wait);
                    wait = (wait * 2).min(RETRY.1);
                }
            }
        }
        Ok(rows.num_rows() as u64)
    }
}
