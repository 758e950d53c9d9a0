//! Several homes, each with its hub and page, and the fleet's side: Mosquitto with certificates, ingest, a lake. The link of
//! all homes or of one can be pulled while they live; what waits then, and how it drains, is shown.
//!
//! Everything is set up as an operator would: `sunkeep-fleet provision`, `sunkeep join`, `mosquitto`, `sunkeep-fleet ingest`.

mod link;
mod office;
mod programs;

use core::time::Duration;
use std::ffi::OsStr;
use std::io::{IsTerminal as _, Write as _};
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;

use anyhow::{Context as _, anyhow};
use serde::Serialize;
use sunkeep_models::time::Zone;
use sunkeep_simulator::home::{HomeOptions, RunningHome};
use sunkeep_simulator::lockstep::{Schedule, Server};
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;

use super::process::HubProcess;
use super::{Arguments, Folder, configure, free_page, in_step, live, schedule};
use crate::cli::tell;
use link::Link;
use office::Office;

/// How often it is looked how it goes.
const EVERY: Duration = Duration::from_millis(500);
/// Minutes of telemetry in a message: three quarters of a second at the usual speed.
const TOGETHER: i64 = 15;
/// Lines of a person that wait to be read.
const MOST_LINES: usize = 8;
/// Name of the hubs, before their number.
const PREFIX: &str = "home";

/// What is printed at the end.
#[derive(Serialize)]
struct Report {
    ended_early: bool,
    homes: Vec<HomeReport>,
    /// Parquet files in the lake.
    lake_files: u64,
}

#[derive(Serialize, Default, Clone)]
struct HomeReport {
    hub: String,
    /// Records that the broker has acknowledged.
    acknowledged: u64,
    /// Records that waited when it was last looked, and at the most.
    waiting: u64,
    most_waiting: u64,
}

/// A home of the fleet, seen from outside.
struct Member {
    home: Arc<RunningHome>,
    page: SocketAddr,
    link: Link,
    report: HomeReport,
    charge: f64,
    connected: bool,
    unix: i64,
}

/// Runs the demo; false where there is no broker to run it with, which was told.
pub(super) async fn play(arguments: &Arguments, speed: f64, days: f64) -> anyhow::Result<bool> {
    let Some(mosquitto) = programs::mosquitto() else {
        tell(
            "several homes want an MQTT broker: Mosquitto is not installed (Debian: apt install mosquitto).",
        );
        tell("One home alone, without:");
        return Ok(false);
    };
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut terminate = signal(SignalKind::terminate())?;
    let operator = programs::sunkeep_fleet().await?;
    let folder = Folder::new(arguments.dir.as_deref())?;
    let mut office = Office::open(&mosquitto, &operator, folder.path(), arguments.homes).await?;
    let mut members = Vec::new();
    let mut lives = JoinSet::new();
    let (stop, stopped) = watch::channel(false);
    for number in 1..=arguments.homes {
        let (member, server, hub) = join(arguments, folder.path(), number, office.port).await?;
        lives.spawn(live_through(
            member.home.clone(),
            server,
            schedule(days, Some(speed)),
            hub,
            stopped.clone(),
        ));
        members.push(member);
    }
    office.introduce(&members);
    let mut lines = lines();
    let mut clock = tokio::time::interval(EVERY);
    let mut shown = Shown::new(&members, arguments.headless);
    let mut complete = 0;
    while complete < members.len() {
        tokio::select! {
            _ = interrupt.recv() => break,
            _ = terminate.recv() => break,
            Some(line) = lines.recv() => pull(&members, &line, &shown),
            ended = lives.join_next() => match ended.transpose().context("a home")?.transpose()? {
                Some(()) => complete += 1,
                None => break,
            },
            error = office.ended() => return Err(error),
            _ = clock.tick() => shown.look(&mut members, &office.lake).await,
        }
    }
    let ended_early = complete < members.len();
    stop.send_replace(true);
    while let Some(ended) = lives.join_next().await {
        ended.context("a home")??;
    }
    let lake = office.lake.clone();
    office.leave().await;
    let homes = members.iter().map(|member| member.report.clone()).collect();
    print(&Report { ended_early, homes, lake_files: files(&lake) }, arguments.json)?;
    Ok(true)
}

