//! `sunkeep run`: puts the hub together, runs cycles until told to stop, and leaves in an orderly way.

use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use sunkeep_core::image::Request;
use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::{mpsc, watch};
use tokio::time::MissedTickBehavior;

use super::{CliError, ConfigFile};
use crate::buses::Buses;
use crate::clock::{Clock, Now, SystemClock};
use crate::config::{self, Home};
use crate::forecasts::{Forecasting, sun_forecaster};
use crate::home_assistant;
use crate::hub::{Hub, Parts, Patience};
use crate::lockstep::Lockstep;
use crate::page;
use crate::records::{Memory, Records};
use crate::uplink;
use crate::view::View;
use crate::watchdog::Watchdog;

/// Reports of buses that may wait for the cycle.
const MOST_REPORTS: usize = 256;
/// Requests of persons that may wait for the cycle.
const MOST_ASKS: usize = 16;
/// How long the first cycle waits to see all relays.
const RELAYS_WITHIN: Duration = Duration::from_secs(3);
/// Time between two tries to serve the page.
const PAGE_AGAIN: Duration = Duration::from_secs(10);

/// Run the hub of a home until it is told to stop.
#[derive(Debug, clap::Args)]
pub(super) struct Run {
    #[command(flatten)]
    file: ConfigFile,
    /// Let a simulation at this address drive the clock, in step with every cycle
    #[arg(long, value_name = "HOST:PORT")]
    lockstep: Option<String>,
}

impl Run {
    pub(super) async fn run(self) -> Result<ExitCode, CliError> {
        let home = Arc::new(Home::read(&self.file.config)?);
        let mut stop = Stop::new()?;
        let mut hub = put_together(&home).await?;
        match self.lockstep {
            Some(address) => in_step(&mut hub, &address, &mut stop).await?,
            None => in_real_time(&mut hub, &mut stop).await,
        }
        if hub.is_to_restart() {
            return Err(start_anew());
        }
        Ok(ExitCode::SUCCESS)
    }
}

/// One cycle a second, until told to stop.
async fn in_real_time(hub: &mut Hub, stop: &mut Stop) {
    let clock = SystemClock;
    hub.look_at_relays(clock.now(), RELAYS_WITHIN).await;
    let mut seconds = tokio::time::interval(Duration::from_secs(1));
    seconds.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            biased;
            () = stop.told() => break,
            _ = seconds.tick() => hub.cycle(clock.now(), Patience::REAL_TIME).await,
        }
        if hub.is_to_restart() {
            return hub.leave();
        }
    }
    tracing::info!("stopping");
    hub.stop(clock.now()).await;
}

/// A cycle whenever the simulation says so, until it says stop.
async fn in_step(hub: &mut Hub, address: &str, stop: &mut Stop) -> Result<(), CliError> {
    let mut lockstep = Lockstep::connect(address).await?;
    let mut looked = false;
    let mut last: Option<Now> = None;
    loop {
        let tick = tokio::select! {
            biased;
            () = stop.told() => None,
            tick = lockstep.tick() => tick?,
        };
        let Some(now) = tick else { break };
        if !looked {
            hub.look_at_relays(now, RELAYS_WITHIN).await;
            looked = true;
        }
        hub.cycle(now, Patience::LOCKSTEP).await;
        last = Some(now);
        lockstep.done().await?;
        if hub.is_to_restart() {
            hub.leave();
            return Ok(());
        }
    }
    if let Some(now) = last {
        hub.stop(now).await;
    }
    // The simulation may be gone already when a person stopped the hub.
    if let Err(error) = lockstep.summary(&hub.summary()).await {
        tracing::debug!("{error}");
    }
    Ok(())
}

/// Becomes a new process of the same program with the same arguments, under the same number, so that whoever watches over it need
/// not know. Returns only if that fails.
fn start_anew() -> CliError {
    use std::os::unix::process::CommandExt as _;
    tracing::info!("starting anew, as the fleet asked");
    let failed = |source| CliError::System { what: "cannot start anew".into(), source };
    match std::env::current_exe() {
        Ok(program) => failed(std::process::Command::new(program).args(std::env::args_os().skip(1)).exec()),
        Err(source) => failed(source),
    }
}

/// Builds the hub of a home and starts what runs beside it.
async fn put_together(home: &Arc<Home>) -> Result<Hub, CliError> {
    let (reporter, reports) = mpsc::channel(MOST_REPORTS);
    let buses = Buses::start(&home.wiring, &reporter)?;
    let (records, mut memory) = match Records::open(&home.journal, &home.settings, &home.text) {
        Ok((records, memory)) => (Ok(records), memory),
        Err(error) => (Err(format!("There is no journal: {error}.")), Memory::default()),
    };
    let learnt = std::mem::take(&mut memory.learnt);
    let forecasting = Forecasting::start(home.zone.clone(), sun_forecaster(home)?, learnt)
        .map_err(|source| CliError::System { what: "cannot start the forecasting thread".into(), source })?;
    let (ask, asks) = mpsc::channel(MOST_ASKS);
    let (view, watch) = watch::channel(None);
    let page_fault = serve_page(home.page.clone(), watch.clone(), ask).await;
    if let Some(config) = home.home_assistant.clone() {
        home_assistant::start(config, watch.clone());
    }
    let (outbox, source) = watch::channel(None);
    let uplink = home.uplink.clone().map(|config| uplink::start(config, source, watch)).transpose();
    let uplink =
        uplink.map_err(|source| CliError::System { what: "cannot start the uplink".into(), source })?;
    Ok(Hub::new(Parts {
        home: Arc::clone(home),
        buses,
        reports,
        memory,
        records,
        forecasting,
        asks,
        view,
        page_fault,
        outbox,
        uplink,
        watchdog: Watchdog::open(home.watchdog.as_deref()),
    }))
}

/// Serves the page, and tries again while it cannot; a hub without one still keeps the lights on. Returns
/// where it says why it cannot.
async fn serve_page(
    page: config::Page,
    view: watch::Receiver<Option<Arc<View>>>,
    ask: mpsc::Sender<Request>,
) -> watch::Receiver<Option<String>> {
    let (fault, faults) = watch::channel(None);
    let mut listener = TcpListener::bind(page.listen).await;
    tokio::spawn(async move {
        let mut tries = tokio::time::interval(PAGE_AGAIN);
        loop {
            let error = match listener {
                Ok(listener) => {
                    fault.send_replace(None);
                    tracing::info!("page at http://{}", page.listen);
                    page::serve(listener, page.clone(), view.clone(), ask.clone()).await.err()
                }
                Err(error) => Some(error),
            };
            let why = error.map_or_else(|| "its server has ended".into(), |error| error.to_string());
            fault.send_replace(Some(format!("The page cannot be served at {}: {why}.", page.listen)));
            tries.tick().await;
            listener = TcpListener::bind(page.listen).await;
        }
    });
    faults
}

/// The signals that end a run.
struct Stop {
    terminate: tokio::signal::unix::Signal,
    interrupt: tokio::signal::unix::Signal,
}

impl Stop {
    fn new() -> Result<Self, CliError> {
        let listen = |kind| {
            signal(kind)
                .map_err(|source| CliError::System { what: "cannot listen for signals".into(), source })
        };
        Ok(Self { terminate: listen(SignalKind::terminate())?, interrupt: listen(SignalKind::interrupt())? })
    }

    async fn told(&mut self) {
        tokio::select! {
            _ = self.terminate.recv() => {},
            _ = self.interrupt.recv() => {},
        }
    }
}
