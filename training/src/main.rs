//! `sunkeep-train`: trains and backtests the forecast models of a hub.

use std::fs::File;
use std::io::{IsTerminal, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{Context, bail};
use clap::{Args, Parser, Subcommand};
use indicatif::{ProgressBar, ProgressStyle};
use sunkeep_models::contract::ModelScore;
use sunkeep_models::time::{Slot, Zone};
use sunkeep_training::backtest::{
    Backtest, MethodScore, Options, Set, Step, backtest, backtest_pv, first_scored,
};
use sunkeep_training::bundle::Bundle;
use sunkeep_training::load_fit::fit_load;
use sunkeep_training::prior::read_prior;
use sunkeep_training::series_file::{LOAD_COLUMN, PV_COLUMN, read_column};
use sunkeep_training::table::{rows_before, tables};

/// Trains and backtests the forecast models of a hub.
#[derive(Parser)]
#[command(version)]
struct Command {
    #[command(subcommand)]
    task: Task,
}

#[derive(Subcommand)]
enum Task {
    /// Makes slots and rows of features from a lake of telemetry.
    Features(sunkeep_training::lake::command::FeaturesArguments),
    /// Trains the load model and writes load.onnx and model.toml.
    Load(LoadArguments),
    /// Forecasts the last fifth of the days of a file, as a hub would have, and scores the forecasts.
    #[command(subcommand)]
    Backtest(BacktestTask),
}

#[derive(Args)]
struct LoadArguments {
    /// Parquet files with the columns `timestamp` (start of the interval), `site`, `load_w` (mean W).
    #[arg(long, required = true, num_args = 1.., value_name = "FILE.parquet")]
    data: Vec<PathBuf>,
    /// Time zone of each file, in the same order, or one for all; it says where days begin.
    #[arg(long, num_args = 1.., default_value = "UTC", value_name = "ZONE")]
    timezone: Vec<String>,
    /// Folder for the model.
    #[arg(long, value_name = "DIR")]
    out: PathBuf,
    /// Version of the model; counts up with every one that is published.
    #[arg(long, default_value_t = 1)]
    model_version: u32,
}

#[derive(Subcommand)]
enum BacktestTask {
    /// The load, by the hub's own adaptation of a model that was fitted to other sites.
    Load(LoadBacktestArguments),
    /// The power of the panels, by what the hub itself learns of them; without a weather forecast.
    Pv(PvBacktestArguments),
}

#[derive(Args)]
struct LoadBacktestArguments {
    #[command(flatten)]
    common: BacktestArguments,
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
struct PvBacktestArguments {
    #[command(flatten)]
    common: BacktestArguments,
    /// Column of the power of the panels; missing at night, it reads as dark.
    #[arg(long, default_value = PV_COLUMN, value_name = "COLUMN")]
    column: String,
}

#[derive(Args)]
struct BacktestArguments {
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

fn main() -> anyhow::Result<()> {
    match Command::parse().task {
        Task::Features(arguments) => Ok(sunkeep_training::lake::command::run(arguments)?),
        Task::Load(arguments) => train_load(&arguments),
        Task::Backtest(BacktestTask::Load(arguments)) => run_backtest_load(&arguments),
        Task::Backtest(BacktestTask::Pv(arguments)) => run_backtest_pv(&arguments),
    }
}

fn train_load(arguments: &LoadArguments) -> anyhow::Result<()> {
    let (files, zones) = (&arguments.data, &arguments.timezone);
    if zones.len() != 1 && zones.len() != files.len() {
        bail!("{} time zones for {} files, expected one for each or one for all", zones.len(), files.len());
    }
    let sets: Vec<Set> = files
        .iter()
        .zip(zones.iter().cycle())
        .map(|(file, zone)| read_set(file, zone, LOAD_COLUMN))
        .collect::<anyhow::Result<_>>()?;
    let progress = progress();
    let found = backtest(&sets, &Options::default(), &progress)?;
    print_scores(&progress, &found.scores);
    progress.set_message("rows");
    let (sites, tables) = tables(&sets, &progress);
    let rows = rows_before(&tables.iter().collect::<Vec<_>>(), Slot(i64::MAX));
    progress.set_message("fit");
    let weights = fit_load(&rows, &progress)?;
    let mut bundle = Bundle::of(&weights, &rows, &sites, found.scores.iter().map(model_score).collect())?;
    bundle.contract.version = arguments.model_version;
    let agreement = bundle.check_agreement(&weights, &rows)?;
    bundle.write(&arguments.out)?;
    progress.finish_and_clear();
    println!(
        "linfa and tract agree on {} rows to {:.1e}; {} bytes written to {}",
        agreement.rows,
        agreement.largest,
        bundle.onnx.len(),
        arguments.out.display()
    );
    Ok(())
}

fn run_backtest_load(arguments: &LoadBacktestArguments) -> anyhow::Result<()> {
    let common = &arguments.common;
    let sets = [read_set(&common.file, &common.timezone, &arguments.column)?];
    let progress = progress();
    let prior = match &arguments.prior {
        Some(folder) => {
            let sites: Vec<&str> = sets[0].series.iter().map(|series| series.site.as_str()).collect();
            Some(Arc::new(read_prior(folder, &sites, first_scored(&sets)?)?))
        }
        None => None,
    };
    let options = Options { history_days: common.history_days, prior };
    report(&backtest(&sets, &options, &progress)?, common, &progress)
}

fn run_backtest_pv(arguments: &PvBacktestArguments) -> anyhow::Result<()> {
    let common = &arguments.common;
    let sets = [read_set(&common.file, &common.timezone, &arguments.column)?];
    let progress = progress();
    let options = Options { history_days: common.history_days, prior: None };
    report(&backtest_pv(&sets, &options, &progress)?, common, &progress)
}

/// Writes the forecasts and prints the scores.
fn report(found: &Backtest, arguments: &BacktestArguments, progress: &ProgressBar) -> anyhow::Result<()> {
    write_steps(&arguments.out, &found.steps)
        .with_context(|| format!("{}: cannot be written", arguments.out.display()))?;
    print_scores(progress, &found.scores);
    progress.finish_and_clear();
    Ok(())
}

fn read_set(file: &Path, zone: &str, column: &str) -> anyhow::Result<Set> {
    let zone = Zone::named(zone)?;
    let read = read_column(file, column)?;
    let name = file.file_stem().map_or_else(String::new, |stem| stem.to_string_lossy().into_owned());
    eprintln!(
        "{}: {} sites; masked: {} missing, {} negative, {} absurd, {} repeated",
        file.display(),
        read.series.len(),
        read.masked.missing,
        read.masked.negative,
        read.masked.absurd,
        read.masked.repeated
    );
    Ok(Set { name, zone, series: read.series })
}

fn progress() -> ProgressBar {
    if !std::io::stderr().is_terminal() {
        return ProgressBar::hidden();
    }
    let style = ProgressStyle::with_template("{msg:10} {bar:40} {percent:>3} % {elapsed} (left: {eta})")
        .unwrap_or_else(|_| ProgressStyle::default_bar());
    ProgressBar::new(0).with_style(style)
}

fn print_scores(progress: &ProgressBar, scores: &[MethodScore]) {
    progress.suspend(|| {
        println!(
            "{:20} {:18} {:>7} {:>8} {:>9} {:>7}",
            "set", "method", "nMAE", "pinball", "coverage", "daily"
        );
        for MethodScore { set, method, score } in scores {
            println!(
                "{set:20} {method:18} {:7.4} {:8.4} {:9.3} {:7.4}",
                score.nmae, score.pinball, score.coverage, score.daily
            );
        }
    });
}

fn model_score(score: &MethodScore) -> ModelScore {
    let rounded = |value: f64| ((value * 1e4).round() / 1e4) as f32;
    ModelScore {
        set: score.set.clone(),
        method: score.method.clone(),
        nmae: rounded(score.score.nmae),
        pinball: rounded(score.score.pinball),
        coverage: rounded(score.score.coverage),
    }
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
