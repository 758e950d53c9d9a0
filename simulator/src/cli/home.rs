//! `sunkeep-sim home`: one home on Modbus.

use core::time::Duration;
use std::io::Write;
use std::path::PathBuf;

use super::tell;
use super::which_home::WhichHome;
use anyhow::{Context, bail, ensure};
use serde::Serialize;
use sunkeep_simulator::home::{BusAddress, HomeOptions, RunningHome};
use sunkeep_simulator::hub_config::{HubOptions, hub_toml};
use sunkeep_simulator::lockstep::{Schedule, Server};
use sunkeep_simulator::plant::{GeneratorRun, Load, Plant, Summary};

/// How long a hub may take over one tick, real time.
const PATIENCE: Duration = Duration::from_mins(2);

/// What to run.
#[derive(clap::Args)]
pub(super) struct Arguments {
    /// Seed of the home; everything left to chance follows from it.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    #[command(flatten)]
    which: WhichHome,
    /// How many days to run.
    #[arg(long, default_value_t = 3.0)]
    days: f64,
    /// Simulated length of a step, s.
    #[arg(long, default_value_t = 60)]
    step: u64,
    /// Folder for home.json, hub.toml and the links to serial lines; made if it is missing.
    #[arg(long)]
    dir: PathBuf,
    /// Advance in step with a hub that connects to this port of 127.0.0.1 (0: any free port).
    #[arg(long, value_name = "PORT", conflicts_with = "speed")]
    lockstep: Option<u16>,
    /// Without lock-step: simulated seconds for each real second.
    #[arg(long, default_value_t = 60.0)]
    speed: f64,
    /// A generator or hand-switched charger: START,HOURS,WATTS, with START in hours after the beginning.
    #[arg(long, value_name = "START,HOURS,WATTS", conflicts_with = "site")]
    generator: Vec<String>,
    /// Reach all buses over TCP: without the silences of serial lines, a run is faster.
    #[arg(long)]
    tcp: bool,
    /// Address and port of the page in hub.toml.
    #[arg(long, default_value = "127.0.0.1:8080")]
    page: String,
    /// PIN of the page in hub.toml.
    #[arg(long)]
    pin: Option<String>,
    /// How long a device pauses within an answer that comes in two bursts, ms.
    #[arg(long, default_value_t = 20)]
    burst_pause: u64,
}

/// What home.json tells about a running home.
#[derive(Serialize)]
struct Description<'a> {
    seed: Option<u64>,
    site: Option<String>,
    zone: String,
    start_unix: i64,
    step_seconds: u64,
    battery_voltage: f64,
    battery_capacity_ah: f64,
    lockstep: Option<String>,
    buses: &'a [BusAddress],
    loads: Vec<Load>,
}

/// What is printed at the end.
#[derive(Serialize)]
struct Report {
    home: Summary,
    #[serde(skip_serializing_if = "Option::is_none")]
    hub: Option<serde_json::Value>,
}

/// Runs the command.
pub(super) fn run(arguments: &Arguments) -> anyhow::Result<()> {
    ensure!((1..=86_400).contains(&arguments.step), "--step is {}, expected 1 to 86400 s", arguments.step);
    ensure!(
        arguments.days > 0.0 && arguments.days <= 3660.0,
        "--days is {}, expected more than 0 and at most 3660",
        arguments.days
    );
    ensure!(
        arguments.speed > 0.0 && arguments.speed <= 1e6,
        "--speed is {}, expected more than 0 and at most a million",
        arguments.speed
    );
    let generator = arguments.generator.iter().map(|text| generator(text)).collect::<Result<_, _>>()?;
    let plant = arguments.which.plant(arguments.seed, generator)?;
    tokio::runtime::Builder::new_current_thread().enable_all().build()?.block_on(play(arguments, plant))
}

fn generator(text: &str) -> anyhow::Result<GeneratorRun> {
    let numbers: Vec<f64> = (text.split(',').map(str::parse).collect::<Result<_, _>>())
        .with_context(|| format!("--generator {text:?}, expected three numbers"))?;
    let &[start, hours, power] = numbers.as_slice() else {
        bail!("--generator {text:?}, expected START,HOURS,WATTS");
    };
    ensure!(
        numbers.iter().all(|number| (0.0..1e6).contains(number)),
        "--generator {text:?}, expected numbers from 0 to a million"
    );
    Ok(GeneratorRun { after: (start * 3600.0) as i64, lasts: (hours * 3600.0) as i64, power })
}

