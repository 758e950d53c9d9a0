//! `sunkeep-train features`: the command line, the progress bar and the printed report.

use std::io::{IsTerminal, Write};
use std::path::PathBuf;

use indicatif::{ProgressBar, ProgressStyle};

use super::error::LakeError;
use super::plan::FeaturesToml;
use super::run::{Request, make_features};

/// Threads that wait for files, and that make features.
const READING_THREADS: usize = 4;

/// From a lake of telemetry to the slot table and the feature table.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "The folder of the tables holds slots.parquet, slot_of_day=NN/features.parquet and, when all \
is there, features.toml. A run that was stopped goes on where it stood. See training/lake/LAKE.md."
)]
pub struct FeaturesArguments {
    /// The lake: a folder, or an URL such as `s3://bucket/lake`; it holds telemetry/, sites/ and perhaps
    /// corrections/ and weather/.
    #[arg(long, value_name = "URL")]
    lake: String,
    /// Folder for the tables.
    #[arg(long, value_name = "DIR")]
    out: PathBuf,
    /// Memory to work in; what does not fit goes to the disk.
    #[arg(long, default_value = "512MB", value_name = "SIZE", value_parser = size)]
    memory_limit: u64,
    /// Disk that may be used for what does not fit into memory.
    #[arg(long, default_value = "20GB", value_name = "SIZE", value_parser = size)]
    spill_limit: u64,
    /// A Ballista scheduler that answers the queries in place of this process, as df://host:port; its
    /// executors must see the lake at the same place.
    #[arg(long, value_name = "URL")]
    cluster: Option<String>,
    /// Issues of all sites together at the most, more or less: 48 h of rows for each. They are spread evenly
    /// over time and over the slots of the day, always the same ones.
    #[arg(long, default_value_t = 10_000, value_parser = clap::value_parser!(u64).range(1..))]
    issues: u64,
    /// Sites whose records are read together, at the most; fewer where the memory asks for it.
    #[arg(long, default_value_t = 1000, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    sites_per_pass: u64,
    /// Leaves broken files out, names them and goes on; without it, they end the run.
    #[arg(long)]
    leave_out_broken: bool,
    /// Begins anew, whatever is in the folder of the tables.
    #[arg(long)]
    restart: bool,
}

/// A size such as `512MB`: bytes, or with one of kB, MB, GB, TB (powers of 1,000) or KiB, MiB, GiB, TiB.
fn size(text: &str) -> Result<u64, String> {
    let digits = text.find(|sign: char| !sign.is_ascii_digit()).unwrap_or(text.len());
    let (number, unit) = text.split_at(digits);
    let factor: Option<u64> = match unit.trim().to_ascii_lowercase().as_str() {
        "" | "b" => Some(1),
        "k" | "kb" => Some(1000),
        "m" | "mb" => Some(1_000_000),
        "g" | "gb" => Some(1_000_000_000),
        "t" | "tb" => Some(1_000_000_000_000),
        "kib" => Some(1 << 10),
        "mib" => Some(1 << 20),
        "gib" => Some(1 << 30),
        "tib" => Some(1 << 40),
        _ => None,
    };
    let number: Option<u64> = number.parse().ok();
    number
        .zip(factor)
        .and_then(|(number, factor)| number.checked_mul(factor))
        .ok_or_else(|| format!("{text:?} is no size, expected a whole number with a unit, as in 512MB"))
}

/// Runs the command.
pub fn run(arguments: &FeaturesArguments) -> Result<(), LakeError> {
    let request = Request {
        lake: arguments.lake.clone(),
        out: arguments.out.clone(),
        memory: arguments.memory_limit,
        spill: arguments.spill_limit,
        cluster: arguments.cluster.clone(),
        issues: arguments.issues,
        sites_per_pass: arguments.sites_per_pass,
        leave_out_broken: arguments.leave_out_broken,
        restart: arguments.restart,
    };
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        // Each thread that reads files keeps what it freed to itself.
        .max_blocking_threads(READING_THREADS)
        .enable_all()
        .build()
        .map_err(LakeError::output(&request.out, "start threads for"))?;
    let progress = progress();
    let made = runtime.block_on(make_features(&request, &progress));
    progress.finish_and_clear();
    let (report, was_there) = made?;
    // That nobody reads the report is no reason to fail.
    let _ = print(&mut std::io::stdout().lock(), &request, &report, was_there);
    Ok(())
}

fn progress() -> ProgressBar {
    if !std::io::stderr().is_terminal() {
        return ProgressBar::hidden();
    }
    let style = ProgressStyle::with_template("{msg:18} {bar:40} {pos}/{len} {elapsed} (left: {eta})")
        .unwrap_or_else(|_| ProgressStyle::default_bar());
    ProgressBar::new(0).with_style(style)
}

fn print(
    out: &mut impl Write,
    request: &Request,
    report: &FeaturesToml,
    was_there: bool,
) -> std::io::Result<()> {
    if was_there {
        writeln!(out, "{} is up to date; --restart would make it anew", request.out.display())?;
    }
    for (cause, count) in report.counts.iter().filter(|(_, count)| *count > 0) {
        writeln!(out, "{count:>12} {cause}")?;
    }
    for (cause, case) in report.noted.iter() {
        writeln!(out, "{cause}: {case}")?;
    }
    if let Some(span) = &report.span {
        writeln!(out, "data from {} to {}", span.first_day, span.last_day)?;
    }
    writeln!(
        out,
        "{} sites, {} slots, {} issues {} slots apart, {} rows in {}",
        report.sites,
        report.slots,
        report.issues,
        report.stride,
        report.rows,
        request.out.display()
    )
}

#[cfg(test)]
mod tests {
    use super::size;

    #[test]
    fn sizes_are_read_with_their_units() {
        assert_eq!(size("512MB"), Ok(512_000_000));
        assert_eq!(size("1 GiB"), Ok(1 << 30));
        for wrong in ["", "MB", "1.5GB", "20XB", "99999999999999TB"] {
            assert!(size(wrong).is_err(), "{wrong:?}");
        }
    }
}
