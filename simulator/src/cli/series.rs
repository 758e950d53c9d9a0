//! `sunkeep-sim series`: half-hourly series of simulated homes.

use std::path::PathBuf;

use anyhow::ensure;
use jiff::civil::{Date, date};
use sunkeep_simulator::series::{SeriesSpec, write};

/// Longest run, in days of homes together: a thousand homes for a year.
const MOST_HOME_DAYS: u64 = 366_000;

/// What to write.
#[derive(clap::Args)]
pub(super) struct Arguments {
    /// Number of homes.
    #[arg(long, default_value_t = 10)]
    homes: u32,
    /// Days of each.
    #[arg(long, default_value_t = 120)]
    days: u32,
    /// Seed of the first home; the others follow.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// First day, UTC.
    #[arg(long, default_value_t = date(2024, 1, 1), value_name = "YYYY-MM-DD")]
    start: Date,
    /// Parquet file to write.
    #[arg(long)]
    out: PathBuf,
}

/// Runs the command.
pub(super) fn run(arguments: &Arguments) -> anyhow::Result<()> {
    let home_days = u64::from(arguments.homes) * u64::from(arguments.days);
    ensure!(
        (1..=MOST_HOME_DAYS).contains(&home_days),
        "{} homes for {} days, expected 1 to {MOST_HOME_DAYS} days together",
        arguments.homes,
        arguments.days
    );
    let spec = SeriesSpec {
        homes: arguments.homes,
        days: arguments.days,
        seed: arguments.seed,
        start_unix: super::midnight(arguments.start, "UTC")?,
    };
    write(spec, &arguments.out, |done| super::tell(&format!("home {done} of {}", arguments.homes)))?;
    Ok(())
}
