//! `sunkeep-sim power`: recorded homes through the hub's `step`, in this process.

use std::io::Write as _;
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use jiff::civil::Date;
use serde::Serialize;
use sunkeep_simulator::plant::Series;
use sunkeep_simulator::policy::Policy;
use sunkeep_simulator::power::{Chosen, Options, Planner, Score, play, play_rule, write_switches};

/// Most sites that are taken from a folder.
const MOST_SITES: usize = 10_000;

/// What to play.
#[derive(clap::Args)]
pub(super) struct Arguments {
    /// Recorded series (CSV, the battery in the JSON file beside each).
    #[arg(required_unless_present = "folder", value_name = "SITE.csv")]
    series: Vec<PathBuf>,
    /// Plays every series of this folder as the power benchmark has it: relays move where a row begins, and
    /// the planner goes by the past alone unless told otherwise.
    #[arg(long = "sites", value_name = "DIR", conflicts_with = "series")]
    folder: Option<PathBuf>,
    /// Time zone of the series.
    #[arg(long, default_value = "America/Los_Angeles")]
    zone: String,
    /// Who decides what is held back; the hub's planner with its forecasts unless told.
    #[arg(long, value_enum)]
    planner: Option<Who>,
    /// Plays a policy instead: one of the field as a row begins, by the true state of charge; or the planner's method, told
    /// what is to come.
    #[arg(long, value_enum, conflicts_with = "planner")]
    policy: Option<Told>,
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
    /// The home has one meter for everything: of what the tiers draw only the sum is known.
    #[arg(long)]
    one_meter: bool,
    /// Folder for NAME.csv of each site: what was on at the start of each row.
    #[arg(long)]
    out: Option<PathBuf>,
    /// Sites that are played at a time; as many as there are processors unless told.
    #[arg(long)]
    jobs: Option<usize>,
}

#[derive(Clone, Copy, clap::ValueEnum)]
enum Who {
    /// The hub's planner with the hub's forecasts. Not for scoring: the factory model has seen measured homes.
    Hub,
    /// The hub's planner, from what the home has lived through alone.
    Past,
    /// The reserve rule alone.
    None,
}

#[derive(Clone, Copy, clap::ValueEnum)]
enum Told {
    /// Nothing is shed before the hardware cuts.
    Disconnect,
    /// Convenience below 50 %, important loads below 30 % (SPAN).
    ThreeTiers,
    /// Two levels by time of day (SMA).
    TiersByTime,
    /// A floor that rises while the battery is not charged (Victron).
    BatteryLife,
    /// The planner's method, told that yesterday comes again.
    Persistence,
    /// The planner's method, told the next 48 hours.
    Told48,
}

impl Told {
    /// The rule, or the planner, and its name.
    fn policy(self) -> (Result<Policy, Planner>, &'static str) {
        let rule = |policy: Policy| (Ok(policy), policy.name());
        match self {
            Self::Disconnect => rule(Policy::Disconnect),
            Self::ThreeTiers => rule(Policy::ThreeTiers),
            Self::TiersByTime => rule(Policy::TiersByTime),
            Self::BatteryLife => rule(Policy::BatteryLife),
            Self::Persistence => (Err(Planner::Persistence), "persistence"),
            Self::Told48 => (Err(Planner::Told), "told48"),
        }
    }
}

/// One line on standard output.
#[derive(Serialize)]
struct Line {
    #[serde(flatten)]
    score: Score,
    /// The policy, where it is not the hub's own.
    #[serde(skip_serializing_if = "Option::is_none")]
    policy: Option<&'static str>,
    /// The hub's defaults, the same for every site; null where a rule of the field decides.
    settings: Option<Chosen>,
    /// Whether only the sum of what the tiers draw was known.
    one_meter: bool,
    wall_seconds: f64,
    simulated_years_a_second: f64,
}

/// Runs the command.
pub(super) fn run(arguments: &Arguments) -> anyhow::Result<()> {
    let sites = match &arguments.folder {
        Some(folder) => series_of(folder)?,
        None => arguments.series.clone(),
    };
    if let Some(dir) = &arguments.out {
        std::fs::create_dir_all(dir).with_context(|| format!("cannot make the folder {}", dir.display()))?;
    }
    super::parallel::each(&sites, arguments.jobs, |site| play_one(arguments, site))?;
    Ok(())
}

/// Plays a site, prints its line and writes its switches.
fn play_one(arguments: &Arguments, site: &Path) -> anyhow::Result<()> {
    let benchmark = arguments.folder.is_some();
    let policy = arguments.policy.map(Told::policy);
    let planner = match arguments.planner {
        _ if let Some((Err(planner), _)) = policy => planner,
        Some(Who::None) => Planner::None,
        Some(Who::Past) => Planner::Past,
        None if benchmark => Planner::Past,
        Some(Who::Hub) | None => Planner::Hub,
    };
    let start_unix = arguments.start.map(|day| super::midnight(day, &arguments.zone)).transpose()?;
    let series = Series::read(site)?;
    let name = series.name.clone();
    let began = now();
    let hold = arguments.hold || benchmark;
    let options = Options {
        planner,
        hold,
        start_unix,
        days: arguments.days,
        one_meter: arguments.one_meter,
        without: None,
    };
    let played = match policy {
        Some((Ok(policy), _)) => play_rule(series, &arguments.zone, policy, options)?,
        _ => play(series, &arguments.zone, options)?,
    };
    let wall = began.elapsed().as_secs_f64();
    let line = Line {
        simulated_years_a_second: (played.score.days / 365.25 / wall * 1e4).round() / 1e4,
        wall_seconds: (wall * 100.0).round() / 100.0,
        policy: policy.map(|(_, name)| name),
        settings: played.settings,
        one_meter: arguments.one_meter,
        score: played.score,
    };
    writeln!(std::io::stdout(), "{}", serde_json::to_string(&line)?).context("cannot print a line")?;
    if let Some(dir) = &arguments.out {
        let file = dir.join(format!("{name}.csv"));
        write_switches(&file, &played.switches)
            .with_context(|| format!("cannot write {}", file.display()))?;
    }
    Ok(())
}

/// The series of a folder, in order of their names.
pub(super) fn series_of(folder: &Path) -> anyhow::Result<Vec<PathBuf>> {
    let entries =
        std::fs::read_dir(folder).with_context(|| format!("cannot read the folder {}", folder.display()))?;
    let mut sites = Vec::new();
    for entry in entries.take(2 * MOST_SITES) {
        let path = entry.with_context(|| format!("cannot read the folder {}", folder.display()))?.path();
        if path.extension().is_some_and(|ending| ending == "csv") {
            sites.push(path);
        }
    }
    sites.sort();
    anyhow::ensure!(!sites.is_empty(), "{}: no series (NAME.csv), expected at least one", folder.display());
    Ok(sites)
}

#[expect(clippy::disallowed_methods, reason = "wall time is measured to be printed, never to decide")]
fn now() -> std::time::Instant {
    std::time::Instant::now()
}