async fn play(arguments: &Arguments, plant: Plant) -> anyhow::Result<()> {
    let dir = &arguments.dir;
    std::fs::create_dir_all(dir).with_context(|| format!("cannot make the folder {}", dir.display()))?;
    let dir = dir.canonicalize().with_context(|| format!("cannot find the folder {}", dir.display()))?;
    let mut options = HomeOptions::usual(Some(dir.clone()));
    if arguments.tcp {
        options = options.over_tcp();
    }
    options.burst_pause = Duration::from_millis(arguments.burst_pause.min(1000));
    let home = RunningHome::start(plant, &options).await?;
    let server = match arguments.lockstep {
        Some(port) => Some(Server::bind(port).await?),
        None => None,
    };
    let lockstep = server.as_ref().map(Server::address).transpose()?.map(|address| address.to_string());
    describe(arguments, &home, lockstep.clone(), &dir)?;
    let ticks = (arguments.days * 86_400.0 / arguments.step as f64).ceil() as u64;
    let schedule = Schedule {
        step: Duration::from_secs(arguments.step),
        ticks,
        patience: PATIENCE,
        pace: Duration::ZERO,
    };
    let hub = tokio::select! {
        result = run_schedule(&home, server.as_ref(), schedule, arguments.speed) => result?,
        result = asked_to_end() => {
            result?;
            tell("asked to end; the summary covers what was run");
            None
        }
    };
    let report = Report { home: home.summary(schedule.step), hub };
    writeln!(std::io::stdout(), "{}", serde_json::to_string_pretty(&report)?)
        .context("cannot print the summary")
}

/// Returns on Ctrl-C or SIGTERM.
async fn asked_to_end() -> anyhow::Result<()> {
    let mut terminate = tokio::signal::unix::signal(tokio::signal::unix::SignalKind::terminate())?;
    tokio::select! {
        result = tokio::signal::ctrl_c() => result?,
        _ = terminate.recv() => {}
    }
    Ok(())
}

/// Writes home.json and says where things are.
fn describe(
    arguments: &Arguments,
    home: &RunningHome,
    lockstep: Option<String>,
    dir: &std::path::Path,
) -> anyhow::Result<()> {
    let readings = home.readings();
    let (zone, loads, summary) = home.with_plant(|plant| {
        (plant.zone().to_owned(), plant.loads(), plant.summary(Duration::from_secs(arguments.step)))
    });
    for bus in home.buses() {
        tell(&format!("{:10} {}", bus.name, bus.address));
    }
    if let Some(address) = &lockstep {
        tell(&format!("lock-step  {address}"));
    }
    let description = Description {
        seed: summary.seed,
        site: summary.site,
        zone,
        start_unix: readings.unix,
        step_seconds: arguments.step,
        battery_voltage: readings.nominal_voltage,
        battery_capacity_ah: readings.battery_capacity,
        lockstep,
        buses: home.buses(),
        loads,
    };
    let hub = HubOptions {
        page: arguments.page.clone(),
        pin: arguments.pin.clone(),
        journal: dir.join("journal.sqlite").display().to_string(),
    };
    let config = home.with_plant(|plant| hub_toml(plant, home.buses(), &hub))?;
    std::fs::write(dir.join("hub.toml"), config)
        .with_context(|| format!("cannot write hub.toml in {}", dir.display()))?;
    // Last, and renamed into place, so that whoever waits for the file never reads half of it.
    let (file, half) = (dir.join("home.json"), dir.join("home.json.new"));
    std::fs::write(&half, serde_json::to_vec_pretty(&description)?)
        .and_then(|()| std::fs::rename(&half, &file))
        .with_context(|| format!("cannot write {}", file.display()))
}

async fn run_schedule(
    home: &RunningHome,
    server: Option<&Server>,
    schedule: Schedule,
    speed: f64,
) -> anyhow::Result<Option<serde_json::Value>> {
    let ticks_a_day = (86_400.0 / schedule.step.as_secs_f64()).ceil() as u64;
    let progress = |made: u64| {
        if made.is_multiple_of(ticks_a_day) {
            let readings = home.readings();
            tell(&format!(
                "day {:4}  battery {:3.0} % {:6.2} V  sun {:5.0} W  load {:5.0} W",
                made / ticks_a_day,
                readings.charge * 100.0,
                readings.battery_voltage,
                readings.pv_power,
                readings.load_power
            ));
        }
    };
    if let Some(server) = server {
        return Ok(Some(server.run(home, schedule, progress).await?));
    }
    let mut clock = tokio::time::interval(schedule.step.div_f64(speed));
    for made in 1..=schedule.ticks {
        clock.tick().await;
        home.advance(schedule.step);
        progress(made);
    }
    Ok(None)
}
