//! `sunkeep check`: is the configuration in order, and does every device answer?

use std::process::ExitCode;

use sunkeep_core::settings::Tier;

use super::{CliError, ConfigFile};
use crate::buses::{self, WiringError};
use crate::config::Home;

/// Validate a configuration and ask every device once.
#[derive(Debug, clap::Args)]
pub(super) struct Check {
    #[command(flatten)]
    file: ConfigFile,
    /// Look at the file only, and ask no device
    #[arg(long)]
    offline: bool,
}

impl Check {
    pub(super) async fn run(self) -> Result<ExitCode, CliError> {
        let home = Home::read(&self.file.config)?;
        println!(
            "{}: {} loads, {} devices on {} buses, {} battery of {}",
            home.name,
            home.settings.loads.len(),
            home.wiring.devices.len(),
            home.wiring.buses.len(),
            home.settings.battery.nominal_voltage(),
            home.settings.battery.nominal_energy(),
        );
        tell_outputs(&home);
        if self.offline {
            return Ok(ExitCode::SUCCESS);
        }
        let mut all_well = true;
        for (_, mut bus) in buses::modbus(&home.wiring).map_err(WiringError::from)? {
            for report in bus.probe().await {
                all_well &= report.ok;
                println!("{report}");
            }
        }
        if let Some(report) = buses::probe_lines(&home.wiring).map_err(WiringError::from)? {
            all_well &= report.ok;
            println!("{report}");
        }
        Ok(if all_well { ExitCode::SUCCESS } else { ExitCode::FAILURE })
    }
}

/// Says what each relay does when the hub is dead, and where that leaves a critical load in the dark.
fn tell_outputs(home: &Home) {
    for relay in &home.wiring.relays {
        let load = &home.settings.loads[usize::from(relay.output.0)];
        let (dead, dark) = match relay.supplied_when_dead() {
            None => ("keeps its last state", false),
            Some(true) => ("stays on", false),
            Some(false) => ("goes off", load.tier == Tier::Critical),
        };
        let warning = if dark { " — critical: wire it normally_closed to keep it on" } else { "" };
        println!("{}: {}, {dead} when the hub is dead{warning}", load.name, load.tier.word());
    }
}
