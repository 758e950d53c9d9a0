//! `sunkeep-train fit`: the load model from a feature table.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::Args;
use sunkeep_training::feature_table::FeatureTable;
use sunkeep_training::table_fit::fit_table;

use super::common::{print_written, progress};

#[derive(Args)]
pub(crate) struct Fit {
    /// Folder of the feature table: `features.toml` and `slot_of_day=NN/*.parquet`.
    #[arg(long, value_name = "DIR")]
    features: PathBuf,
    /// Folder for the model (load.onnx, model.toml).
    #[arg(long, value_name = "MODEL_DIR")]
    out: PathBuf,
    /// Version of the model; counts up with every one that is published.
    #[arg(long, default_value_t = 1)]
    model_version: u32,
}

impl Fit {
    pub(crate) fn run(&self) -> anyhow::Result<ExitCode> {
        let table = FeatureTable::open(&self.features)?;
        let progress = progress();
        progress.set_message("fit");
        let fit = fit_table(&table, &progress)?;
        let (mut bundle, agreement) = fit.bundle()?;
        bundle.contract.version = self.model_version;
        bundle.write(&self.out)?;
        progress.finish_and_clear();
        let training = &bundle.contract.training;
        println!(
            "{} of {} rows of {} sites, {} to {}",
            training.rows,
            table.rows(),
            training.sites,
            training.first_day,
            training.last_day
        );
        let [p10, p50, p90] = fit.pinball;
        println!(
            "pinball on these rows, over the level: P10 {p10:.5}, P50 {p50:.5}, P90 {p90:.5}, mean {:.5}",
            (p10 + p50 + p90) / 3.0
        );
        print_written(&bundle, agreement, &self.out);
        Ok(ExitCode::SUCCESS)
    }
}
