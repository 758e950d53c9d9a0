//! Rolling-origin backtest: the last fifth of the days of each site is forecast day by day from local
//! midnight, as a hub would have that lived through the series slot by slot: with the fleet's model as an
//! ONNX file, run by tract, and the adaptation code of the hub, which knows nothing but what was measured
//! before. What the fleet's model may have seen is said in `prior`; the sun is forecast without one.

mod days;
mod live;

use std::sync::Arc;

use indicatif::ProgressBar;
use sunkeep_models::adaptation::{self, Adaptation, AdaptiveForecaster, LeftOut};
use sunkeep_models::baseline::baselines;
use sunkeep_models::forecast::{ForecastError, Forecaster};
use sunkeep_models::onnx::OnnxForecaster;
use sunkeep_models::pv::PvForecaster;
use sunkeep_models::pv::adaptive::{self as pv, AdaptivePv, PvAdaptation};
use sunkeep_models::time::{Slot, Zone};

use crate::flat_mean::FlatMean;
use crate::load_fit::LEAST_ROWS;
use crate::prior::{PARTS, PriorError, fit_prior};
use crate::scores::{Outcome, Score, mean_score, score};
use crate::series::Series;
use crate::steps::StepForecast;
use crate::table::{SlotRows, Table, rows_before, table};

pub use days::{first_scored, midnight};
pub use live::{SiteRun, history_before};

use days::tested_days;
use live::{Tested, live, run_sites};

/// One file of series with the zone its people live in.
#[derive(Debug, Clone, PartialEq)]
pub struct Set {
    /// Name for tables: the stem of the file.
    pub name: String,
    /// Where its days begin.
    pub zone: Zone,
    /// The sites.
    pub series: Vec<Series>,
}

/// One forecast step as it was made.
#[derive(Debug, Clone, PartialEq)]
pub struct Step {
    /// Name of the site.
    pub site: String,
    /// Local midnight, seconds since 1970.
    pub issued: i64,
    /// Start of the step, seconds since 1970.
    pub time: i64,
    /// What was forecast.
    pub forecast: StepForecast,
}

/// How one method did on one set.
#[derive(Debug, Clone, PartialEq)]
pub struct MethodScore {
    /// Name of the set.
    pub set: String,
    /// Name of the method.
    pub method: String,
    /// Mean over the sites, of the first day of each forecast.
    pub score: Score,
    /// The same of the second day, the slots from 48 to 95 of the horizon.
    pub second_day: Option<Score>,
}

/// What a backtest found.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Backtest {
    /// By set, the forecast of the hub first.
    pub scores: Vec<MethodScore>,
    /// The steps of the forecast of the hub.
    pub steps: Vec<Step>,
}

/// Why a backtest stopped.
#[derive(Debug, thiserror::Error)]
pub enum BacktestError {
    /// There are not enough days.
    #[error("{set}: site {site:?} has {days} days with measurements, {wanted} are wanted for a backtest")]
    TooShort {
        /// Name of the set.
        set: String,
        /// Name of the site.
        site: String,
        /// Days it has.
        days: usize,
        /// Days wanted.
        wanted: usize,
    },
    /// There is no prior.
    #[error(transparent)]
    Prior(#[from] PriorError),
    /// A forecast failed.
    #[error("site {site:?}, issued {issued}: {source}")]
    Forecast {
        /// Name of the site.
        site: String,
        /// Seconds since 1970.
        issued: i64,
        /// What the forecaster said.
        source: ForecastError,
    },
}

/// Issues a prior is fitted to at most: enough for a prior, and quick.
const PRIOR_ISSUES: usize = 4000;
/// How a backtest is made.
#[derive(Debug, Clone, Default)]
pub struct Options {
    /// The hub of every scored day was switched on so many days before it, and knows nothing older; 0 is
    /// the evening before. Without it, the hub lived through the whole series.
    pub history_days: Option<usize>,
    /// The fleet's model; without it one is fitted to the other sites of the sets.
    pub prior: Option<Arc<OnnxForecaster>>,
    /// What the hubs leave out, for an ablation. Columns are left out of the fleet's model, too, where it is
    /// fitted here.
    pub left_out: LeftOut,
    /// The hubs have no model of the fleet.
    pub no_model: bool,
}

/// Names of the methods of a backtest of the load, in the order of [`SiteRun::outcomes`].
pub fn load_methods() -> Vec<&'static str> {
    methods([adaptation::NAME, "fleet model"])
}

