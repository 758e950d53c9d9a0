//! `sunkeep-train promote`: whether a challenger replaces the champion, and its release if it does.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::Args;
use sunkeep_training::gate::bootstrap::Interval;
use sunkeep_training::gate::rule::{RULE, Verdict};
use sunkeep_training::gate::{Comparison, Evidence, Settings, card, compare, read_rivals, release};
use sunkeep_training::series_file::LOAD_COLUMN;

use super::common::{progress, read_sets};

/// Exit code of a no; errors have 1, a wrong command line 2.
const NO: u8 = 3;

#[derive(Args)]
#[command(after_help = "Exit codes: 0 yes, 3 no, 1 an error, 2 a wrong command line.")]
pub(crate) struct Promote {
    /// Folder of the model that serves (load.onnx, model.toml).
    #[arg(long, value_name = "MODEL_DIR")]
    champion: PathBuf,
    /// Folder of the model that would replace it.
    #[arg(long, value_name = "MODEL_DIR")]
    challenger: PathBuf,
    /// Parquet files with sites neither model has seen, whose last fifth of days lies after all they saw; columns
    /// `timestamp` (start of the interval), `site`, and the load (mean W).
    #[arg(required = true, value_name = "FILE.parquet")]
    files: Vec<PathBuf>,
    /// Time zone of each file, in the same order, or one for all; it says where days begin.
    #[arg(long, num_args = 1.., default_value = "UTC", value_name = "ZONE")]
    timezone: Vec<String>,
    /// Column of the load.
    #[arg(long, default_value = LOAD_COLUMN, value_name = "COLUMN")]
    column: String,
    /// Seed of the resampling.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Days in a row that are drawn together.
    #[arg(long, default_value_t = 7, value_name = "DAYS", value_parser = clap::value_parser!(u16).range(1..=366))]
    block_days: u16,
    /// Compares hubs that were switched on so many days before each scored day; without it, hubs that lived
    /// through all of the file, and young ones as a check.
    #[arg(long, value_name = "DAYS")]
    history_days: Option<usize>,
    /// Folder for the release (load.onnx, model.toml, card.html); written on a yes, and must not exist.
    #[arg(long, value_name = "RELEASE_DIR")]
    out: PathBuf,
}

impl Promote {
    pub(crate) fn run(&self) -> anyhow::Result<ExitCode> {
        release::check_free(&self.out)?;
        let sets = read_sets(&self.files, &self.timezone, &self.column)?;
        let rivals = read_rivals(&self.champion, &self.challenger, &sets)?;
        let settings = Settings {
            seed: self.seed,
            block_days: usize::from(self.block_days),
            history_days: self.history_days,
            ..Settings::default()
        };
        let progress = progress();
        let comparison = compare(&rivals, &sets, settings, &progress)?;
        progress.suspend(|| print(&comparison));
        let verdict = comparison.verdict();
        if let Verdict::No(reasons) = verdict {
            progress.finish_and_clear();
            println!("no: {}", reasons.join("; "));
            return Ok(ExitCode::from(NO));
        }
        let evidence = Evidence::gather(&rivals, &sets, &progress)?;
        let contract = release::contract(&rivals, &comparison);
        let page = card::card(&contract, &comparison, &evidence, &sets);
        release::write(&self.out, &self.challenger, &contract, &page)?;
        progress.finish_and_clear();
        println!(
            "yes: better in pinball, and in nothing worse than the rule allows; version {} written to {}",
            contract.version,
            self.out.display()
        );
        Ok(ExitCode::SUCCESS)
    }
}

fn print(comparison: &Comparison) {
    let interval = |of: Option<Interval>| {
        of.map_or_else(|| "-".into(), |of| format!("{:+.5} to {:+.5}", of.low, of.high))
    };
    println!(
        "{:30} {:>9} {:>10} {:>10}  {:22} {:22} verdict",
        "figure", "champion", "challenger", "difference", "95 % by weeks", "95 % by sites"
    );
    for finding in &comparison.findings {
        println!(
            "{:30} {:9.5} {:10.5} {:+10.5}  {:22} {:22} {}",
            finding.figure.name(),
            finding.champion,
            finding.challenger,
            finding.challenger - finding.champion,
            interval(finding.by_weeks),
            interval(finding.by_sites),
            if finding.against().is_none() { "good" } else { "against" }
        );
    }
    for (name, [pinball, nmae]) in &comparison.baselines {
        println!("{name:30} pinball {pinball:.5}, nMAE {nmae:.5}");
    }
    println!(
        "{} sites, {} days of them, {} blocks of {} days; seed {}, {} draws",
        comparison.sites,
        comparison.site_days,
        comparison.blocks,
        comparison.settings.block_days,
        comparison.settings.seed,
        comparison.settings.resamples
    );
    println!("the rule: {RULE}");
    if let Some(caveat) = comparison.caveat() {
        println!("{caveat}");
    }
}
