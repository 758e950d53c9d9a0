//! The model card: one page for people, with all drawings in it, of a model that was promoted.

use maud::{DOCTYPE, Markup, PreEscaped, html};
use sunkeep_models::contract::{Contract, Training};

use super::plots::{CHALLENGER, CHAMPION, Drawing, Line, MEASURED, WANTED, bars};
use super::rule::{Finding, RULE};
use super::{Comparison, Evidence};
use crate::backtest::{Set, SiteRun};
use crate::scores::Outcome;

/// Name of the card in its folder.
pub const CARD_FILE: &str = "card.html";
/// Features drawn.
const FEATURES: usize = 15;
/// Days of an example.
const EXAMPLE_DAYS: i64 = 3;

const STYLE: &str = "body{font:16px/1.5 sans-serif;max-width:48em;margin:2em auto;padding:0 1em;color:#222}\
    table{border-collapse:collapse}td,th{padding:.2em .8em .2em 0;text-align:right}\
    td:first-child,th:first-child{text-align:left}svg{max-width:100%;height:auto}\
    .champion{color:#b06a00}.challenger{color:#2f6db5}";

/// The page.
pub fn card(contract: &Contract, comparison: &Comparison, evidence: &Evidence, sets: &[Set]) -> String {
    let title = format!("Load model, version {}", contract.version);
    let page = html! {
        (DOCTYPE)
        html lang="en" {
            head { meta charset="utf-8"; title { (title) } style { (PreEscaped(STYLE)) } }
            body {
                h1 { (title) }
                p {
                    "P10, P50 and P90 of the load of a home over 48 h in slots of 30 minutes. It replaces the champion: "
                    (comparison.sites) " sites and " (comparison.site_days) " days were held back from both, and each hub lived "
                    "through them with either. Below, " span.challenger { "this model" } " is beside "
                    span.champion { "the champion" } "."
                }
                (figures(comparison))
                (calibration(comparison))
                (errors(evidence))
                (examples(comparison, sets))
                h2 { "What it looks at" }
                p { "How far a usual change of a feature moves the median, in the mean over the slots of the day, over the level of the home." }
                (PreEscaped(bars(&evidence.features[..FEATURES.min(evidence.features.len())])))
                (training(contract))
                (limits())
            }
        }
    };
    page.into_string()
}

fn figures(comparison: &Comparison) -> Markup {
    let interval = |finding: &Finding| {
        finding.by_weeks.map_or_else(String::new, |of| format!("{:+.5} to {:+.5}", of.low, of.high))
    };
    html! {
        h2 { "Scores" }
        table {
            tr { th { "" } th { "champion" } th { "this model" } th { "difference may be (95 %, by weeks)" } }
            @for finding in &comparison.findings {
                tr {
                    td { (finding.figure.name()) }
                    td { (format!("{:.5}", finding.champion)) }
                    td { (format!("{:.5}", finding.challenger)) }
                    td { (interval(finding)) }
                }
            }
            @for (name, [pinball, nmae]) in &comparison.baselines {
                tr { td { (name) ": pinball, nMAE" } td { (format!("{pinball:.5}")) } td { (format!("{nmae:.5}")) } td {} }
            }
        }
        p { "Shares of the mean load, in the mean over the sites. The rule: " (RULE) "." }
        p {
            "Blocks of " (comparison.settings.block_days) " days, " (comparison.blocks) " of them; seed "
            (comparison.settings.seed) ", " (comparison.settings.resamples) " draws."
        }
        @if let Some(caveat) = comparison.caveat() { p { (caveat) } }
    }
}

/// The share of steps below each quantile by the hour they lie in.
fn calibration(comparison: &Comparison) -> Markup {
    let mut lines: Vec<Line> = [0.1, 0.5, 0.9]
        .map(|wanted| Line { color: WANTED, points: vec![(0.0, wanted), (1.0, wanted)] })
        .into();
    for (runs, color) in comparison.runs.iter().zip([CHAMPION, CHALLENGER]) {
        for quantile in 0..3 {
            lines.push(Line { color, points: below(runs, quantile) });
        }
    }
    let drawing = Drawing { across: "part of the local day", up: "share below", lines, ..Drawing::default() };
    html! {
        h2 { "Calibration" }
        p {
            "The share of what was measured that lies below P10, P50 and P90 of the hubs; a tenth, a half and nine "
            "tenths are wanted. The band of 80 % holds " (percent(coverage(&comparison.runs[1]))) " (champion: "
            (percent(coverage(&comparison.runs[0]))) ")."
        }
        (PreEscaped(drawing.svg()))
    }
}

fn errors(evidence: &Evidence) -> Markup {
    let drawing = |curves: &[Vec<f64>; 2], step: f64, across| {
        let lines = curves.iter().zip([CHAMPION, CHALLENGER]).map(|(curve, color)| {
            let points = curve.iter().enumerate().map(|(place, loss)| (place as f64 * step, *loss));
            Line { color, points: points.collect() }
        });
        Drawing { across, up: "pinball over the level", lines: lines.collect(), ..Drawing::default() }.svg()
    };
    html! {
        h2 { "Error by lead and by time of day" }
        p { "Of the models alone, without what a hub learns beside them; " (evidence.rows) " rows of the days held back." }
        (PreEscaped(drawing(&evidence.by_lead, 4.0, "hours ahead")))
        (PreEscaped(drawing(&evidence.by_slot, 0.5, "hour of the local day")))
    }
}

