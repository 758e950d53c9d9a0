//! The commands about the weather.

use std::path::PathBuf;

use anyhow::{Context as _, ensure};
use sunkeep_fleet::clock::now_ms;
use sunkeep_fleet::ingest::{Broker, Tls};
use sunkeep_fleet::lake::Lake;
use sunkeep_fleet::provision::OPERATOR;
use sunkeep_fleet::weather::{forecast, history, read, tell};

/// Messages that the broker may send to who only writes.
const IN_FLIGHT: u16 = 20;

#[derive(clap::Subcommand)]
pub(crate) enum WeatherCommand {
    /// Bring files with the weather of a place into the lake: Open-Meteo's JSON, or CSV.
    Import(ImportArguments),
    /// Tell each hub the newest forecast of its place, by one retained message.
    Send(SendArguments),
}

#[derive(clap::Args)]
pub(crate) struct ImportArguments {
    /// The lake: a folder, or the URL of an object store.
    #[arg(long, value_name = "FOLDER|URL")]
    lake: String,
    /// Name of the place, as sites.csv has it.
    #[arg(long, value_name = "NAME")]
    place: String,
    /// What came: hours that are over.
    #[arg(long, required_unless_present = "forecast", conflicts_with = "forecast")]
    history: bool,
    /// What was foretold.
    #[arg(long)]
    forecast: bool,
    /// From when on the forecast was known, as in 2026-11-22T06:00Z; now, unless told.
    #[arg(long, value_name = "MOMENT", requires = "forecast")]
    issued: Option<String>,
    /// The files.
    #[arg(required = true, value_name = "FILE")]
    files: Vec<PathBuf>,
}

#[derive(clap::Args)]
pub(crate) struct SendArguments {
    /// Folder of the fleet: which hubs there are, and at which place; the certificate of `operator`.
    #[arg(long, value_name = "FOLDER")]
    fleet: PathBuf,
    /// The lake: a folder, or the URL of an object store.
    #[arg(long, value_name = "FOLDER|URL")]
    lake: String,
    /// The broker, MQTT 5: mqtt://HOST:PORT or mqtts://HOST:PORT.
    #[arg(long, value_name = "URL")]
    broker: String,
}

impl WeatherCommand {
    pub(crate) fn run(&self) -> anyhow::Result<()> {
        match self {
            Self::Import(arguments) => arguments.run(),
            Self::Send(arguments) => arguments.run(),
        }
    }
}

impl ImportArguments {
    fn run(&self) -> anyhow::Result<()> {
        let (lake, now) = (Lake::open(&self.lake)?, now_ms());
        let issued = match &self.issued {
            None => now,
            Some(text) => {
                let moment: jiff::Timestamp = text
                    .parse()
                    .with_context(|| format!("--issued {text:?}; expected as in 2026-11-22T06:00Z"))?;
                moment.as_millisecond()
            }
        };
        let kind = if self.history { "history" } else { "forecast" };
        for file in &self.files {
            let told = read(file)?;
            let done = if self.history {
                history(&lake, &self.place, &told.hours, now)
            } else {
                forecast(&lake, &self.place, &told.hours, issued, now)
            };
            let done = done.with_context(|| file.display().to_string())?;
            let position =
                told.position.map(|[north, east]| format!(" ({north}, {east})")).unwrap_or_default();
            println!(
                "{}: {kind} of {}{position}: {} hours, {} left out, {} values that no weather can be",
                file.display(),
                self.place,
                done.hours,
                done.left_out,
                told.refused
            );
        }
        Ok(())
    }
}

impl SendArguments {
    fn run(&self) -> anyhow::Result<()> {
        let file = |name: &str| Some(self.fleet.join(name));
        let (certificate, key) = (format!("{OPERATOR}.pem"), format!("{OPERATOR}.key"));
        let tls = if self.broker.starts_with("mqtts:") {
            Tls { ca: file("ca.pem"), certificate: file(&certificate), key: file(&key) }
        } else {
            Tls::default()
        };
        // A name of its own for each run: two of them must not throw each other out.
        let name = format!("{OPERATOR}-weather-{}", std::process::id());
        let broker = Broker::new(&self.broker, &name, OPERATOR, IN_FLIGHT, &tls)?;
        let told = tell(&self.fleet, &Lake::open(&self.lake)?, &broker, now_ms())?;
        println!(
            "{} hubs told, in {} bytes at most; {} hubs are at no place",
            told.hubs, told.longest, told.without_place
        );
        told.without_forecast.iter().for_each(|reason| eprintln!("{reason}"));
        ensure!(
            told.without_forecast.is_empty(),
            "{} places have no forecast from now on (see above)",
            told.without_forecast.len()
        );
        Ok(())
    }
}
