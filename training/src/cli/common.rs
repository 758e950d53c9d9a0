//! What several commands share: files of series with their zones, the progress bar, the table of scores.

use std::io::IsTerminal;
use std::path::{Path, PathBuf};

use anyhow::bail;
use indicatif::{ProgressBar, ProgressStyle};
use sunkeep_models::contract::ModelScore;
use sunkeep_models::time::Zone;
use sunkeep_training::backtest::{MethodScore, Set};
use sunkeep_training::bundle::{Agreement, Bundle};
use sunkeep_training::scores::Score;
use sunkeep_training::series_file::read_column;

/// Reads files of series, with one zone for each or one for all.
pub(crate) fn read_sets(files: &[PathBuf], zones: &[String], column: &str) -> anyhow::Result<Vec<Set>> {
    if zones.len() != 1 && zones.len() != files.len() {
        bail!("{} time zones for {} files, expected one for each or one for all", zones.len(), files.len());
    }
    files.iter().zip(zones.iter().cycle()).map(|(file, zone)| read_set(file, zone, column)).collect()
}

/// Reads one file of series and says what was masked in it.
pub(crate) fn read_set(file: &Path, zone: &str, column: &str) -> anyhow::Result<Set> {
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

/// A bar on the terminal; nothing where errors go to a file.
pub(crate) fn progress() -> ProgressBar {
    if !std::io::stderr().is_terminal() {
        return ProgressBar::hidden();
    }
    let style = ProgressStyle::with_template("{msg:10} {bar:40} {percent:>3} % {elapsed} (left: {eta})")
        .unwrap_or_else(|_| ProgressStyle::default_bar());
    ProgressBar::new(0).with_style(style)
}

/// Prints the scores of a backtest.
pub(crate) fn print_scores(progress: &ProgressBar, scores: &[MethodScore]) {
    progress.suspend(|| {
        println!(
            "{:20} {:18} {:>7} {:>8} {:>9} {:>7}   second day:",
            "set", "method", "nMAE", "pinball", "coverage", "daily"
        );
        for MethodScore { set, method, score, second_day } in scores {
            let row = |score: &Score| {
                format!("{:7.4} {:8.4} {:9.3} {:7.4}", score.nmae, score.pinball, score.coverage, score.daily)
            };
            let second = second_day.as_ref().map(row).unwrap_or_default();
            println!("{set:20} {method:18} {}  {second}", row(score));
        }
    });
}

/// A score as a contract carries it, rounded to what means anything.
pub(crate) fn model_score(score: &MethodScore) -> ModelScore {
    let rounded = |value: f64| ((value * 1e4).round() / 1e4) as f32;
    ModelScore {
        set: score.set.clone(),
        method: score.method.clone(),
        nmae: rounded(score.score.nmae),
        pinball: rounded(score.score.pinball),
        coverage: rounded(score.score.coverage),
    }
}

/// Says where a model was written and how closely tract reproduced its fit.
pub(crate) fn print_written(bundle: &Bundle, agreement: Agreement, out: &Path) {
    println!(
        "linfa and tract agree on {} rows to {:.1e}; {} bytes written to {}",
        agreement.rows,
        agreement.largest,
        bundle.onnx.len(),
        out.display()
    );
}
