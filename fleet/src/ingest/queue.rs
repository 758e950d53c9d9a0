//! The queue between the task that keeps the connection and the thread that collects: bounded in messages and bytes.

use core::time::Duration;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, TrySendError, sync_channel};

use bytes::Bytes;

use super::broker::Broker;
use super::held::Delivery;

/// Bytes that wait for the thread that collects.
const MOST_QUEUED: usize = 256 << 20;

/// A message that has arrived.
#[derive(Debug)]
pub(super) struct Arrived {
    /// What to acknowledge; `None` for one that wants no acknowledgement.
    pub(super) delivery: Option<Delivery>,
    pub(super) topic: Bytes,
    pub(super) payload: Bytes,
    pub(super) received_ms: i64,
}

/// The end of the queue that arrivals come out of.
pub(super) struct Arrivals {
    queue: Receiver<Arrived>,
    bytes: Arc<AtomicUsize>,
}

/// The end that they go into. It takes what may be unacknowledged twice: once of an old connection, once of a new one.
pub(super) struct Arriving {
    queue: SyncSender<Arrived>,
    bytes: Arc<AtomicUsize>,
}

/// Makes the queue between the link and the thread that collects.
pub(super) fn queue(broker: &Broker) -> (Arriving, Arrivals) {
    let (into, out) = sync_channel(2 * usize::from(broker.in_flight));
    let bytes = Arc::new(AtomicUsize::new(0));
    (Arriving { queue: into, bytes: bytes.clone() }, Arrivals { queue: out, bytes })
}

impl Arrivals {
    /// The next one, if it comes in time.
    pub(super) fn next(&self, wait: Duration) -> Result<Arrived, RecvTimeoutError> {
        let arrived = self.queue.recv_timeout(wait)?;
        self.bytes.fetch_sub(arrived.payload.len(), Ordering::Relaxed);
        Ok(arrived)
    }
}

impl Arriving {
    /// Puts one in, if there is room.
    pub(super) fn offer(&self, arrived: Arrived) -> Result<(), TrySendError<Arrived>> {
        let bytes = arrived.payload.len();
        if self.bytes.load(Ordering::Relaxed) + bytes > MOST_QUEUED {
            return Err(TrySendError::Full(arrived));
        }
        // First, for the other end subtracts it as soon as it has it.
        self.bytes.fetch_add(bytes, Ordering::Relaxed);
        let offered = self.queue.try_send(arrived);
        if offered.is_err() {
            self.bytes.fetch_sub(bytes, Ordering::Relaxed);
        }
        offered
    }
}
