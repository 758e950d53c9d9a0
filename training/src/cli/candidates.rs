//! `sunkeep-train candidates`: other kinds of model on the same rows and days.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::Args;
use sunkeep_training::candidates::compare;
use sunkeep_training::series_file::LOAD_COLUMN;

use super::common::{progress, read_sets};

#[derive(Args)]
pub(crate) struct Candidates {
    /// Parquet files with the columns `timestamp` (start of the interval), `site`, and the load (mean W).
    #[arg(required = true, value_name = "FILE.parquet")]
    files: Vec<PathBuf>,
    /// Time zone of each file, in the same order, or one for all; it says where days begin.
    #[arg(long, num_args = 1.., default_value = "UTC", value_name = "ZONE")]
    timezone: Vec<String>,
    /// Column of the load.
    #[arg(long, default_value = LOAD_COLUMN, value_name = "COLUMN")]
    column: String,
}

impl Candidates {
    pub(crate) fn run(&self) -> anyhow::Result<ExitCode> {
        let sets = read_sets(&self.files, &self.timezone, &self.column)?;
        let progress = progress();
        let rows = compare(&sets, &progress)?;
        progress.finish_and_clear();
        // Seconds are those of the fits of all parts, and the same in each set.
        println!("| set | candidate | nMAE | pinball | coverage | daily | bytes | fits, s |");
        println!("|---|---|---|---|---|---|---|---|");
        for set in &sets {
            for row in &rows {
                let Some(score) = row.scores.iter().find(|score| score.set == set.name) else { continue };
                let score = score.score;
                println!(
                    "| {} | {} | {:.4} | {:.4} | {:.3} | {:.4} | {} | {:.1} |",
                    set.name,
                    row.name,
                    score.nmae,
                    score.pinball,
                    score.coverage,
                    score.daily,
                    row.bytes,
                    row.seconds
                );
            }
        }
        Ok(ExitCode::SUCCESS)
    }
}
