//! Which home a command plays: a made-up one of a seed, or a recorded one.

use std::path::PathBuf;

use jiff::civil::{Date, date};
use sunkeep_simulator::plant::{GeneratorRun, HomeSpec, Plant, RecordedHome, Series, SolarHome};

/// What tells a recorded home from a made-up one, and when it begins.
#[derive(clap::Args)]
pub(super) struct WhichHome {
    /// Play this recorded series (CSV, its battery in the JSON file beside it) instead of a made-up home.
    #[arg(long, value_name = "CSV")]
    site: Option<PathBuf>,
    /// Time zone of the recorded series.
    #[arg(long, default_value = "America/Los_Angeles", requires = "site")]
    zone: String,
    /// First local day; 1 March 2025 for a made-up home, the first row of a recorded one.
    #[arg(long, value_name = "YYYY-MM-DD")]
    start: Option<Date>,
}

impl WhichHome {
    /// The home. A seed and a generator are for a made-up one.
    pub(super) fn plant(&self, seed: u64, generator: Vec<GeneratorRun>) -> anyhow::Result<Plant> {
        if let Some(csv) = &self.site {
            let start = self.start.map(|day| super::midnight(day, &self.zone)).transpose()?;
            let home = RecordedHome::new(Series::read(csv)?, &self.zone, start)?;
            return Ok(Plant::Recorded(Box::new(home)));
        }
        let mut spec = HomeSpec::from_seed(seed, 0);
        spec.start_unix = super::midnight(self.start.unwrap_or(date(2025, 3, 1)), &spec.zone)?;
        spec.generator.extend(generator);
        Ok(Plant::Synthetic(Box::new(SolarHome::new(spec)?)))
    }
}
