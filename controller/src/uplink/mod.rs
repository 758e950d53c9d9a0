//! The way to the fleet: a thread of its own that brings what the journal holds to a broker and deletes nothing that
//! the broker has not acknowledged.
//!
//! ```text
//!   journal (outbox) --messages--> session --MQTT--> link (TLS, byte meter) --> broker
//!        ^                            |
//!        +------ acknowledged --------+
//! ```
//!
//! What the fleet sends goes the other way (`hears`), to the cycle. The cycle never waits for any of it. When telemetry is due is said in `pace`, what a message holds in `messages`. Whatever
//! goes wrong ends the session; the next begins after a pause at the first record that was not acknowledged.

mod hears;
mod link;
mod messages;
mod meter;
mod missed;
mod mqtt;
mod pace;
mod session;
mod template;
mod tls;

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use serde::Serialize;
use sunkeep_models::wire::down::Reported;
use tokio::sync::{mpsc, watch};

use crate::config;
use crate::journal::outbox::Sent;
use crate::told::{Again, Heard};
use crate::view::View;

use meter::Meter;
use pace::Backoff;
use session::Progress;

pub use template::{MOST_TEMPLATE, Template};

/// The journal as the uplink needs it.
#[derive(Debug, Clone)]
pub struct Source {
    /// Its file.
    pub path: PathBuf,
    /// Where to say what has arrived.
    pub sent: Sent,
}

/// How the uplink stands.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
pub struct Standing {
    /// Whether the broker answers.
    pub connected: bool,
    /// Why not, or why it does not take what it is sent, in a sentence; empty while all is well or nothing was tried.
    pub why: String,
    /// Records that the broker has not acknowledged.
    pub waiting: u64,
    /// Records that it has acknowledged since the start.
    pub acknowledged: u64,
    /// Bytes that went out on the line since the start, TLS included.
    pub bytes_out: u64,
    /// Bytes that came in.
    pub bytes_in: u64,
    /// Number of the newest report that the broker has since the start.
    #[serde(skip)]
    pub reported: Option<u64>,
}

/// What was heard and waits for the cycle.
const MOST_HEARD: usize = 8;
/// Requests for records that wait.
const MOST_AGAIN: usize = 4;

/// The cycle's end of the uplink.
#[derive(Debug)]
pub struct Uplink {
    /// How it stands.
    pub standing: watch::Receiver<Standing>,
    /// What the fleet sent.
    pub heard: mpsc::Receiver<Heard>,
    /// How the fleet is reached from now on.
    pub config: watch::Sender<config::Uplink>,
    /// The report for the fleet, and its number.
    pub report: watch::Sender<Option<(u64, Reported)>>,
    /// Records that are to be sent again.
    pub again: mpsc::Sender<Again>,
}

/// Starts the thread. It waits for a journal, and ends with the process.
pub fn start(
    config: config::Uplink,
    source: watch::Receiver<Option<Source>>,
    view: watch::Receiver<Option<Arc<View>>>,
) -> std::io::Result<Uplink> {
    let (told, standing) = watch::channel(Standing::default());
    let (says, heard) = mpsc::channel(MOST_HEARD);
    let (report, reports) = watch::channel(None);
    let (again, asked) = mpsc::channel(MOST_AGAIN);
    let (config, configs) = watch::channel(config);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let ends =
        Ends { config: configs, view, told, heard: says, reports, again: asked, meter: Arc::default() };
    std::thread::Builder::new().name("uplink".into()).spawn(move || runtime.block_on(ends.run(source)))?;
    Ok(Uplink { standing, heard, config, report, again })
}

/// The thread's ends of what it is connected by.
struct Ends {
    config: watch::Receiver<config::Uplink>,
    view: watch::Receiver<Option<Arc<View>>>,
    told: watch::Sender<Standing>,
    heard: mpsc::Sender<Heard>,
    reports: watch::Receiver<Option<(u64, Reported)>>,
    again: mpsc::Receiver<Again>,
    meter: Arc<Meter>,
}

impl Ends {
    /// One session after the other, until nobody wants the standing any more.
    async fn run(mut self, mut source: watch::Receiver<Option<Source>>) {
        let mut backoff = Backoff::default();
        let mut progress = Progress::default();
        while !self.told.is_closed() {
            let Ok(source) = source.wait_for(Option::is_some).await.map(|source| source.clone()) else {
                return;
            };
            let Some(source) = source else { continue };
            let acknowledged = self.told.borrow().acknowledged;
            let config = self.config.borrow_and_update().clone();
            let ended = session::run(&config, &source, &mut self, &mut progress).await;
            // Whoever got something through has found the way: what comes now is another trouble.
            if self.told.borrow().acknowledged > acknowledged {
                backoff = Backoff::default();
            }
            let pause = backoff.next();
            let why = ended.to_string();
            tracing::debug!("the uplink: {why}; next try in {} s", pause.as_secs());
            self.told.send_modify(|standing| {
                standing.connected = false;
                standing.why = why;
                (standing.bytes_out, standing.bytes_in) = self.meter.read();
            });
            wait(pause, &mut self.view).await;
        }
    }
}

/// Lets a pause pass, by the hub's own clock: where a simulation drives that faster than a real one, pauses are as long in
/// simulated time as they are in a home. Where the clock stands still, real time ends the pause.
#[expect(clippy::disallowed_methods, reason = "a pause between two tries on a real network")]
async fn wait(pause: Duration, view: &mut watch::Receiver<Option<Arc<View>>>) {
    let uptime_ms = |view: &Option<Arc<View>>| view.as_ref().map(|view| view.image.now.0);
    let began = uptime_ms(&view.borrow());
    let until = began.map(|began| began + pause.as_millis() as u64);
    let passed = async {
        let Some(until) = until else { return std::future::pending().await };
        if view.wait_for(|view| uptime_ms(view).is_some_and(|now| now >= until)).await.is_err() {
            // The hub is gone, and its clock with it.
            std::future::pending::<()>().await;
        }
    };
    tokio::select! {
        () = tokio::time::sleep(pause) => {}
        () = passed => {}
    }
}
