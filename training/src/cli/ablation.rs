//! `sunkeep-train ablation`: what each feature and expert is worth, as a Markdown table.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::Args;
use sunkeep_training::ablation::{ablation, variants};
use sunkeep_training::series_file::LOAD_COLUMN;

use super::common::{progress, read_sets};

#[derive(Args)]
pub(crate) struct Ablation {
    /// Parquet files with the columns `timestamp` (start of the interval), `site`, and the load (mean W).
    #[arg(required = true, value_name = "FILE.parquet")]
    files: Vec<PathBuf>,
    /// Time zone of each file, in the same order, or one for all; it says where days begin.
    #[arg(long, num_args = 1.., default_value = "UTC", value_name = "ZONE")]
    timezone: Vec<String>,
    /// Column of the load.
    #[arg(long, default_value = LOAD_COLUMN, value_name = "COLUMN")]
    column: String,
    /// Only the variants whose name holds this; the whole forecast is always among them.
    #[arg(long, value_name = "TEXT")]
    only: Option<String>,
}

impl Ablation {
    pub(crate) fn run(&self) -> anyhow::Result<ExitCode> {
        let sets = read_sets(&self.files, &self.timezone, &self.column)?;
        let mut variants = variants();
        if let Some(only) = &self.only {
            let whole = variants[0].name.clone();
            variants.retain(|variant| variant.name == whole || variant.name.contains(only));
        }
        let progress = progress();
        let rows = ablation(&sets, &variants, &progress)?;
        progress.finish_and_clear();
        let names: Vec<String> =
            sets.iter().map(|set| format!(" {}: nMAE | pinball | coverage | daily |", set.name)).collect();
        println!("| |{}", names.concat());
        println!("|---|{}", "---|".repeat(4 * sets.len()));
        for row in rows {
            let cells: Vec<String> = row
                .scores
                .iter()
                .map(|score| {
                    score.map_or_else(
                        || " - | - | - | - |".into(),
                        |score| {
                            format!(
                                " {:.4} | {:.4} | {:.3} | {:.4} |",
                                score.nmae, score.pinball, score.coverage, score.daily
                            )
                        },
                    )
                })
                .collect();
            println!("| {} |{}", row.name, cells.concat());
        }
        Ok(ExitCode::SUCCESS)
    }
}
