//! `sunkeep-sim demo`: one home on Modbus, a hub as a process of its own in step with it, and its page.
//!
//! Starting, ending and the summary; the hub's process is in `process`, what a person sees in `live`, several homes with a
//! broker and ingest in `fleet`.

mod fleet;
mod live;
mod process;

use core::time::Duration;
use std::io::Write as _;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context as _, ensure};
use serde::Serialize;
use sunkeep_simulator::home::{HomeOptions, RunningHome};
use sunkeep_simulator::hub_config::{HubOptions, hub_toml};
use sunkeep_simulator::lockstep::{LockstepError, Schedule, Server};
use sunkeep_simulator::plant::{Plant, Summary};
use tokio::signal::unix::{SignalKind, signal};

use self::process::HubProcess;
use super::which_home::WhichHome;

/// Simulated length of a step.
const STEP: Duration = Duration::from_mins(1);
/// How long the hub may take over one step, real time; its first includes loading its models.
const PATIENCE: Duration = Duration::from_mins(2);
/// How long a hub that has said or done its last may take to end.
const LEAVE: Duration = Duration::from_secs(10);
/// Where the page is when nobody else is there.
const USUAL_PAGE: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(std::net::Ipv4Addr::LOCALHOST), 8080);
/// PIN of the page: it is on loopback, and printed.
const PIN: &str = "2468";
/// Simulated seconds for each real second, where a person looks on.
const SPEED: f64 = 1200.0;
/// Days that run without a person.
const HEADLESS_DAYS: f64 = 3.0;
/// Most days of a run: ten years.
const MOST_DAYS: f64 = 3660.0;

/// What to run.
#[derive(clap::Args)]
pub(super) struct Arguments {
    /// No live line and no pacing: as fast as the machine can, and then the summary.
    #[arg(long)]
    headless: bool,
    /// How many days to run; 3 if headless, else until Ctrl-C.
    #[arg(long)]
    days: Option<f64>,
    /// Print the summary as JSON, on one line.
    #[arg(long)]
    json: bool,
    /// Seed of the home; everything left to chance follows from it.
    #[arg(long, default_value_t = 4, conflicts_with = "site")]
    seed: u64,
    /// Simulated seconds for each real second: a day in 72 s unless told. One home alone, headless, runs as fast as it can.
    #[arg(long)]
    speed: Option<f64>,
    /// So many homes, with a broker and ingest into a lake: Enter pulls the link between them, and puts it back. Wants Mosquitto.
    #[arg(long, default_value_t = 1, value_name = "COUNT", value_parser = clap::value_parser!(u8).range(1..=9), conflicts_with = "site")]
    homes: u8,
    #[command(flatten)]
    which: WhichHome,
    /// Empty or missing folder in which configuration and journal are kept; without one they go at the end.
    #[arg(long)]
    dir: Option<PathBuf>,
    /// Have relays and charge controller on serial lines (pseudo-terminals) instead of TCP: slower.
    #[arg(long)]
    serial: bool,
}

/// What is printed at the end. But for the wall seconds the same seed gives the same bytes.
#[derive(Serialize)]
struct Report {
    /// Seed of the home; none for a recorded one.
    seed: Option<u64>,
    simulated_days: f64,
    wall_seconds: f64,
    /// Whether somebody ended the run before its time.
    ended_early: bool,
    home: Summary,
    /// What the hub says of itself; none if the run was ended early.
    hub: Option<serde_json::Value>,
}

/// Runs the command.
pub(super) fn run(arguments: &Arguments) -> anyhow::Result<ExitCode> {
    let days = arguments.days.unwrap_or(if arguments.headless { HEADLESS_DAYS } else { MOST_DAYS });
    ensure!(
        days > 0.0 && days <= MOST_DAYS,
        "--days is {days}, expected more than 0 and at most {MOST_DAYS}"
    );
    let speed = arguments.speed.unwrap_or(SPEED);
    ensure!((1.0..=1e6).contains(&speed), "--speed is {speed}, expected 1 to a million");
    ensure!(
        arguments.homes > 1 || !arguments.headless || arguments.speed.is_none(),
        "--speed and --headless: one home alone runs as fast as it can, expected one of them"
    );
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    if arguments.homes > 1 && runtime.block_on(fleet::play(arguments, speed, days))? {
        return Ok(ExitCode::SUCCESS);
    }
    let plant = arguments.which.plant(arguments.seed, Vec::new())?;
    let report = runtime.block_on(play(arguments, plant, speed, days))?;
    let mut out = std::io::stdout();
    if arguments.json {
        writeln!(out, "{}", serde_json::to_string(&report)?).context("cannot print the summary")?;
    } else {
        writeln!(out, "{}", live::summary(&report)).context("cannot print the summary")?;
    }
    Ok(ExitCode::SUCCESS)
}

/// Where configuration and journal lie; what the demo made for itself goes with it.
enum Folder {
    Kept(PathBuf),
    Own(tempfile::TempDir),
}

