//! `sunkeep run`: puts the hub together, runs cycles until told to stop, and leaves in an orderly way.

use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::{mpsc, watch};
use tokio::time::MissedTickBehavior;

use super::{CliError, ConfigFile};
use crate::bus_task::BusTask;
use crate::clock::{Clock, Now, SystemClock};
use crate::config::Home;
use crate::driver::Output;
use crate::faults::Fault;
use crate::forecasts::{Forecasting, sun_forecaster};
use crate::hub::{Hub, Parts, Patience};
use crate::lockstep::Lockstep;
use crate::records::{Memory, Records};
use crate::watchdog::Watchdog;
use crate::{buses, page};

/// Reports of buses that may wait for the cycle.
const MOST_REPORTS: usize = 256;
/// Requests of persons that may wait for the cycle.
const MOST_ASKS: usize = 16;
/// How long the first cycle waits to see all relays.
const RELAYS_WITHIN: Duration = Duration::from_secs(3);

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
    }
    if let Some(now) = last {
        hub.stop(now).await;
    }
    let summary = serde_json::json!({ "counts": hub.counts() });
    // The simulation may be gone already when a person stopped the hub.
    if let Err(error) = lockstep.summary(&summary).await {
        tracing::debug!("{error}");
    }
    Ok(())
}

/// Builds the hub of a home and starts what runs beside it.
async fn put_together(home: &Arc<Home>) -> Result<Hub, CliError> {
    let (reporter, reports) = mpsc::channel(MOST_REPORTS);
    let mut tasks = Vec::new();
    let mut task_of: Vec<(Output, usize)> = Vec::new();
    for (bus, driver) in buses::modbus(&home.wiring)? {
        let number = tasks.len();
        tasks.push(BusTask::start(driver, number, reporter.clone()));
        let on_bus = home.wiring.relays.iter().filter(|relay| home.wiring.bus_of(relay.output) == Some(bus));
        task_of.extend(on_bus.map(|relay| (relay.output, number)));
    }
    let settings = Arc::new(home.settings.clone());
    let forecasting = Forecasting::start(settings, home.zone.clone(), sun_forecaster(home)?)
        .map_err(|source| CliError::System { what: "cannot start the forecasting thread".into(), source })?;
    let (records, memory, unopened) = match Records::open(&home.journal, &home.settings, &home.text) {
        Ok((records, memory)) => (Some(records), memory, None),
        Err(error) => (None, Memory::default(), Some(format!("There is no journal: {error}."))),
    };
    let (ask, asks) = mpsc::channel(MOST_ASKS);
    let (view, watch) = watch::channel(None);
    let mut hub = Hub::new(Parts {
        home: Arc::clone(home),
        tasks,
        task_of,
        reports,
        memory,
        records,
        forecasting,
        asks,
        view,
        watchdog: Watchdog::open(home.watchdog.as_deref()),
    });
    if unopened.is_some() {
        hub.faults().set(Fault::Journal, unopened);
    }
    serve_page(home, &mut hub, watch, ask).await;
    Ok(hub)
}

/// Serves the page; a hub without one still keeps the lights on.
async fn serve_page(
    home: &Home,
    hub: &mut Hub,
    watch: watch::Receiver<Option<Arc<crate::view::View>>>,
    ask: mpsc::Sender<sunkeep_core::image::Request>,
) {
    match tokio::net::TcpListener::bind(home.page.listen).await {
        Ok(listener) => {
            tracing::info!("page at http://{}", home.page.listen);
            let page = home.page.clone();
            tokio::spawn(async move {
                if let Err(error) = page::serve(listener, page, watch, ask).await {
                    tracing::error!("the page has ended: {error}");
                }
            });
        }
        Err(error) => {
            let sentence = format!("The page cannot be served at {}: {error}.", home.page.listen);
            hub.faults().set(Fault::Page, Some(sentence));
        }
    }
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