/// Runs the backtest of the load over all sets.
pub fn backtest(sets: &[Set], options: &Options, progress: &ProgressBar) -> Result<Backtest, BacktestError> {
    Ok(summed_up(sets, &load_methods(), live_load(sets, options, progress)?))
}

/// Lives through the load of all sites of all sets, in their order.
pub fn live_load(
    sets: &[Set],
    options: &Options,
    progress: &ProgressBar,
) -> Result<Vec<SiteRun>, BacktestError> {
    live_with(sets, &fit_priors(sets, options, progress)?, options, progress)
}

/// The prior of each site of all sets, in their order: fitted to the sites of the other parts, up to the first
/// scored slot of its own; or the one that was given.
pub fn fit_priors(
    sets: &[Set],
    options: &Options,
    progress: &ProgressBar,
) -> Result<Vec<Arc<OnnxForecaster>>, BacktestError> {
    priors(&tested_sites(sets)?, options, progress)
}

/// Lives through the load of all sites with these priors.
pub fn live_with(
    sets: &[Set],
    priors: &[Arc<OnnxForecaster>],
    options: &Options,
    progress: &ProgressBar,
) -> Result<Vec<SiteRun>, BacktestError> {
    let tested = tested_sites(sets)?;
    run_sites(&tested, progress, |site| {
        let prior = &priors[site];
        let hub = || {
            let model = (!options.no_model).then(|| Arc::clone(prior));
            AdaptiveForecaster::new(model, Adaptation::default()).leaving_out(options.left_out.clone())
        };
        live(&tested[site], hub, prior.as_ref(), options, progress)
    })
}

fn tested_sites(sets: &[Set]) -> Result<Vec<Tested<'_>>, BacktestError> {
    let mut tested = Vec::new();
    for (place, set) in sets.iter().enumerate() {
        for series in &set.series {
            let days = tested_days(set, series)?;
            let (slots, first_day) = (series.slots(), *days.start());
            tested.push(Tested { set: place, zone: &set.zone, series, slots, days, first_day });
        }
    }
    Ok(tested)
}

/// Runs the backtest of the power of panels, whose place nobody tells, over all sets. What an inverter does
/// not measure at night reads as dark ([`Series::with_dark_nights`]). Where that makes the last fifth of the
/// days another one, both are forecast; the one that counts the nights is scored.
pub fn backtest_pv(
    sets: &[Set],
    options: &Options,
    progress: &ProgressBar,
) -> Result<Backtest, BacktestError> {
    let dark: Vec<Vec<Series>> =
        sets.iter().map(|set| set.series.iter().map(Series::with_dark_nights).collect()).collect();
    let mut tested = Vec::new();
    for (place, set) in sets.iter().enumerate() {
        for (series, measured) in dark[place].iter().zip(&set.series) {
            let days = tested_days(set, series)?;
            let as_measured = tested_days(set, measured).map_or(i64::MAX, |days| *days.start());
            let (slots, first_day) = (series.slots(), as_measured.min(*days.start()));
            tested.push(Tested { set: place, zone: &set.zone, series, slots, days, first_day });
        }
    }
    let runs = run_sites(&tested, progress, |site| {
        let hub = || AdaptivePv::new(None, PvAdaptation::default());
        live(&tested[site], hub, &PvForecaster { array: None }, options, progress)
    })?;
    Ok(summed_up(sets, &methods([pv::NAME, "same slot"]), runs))
}