fn print(report: &Report, json: bool) -> anyhow::Result<()> {
    let mut text = String::from("\n");
    for home in &report.homes {
        let HomeReport { hub, acknowledged, waiting, most_waiting } = home;
        text += &format!(
            "{hub}    {acknowledged} records arrived, {waiting} wait; at the most {most_waiting} waited\n"
        );
    }
    text += &format!("lake         {} files", report.lake_files);
    if json {
        text = serde_json::to_string(report)?;
    }
    writeln!(std::io::stdout(), "{text}").context("cannot print the summary")
}

/// Starts a home and its hub, which joins the fleet by a link of its own.
async fn join(
    arguments: &Arguments,
    folder: &Path,
    number: u8,
    broker: u16,
) -> anyhow::Result<(Member, Server, HubProcess)> {
    let hub = format!("{PREFIX}-{number:04}");
    let own = folder.join(&hub);
    std::fs::create_dir(&own).with_context(|| format!("cannot make {}", own.display()))?;
    let plant = arguments.which.plant(arguments.seed + u64::from(number) - 1, Vec::new())?;
    let mut options = HomeOptions::usual(Some(own.clone()));
    if !arguments.serial {
        options = options.over_tcp();
    }
    let home = Arc::new(RunningHome::start(plant, &options).await?);
    let server = Server::bind(0).await?;
    // The first home has the usual page, as in the demo of one.
    let page = free_page(arguments.headless || number > 1)?;
    let config = configure(&home, &own, page)?;
    let bundle = folder.join(format!("fleet/hubs/{hub}.toml"));
    let words = [
        OsStr::new("hub"),
        OsStr::new("join"),
        bundle.as_os_str(),
        OsStr::new("--config"),
        config.as_os_str(),
    ];
    programs::run(&std::env::current_exe().context("cannot find this program")?, &words).await?;
    let link = Link::open(broker).await?;
    by_the_link(&config, &link)?;
    let process = HubProcess::start(&config, server.address()?)?;
    let report = HomeReport { hub, ..HomeReport::default() };
    let unix = home.unix();
    Ok((Member { home, page, link, report, charge: 0.0, connected: false, unix }, server, process))
}

/// The hub's way leads over the link, and its messages can be read by anybody.
fn by_the_link(config: &Path, link: &Link) -> anyhow::Result<()> {
    let shown = config.display();
    let text = std::fs::read_to_string(config).with_context(|| format!("cannot read {shown}"))?;
    let mut table: toml::Table = text.parse().with_context(|| format!("{shown} is no TOML"))?;
    let uplink = table.get_mut("uplink").and_then(toml::Value::as_table_mut);
    let uplink = uplink.ok_or_else(|| anyhow!("{shown}: no [uplink], though its hub has joined"))?;
    uplink.insert("broker".into(), format!("mqtts://localhost:{}", link.port).into());
    uplink.insert("encoding".into(), "json".into());
    uplink.insert("telemetry_minutes".into(), TOGETHER.into());
    uplink.insert("waits_for_sun_hours".into(), 0.into());
    std::fs::write(config, toml::to_string(&table)?).with_context(|| format!("cannot write {shown}"))
}

/// A home and its hub, to the end of the schedule or until they are told.
async fn live_through(
    home: Arc<RunningHome>,
    server: Server,
    schedule: Schedule,
    mut hub: HubProcess,
    mut stopped: watch::Receiver<bool>,
) -> anyhow::Result<()> {
    let ends = async move {
        // Who would tell is gone: the same.
        let _ = stopped.wait_for(|stopped| *stopped).await;
    };
    in_step(&server, &home, schedule, &mut hub, ends).await.map(|_| ())
}

