//! What a person sees of the demo: addresses, one live line, a line for each load that is switched, and the
//! summary. What is off and why comes from the hub's page, as anybody could read it.

use core::time::Duration;
use std::collections::BTreeMap;
use std::io::{IsTerminal as _, Write as _};
use std::net::SocketAddr;

use serde::Deserialize;
use sunkeep_models::time::Zone;
use sunkeep_simulator::home::RunningHome;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use super::Report;
use crate::cli::tell;

/// How often the line is renewed.
const EVERY: Duration = Duration::from_millis(500);
/// Longest answer of the page that is read, bytes.
const LONGEST: u64 = 4 * 1024 * 1024;
/// Width of the line where no terminal tells, columns.
const WIDTH: usize = 160;

/// What is read of the page's view; its fields are described at `/api`.
#[derive(Deserialize)]
pub(super) struct View {
    pub(super) battery: Battery,
    sun_w: Option<f64>,
    load_w: Option<f64>,
    pub(super) unix_s: Option<i64>,
    alarm: Option<String>,
    loads: Vec<Load>,
    /// None where nothing leaves the house.
    pub(super) uplink: Option<Uplink>,
}

#[derive(Deserialize, Clone)]
pub(super) struct Uplink {
    pub(super) connected: bool,
    pub(super) waiting: u64,
    pub(super) acknowledged: u64,
}

#[derive(Deserialize)]
pub(super) struct Battery {
    pub(super) charge_best: f64,
}

#[derive(Deserialize)]
struct Load {
    label: String,
    on: bool,
    sentence: String,
}

/// Says where everything is.
pub(super) fn introduce(home: &RunningHome, page: SocketAddr, pin: &str) {
    tell(&format!("page       http://{page}  (PIN {pin})"));
    for bus in home.buses() {
        let units: Vec<_> = bus.units.iter().map(|unit| format!("{} {:?}", unit.unit, unit.model)).collect();
        tell(&format!("{:10} {}  ({})", bus.name, bus.address, units.join(", ")));
    }
    tell("Ctrl-C ends it.");
}

/// Keeps showing how it goes, for as long as it is polled.
pub(super) async fn show(home: &RunningHome, page: SocketAddr) {
    let first = home.unix();
    let zone = home.with_plant(|plant| Zone::named(plant.zone())).unwrap_or_else(|_| Zone::utc());
    let terminal = std::io::stderr().is_terminal();
    let mut known: BTreeMap<String, bool> = BTreeMap::new();
    let mut shown_hour = None;
    let mut clock = tokio::time::interval(EVERY);
    loop {
        clock.tick().await;
        let Some(view) = look(page).await else { continue };
        let unix = view.unix_s.unwrap_or(first);
        let when = moment(&zone, first, unix);
        for load in &view.loads {
            if known.insert(load.label.clone(), load.on).is_some_and(|on| on != load.on) {
                above(terminal, &format!("{when}  {}", load.sentence));
            }
        }
        if terminal {
            let mut text = status(&when, &view);
            text = text.chars().take(width()).collect();
            // That nobody listens is no reason to stop.
            let _ = write!(std::io::stderr(), "\r\x1b[K{text}");
        } else if shown_hour != Some(unix.div_euclid(3600)) {
            shown_hour = Some(unix.div_euclid(3600));
            tell(&status(&when, &view));
        }
    }
}

/// A line that stays, above the live one.
pub(super) fn above(terminal: bool, text: &str) {
    tell(&if terminal { format!("\r\x1b[K{text}") } else { text.to_owned() });
}

pub(super) fn width() -> usize {
    let size = rustix::termios::tcgetwinsize(std::io::stderr());
    size.map_or(WIDTH, |size| usize::from(size.ws_col).saturating_sub(1).max(20))
}

pub(super) fn moment(zone: &Zone, first: i64, unix: i64) -> String {
    let local = zone.local(unix);
    let day = local.day - zone.local(first).day + 1;
    format!("day {day} {:02}:{:02}", local.second_of_day / 3600, local.second_of_day % 3600 / 60)
}

fn status(when: &str, view: &View) -> String {
    let watts = |watts: Option<f64>| watts.map_or("   -".into(), |watts| format!("{watts:4.0}"));
    let mut text = format!(
        "{when}  battery {:3.0} %  sun {} W  load {} W  ",
        view.battery.charge_best * 100.0,
        watts(view.sun_w),
        watts(view.load_w)
    );
    let off: Vec<_> = view.loads.iter().filter(|load| !load.on).collect();
    match off.as_slice() {
        [] => text += "all on",
        [only] => text += &only.sentence,
        [.., last] => {
            let labels: Vec<_> = off.iter().map(|load| load.label.as_str()).collect();
            text += &format!("off: {}. {}", labels.join(", "), last.sentence);
        }
    }
    if let Some(alarm) = &view.alarm {
        text += &format!(" {alarm}");
    }
    text
}

/// The page's view; nothing while it is not there yet.
pub(super) async fn look(page: SocketAddr) -> Option<View> {
    let ask = async {
        let mut stream = TcpStream::connect(page).await?;
        let request = format!("GET /api/view HTTP/1.1\r\nHost: {page}\r\nConnection: close\r\n\r\n");
        stream.write_all(request.as_bytes()).await?;
        let mut answer = Vec::new();
        stream.take(LONGEST).read_to_end(&mut answer).await?;
        std::io::Result::Ok(answer)
    };
    let answer = tokio::time::timeout(Duration::from_secs(5), ask).await.ok()?.ok()?;
    let text = std::str::from_utf8(&answer).ok()?;
    let (head, body) = text.split_once("\r\n\r\n")?;
    head.starts_with("HTTP/1.1 200").then(|| serde_json::from_str(body).ok())?
}

/// The summary for a reader.
pub(super) fn summary(report: &Report) -> String {
    let home = &report.home;
    let mut text = format!("\n{:.2} days in {:.1} s", report.simulated_days, report.wall_seconds);
    let tiers =
        [("critical", &home.critical), ("important", &home.important), ("convenience", &home.convenience)];
    for (tier, energy) in tiers {
        text += &format!(
            "\n{tier:12} served {:8.1} Wh, unserved {:8.1} Wh, short for {:.1} h",
            energy.served_wh, energy.unserved_wh, energy.hours_short
        );
    }
    text += &format!(
        "\nbattery      {:.0} % at the end, {:.0} % at least; cut by the hardware {} times",
        home.charge_end * 100.0,
        home.charge_least * 100.0,
        home.disconnects
    );
    if let Some(hub) = &report.hub {
        text += &format!("\nhub          {hub}");
    }
    text
}
