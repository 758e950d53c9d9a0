//! The commands that write a lake, as they are asked for.

use core::time::Duration;
use std::collections::BTreeMap;
use std::io::IsTerminal as _;
use std::path::PathBuf;
use std::sync::Arc;

use sunkeep_fleet::clock::now_ms;
use sunkeep_fleet::ingest::{self, Broker, Counts, IngestError, Settings, Tls};
use sunkeep_fleet::lake::{Compaction, Lake, LakeError};
use sunkeep_fleet::provision::{Inventory, ProvisionError};
use tracing_subscriber::EnvFilter;

/// What can go wrong with a command.
#[derive(Debug, thiserror::Error)]
pub(crate) enum CommandError {
    #[error(transparent)]
    Ingest(#[from] IngestError),
    #[error(transparent)]
    Lake(#[from] LakeError),
    #[error(transparent)]
    Fleet(#[from] ProvisionError),
}

#[derive(clap::Args)]
pub(crate) struct IngestArguments {
    /// The broker, MQTT 5: mqtt://HOST:PORT or mqtts://HOST:PORT.
    #[arg(long, value_name = "URL")]
    broker: String,
    /// Who vouches for the broker, PEM; for mqtts.
    #[arg(long, value_name = "FILE")]
    ca: Option<PathBuf>,
    /// The certificate of this client, PEM; for mqtts.
    #[arg(long, value_name = "FILE")]
    certificate: Option<PathBuf>,
    /// The key of that certificate, PEM; for mqtts.
    #[arg(long, value_name = "FILE")]
    key: Option<PathBuf>,
    /// Folder of the fleet: a hub of its inventory may speak for its own site alone.
    #[arg(long, value_name = "FOLDER")]
    fleet: Option<PathBuf>,
    /// Name of this client, by which the broker keeps messages for it; each process needs its own.
    #[arg(long, default_value = "sunkeep-ingest", value_name = "NAME")]
    name: String,
    /// Processes of one group share the messages.
    #[arg(long, default_value = "ingest", value_name = "NAME")]
    group: String,
    /// The lake: a folder, or the URL of an object store.
    #[arg(long, value_name = "FOLDER|URL")]
    lake: String,
    /// Longest time that something is held before it is filed, s.
    #[arg(long, default_value_t = 60, value_name = "SECONDS", value_parser = clap::value_parser!(u64).range(1..=3600))]
    flush_seconds: u64,
    /// Records that are filed as soon as they are held.
    #[arg(long, default_value_t = 100_000, value_name = "ROWS", value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    flush_rows: u32,
    /// Messages that the broker may send before it hears an acknowledgement.
    #[arg(long, default_value_t = 2000, value_name = "MESSAGES", value_parser = clap::value_parser!(u16).range(2..=20_000))]
    in_flight: u16,
}

#[derive(clap::Args)]
pub(crate) struct CompactArguments {
    /// The lake: a folder, or the URL of an object store.
    #[arg(long, value_name = "FOLDER|URL")]
    lake: String,
    /// Files younger than this are left alone, minutes.
    #[arg(long, default_value_t = 90, value_name = "MINUTES", value_parser = clap::value_parser!(i64).range(0..=525_600))]
    older_than: i64,
}

impl IngestArguments {
    pub(crate) fn run(&self) -> Result<(), CommandError> {
        log_to_stderr();
        let tls = Tls { ca: self.ca.clone(), certificate: self.certificate.clone(), key: self.key.clone() };
        let broker = Broker::new(&self.broker, &self.name, &self.group, self.in_flight, &tls);
        let settings = Settings {
            broker: broker.map_err(IngestError::Broker)?,
            lake: Lake::open(&self.lake)?,
            flush_every: Duration::from_secs(self.flush_seconds),
            flush_rows: self.flush_rows as usize,
        };
        let counts = Arc::new(Counts::default());
        let ended = ingest::run_knowing(settings, self.known()?, &counts);
        println!("{counts}");
        Ok(ended?)
    }
}

impl IngestArguments {
    /// Of each hub of the inventory, the site.
    fn known(&self) -> Result<BTreeMap<String, String>, ProvisionError> {
        let Some(fleet) = &self.fleet else { return Ok(BTreeMap::new()) };
        let entries = Inventory::open(fleet)?.entries.into_iter().filter(|entry| !entry.revoked);
        Ok(entries.map(|entry| (entry.hub, entry.site)).collect())
    }
}

impl CompactArguments {
    /// How many folders were left as they are.
    pub(crate) fn run(&self) -> Result<usize, CommandError> {
        log_to_stderr();
        let lake = Lake::open(&self.lake)?;
        let done = Compaction::before(now_ms() - self.older_than * 60_000).run(&lake)?;
        println!(
            "{} folders: {} files became {}; {} rows, {} repeats dropped; {} drafts removed",
            done.folders, done.files, done.made, done.rows, done.repeats, done.drafts
        );
        Ok(done.left.len())
    }
}

/// What happens, line by line; how much of it by `RUST_LOG`.
pub(crate) fn log_to_stderr() {
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new("info,rumqttc=warn"));
    tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .with_ansi(std::io::stderr().is_terminal())
        .init();
}
