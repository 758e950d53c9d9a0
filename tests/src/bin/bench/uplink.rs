//! Bytes on the line to the fleet: a day of the home of the other stages, hour by hour, over TLS to a real broker; and
//! beside it one JSON message a minute.

use std::path::Path;
use std::time::Duration;

use anyhow::{Context as _, ensure};
use sunkeep_tests::broker::{Authority, Broker, listen, write_secret};
use sunkeep_tests::house::MIDNIGHT;
use tokio::process::Command;

use crate::driven::Driven;
use crate::figures::{Budget, Figures};
use crate::home::Home;

/// Hours of the day.
const HOURS: u32 = 24;
/// Minutes that are sent one by one; the rest of the day costs as much.
const ONE_BY_ONE: u32 = 30;
/// Minutes of a day.
const MINUTES: f64 = 1440.0;
/// Headers of TCP with time stamps and of IPv4, bytes a segment.
const HEADERS: f64 = 52.0;
/// Keep-alives of a day at the usual pace, and the bytes of one: two packets of two bytes in records of TLS 1.3, in three
/// segments. The day goes by too fast here for any.
const KEEP_ALIVES: f64 = 86_400.0 / 1500.0;
const KEEP_ALIVE: f64 = 2.0 * (2.0 + 22.0) + 3.0 * HEADERS;
/// How long it may take until all is acknowledged.
const PATIENCE: Duration = Duration::from_mins(1);

/// What went over a line.
#[derive(Debug, Clone, Copy)]
struct Line {
    bytes: f64,
    segments: f64,
}

/// Sends a day.
pub(crate) async fn measure(program: &Path) -> anyhow::Result<Figures> {
    let folder = tempfile::tempdir().context("making a folder")?;
    let authority = Authority::new("bench");
    let file = |name: &str| folder.path().join(name);
    write_secret(&file("ca.pem"), &authority.pem());
    let (certificate, key) = authority.sign(folder.path(), "broker", "localhost", (2020, 2100));
    authority.sign(folder.path(), "hub", "hub-1", (2020, 2100));
    let broker = Broker::start(folder.path(), Some([&file("ca.pem"), &certificate, &key])).await;
    // Somebody who takes it.
    let _heard = listen(broker.port).await;

    let (mut driven, start) = connected(program, &broker, folder.path(), "compact", 60).await?;
    for hour in 1..=HOURS {
        for _ in 0..60 {
            driven.cycle(Duration::from_mins(1)).await?;
        }
        // The last minute may still be on its way to the disk.
        acknowledged(&mut driven, (hour - 1) * 60).await?;
    }
    for _ in 0..3 {
        driven.cycle(Duration::from_mins(1)).await?;
    }
    acknowledged(&mut driven, HOURS * 60).await?;
    let day = driven.line(&broker).await?;
    let channels = driven.view().await?["loads"].as_array().map_or(0, Vec::len) * 2 + 20;
    driven.end().await?;

    let (mut driven, json_start) = connected(program, &broker, folder.path(), "json", 1).await?;
    for minute in 1..=ONE_BY_ONE {
        driven.cycle(Duration::from_mins(1)).await?;
        acknowledged(&mut driven, minute).await?;
    }
    let json = driven.line(&broker).await?;
    driven.end().await?;

    let mut figures = Figures::default();
    figures.add("channels", "channels a minute, at the most", channels as f64, "");
    let (bytes, segments) = (day.bytes - start.bytes, day.segments - start.segments);
    let keep_alives = KEEP_ALIVES * KEEP_ALIVE;
    let with_headers = (bytes + segments * HEADERS + keep_alives) / 1000.0;
    let what = "a day, in messages of an hour and one for each decision, TLS and headers included";
    figures.add_within("day", what, with_headers, "kB", Budget::at_most(60.0, 30.0));
    figures.add(
        "day_without_headers",
        "  of it messages and answers, without headers of TCP and IP",
        bytes / 1000.0,
        "kB",
    );
    figures.add(
        "connecting",
        "  connecting once, certificates of both sides, without headers",
        start.bytes / 1000.0,
        "kB",
    );
    let scale = MINUTES / f64::from(ONE_BY_ONE) / 1000.0;
    let of_json = (json.bytes - json_start.bytes + (json.segments - json_start.segments) * HEADERS) * scale;
    figures.add("day_json", "the same day with a JSON message a minute", of_json, "kB");
    Ok(figures)
}

/// A hub that has just connected, and what that took.
async fn connected(
    program: &Path,
    broker: &Broker,
    folder: &Path,
    encoding: &str,
    minutes: u16,
) -> anyhow::Result<(Driven, Line)> {
    let home = Home::start(MIDNIGHT, false, true).await?;
    let files = folder.display();
    home.add(&format!(
        "[uplink]\nbroker = \"mqtts://localhost:{}\"\nsite = \"bench\"\nhub = \"hub-1\"\nca = \"{files}/ca.pem\"\n\
         certificate = \"{files}/hub.pem\"\nkey = \"{files}/hub.key\"\nencoding = \"{encoding}\"\n\
         telemetry_minutes = {minutes}\nwaits_for_sun_hours = 0\n",
        broker.secured
    ))?;
    let mut driven = Driven::start(Command::new(program), home).await?;
    // A minute ends with the second cycle, and is written down with the third.
    for _ in 0..2 {
        driven.cycle(Duration::from_mins(1)).await?;
    }
    acknowledged(&mut driven, 0).await?;
    let line = driven.line(broker).await?;
    Ok((driven, line))
}

/// Waits until the broker has so many records, events among them.
async fn acknowledged(driven: &mut Driven, records: u32) -> anyhow::Result<()> {
    let began = sunkeep_tests::now();
    loop {
        let uplink = driven.view().await?["uplink"].clone();
        if uplink["connected"] == true && uplink["acknowledged"].as_u64() >= Some(records.into()) {
            return Ok(());
        }
        ensure!(began.elapsed() < PATIENCE, "{records} records were to be acknowledged: {uplink}");
        sunkeep_tests::pause(Duration::from_millis(100)).await;
    }
}

impl Driven {
    /// What went over the line so far: bytes by the hub's meter, segments by the kernel's count.
    async fn line(&mut self, broker: &Broker) -> anyhow::Result<Line> {
        let uplink = self.view().await?["uplink"].clone();
        let bytes =
            uplink["bytes_out"].as_f64().zip(uplink["bytes_in"].as_f64()).map(|(out, into)| out + into);
        let filter = format!("dport = :{}", broker.secured);
        let told = Command::new("ss").args(["-tinH", "state", "established", &filter]).output().await;
        let told = told.context("ss, which tells what the kernel counts of a connection, cannot be run")?;
        let told = String::from_utf8_lossy(&told.stdout).into_owned();
        let count = |name: &str| {
            let words =
                told.split_whitespace().filter_map(|word| word.strip_prefix(name)?.parse::<f64>().ok());
            words.sum::<f64>()
        };
        let segments = count("segs_out:") + count("segs_in:");
        ensure!(segments > 0.0, "ss tells of no segments: {told}");
        Ok(Line { bytes: bytes.with_context(|| format!("the uplink's bytes, in {uplink}"))?, segments })
    }
}
