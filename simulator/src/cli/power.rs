//! `sunkeep-sim power`: recorded homes through the hub's `step`, in this process.

use std::io::Write as _;
use std::path::PathBuf;

use anyhow::Context as _;
use jiff::civil::Date;
use serde::Serialize;
use sunkeep_simulator::plant::Series;
use sunkeep_simulator::power::{Options, Planner, Score, play, write_switches};

/// What to play.
#[derive(clap::Args)]
pub(super) struct Arguments {
    /// Recorded series (CSV, the battery in the JSON file beside each).
    #[arg(required = true, value_name = "SITE.csv")]
    sites: Vec<PathBuf>,
    /// Time zone of the series.
    #[arg(long, default_value = "America/Los_Angeles")]
    zone: String,
    /// Who decides what is held back: the hub's planner, or nobody but the reserve rule.
    #[arg(long, value_enum, default_value_t = Chosen::Hub)]
    planner: Chosen,
    /// First local day; a series begins with its first row unless told.
    #[arg(long, value_name = "YYYY-MM-DD")]
    start: Option<Date>,
    /// How many days to play; to the end unless told.
    #[arg(long)]
    days: Option<u32>,
    /// Move relays only where a row begins, as the benchmark's scorer has it; a home's hub moves them when it
    /// decides.
    #[arg(long)]
    hold: bool,
    /// Folder for NAME.csv of each site: what was on at the start of each row.
    #[arg(long)]
    out: Option<PathBuf>,
}

#[derive(Clone, Copy, clap::ValueEnum)]
enum Chosen {
    /// The hub's planner with the hub's forecasts.
    Hub,
    /// The reserve rule alone.
    None,
}

/// One line on standard output.
#[derive(Serialize)]
struct Line {
    #[serde(flatten)]
    score: Score,
    wall_seconds: f64,
    simulated_years_a_second: f64,
}

/// Runs the command.
pub(super) fn run(arguments: &Arguments) -> anyhow::Result<()> {
    let planner = match arguments.planner {
        Chosen::Hub => Planner::Hub,
        Chosen::None => Planner::None,
    };
    let start_unix = arguments.start.map(|day| super::midnight(day, &arguments.zone)).transpose()?;
    if let Some(dir) = &arguments.out {
        std::fs::create_dir_all(dir).with_context(|| format!("cannot make the folder {}", dir.display()))?;
    }
    for site in &arguments.sites {
        let series = Series::read(site)?;
        let name = series.name.clone();
        let began = now();
        let options = Options { planner, hold: arguments.hold, start_unix, days: arguments.days };
        let played = play(series, &arguments.zone, options)?;
        let wall = began.elapsed().as_secs_f64();
        let line = Line {
            simulated_years_a_second: (played.score.days / 365.25 / wall * 1e4).round() / 1e4,
            wall_seconds: (wall * 100.0).round() / 100.0,
            score: played.score,
        };
        writeln!(std::io::stdout(), "{}", serde_json::to_string(&line)?).context("cannot print a line")?;
        if let Some(dir) = &arguments.out {
            let file = dir.join(format!("{name}.csv"));
            write_switches(&file, &played.switches)
                .with_context(|| format!("cannot write {}", file.display()))?;
        }
    }
    Ok(())
}

#[expect(clippy::disallowed_methods, reason = "wall time is measured to be printed, never to decide")]
fn now() -> std::time::Instant {
    std::time::Instant::now()
}
