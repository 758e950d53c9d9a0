//! `sunkeep-train table`: the feature table of files of series, as `fit` wants it.

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Context, bail};
use clap::Args;
use sunkeep_models::load_features::feature_hash;
use sunkeep_models::time::Slot;
use sunkeep_training::feature_table::{Facts, write};
use sunkeep_training::series_file::LOAD_COLUMN;
use sunkeep_training::table::{MOST_ISSUES, Table as Rows, tables_of};

use super::common::{progress, read_sets};

#[derive(Args)]
pub(crate) struct Table {
    /// Parquet files with the columns `timestamp` (start of the interval), `site`, `load_w` (mean W).
    #[arg(required = true, value_name = "FILE.parquet")]
    files: Vec<PathBuf>,
    /// Time zone of each file, in the same order, or one for all; it says where days begin.
    #[arg(long, num_args = 1.., default_value = "UTC", value_name = "ZONE")]
    timezone: Vec<String>,
    /// Leaves out what was measured on or after this day (UTC), which is then free to be scored.
    #[arg(long, value_name = "YYYY-MM-DD")]
    until: Option<jiff::civil::Date>,
    /// Leaves out the sites of these names, which are then free to be scored.
    #[arg(long, num_args = 1.., value_name = "SITE")]
    without: Vec<String>,
    /// Issues taken of all sites together at most; each gives 96 rows.
    #[arg(long, default_value_t = MOST_ISSUES, value_name = "N")]
    issues: usize,
    /// Folder for the table.
    #[arg(long, value_name = "DIR")]
    out: PathBuf,
}

impl Table {
    pub(crate) fn run(&self) -> anyhow::Result<ExitCode> {
        let mut sets = read_sets(&self.files, &self.timezone, LOAD_COLUMN)?;
        for set in &mut sets {
            set.series.retain(|series| !self.without.contains(&series.site));
        }
        let end = match self.until {
            Some(day) => {
                let midnight = day.to_zoned(jiff::tz::TimeZone::UTC).context("--until")?;
                Slot::of(midnight.timestamp().as_second())
            }
            None => Slot(i64::MAX),
        };
        let progress = progress();
        progress.set_message("rows");
        let made = tables_of(&sets, self.issues, &progress);
        let sites: Vec<(&str, Rows)> =
            made.sites.into_iter().map(|(site, table)| (site, table.before(end))).collect();
        let rows: usize =
            sites.iter().flat_map(|(_, table)| &table.by_slot).map(|rows| rows.targets.len()).sum();
        if rows == 0 {
            bail!(
                "no rows: {} sites of {} files are left, with nothing to learn from",
                sites.len(),
                sets.len()
            );
        }
        let slots = || sites.iter().flat_map(|(_, table)| &table.by_slot).flat_map(|rows| &rows.slots);
        let day = |slot: Option<&Slot>| {
            let start = jiff::Timestamp::from_second(slot.map_or(0, |slot| slot.start()));
            start.map_or_else(|_| String::new(), |start| start.strftime("%Y-%m-%d").to_string())
        };
        let facts = Facts {
            feature_hash: feature_hash(),
            rows: Some(rows as u64),
            stride: Some(made.stride),
            seed: None,
            days: Some([day(slots().min()), day(slots().max())]),
            versions: [("sunkeep-train table".into(), env!("CARGO_PKG_VERSION").into())].into(),
        };
        let borrowed: Vec<(&str, &Rows)> = sites.iter().map(|(site, table)| (*site, table)).collect();
        write(&self.out, &borrowed, &facts)?;
        progress.finish_and_clear();
        println!("{rows} rows of {} sites written to {}", sites.len(), self.out.display());
        Ok(ExitCode::SUCCESS)
    }
}
