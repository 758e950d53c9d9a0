//! Ingest: what hubs publish, from the broker into the lake.
//!
//! ```text
//! broker ─► link (a task: connects, acknowledges) ─► collect (a thread: judges, drops repeats, holds)
//!              ▲                                          │ when enough is held
//!              └────────── what is durable ◄── filing (a thread: writes Parquet files)
//! ```
//!
//! A message is acknowledged when every file that bears of it is durable, and not before; so whoever is killed here
//! loses nothing that the broker keeps. What the broker may send before it hears an acknowledgement is bounded (its
//! receive maximum), and with it what is held in memory. `INGEST.md` says it all for operators.
//!
//! Not here: how files become durable (`lake`), and the wire format (`sunkeep_models::wire`).

mod broker;
mod collect;
mod columns;
mod counts;
mod filing;
mod happened;
mod held;
mod judge;
mod link;
mod quarantine;
mod queue;
mod signals;
mod stores;

use core::time::Duration;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::thread::{Builder, JoinHandle};

use tokio::sync::mpsc::unbounded_channel;

pub use broker::{Broker, BrokerError, Tls};
pub use counts::{Count, Counts};
pub(crate) use stores::FLEET;

use crate::lake::{Lake, LakeError};

/// What an ingest does.
#[derive(Debug)]
pub struct Settings {
    /// Where the messages come from.
    pub broker: Broker,
    /// Where they go.
    pub lake: Lake,
    /// Longest that a message is held before it is filed.
    pub flush_every: Duration,
    /// Records that are filed as soon as they are held.
    pub flush_rows: usize,
}

/// Why an ingest ended.
#[derive(Debug, thiserror::Error)]
pub enum IngestError {
    /// Something about the broker that waiting does not better.
    #[error(transparent)]
    Broker(#[from] BrokerError),
    /// What was held could not be written.
    #[error("{held} messages were held and are not in the lake; the broker keeps them: {source}")]
    Lake {
        /// So many.
        held: usize,
        /// Why.
        source: LakeError,
    },
    /// The system gave no thread, or a thread ended in a panic.
    #[error("{0}")]
    Thread(String),
}

/// Ingests until the process is told to stop, by SIGTERM or SIGINT: then what is held is filed and acknowledged.
pub fn run(settings: Settings, counts: &Arc<Counts>) -> Result<(), IngestError> {
    run_knowing(settings, BTreeMap::new(), counts)
}

/// The same; a hub of which it is `known` at which site it is may speak for that site alone.
pub fn run_knowing(
    settings: Settings,
    known: BTreeMap<String, String>,
    counts: &Arc<Counts>,
) -> Result<(), IngestError> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.map_err(|error| IngestError::Thread(format!("no runtime: {error}")))?;
    let stopping = Arc::new(AtomicBool::new(false));
    let (durable, acknowledged) = unbounded_channel();
    let (hand_over, batches) = std::sync::mpsc::sync_channel(0);
    let (arrived, arrivals) = queue::queue(&settings.broker);
    let limits = collect::Limits::new(&settings);
    let filing = {
        let (counts, stopping, lake) = (counts.clone(), stopping.clone(), settings.lake);
        spawn("filing", move || filing::run(&lake, &batches, &durable, &stopping, &counts))?
    };
    let collecting = {
        let counts = counts.clone();
        spawn("collect", move || collect::run(&limits, known, &arrivals, &hand_over, &counts))?
    };
    let link = link::Link { broker: &settings.broker, stopping: &stopping, counts };
    let linked = runtime.block_on(link.serve(arrived, acknowledged));
    let panicked = |_| IngestError::Thread("a thread has panicked; what it held is with the broker".into());
    collecting.join().map_err(panicked)?;
    // What could not be written counts more than how the connection ended.
    filing.join().map_err(panicked)??;
    linked.map_err(IngestError::Broker)
}

fn spawn<T: Send + 'static>(
    name: &str,
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<JoinHandle<T>, IngestError> {
    let spawned = Builder::new().name(name.into()).spawn(work);
    spawned.map_err(|error| IngestError::Thread(format!("no thread for {name}: {error}")))
}
