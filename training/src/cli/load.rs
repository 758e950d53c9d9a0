//! `sunkeep-train load`: the load model from files of series, with its scores.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::Args;
use sunkeep_models::time::Slot;
use sunkeep_training::backtest::{Options, backtest};
use sunkeep_training::bundle::Bundle;
use sunkeep_training::load_fit::fit_load;
use sunkeep_training::series_file::LOAD_COLUMN;
use sunkeep_training::table::{rows_before, tables};

use super::common::{model_score, print_scores, print_written, progress, read_sets};

#[derive(Args)]
pub(crate) struct Load {
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

impl Load {
    pub(crate) fn run(&self) -> anyhow::Result<ExitCode> {
        let sets = read_sets(&self.data, &self.timezone, LOAD_COLUMN)?;
        let progress = progress();
        let found = backtest(&sets, &Options::default(), &progress)?;
        print_scores(&progress, &found.scores);
        progress.set_message("rows");
        let (sites, tables) = tables(&sets, &progress);
        let rows = rows_before(&tables.iter().collect::<Vec<_>>(), Slot(i64::MAX));
        progress.set_message("fit");
        let weights = fit_load(&rows, &progress)?;
        let mut bundle = Bundle::of(&weights, &rows, &sites, found.scores.iter().map(model_score).collect())?;
        bundle.contract.version = self.model_version;
        let agreement = bundle.check_agreement(&weights, &rows)?;
        bundle.write(&self.out)?;
        progress.finish_and_clear();
        print_written(&bundle, agreement, &self.out);
        Ok(ExitCode::SUCCESS)
    }
}
