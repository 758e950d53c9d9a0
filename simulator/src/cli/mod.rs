//! The command line: one file for each command.

mod ablation;
mod demo;
mod home;
mod hub;
#[cfg(feature = "series")]
mod lake;
mod parallel;
mod power;
#[cfg(feature = "series")]
mod series;
mod wear;
mod which_home;

use std::io::Write;
use std::process::ExitCode;

use clap::{Parser, Subcommand};

/// Simulated solar homes that speak Modbus.
#[derive(Parser)]
#[command(name = "sunkeep-sim", version)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Plays recorded homes with a part of the planning left out, one after the other, and prints what each is worth.
    Ablation(ablation::Arguments),
    /// A home, its hub and its page, at many times real speed.
    Demo(demo::Arguments),
    /// Runs a home on Modbus, in step with a hub or by itself, and prints a summary at the end.
    Home(home::Arguments),
    /// The hub itself: `sunkeep-sim hub ARGS...` is `sunkeep ARGS...`.
    #[command(disable_help_flag = true)]
    Hub(hub::Arguments),
    /// Writes the telemetry of a simulated fleet as a lake of Parquet files.
    #[cfg(feature = "series")]
    Lake(lake::Arguments),
    /// Plays recorded homes through the hub's own decisions, a cycle a minute, and prints a line for each.
    ///
    /// With --sites as the power benchmark has it, without any prior. Else with the hub's forecasts, and not for
    /// scoring: the factory load model was trained on the benchmark's very homes.
    Power(power::Arguments),
    /// Writes half-hourly series of simulated homes as Parquet.
    #[cfg(feature = "series")]
    Series(series::Arguments),
    /// Lives through years of homes with a lead-acid battery, and prints how long it lasts under each policy.
    Wear(wear::Arguments),
}

/// Reads the command line and does what it says.
pub(crate) fn run() -> anyhow::Result<ExitCode> {
    match Arguments::parse().command {
        Command::Demo(arguments) => return demo::run(&arguments),
        Command::Ablation(arguments) => ablation::run(&arguments)?,
        Command::Home(arguments) => home::run(&arguments)?,
        Command::Hub(arguments) => return hub::run(arguments),
        #[cfg(feature = "series")]
        Command::Lake(arguments) => lake::run(&arguments)?,
        Command::Power(arguments) => power::run(&arguments)?,
        #[cfg(feature = "series")]
        Command::Series(arguments) => series::run(&arguments)?,
        Command::Wear(arguments) => wear::run(&arguments)?,
    }
    Ok(ExitCode::SUCCESS)
}

/// Local midnight that begins this day in this zone, seconds since 1970.
fn midnight(day: jiff::civil::Date, zone: &str) -> anyhow::Result<i64> {
    let zone = jiff::tz::TimeZone::get(zone)?;
    Ok(day.to_zoned(zone)?.timestamp().as_second())
}

/// Tells a person how it goes. That nobody listens is no reason to stop.
fn tell(line: &str) {
    let _ = writeln!(std::io::stderr(), "{line}");
}
