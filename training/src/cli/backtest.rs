//! `sunkeep-train backtest`: forecasts a file day by day as a hub would have, and scores them.

use std::fs::File;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;

use anyhow::Context;
use clap::{Args, Subcommand};
use indicatif::ProgressBar;
use sunkeep_training::backtest::{self, Options, Step, backtest, backtest_pv, first_scored};
use sunkeep_training::prior::read_prior;
use sunkeep_training::series_file::{LOAD_COLUMN, PV_COLUMN};

use super::common::{print_scores, progress, read_set};

#[derive(Subcommand)]
pub(crate) enum Backtest {
    /// The load, by the hub's own adaptation of a model that was fitted to other sites.
    Load(LoadBacktest),
    /// The power of the panels, by what the hub itself learns of them; without a weather forecast.
    Pv(PvBacktest),
}

#[derive(Args)]
pub(crate) struct LoadBacktest {
    #[command(flatten)]
    common: Common,
    /// Column of the load.
    #[arg(long, default_value = LOAD_COLUMN, value_name = "COLUMN")]
    column: String,
    /// Folder of the fleet's model (load.onnx, model.toml); refused where it has seen a site of the file,
    /// or anything dated at or after the first scored day. Without it, one is fitted to the other sites
    /// of the file, up to then.
    #[arg(long, value_name = "MODEL_DIR")]
    prior: Option<PathBuf>,
}

#[derive(Args)]
pub(crate) struct PvBacktest {
    #[command(flatten)]
    common: Common,
    /// Column of the power of the panels; missing at night, it reads as dark.
    #[arg(long, default_value = PV_COLUMN, value_name = "COLUMN")]
    column: String,
}

#[derive(Args)]
struct Common {
    /// Parquet file with the columns `timestamp` (start of the interval), `site`, and the power (mean W).
    file: PathBuf,
    /// Time zone of the sites; it says where days begin.
    #[arg(long, default_value = "UTC", value_name = "ZONE")]
    timezone: String,
    /// Forecasts as CSV: `site`, `issued_at`, `timestamp`, `p10`, `p50`, `p90`, `mean`.
    #[arg(long, value_name = "FORECASTS.csv")]
    out: PathBuf,
    /// Forecasts each day as a hub that was switched on so many days before (0: at 18:00 the evening
    /// before); without it, as one that lived through the whole file.
    #[arg(long, value_name = "DAYS")]
    history_days: Option<usize>,
}

impl Backtest {
    pub(crate) fn run(&self) -> anyhow::Result<ExitCode> {
        match self {
            Self::Load(load) => load.run(),
            Self::Pv(pv) => pv.run(),
        }
    }
}

impl LoadBacktest {
    fn run(&self) -> anyhow::Result<ExitCode> {
        let common = &self.common;
        let sets = [read_set(&common.file, &common.timezone, &self.column)?];
        let progress = progress();
        let prior = match &self.prior {
            Some(folder) => {
                let sites: Vec<&str> = sets[0].series.iter().map(|series| series.site.as_str()).collect();
                Some(Arc::new(read_prior(folder, &sites, first_scored(&sets)?)?))
            }
            None => None,
        };
        let options = Options { history_days: common.history_days, prior, ..Options::default() };
        report(&backtest(&sets, &options, &progress)?, common, &progress)
    }
}

impl PvBacktest {
    fn run(&self) -> anyhow::Result<ExitCode> {
        let common = &self.common;
        let sets = [read_set(&common.file, &common.timezone, &self.column)?];
        let progress = progress();
        let options = Options { history_days: common.history_days, ..Options::default() };
        report(&backtest_pv(&sets, &options, &progress)?, common, &progress)
    }
}

/// Writes the forecasts and prints the scores.
fn report(found: &backtest::Backtest, common: &Common, progress: &ProgressBar) -> anyhow::Result<ExitCode> {
    write_steps(&common.out, &found.steps)
        .with_context(|| format!("{}: cannot be written", common.out.display()))?;
    print_scores(progress, &found.scores);
    progress.finish_and_clear();
    Ok(ExitCode::SUCCESS)
}

fn write_steps(file: &Path, steps: &[Step]) -> anyhow::Result<()> {
    let mut csv = csv::Writer::from_writer(std::io::BufWriter::new(File::create(file)?));
    csv.write_record(["site", "issued_at", "timestamp", "p10", "p50", "p90", "mean"])?;
    for step in steps {
        let time = |unix| Ok::<_, jiff::Error>(jiff::Timestamp::from_second(unix)?.to_string());
        let [p10, p50, p90] = step.forecast.quantiles.map(|watts| watts.to_string());
        let (issued, start, mean) = (time(step.issued)?, time(step.time)?, step.forecast.mean.to_string());
        csv.write_record([&step.site, &issued, &start, &p10, &p50, &p90, &mean])?;
    }
    csv.into_inner().map_err(csv::IntoInnerError::into_error)?.flush()?;
    Ok(())
}
