//! The command line; one file per command. What several commands say or read lies in `common`.

mod ablation;
mod backtest;
#[cfg(feature = "candidates")]
mod candidates;
mod common;
mod fit;
mod load;
mod promote;
mod table;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

/// Trains and backtests the forecast models of a hub.
#[derive(Parser)]
#[command(version, max_term_width = 100)]
pub(crate) struct Command {
    #[command(subcommand)]
    task: Task,
}

#[derive(Subcommand)]
enum Task {
    /// Trains the load model from files of series and writes load.onnx and model.toml.
    Load(load::Load),
    /// Makes slots and the feature table of a lake of telemetry, which `fit` learns from.
    Features(sunkeep_lake::command::FeaturesArguments),
    /// Makes the feature table of files of series, which `fit` learns from.
    Table(table::Table),
    /// Trains the load model from a feature table and writes load.onnx and model.toml.
    Fit(fit::Fit),
    /// Compares a challenger with the champion on sites and days neither has seen; only a yes writes a release.
    Promote(promote::Promote),
    /// Scores the load forecast without each of its features and experts, as a Markdown table.
    Ablation(ablation::Ablation),
    /// Fits other kinds of model to the same rows and scores them on the same days, as a Markdown table.
    #[cfg(feature = "candidates")]
    Candidates(candidates::Candidates),
    /// Forecasts the last fifth of the days of a file, as a hub would have, and scores the forecasts.
    #[command(subcommand)]
    Backtest(backtest::Backtest),
}

impl Command {
    /// Does what was asked for.
    pub(crate) fn run(&self) -> anyhow::Result<ExitCode> {
        match &self.task {
            Task::Load(load) => load.run(),
            Task::Features(features) => Ok(sunkeep_lake::command::run(features).map(|()| ExitCode::SUCCESS)?),
            Task::Table(table) => table.run(),
            Task::Fit(fit) => fit.run(),
            Task::Promote(promote) => promote.run(),
            Task::Ablation(ablation) => ablation.run(),
            #[cfg(feature = "candidates")]
            Task::Candidates(candidates) => candidates.run(),
            Task::Backtest(backtest) => backtest.run(),
        }
    }
}