impl Folder {
    fn new(asked: Option<&Path>) -> anyhow::Result<Self> {
        let Some(dir) = asked else {
            let made = tempfile::Builder::new().prefix("sunkeep-demo-").tempdir();
            return Ok(Self::Own(made.context("cannot make a folder for the demo")?));
        };
        let shown = dir.display();
        std::fs::create_dir_all(dir).with_context(|| format!("cannot make the folder {shown}"))?;
        let dir = dir.canonicalize().with_context(|| format!("cannot find the folder {shown}"))?;
        let mut entries = std::fs::read_dir(&dir).with_context(|| format!("cannot list {shown}"))?;
        ensure!(entries.next().is_none(), "--dir {shown} holds files, expected an empty or missing folder");
        Ok(Self::Kept(dir))
    }

    fn path(&self) -> &Path {
        match self {
            Self::Kept(dir) => dir,
            Self::Own(dir) => dir.path(),
        }
    }
}

#[expect(clippy::disallowed_methods, reason = "a run's wall time is measured to be shown, never to decide")]
fn now() -> std::time::Instant {
    std::time::Instant::now()
}

async fn play(arguments: &Arguments, plant: Plant, speed: f64, days: f64) -> anyhow::Result<Report> {
    let began = now();
    // Listening begins before there is anything to leave behind.
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut terminate = signal(SignalKind::terminate())?;
    let folder = Folder::new(arguments.dir.as_deref())?;
    let mut options = HomeOptions::usual(Some(folder.path().into()));
    if !arguments.serial {
        options = options.over_tcp();
    }
    let home = RunningHome::start(plant, &options).await?;
    let server = Server::bind(0).await?;
    let page = free_page(arguments.headless)?;
    let config = configure(&home, folder.path(), page)?;
    if !arguments.headless {
        live::introduce(&home, page, PIN);
    }
    let mut hub = HubProcess::start(&config, server.address()?)?;
    let schedule = schedule(days, (!arguments.headless).then_some(speed));
    let ends = async {
        let show = async {
            if arguments.headless {
                std::future::pending::<()>().await;
            }
            live::show(&home, page).await;
        };
        tokio::select! {
            _ = interrupt.recv() => {}
            _ = terminate.recv() => {}
            () = show => {}
        }
    };
    let hub_said = in_step(&server, &home, schedule, &mut hub, ends).await?;
    let summary = home.summary(STEP);
    Ok(Report {
        seed: summary.seed,
        simulated_days: summary.days,
        wall_seconds: (began.elapsed().as_secs_f64() * 100.0).round() / 100.0,
        ended_early: hub_said.is_none(),
        home: summary,
        hub: hub_said,
    })
}

/// How many steps, and how fast; as fast as hub and machine can where no speed is given.
fn schedule(days: f64, speed: Option<f64>) -> Schedule {
    Schedule {
        step: STEP,
        ticks: (days * 86_400.0 / STEP.as_secs_f64()).ceil() as u64,
        patience: PATIENCE,
        pace: speed.map_or(Duration::ZERO, |speed| STEP.div_f64(speed)),
    }
}

/// Has home and hub live in step to the end of the schedule, or until `ends`; then the hub leaves. What the hub said of
/// itself; nothing where it was ended early.
async fn in_step(
    server: &Server,
    home: &RunningHome,
    schedule: Schedule,
    hub: &mut HubProcess,
    ends: impl Future<Output = ()>,
) -> anyhow::Result<Option<serde_json::Value>> {
    let said = {
        let run = server.run(home, schedule, |_| {});
        tokio::pin!(run);
        tokio::select! {
            biased;
            result = &mut run => Some(result),
            () = ends => None,
            () = hub.ended() => Some(last_words(&mut run).await),
        }
    };
    let hub_said = match said {
        None => None,
        Some(Ok(summary)) => Some(summary),
        Some(Err(error)) => {
            return Err(hub.failed(LEAVE).await.context(error.to_string()));
        }
    };
    // The home still answers while the hub leaves its relays in order.
    hub.leave(hub_said.is_none(), LEAVE).await?;
    Ok(hub_said)
}

/// A hub that has ended may have said its summary just before.
async fn last_words<T>(
    run: &mut (impl Future<Output = Result<T, LockstepError>> + Unpin),
) -> Result<T, LockstepError> {
    let patience = Duration::from_secs(1);
    tokio::time::timeout(patience, run).await.unwrap_or(Err(LockstepError::Gone))
}

/// The page's usual address, or another where that is taken; headless always another, for nobody looks.
fn free_page(headless: bool) -> anyhow::Result<SocketAddr> {
    let any = SocketAddr::new(USUAL_PAGE.ip(), 0);
    let listener = if headless {
        std::net::TcpListener::bind(any)
    } else {
        std::net::TcpListener::bind(USUAL_PAGE).or_else(|_| std::net::TcpListener::bind(any))
    };
    Ok(listener.context("cannot find a port for the page")?.local_addr()?)
}

/// Writes the hub's configuration and returns its path.
fn configure(home: &RunningHome, dir: &Path, page: SocketAddr) -> anyhow::Result<PathBuf> {
    let options = HubOptions {
        page: page.to_string(),
        pin: Some(PIN.into()),
        journal: dir.join("journal.sqlite").display().to_string(),
    };
    let text = home.with_plant(|plant| hub_toml(plant, home.buses(), &options))?;
    let file = dir.join("hub.toml");
    std::fs::write(&file, text).with_context(|| format!("cannot write {}", file.display()))?;
    Ok(file)
}
