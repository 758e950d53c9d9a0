//! The way to the fleet: a thread of its own that brings what the journal holds to a broker and deletes nothing that
//! the broker has not acknowledged.
//!
//! ```text
//!   journal (outbox) --messages--> session --MQTT--> link (TLS, byte meter) --> broker
//!        ^                            |
//!        +------ acknowledged --------+
//! ```
//!
//! The cycle never waits for it. When telemetry is due is said in `pace`, what a message holds in `messages`. Whatever
//! goes wrong ends the session; the next begins after a pause at the first record that was not acknowledged.

mod link;
mod messages;
mod meter;
mod mqtt;
mod pace;
mod session;
mod tls;

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use serde::Serialize;
use tokio::sync::watch;

use crate::config;
use crate::journal::outbox::Sent;
use crate::view::View;

use meter::Meter;
use pace::Backoff;
use session::Progress;

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
}

/// Starts the thread. It waits for a journal, and ends with the process.
pub fn start(
    config: config::Uplink,
    source: watch::Receiver<Option<Source>>,
    view: watch::Receiver<Option<Arc<View>>>,
) -> std::io::Result<watch::Receiver<Standing>> {
    let (told, standing) = watch::channel(Standing::default());
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let uplink = Uplink { config, source, view, told, meter: Arc::default() };
    std::thread::Builder::new().name("uplink".into()).spawn(move || runtime.block_on(uplink.run()))?;
    Ok(standing)
}

/// What the thread owns.
struct Uplink {
    config: config::Uplink,
    source: watch::Receiver<Option<Source>>,
    view: watch::Receiver<Option<Arc<View>>>,
    told: watch::Sender<Standing>,
    meter: Arc<Meter>,
}

impl Uplink {
    /// One session after the other, until nobody wants the standing any more.
    async fn run(mut self) {
        let mut backoff = Backoff::default();
        let mut progress = Progress::new(&self.config);
        while !self.told.is_closed() {
            let Ok(source) = self.source.wait_for(Option::is_some).await.map(|source| source.clone()) else {
                return;
            };
            let Some(source) = source else { continue };
            let acknowledged = self.told.borrow().acknowledged;
            let ended =
                session::run(&self.config, &source, &mut self.view, &self.told, &self.meter, &mut progress)
                    .await;
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
