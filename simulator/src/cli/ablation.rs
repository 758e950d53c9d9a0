//! `sunkeep-sim ablation`: what each part of the planning is worth, as a Markdown table.

use std::io::Write as _;
use std::path::PathBuf;

use anyhow::Context as _;
use sunkeep_simulator::plant::Series;
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
    let runs: Vec<_> =
        VARIANTS.iter().flat_map(|variant| sites.iter().map(move |site| (variant, site))).collect();
    let scores = super::parallel::each(&runs, arguments.jobs, |(variant, site)| {
        let score = variant.play((*site).clone(), &arguments.zone, arguments.days)?;
        super::tell(&format!("{}: {}, cost {}", variant.name, score.site, score.cost));
        Ok(score)
    })?;
    let whole = &scores[..sites.len()];
    let mut out = std::io::stdout();
    writeln!(
        out,
        "| without | cost | least | greatest | critical unserved | important | convenience | switches a day |\n\
         |---|---|---|---|---|---|---|---|"
    )?;
    for (variant, scored) in VARIANTS.iter().zip(scores.chunks(sites.len())) {
        let row = Row::of(whole, scored).context("a site costs nothing, and cannot be compared")?;
        let ([cost, least, greatest], [critical, important, convenience]) = (row.cost, row.unserved);
        writeln!(
            out,
            "| {} | {cost:.3} | {least:.2} | {greatest:.2} | {critical:.4} | {important:.3} | {convenience:.3} | {:.2} |",
            variant.name, row.switches_a_day
        )?;
    }
    Ok(())
}
