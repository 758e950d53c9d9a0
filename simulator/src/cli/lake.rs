//! `sunkeep-sim lake`: the telemetry of a simulated fleet.

use std::path::PathBuf;

use anyhow::ensure;
use jiff::civil::{Date, date};
use sunkeep_simulator::lake::{Faults, LakeSpec, write};

/// Longest run, in days of sites together: ten thousand sites for a year.
const MOST_SITE_DAYS: u64 = 3_660_000;

/// What to write.
#[derive(clap::Args)]
pub(super) struct Arguments {
    /// Number of sites.
    #[arg(long, default_value_t = 10)]
    sites: u32,
    /// Days of each.
    #[arg(long, default_value_t = 60)]
    days: u32,
    /// Seed of the first home; the others follow.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Homes that are simulated; the sites share them, scaled and some days apart.
    #[arg(long, default_value_t = 20)]
    homes: u32,
    /// Minutes that a record speaks for: a divisor of 30.
    #[arg(long, default_value_t = 30)]
    step_minutes: u32,
    /// First day, UTC.
    #[arg(long, default_value_t = date(2024, 1, 1), value_name = "YYYY-MM-DD")]
    start: Date,
    /// Share of records that arrive twice.
    #[arg(long, default_value_t = 0.0, value_name = "SHARE")]
    duplicates: f64,
    /// Share of boots whose clock is unknown until a correction tells it.
    #[arg(long, default_value_t = 0.0, value_name = "SHARE")]
    clockless: f64,
    /// Share of days on which a hub is off.
    #[arg(long, default_value_t = 0.0, value_name = "SHARE")]
    gaps: f64,
    /// Share of days on which a clock leaps by three hours for ten records.
    #[arg(long, default_value_t = 0.0, value_name = "SHARE")]
    jumps: f64,
    /// Folder of the lake.
    #[arg(long, value_name = "DIR")]
    out: PathBuf,
}

/// Runs the command.
pub(super) fn run(arguments: &Arguments) -> anyhow::Result<()> {
    let site_days = u64::from(arguments.sites) * u64::from(arguments.days);
    ensure!(
        (1..=MOST_SITE_DAYS).contains(&site_days),
        "{} sites for {} days, expected 1 to {MOST_SITE_DAYS} days together",
        arguments.sites,
        arguments.days
    );
    ensure!((1..=1000).contains(&arguments.homes), "{} homes, expected 1 to 1000", arguments.homes);
    let step = arguments.step_minutes;
    ensure!(step > 0 && 30 % step == 0, "steps of {step} minutes, expected a divisor of 30");
    let faults = Faults {
        duplicates: arguments.duplicates,
        clockless: arguments.clockless,
        gaps: arguments.gaps,
        jumps: arguments.jumps,
    };
    for share in [faults.duplicates, faults.clockless, faults.gaps, faults.jumps] {
        ensure!((0.0..=1.0).contains(&share), "a share of {share}, expected 0 to 1");
    }
    let spec = LakeSpec {
        sites: arguments.sites,
        days: arguments.days,
        seed: arguments.seed,
        homes: arguments.homes,
        step_minutes: step,
        start_unix: super::midnight(arguments.start, "UTC")?,
        faults,
    };
    write(&spec, &arguments.out, |done| {
        if done % 30 == 0 || done == arguments.days {
            super::tell(&format!("day {done} of {}", arguments.days));
        }
    })?;
    Ok(())
}
