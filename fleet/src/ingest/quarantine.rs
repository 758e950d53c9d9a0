//! Messages that were not taken: how many of them are kept, and as which rows.
//!
//! All are counted. Kept are so many of each hub and hour, and so many of all hubs together, so that a hub that
//! floods fills neither the lake nor the memory.

use std::collections::HashMap;
use std::sync::Arc;

use arrow_array::{ArrayRef, BinaryArray, Int64Array, RecordBatch, StringArray, TimestampMillisecondArray};
use arrow_schema::ArrowError;
use bytes::Bytes;
use sunkeep_models::lake;

use super::judge::hub_of;

/// Kept of a hub in an hour.
pub(super) const MOST_OF_HUB: u32 = 20;
/// Kept of all hubs in an hour.
pub(super) const MOST_OF_ALL: u32 = 2000;
/// Bytes that are kept of a message.
pub(super) const MOST_BYTES: usize = 64 << 10;
/// Bytes that are kept of a topic.
const MOST_TOPIC: usize = 256;
const HOUR_MS: i64 = 3_600_000;

/// A message that was not taken.
#[derive(Debug)]
pub(super) struct Quarantined {
    pub(super) received_ms: i64,
    topic: String,
    reason: String,
    length: i64,
    bytes: Bytes,
}

impl Quarantined {
    pub(super) fn new(received_ms: i64, topic: &str, reason: String, payload: &Bytes) -> Self {
        // A copy: a slice would hold all that came with it.
        let bytes = Bytes::copy_from_slice(&payload[..payload.len().min(MOST_BYTES)]);
        let topic = topic.chars().take(MOST_TOPIC / 4).collect();
        Self { received_ms, topic, reason, length: payload.len() as i64, bytes }
    }

    /// Bytes that are held of it.
    pub(super) fn bytes(&self) -> usize {
        self.bytes.len() + self.topic.len() + self.reason.len()
    }
}

/// What was kept in this hour.
#[derive(Debug, Default)]
pub(super) struct Allowance {
    hour: i64,
    all: u32,
    hubs: HashMap<String, u32>,
}

impl Allowance {
    /// Whether one more of the hub of this topic is kept. Topics that are of no hub share one allowance.
    pub(super) fn allows(&mut self, topic: &str, received_ms: i64) -> bool {
        let hour = received_ms.div_euclid(HOUR_MS);
        if hour != self.hour {
            *self = Self { hour, ..Self::default() };
        }
        if self.all >= MOST_OF_ALL {
            return false;
        }
        let hub: String = hub_of(topic).unwrap_or_default().chars().take(MOST_TOPIC / 4).collect();
        let kept = self.hubs.entry(hub).or_default();
        if *kept >= MOST_OF_HUB {
            return false;
        }
        *kept += 1;
        self.all += 1;
        true
    }
}

/// The rows of messages.
pub(super) fn rows(messages: &[Quarantined]) -> Result<RecordBatch, ArrowError> {
    let received = TimestampMillisecondArray::from_iter_values(messages.iter().map(|one| one.received_ms));
    let columns: Vec<ArrayRef> = vec![
        Arc::new(received.with_timezone("UTC")),
        Arc::new(StringArray::from_iter_values(messages.iter().map(|one| &one.topic))),
        Arc::new(StringArray::from_iter_values(messages.iter().map(|one| &one.reason))),
        Arc::new(Int64Array::from_iter_values(messages.iter().map(|one| one.length))),
        Arc::new(BinaryArray::from_iter_values(messages.iter().map(|one| &one.bytes))),
    ];
    RecordBatch::try_new(lake::quarantine(), columns)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hub_that_floods_takes_its_own_share_and_no_more() {
        let mut allowance = Allowance::default();
        let topic = |hub: u32| format!("sunkeep/v1/hub-{hub}/up/telemetry");
        let kept = |allowance: &mut Allowance, hub, times, at| {
            (0..times).filter(|_| allowance.allows(&topic(hub), at)).count() as u32
        };
        assert_eq!(kept(&mut allowance, 0, 1000, 1), MOST_OF_HUB);
        assert_eq!(kept(&mut allowance, 1, 1, 2), 1);
        let all: u32 = (0..1000).map(|hub| kept(&mut allowance, hub, 5, 3)).sum();
        assert_eq!(all + MOST_OF_HUB + 1, MOST_OF_ALL);
        assert!(allowance.hubs.len() <= MOST_OF_ALL as usize);
        assert_eq!(kept(&mut allowance, 0, 1000, HOUR_MS), MOST_OF_HUB, "the next hour");
    }
}