/// What a person types, line by line, by a thread that waits for it.
fn lines() -> mpsc::Receiver<String> {
    let (say, lines) = mpsc::channel(MOST_LINES);
    std::thread::spawn(move || {
        for line in std::io::stdin().lines().map_while(Result::ok) {
            if say.blocking_send(line).is_err() {
                return;
            }
        }
    });
    lines
}

/// Pulls links, or puts them back, as a line says.
fn pull(members: &[Member], line: &str, shown: &Shown) {
    let one = line.trim().parse::<usize>().ok().filter(|number| (1..=members.len()).contains(number));
    if one.is_none() && !line.trim().is_empty() {
        return live::above(shown.terminal, &format!("{line:?}: expected Enter, or 1 to {}", members.len()));
    }
    let which = one.map_or(0..members.len(), |number| number - 1..number);
    let up = !members[which.start].link.is_up();
    for member in &members[which] {
        member.link.set(up);
        let what = if up { "is back" } else { "is pulled" };
        live::above(shown.terminal, &format!("{}    the link {what}", member.report.hub));
    }
}

/// What was shown of it.
struct Shown {
    terminal: bool,
    headless: bool,
    zone: Zone,
    first: i64,
    hour: Option<i64>,
}

impl Shown {
    fn new(members: &[Member], headless: bool) -> Self {
        let home = members.first().map(|member| &member.home);
        let zone = home.and_then(|home| home.with_plant(|plant| Zone::named(plant.zone())).ok());
        Self {
            terminal: std::io::stderr().is_terminal() && !headless,
            headless,
            zone: zone.unwrap_or_else(Zone::utc),
            first: home.map_or(0, |home| home.unix()),
            hour: None,
        }
    }

    /// Looks at every home, and shows a line: again and again on a terminal, else every simulated hour.
    async fn look(&mut self, members: &mut [Member], lake: &Path) {
        for member in members.iter_mut() {
            let Some(view) = live::look(member.page).await else { continue };
            member.charge = view.battery.charge_best;
            member.unix = view.unix_s.unwrap_or(member.unix);
            let Some(uplink) = view.uplink else { continue };
            let report = &mut member.report;
            if member.link.is_up() && report.waiting >= 60 && uplink.waiting < 60 {
                live::above(self.terminal, &format!("{}    all that waited has arrived", report.hub));
            }
            (report.acknowledged, report.waiting) = (uplink.acknowledged, uplink.waiting);
            report.most_waiting = report.most_waiting.max(uplink.waiting);
            member.connected = uplink.connected;
        }
        let unix = members.first().map_or(self.first, |member| member.unix);
        let hour = Some(unix.div_euclid(3600));
        if self.headless || (!self.terminal && self.hour == hour) {
            return;
        }
        self.hour = hour;
        let mut text = live::moment(&self.zone, self.first, unix);
        for member in members.iter() {
            let HomeReport { hub, waiting, .. } = &member.report;
            let line = if member.connected { "" } else { ", no link" };
            text += &format!("  {hub} {:.0} %, {waiting} wait{line}", member.charge * 100.0);
        }
        text += &format!("  lake {} files", files(lake));
        if self.terminal {
            text = text.chars().take(live::width()).collect();
            // That nobody listens is no reason to stop.
            let _ = write!(std::io::stderr(), "\r\x1b[K{text}");
        } else {
            tell(&text);
        }
    }
}

/// How many files the lake has.
fn files(folder: &Path) -> u64 {
    let mut count = 0;
    for entry in std::fs::read_dir(folder).into_iter().flatten().flatten() {
        let path = entry.path();
        if path.is_dir() {
            count += files(&path);
        } else {
            count += u64::from(path.extension() == Some(OsStr::new("parquet")));
        }
    }
    count
}

/// Lets real time pass.
#[expect(clippy::disallowed_methods, reason = "a program beside this one takes real time to start")]
async fn pause(span: Duration) {
    tokio::time::sleep(span).await;
}