/// The newest days of two sites: the one with the least loss and the one with the most.
fn examples(comparison: &Comparison, sets: &[Set]) -> Markup {
    let loss = |run: &SiteRun| {
        let score = run.outcomes.first().and_then(|outcomes| crate::scores::score(outcomes));
        score.map_or(0.0, |score| score.pinball)
    };
    let mut runs: Vec<&SiteRun> = comparison.runs[1].iter().collect();
    runs.sort_by(|a, b| loss(a).total_cmp(&loss(b)));
    let chosen = runs.first().into_iter().chain(runs.last().filter(|_| runs.len() > 1));
    html! {
        h2 { "Example days" }
        p { "Measured (dark), the median and the band of 80 % as they were forecast at midnight: of the site with the least loss, and of the one with the most." }
        @for run in chosen {
            p { (sets.get(run.set).map_or("", |set| set.name.as_str())) ", " (run.site) }
            (PreEscaped(example(run).svg()))
        }
    }
}

fn example(run: &SiteRun) -> Drawing {
    let outcomes = run.outcomes.first().map_or(&[][..], Vec::as_slice);
    let last = outcomes.last().map_or(0, |outcome| outcome.day);
    let newest = outcomes.iter().filter(|outcome| outcome.day > last - EXAMPLE_DAYS);
    let placed: Vec<(f64, &Outcome)> = newest.enumerate().map(|(place, is)| (place as f64, is)).collect();
    let line = |color, value: fn(&Outcome) -> f32| Line {
        color,
        points: placed.iter().map(|(x, outcome)| (*x, f64::from(value(outcome)))).collect(),
    };
    Drawing {
        across: "steps of three days",
        up: "W",
        band: placed
            .iter()
            .map(|(x, is)| (*x, f64::from(is.quantiles[0]), f64::from(is.quantiles[2])))
            .collect(),
        lines: vec![line(MEASURED, |is| is.truth), line(CHALLENGER, |is| is.quantiles[1])],
    }
}

fn training(contract: &Contract) -> Markup {
    let Training { first_day, last_day, sites, rows, seed, versions, .. } = &contract.training;
    let versions: Vec<String> = versions.iter().map(|(name, version)| format!("{name} {version}")).collect();
    html! {
        h2 { "Where it comes from" }
        p {
            "Fitted to " (rows) " rows of " (sites) " sites, measured from " (first_day) " to " (last_day) " (UTC)"
            @if let Some(seed) = seed { ", drawn with the seed " (seed) }
            "; made by " (versions.join(", ")) ". For each slot of the local day a linear quantile regression. "
            (contract.file.bytes) " bytes, SHA-256 " code { (contract.file.sha256) } "."
        }
    }
}

fn limits() -> Markup {
    html! {
        h2 { "What it is for, and what not" }
        p {
            "The first forecast of a new home, and one of the experts whom a hub weighs by what they were worth there. "
            "It wants a day of measurements; it knows no weather, no holidays, and no home but by its own last four weeks. "
            "It says nothing of a single device, nor of what people would have used that could not. It decides nothing by itself: "
            "protection of the battery needs no forecast."
        }
        p { "Homes unlike those it was fitted to may be forecast worse at first; the hub then gives it little weight, and shows its skill on the page." }
    }
}

/// Share of all steps inside P10 to P90, in the mean over the sites.
pub(super) fn coverage(runs: &[SiteRun]) -> f64 {
    let shares: Vec<f64> = runs
        .iter()
        .filter_map(|run| crate::scores::score(run.outcomes.first()?))
        .map(|score| score.coverage)
        .collect();
    shares.iter().sum::<f64>() / shares.len().max(1) as f64
}

/// Share of steps below a quantile, by the eighth of the day they lie in. Steps of a day come in order, and a
/// gap shifts those after it a little.
fn below(runs: &[SiteRun], quantile: usize) -> Vec<(f64, f64)> {
    const PARTS: usize = 8;
    let mut sums = [[0.0_f64; 2]; PARTS];
    for run in runs {
        let outcomes = run.outcomes.first().map_or(&[][..], Vec::as_slice);
        for day in outcomes.chunk_by(|a, b| a.day == b.day) {
            for (place, is) in day.iter().enumerate() {
                let part = &mut sums[place * PARTS / day.len()];
                part[0] += f64::from(u8::from(is.truth <= is.quantiles[quantile]));
                part[1] += 1.0;
            }
        }
    }
    let middle = |place: usize| (place as f64 + 0.5) / PARTS as f64;
    sums.iter().enumerate().map(|(place, [sum, count])| (middle(place), sum / count.max(1.0))).collect()
}

fn percent(share: f64) -> String {
    format!("{:.1} %", 100.0 * share)
}