fn priors(
    tested: &[Tested<'_>],
    options: &Options,
    progress: &ProgressBar,
) -> Result<Vec<Arc<OnnxForecaster>>, BacktestError> {
    if let Some(prior) = &options.prior {
        return Ok(vec![Arc::clone(prior); tested.len()]);
    }
    let tables: Vec<Table> = prior_tables(tested, progress)
        .into_iter()
        .map(|table| table.without(&options.left_out.columns))
        .collect();
    progress.set_message("priors");
    let mut fitted: Vec<Option<Arc<OnnxForecaster>>> = vec![None; tested.len()];
    for split in splits(tested) {
        let others: Vec<(&str, &Table)> =
            split.others.iter().map(|other| (tested[*other].series.site.as_str(), &tables[*other])).collect();
        let prior = Arc::new(fit_prior(&others, split.end, progress)?);
        for site in split.members {
            fitted[site] = Some(Arc::clone(&prior));
        }
    }
    // Every site is a member of one part.
    Ok(fitted.into_iter().flatten().collect())
}

/// Sites that are scored with what was fitted to the others.
struct Split {
    members: Vec<usize>,
    others: Vec<usize>,
    /// The first scored slot of the members.
    end: Slot,
}

fn splits(tested: &[Tested<'_>]) -> Vec<Split> {
    let part = |site: &usize| (tested[*site].set, site % PARTS);
    let mut parts: Vec<(usize, usize)> = (0..tested.len()).map(|site| part(&site)).collect();
    parts.sort_unstable();
    parts.dedup();
    let split = |chosen: (usize, usize)| {
        let (members, others): (Vec<usize>, Vec<usize>) =
            (0..tested.len()).partition(|site| part(site) == chosen);
        // A site of the same name in another set may be the same home.
        let name = |site: &usize| &tested[*site].series.site;
        let others = others.into_iter().filter(|other| members.iter().all(|mate| name(mate) != name(other)));
        let first = |site: &usize| Slot::of(midnight(tested[*site].zone, *tested[*site].days.start()));
        let end = members.iter().map(first).min().unwrap_or_default();
        Split { others: others.collect(), members, end }
    };
    parts.into_iter().map(split).collect()
}

/// Sites of the sets, and the rows of the others before the first of their scored slots.
pub struct Part {
    /// Places among all sites.
    pub sites: Vec<usize>,
    /// By slot of the day.
    pub others: Vec<SlotRows>,
}

/// The parts in which a backtest fits what it scores. A part whose others have nothing to fit is left out.
pub fn parts(sets: &[Set], progress: &ProgressBar) -> Result<Vec<Part>, BacktestError> {
    let tested = tested_sites(sets)?;
    let tables = prior_tables(&tested, progress);
    let parts = splits(&tested).into_iter().map(|split| {
        let others: Vec<&Table> = split.others.iter().map(|other| &tables[*other]).collect();
        Part { sites: split.members, others: rows_before(&others, split.end) }
    });
    Ok(parts.filter(|part| part.others.iter().all(|rows| rows.targets.len() >= LEAST_ROWS)).collect())
}

/// The rows of each site that others are fitted to.
fn prior_tables(tested: &[Tested<'_>], progress: &ProgressBar) -> Vec<Table> {
    let total: usize = tested.iter().map(|site| site.slots.values.len()).sum();
    progress.set_length(total as u64);
    progress.set_message("rows");
    let stride = crate::table::stride(total, PRIOR_ISSUES);
    tested.iter().map(|site| table(&site.slots, site.zone, stride, progress)).collect()
}

/// Forecasts the scored days of a site with one method, at their midnights.
pub fn forecast_days(sets: &[Set], site: usize, method: &dyn Forecaster) -> Result<SiteRun, BacktestError> {
    live::forecast_days(&tested_sites(sets)?[site], method)
}

fn methods(first: [&'static str; 2]) -> Vec<&'static str> {
    first.into_iter().chain(baselines().map(Forecaster::name)).chain([FlatMean.name()]).collect()
}

/// The scores of the methods, in the mean over the sites of each set.
pub fn summed_up(sets: &[Set], methods: &[&str], runs: Vec<SiteRun>) -> Backtest {
    let mut scores = Vec::new();
    for (place, set) in sets.iter().enumerate() {
        for (method, name) in methods.iter().enumerate() {
            let mean_of = |outcomes: fn(&SiteRun) -> &Vec<Vec<Outcome>>| {
                let of_set = runs.iter().filter(|run| run.set == place);
                let of_sites: Vec<Score> =
                    of_set.filter_map(|run| score(outcomes(run).get(method)?)).collect();
                mean_score(&of_sites)
            };
            if let Some(score) = mean_of(|run| &run.outcomes) {
                let second_day = mean_of(|run| &run.second_day);
                scores.push(MethodScore { set: set.name.clone(), method: (*name).into(), score, second_day });
            }
        }
    }
    Backtest { scores, steps: runs.into_iter().flat_map(|run| run.steps).collect() }
}
