//! The gate: whether a challenger replaces the champion of the fleet. Both live through held-back sites and
//! days as the fleet's model of the same hubs; what differs is compared in pairs and judged by a written rule.
//!
//! `figures` is what is compared, `bootstrap` how sure a difference is, `rule` what is asked for. Only a yes
//! makes a `release`, with a `card` for people.

pub mod bootstrap;
pub mod card;
mod evidence;

pub mod figures;
mod plots;
pub mod release;

pub mod rule;

pub use evidence::Evidence;

use std::path::Path;
use std::sync::Arc;

use indicatif::ProgressBar;
use sunkeep_models::forecast::ForecastError;
use sunkeep_models::onnx::OnnxForecaster;

use crate::backtest::{BacktestError, Options, Set, SiteRun, first_scored, live_load};
use crate::prior::{PriorError, read_prior};

use bootstrap::{Interval, Resampling, by_sites, by_weeks};
use figures::{Figure, Losses};
use rule::Finding;

/// Days of history of a hub that counts as young.
pub const YOUNG_DAYS: usize = 3;

/// Two models that may be compared on some sets: neither has seen one of their sites, nor their scored days.
pub struct Rivals {
    /// What serves.
    pub champion: Arc<OnnxForecaster>,
    /// What would.
    pub challenger: Arc<OnnxForecaster>,
}

/// How the comparison is made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Settings {
    /// Seed of the resampling.
    pub seed: u64,
    /// Times that the blocks are drawn.
    pub resamples: usize,
    /// Days in a row that stay together.
    pub block_days: usize,
    /// Days of history of the hubs that are compared; without it, all they lived through.
    pub history_days: Option<usize>,
}

impl Default for Settings {
    fn default() -> Self {
        Self { seed: 1, resamples: 2000, block_days: 7, history_days: None }
    }
}

/// The comparison of two models.
#[derive(Debug, Clone, PartialEq)]
pub struct Comparison {
    /// How it was made.
    pub settings: Settings,
    /// Sites compared.
    pub sites: usize,
    /// Days of them, together.
    pub site_days: usize,
    /// Blocks of days drawn from.
    pub blocks: usize,
    /// The figures, the decisive one first.
    pub findings: Vec<Finding>,
    /// Pinball and nMAE of the baselines on the same days, by name.
    pub baselines: Vec<(String, [f64; 2])>,
    /// The hubs with the champion and with the challenger, for plots.
    pub runs: [Vec<SiteRun>; 2],
}

/// Reads both models, and refuses one that has seen a site or a day of the sets.
pub fn read_rivals(champion: &Path, challenger: &Path, sets: &[Set]) -> Result<Rivals, GateError> {
    let first = first_scored(sets)?;
    let sites: Vec<&str> =
        sets.iter().flat_map(|set| &set.series).map(|series| series.site.as_str()).collect();
    let read = |folder: &Path| Ok::<_, PriorError>(Arc::new(read_prior(folder, &sites, first)?));
    Ok(Rivals { champion: read(champion)?, challenger: read(challenger)? })
}

/// Why there is no comparison.
#[derive(Debug, thiserror::Error)]
pub enum GateError {
    /// A model cannot be read, or has seen what is held back.
    #[error(transparent)]
    Model(#[from] PriorError),
    /// A model does not run.
    #[error(transparent)]
    Forecast(#[from] ForecastError),
    /// A site is too short, or a forecast failed.
    #[error(transparent)]
    Backtest(#[from] BacktestError),
}

/// Lives through all sites with either model and compares what they were worth.
pub fn compare(
    rivals: &Rivals,
    sets: &[Set],
    settings: Settings,
    progress: &ProgressBar,
) -> Result<Comparison, GateError> {
    let run = |model: &Arc<OnnxForecaster>, history_days: Option<usize>| {
        let options = Options { history_days, prior: Some(Arc::clone(model)), ..Options::default() };
        live_load(sets, &options, progress)
    };
    let both = |history_days| {
        Ok::<_, BacktestError>([run(&rivals.champion, history_days)?, run(&rivals.challenger, history_days)?])
    };
    let runs = both(settings.history_days)?;
    let young = match settings.history_days {
        Some(_) => None,
        None => Some(both(Some(YOUNG_DAYS))?),
    };
    Ok(compared(runs, young, settings))
}

/// The comparison of hubs that lived with the champion and with the challenger; `young` are those of the same
/// sites that were switched on a few days before.
fn compared(runs: [Vec<SiteRun>; 2], young: Option<[Vec<SiteRun>; 2]>, settings: Settings) -> Comparison {
    let losses = runs.each_ref().map(|runs| Losses::of(runs, 0));
    let mut findings: Vec<Finding> =
        Figure::OF_HUBS.into_iter().map(|figure| finding(figure, &losses, settings)).collect();
    if let Some(young) = young {
        let losses = young.each_ref().map(|runs| Losses::of(runs, 0));
        findings.push(finding(Figure::Young, &losses, settings));
    }
    let baselines = crate::backtest::load_methods().into_iter().enumerate().skip(2).map(|(place, name)| {
        let losses = Losses::of(&runs[0], place);
        (name.to_owned(), [losses.mean(Figure::Pinball), losses.mean(Figure::Nmae)])
    });
    Comparison {
        settings,
        sites: losses[0].sites(),
        site_days: losses[0].days(),
        blocks: losses[0].blocks(settings.block_days),
        findings,
        baselines: baselines.collect(),
        runs,
    }
}

/// One figure of both, with the intervals of the difference.
fn finding(figure: Figure, losses: &[Losses; 2], settings: Settings) -> Finding {
    let [champion, challenger] = losses.each_ref().map(|losses| losses.mean(figure));
    let resampling = Resampling { seed: settings.seed, resamples: settings.resamples };
    let differences = figure.is_sum().then(|| Losses::differences(losses, figure));
    let interval = |of: &dyn Fn(&[bootstrap::Difference]) -> Option<Interval>| of(differences.as_deref()?);
    Finding {
        figure,
        champion,
        challenger,
        by_weeks: interval(&|all| by_weeks(all, settings.block_days, resampling)),
        by_sites: interval(&|all| by_sites(all, resampling)),
    }
}
