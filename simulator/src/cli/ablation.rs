//! `sunkeep-sim ablation`: what each part of the planning is worth, as a Markdown table.

use std::io::Write as _;
use std::path::PathBuf;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use anyhow::Context as _;
use sunkeep_simulator::plant::Series;
use sunkeep_simulator::power::Score;
use sunkeep_simulator::power::ablation::{Row, VARIANTS};

/// What to play.
#[derive(clap::Args)]
pub(super) struct Arguments {
    /// Folder of recorded series (NAME.csv, the battery in NAME.json), as that of the power benchmark.
    #[arg(long, value_name = "DIR")]
    sites: PathBuf,
    /// Time zone of the series.
    #[arg(long, default_value = "America/Los_Angeles")]
    zone: String,
    /// How many days of each; to the end unless told.
    #[arg(long)]
    days: Option<u32>,
    /// Sites that are played at a time; as many as there are processors unless told.
    #[arg(long)]
    jobs: Option<usize>,
}

/// Runs the command.
pub(super) fn run(arguments: &Arguments) -> anyhow::Result<()> {
    let sites = super::power::series_of(&arguments.sites)?;
    let sites = sites.iter().map(|site| Ok(Series::read(site)?)).collect::<anyhow::Result<Vec<Series>>>()?;
    let scores = play_all(arguments, &sites)?;
    let mut out = std::io::stdout();
    writeln!(
        out,
        "| without | cost | least | greatest | critical unserved | important | convenience | switches a day |\n\
         |---|---|---|---|---|---|---|---|"
    )?;
    for (variant, scored) in VARIANTS.iter().zip(&scores) {
        let row = Row::of(&scores[0], scored).context("a site costs nothing, and cannot be compared")?;
        let ([cost, least, greatest], [critical, important, convenience]) = (row.cost, row.unserved);
        writeln!(
            out,
            "| {} | {cost:.3} | {least:.2} | {greatest:.2} | {critical:.4} | {important:.3} | {convenience:.3} | {:.2} |",
            variant.name, row.switches_a_day
        )?;
    }
    Ok(())
}

/// The scores of each variant, in the order of the sites.
fn play_all(arguments: &Arguments, sites: &[Series]) -> anyhow::Result<Vec<Vec<Score>>> {
    let jobs: Vec<(usize, usize)> =
        (0..VARIANTS.len()).flat_map(|variant| (0..sites.len()).map(move |site| (variant, site))).collect();
    let processors = std::thread::available_parallelism().map_or(1, core::num::NonZero::get);
    let workers = arguments.jobs.unwrap_or(processors).clamp(1, jobs.len().max(1));
    let (next, scores) = (AtomicUsize::new(0), Mutex::new(vec![vec![None; sites.len()]; VARIANTS.len()]));
    let work = || -> anyhow::Result<()> {
        while let Some(&(variant, site)) = jobs.get(next.fetch_add(1, Ordering::Relaxed)) {
            let score = VARIANTS[variant].play(sites[site].clone(), &arguments.zone, arguments.days)?;
            super::tell(&format!("{}: {}, cost {}", VARIANTS[variant].name, score.site, score.cost));
            let mut scores =
                scores.lock().map_err(|_| anyhow::anyhow!("a site could not be played to its end"))?;
            scores[variant][site] = Some(score);
        }
        Ok(())
    };
    std::thread::scope(|scope| {
        let workers: Vec<_> = (0..workers).map(|_| scope.spawn(work)).collect();
        workers.into_iter().try_for_each(|worker| {
            worker.join().unwrap_or_else(|_| Err(anyhow::anyhow!("a site could not be played to its end")))
        })
    })?;
    let scores = scores.into_inner().map_err(|_| anyhow::anyhow!("a site could not be played to its end"))?;
    let whole = |scores: Vec<Option<Score>>| scores.into_iter().collect::<Option<Vec<_>>>();
    scores.into_iter().map(whole).collect::<Option<_>>().context("a site was not played")
}
