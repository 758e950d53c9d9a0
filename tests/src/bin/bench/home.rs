//! The home that is measured: eight devices on four buses, every one of them read each cycle or as it is due.

use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::Context as _;
use sunkeep_simulator::device::Model;
use sunkeep_simulator::home::{HomeOptions, RunningHome, Transport};
use sunkeep_simulator::hub_config::{HubOptions, hub_toml};
use sunkeep_simulator::plant::{HomeSpec, Plant, SolarHome};
use sunkeep_tests::house::free_port;
use tempfile::TempDir;

/// The home of the demo.
const SEED: u64 = 4;
/// Its devices.
pub(crate) const DEVICES: usize = 8;
/// What measures each load: the two three-phase meters each phase, the two others a load of their own.
const POWER: [(&str, &str); 8] = [
    ("lights", "tier_meter/power.l1"),
    ("radio", "check_meter/power.l1"),
    ("medicine_fridge", "house_meter/power"),
    ("phones", "tier_meter/power.l2"),
    ("fan", "check_meter/power.l2"),
    ("water_pump", "pump_meter/power"),
    ("television", "tier_meter/power.l3"),
    ("iron", "check_meter/power.l3"),
];

/// A home with its folder.
pub(crate) struct Home {
    /// What is on the wire.
    pub(crate) running: RunningHome,
    /// The hub's configuration.
    pub(crate) config: PathBuf,
    /// Port of the hub's page.
    pub(crate) page: u16,
    dir: TempDir,
}

impl Home {
    /// Starts a home whose time stands still at `unix`. With `serial`, its charge controller is on a serial line.
    /// Without `journal`, its hub finds a place where no journal can be.
    pub(crate) async fn start(unix: i64, serial: bool, journal: bool) -> anyhow::Result<Self> {
        let dir = tempfile::Builder::new().prefix("sunkeep-bench-").tempdir().context("making a folder")?;
        let plant = Plant::Synthetic(Box::new(SolarHome::new(HomeSpec::from_seed(SEED, unix))?));
        let running = RunningHome::start(plant, &buses(dir.path(), serial)).await?;
        let page = free_port();
        let config = dir.path().join("hub.toml");
        let place = if journal { dir.path() } else { &config };
        let hub = HubOptions {
            page: format!("127.0.0.1:{page}"),
            pin: None,
            journal: place.join("journal.sqlite").display().to_string(),
        };
        let text = running.with_plant(|plant| hub_toml(plant, running.buses(), &hub))?;
        std::fs::write(&config, with_meters(&text)?)
            .with_context(|| format!("writing {}", config.display()))?;
        Ok(Self { running, config, page, dir })
    }

    /// Adds to the hub's configuration.
    pub(crate) fn add(&self, text: &str) -> anyhow::Result<()> {
        let written = std::fs::read_to_string(&self.config).context("reading the configuration")?;
        std::fs::write(&self.config, format!("{written}\n{text}")).context("adding to the configuration")
    }

    /// Where the hub's log goes.
    pub(crate) fn log(&self) -> PathBuf {
        self.dir.path().join("hub.log")
    }

    /// Requests that all devices have answered so far.
    pub(crate) fn answers(&self) -> u64 {
        let units =
            self.running.buses().iter().flat_map(|bus| bus.units.iter().map(|unit| (&bus.name, unit.unit)));
        units.filter_map(|(bus, unit)| Some(self.running.traffic(bus, unit)?.answers)).sum()
    }
}

fn buses(dir: &Path, serial: bool) -> HomeOptions {
    let mut options = HomeOptions::usual(Some(dir.to_owned())).over_tcp();
    for bus in &mut options.buses {
        match bus.name.as_str() {
            "rs485-0" if serial => bus.transport = Transport::Rtu,
            "gateway" => bus.units.push((6, Model::EastronSdm120)),
            _ => {}
        }
    }
    options.burst_pause = if serial { options.burst_pause } else { Duration::ZERO };
    options
}

/// Gives the second single-phase meter a name of its own, and every load a meter.
fn with_meters(text: &str) -> anyhow::Result<String> {
    let mut table: toml::Table = text.parse().context("reading the configuration that was written")?;
    let list = |value: Option<&mut toml::Value>| {
        value.and_then(|value| value.as_array().cloned()).unwrap_or_default()
    };
    let mut devices = list(table.get_mut("device"));
    for device in devices.iter_mut().filter_map(toml::Value::as_table_mut) {
        if device["bus"].as_str() == Some("gateway") && device["model"].as_str() == Some("eastron_sdm120") {
            device.insert("name".into(), "pump_meter".into());
        }
    }
    anyhow::ensure!(devices.len() == DEVICES, "{} devices, expected {DEVICES}", devices.len());
    let mut loads = list(table.get_mut("load"));
    for load in loads.iter_mut().filter_map(toml::Value::as_table_mut) {
        if let Some((_, power)) = POWER.iter().find(|(name, _)| load["name"].as_str() == Some(name)) {
            load.insert("power".into(), (*power).into());
        }
    }
    table.insert("device".into(), devices.into());
    table.insert("load".into(), loads.into());
    toml::to_string(&table).context("writing the configuration")
}
