//! Rolling-origin backtest: the last fifth of the days of each site is forecast day by day from local
//! midnight, as a hub would have that lived through the series slot by slot: with the fleet's model as an
//! ONNX file, run by tract, and the adaptation code of the hub, which knows nothing but what was measured
//! before. What the fleet's model may have seen is said in `prior`; the sun is forecast without one.

use std::ops::RangeInclusive;
use std::sync::Arc;

use indicatif::ProgressBar;
use sunkeep_models::adaptation::{self, Adaptation, AdaptiveForecaster};
use sunkeep_models::baseline::baselines;
use sunkeep_models::forecast::{Forecast, ForecastError, Forecaster};
use sunkeep_models::history::{HISTORY_DAYS, SlotHistory};
use sunkeep_models::onnx::OnnxForecaster;
use sunkeep_models::pv::PvForecaster;
use sunkeep_models::pv::adaptive::{self as pv, AdaptivePv, PvAdaptation};
use sunkeep_models::time::{SLOTS_PER_DAY, Slot, Zone};

use crate::flat_mean::FlatMean;
use crate::prior::{PARTS, PriorError, fit_prior};
use crate::scores::{Outcome, Score, mean_score, score};
use crate::series::{Series, SlotSeries};
use crate::steps::{StepForecast, of_step};
use crate::table::{Table, table};

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

/// Days of a site that a backtest needs.
const LEAST_DAYS: usize = 20;
/// Issues a prior is fitted to at most: enough for a prior, and quick.
const PRIOR_ISSUES: usize = 4000;
/// Slots that a hub has lived through at its first midnight when it is said to have no day of history: it
/// was switched on at 18:00.
const FIRST_EVENING: usize = SLOTS_PER_DAY / 4;

/// How a backtest is made.
#[derive(Debug, Clone, Default)]
pub struct Options {
    /// The hub of every scored day was switched on so many days before it, and knows nothing older; 0 is
    /// the evening before. Without it, the hub lived through the whole series.
    pub history_days: Option<usize>,
    /// The fleet's model; without it one is fitted to the other sites of the sets.
    pub prior: Option<Arc<OnnxForecaster>>,
}

/// A site with the days it is tested on.
struct Tested<'a> {
    set: usize,
    zone: &'a Zone,
    series: &'a Series,
    slots: SlotSeries,
    /// Local days that are scored, counted from 1970-01-01.
    days: RangeInclusive<i64>,
    /// The first day that is forecast, scored or not.
    first_day: i64,
}

/// What lives through a series and forecasts.
trait Hub: Forecaster {
    /// Learns all that the history tells before `now`.
    fn learn(&mut self, history: &SlotHistory, now: Slot, zone: &Zone);
}

impl Hub for AdaptiveForecaster {
    fn learn(&mut self, history: &SlotHistory, now: Slot, zone: &Zone) {
        Self::learn(self, history, now, zone);
    }
}

impl Hub for AdaptivePv {
    fn learn(&mut self, history: &SlotHistory, now: Slot, zone: &Zone) {
        Self::learn(self, history, now, zone);
    }
}

/// Runs the backtest of the load over all sets.
pub fn backtest(sets: &[Set], options: &Options, progress: &ProgressBar) -> Result<Backtest, BacktestError> {
    let mut tested = Vec::new();
    for (place, set) in sets.iter().enumerate() {
        for series in &set.series {
            let days = tested_days(set, series)?;
            let (slots, first_day) = (series.slots(), *days.start());
            tested.push(Tested { set: place, zone: &set.zone, series, slots, days, first_day });
        }
    }
    let priors = priors(&tested, options, progress)?;
    let runs = run_sites(&tested, progress, |site| {
        let prior = &priors[site];
        let hub = || AdaptiveForecaster::new(Some(Arc::clone(prior)), Adaptation::default());
        live(&tested[site], hub, prior.as_ref(), options, progress)
    })?;
    Ok(summed_up(sets, &tested, [adaptation::NAME, "fleet model"], runs))
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
    Ok(summed_up(sets, &tested, [pv::NAME, "same slot"], runs))
}

/// Lives through all sites, several at a time. Each is lived through by itself: which processor does it
/// changes nothing.
fn run_sites(
    tested: &[Tested<'_>],
    progress: &ProgressBar,
    live: impl Fn(usize) -> Result<SiteRun, BacktestError> + Sync,
) -> Result<Vec<SiteRun>, BacktestError> {
    let days: i64 = tested.iter().map(|site| site.days.end() - site.first_day + 1).sum();
    progress.set_length(days as u64);
    progress.set_position(0);
    progress.set_message("backtest");
    let workers = std::thread::available_parallelism().map_or(1, usize::from).min(tested.len().max(1));
    let parts: Vec<Result<Vec<(usize, SiteRun)>, BacktestError>> = std::thread::scope(|scope| {
        let workers: Vec<_> = (0..workers)
            .map(|worker| {
                let live = &live;
                scope.spawn(move || {
                    (worker..tested.len()).step_by(workers).map(|site| Ok((site, live(site)?))).collect()
                })
            })
            .collect();
        workers
            .into_iter()
            .map(|worker| worker.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic)))
            .collect()
    });
    let mut runs = Vec::with_capacity(tested.len());
    for part in parts {
        runs.extend(part?);
    }
    runs.sort_by_key(|(site, _)| *site);
    Ok(runs.into_iter().map(|(_, run)| run).collect())
}

/// The first slot of a set that is scored, of all its sites.
pub fn first_scored(sets: &[Set]) -> Result<Slot, BacktestError> {
    let mut first = Slot(i64::MAX);
    for set in sets {
        for series in &set.series {
            first = first.min(Slot::of(midnight(&set.zone, *tested_days(set, series)?.start())));
        }
    }
    Ok(first)
}

/// The prior of each site: fitted to the sites of the other parts, up to the first scored slot of its own.
fn priors(
    tested: &[Tested<'_>],
    options: &Options,
    progress: &ProgressBar,
) -> Result<Vec<Arc<OnnxForecaster>>, BacktestError> {
    if let Some(prior) = &options.prior {
        return Ok(vec![Arc::clone(prior); tested.len()]);
    }
    let total: usize = tested.iter().map(|site| site.slots.values.len()).sum();
    progress.set_length(total as u64);
    progress.set_message("rows");
    let stride = crate::table::stride(total, PRIOR_ISSUES);
    let tables: Vec<Table> =
        tested.iter().map(|site| table(&site.slots, site.zone, stride, progress)).collect();
    progress.set_message("priors");
    // A site of the same name in another set may be the same home.
    let part = |site: usize| (tested[site].set, site % PARTS);
    let mut fitted: std::collections::BTreeMap<(usize, usize), Arc<OnnxForecaster>> =
        std::collections::BTreeMap::new();
    for site in 0..tested.len() {
        if fitted.contains_key(&part(site)) {
            continue;
        }
        let mates: Vec<&Tested<'_>> =
            (0..tested.len()).filter(|other| part(*other) == part(site)).map(|mate| &tested[mate]).collect();
        let end = mates.iter().map(|mate| Slot::of(midnight(mate.zone, *mate.days.start()))).min();
        let others: Vec<(&str, &Table)> = (0..tested.len())
            .filter(|other| part(*other) != part(site))
            .map(|other| (tested[other].series.site.as_str(), &tables[other]))
            .filter(|(name, _)| mates.iter().all(|mate| mate.series.site != *name))
            .collect();
        let prior = fit_prior(&others, end.unwrap_or_default(), progress)?;
        fitted.insert(part(site), Arc::new(prior));
    }
    Ok((0..tested.len()).map(|site| Arc::clone(&fitted[&part(site)])).collect())
}

/// Start of a local day, seconds since 1970.
pub fn midnight(zone: &Zone, day: i64) -> i64 {
    let guess = day * 86_400;
    // Every offset in use is a multiple of a quarter of an hour and below a day.
    (-96..=96).map(|quarter| guess + quarter * 900).find(|time| zone.local(*time).day >= day).unwrap_or(guess)
}

/// The last fifth of the days from the first to the last of which more than half was measured.
fn tested_days(set: &Set, series: &Series) -> Result<RangeInclusive<i64>, BacktestError> {
    let mut days: std::collections::BTreeMap<i64, [usize; 2]> = std::collections::BTreeMap::new();
    for (place, watts) in series.values.iter().enumerate() {
        let day = days.entry(set.zone.local(series.time(place)).day).or_default();
        day[0] += usize::from(watts.is_some());
        day[1] += 1;
    }
    let mut whole = days.iter().filter(|(_, [measured, all])| 2 * measured > *all).map(|(day, _)| *day);
    let first = whole.next().unwrap_or(0);
    let last = whole.next_back().unwrap_or(first - 1);
    let count = (last - first + 1) as usize;
    if count < LEAST_DAYS {
        let (set, site) = (set.name.clone(), series.site.clone());
        return Err(BacktestError::TooShort { set, site, days: count, wanted: LEAST_DAYS });
    }
    Ok(first + (count as f64 * 0.8) as i64..=last)
}

/// What a hub would remember at a moment of a series.
pub fn history_before(series: &SlotSeries, issued: Slot) -> SlotHistory {
    recent_history(series, issued, HISTORY_DAYS * SLOTS_PER_DAY)
}

/// The newest slots before an issue.
fn recent_history(series: &SlotSeries, issued: Slot, slots: usize) -> SlotHistory {
    let mut history = SlotHistory::new();
    for back in (1..=slots as i64).rev() {
        let slot = issued.plus(-back);
        if slot >= series.first {
            history.record(slot, series.get(slot));
        }
    }
    history
}

/// What the run over one site gave: by method, the outcomes; and the steps of the forecast of the hub.
#[derive(Default)]
struct SiteRun {
    outcomes: Vec<Vec<Outcome>>,
    /// The same for the second day of the horizon.
    second_day: Vec<Vec<Outcome>>,
    steps: Vec<Step>,
}

/// Lives through a series slot by slot and forecasts each tested day at its midnight; `peer` and the
/// baselines forecast the same days.
fn live<H: Hub>(
    site: &Tested<'_>,
    switched_on: impl Fn() -> H,
    peer: &dyn Forecaster,
    options: &Options,
    progress: &ProgressBar,
) -> Result<SiteRun, BacktestError> {
    let mut run = SiteRun::default();
    let mut hub = switched_on();
    let mut history = SlotHistory::new();
    let mut next = site.slots.first;
    for day in site.first_day..=*site.days.end() {
        let issued = Slot::of(midnight(site.zone, day));
        if let Some(days) = options.history_days {
            history = recent_history(&site.slots, issued, (days * SLOTS_PER_DAY).max(FIRST_EVENING));
            hub = switched_on();
            hub.learn(&history, issued, site.zone);
        }
        while next < issued && options.history_days.is_none() {
            history.record(next, site.slots.get(next));
            next = next.plus(1);
            hub.learn(&history, next, site.zone);
        }
        run.day(site, day, &history, [&hub, peer])?;
        progress.inc(1);
    }
    Ok(run)
}

impl SiteRun {
    fn day(
        &mut self,
        site: &Tested<'_>,
        day: i64,
        history: &SlotHistory,
        methods: [&dyn Forecaster; 2],
    ) -> Result<(), BacktestError> {
        let flat: &dyn Forecaster = &FlatMean;
        let [start, end, second_end] = [day, day + 1, day + 2].map(|day| midnight(site.zone, day));
        let issued = Slot::of(start);
        for (place, method) in methods.into_iter().chain(baselines()).chain([flat]).enumerate() {
            if self.outcomes.len() <= place {
                self.outcomes.push(Vec::new());
                self.second_day.push(Vec::new());
            }
            let forecast = match method.forecast(history, issued, site.zone) {
                Ok(forecast) => forecast,
                // The others are for comparison: they may know too little yet.
                Err(_) if place > 0 => continue,
                Err(source) => {
                    let site = site.series.site.clone();
                    return Err(BacktestError::Forecast { site, issued: start, source });
                }
            };
            self.steps_of(site, place, day, start..end, &forecast);
            self.second_day_of(site, place, day + 1, end..second_end, &forecast);
        }
        Ok(())
    }

    fn steps_of(
        &mut self,
        site: &Tested<'_>,
        method: usize,
        day: i64,
        span: std::ops::Range<i64>,
        forecast: &Forecast,
    ) {
        let step = site.series.step;
        // The first step that starts in the day.
        let mut time = span.start + (site.series.first - span.start).rem_euclid(step);
        while time < span.end {
            let Some(said) = of_step(forecast, time, step) else { break };
            let scored = site.days.contains(&day);
            if let Some(truth) = site.series.at(time).filter(|_| scored) {
                let (quantiles, mean) = (said.quantiles, said.mean);
                self.outcomes[method].push(Outcome { day, truth, quantiles, mean });
            }
            if method == 0 {
                let (site, issued) = (site.series.site.clone(), span.start);
                self.steps.push(Step { site, issued, time, forecast: said });
            }
            time += step;
        }
    }
}

impl SiteRun {
    /// Scores the second day of a forecast, where that is among the days that are scored.
    fn second_day_of(
        &mut self,
        site: &Tested<'_>,
        method: usize,
        day: i64,
        span: std::ops::Range<i64>,
        forecast: &Forecast,
    ) {
        if !site.days.contains(&day) {
            return;
        }
        let step = site.series.step;
        let first = span.start + (site.series.first - span.start).rem_euclid(step);
        for time in (first..span.end).step_by(step as usize) {
            // Where a clock is set back the horizon ends before the day.
            let Some(said) = of_step(forecast, time, step) else { break };
            if let Some(truth) = site.series.at(time) {
                let (quantiles, mean) = (said.quantiles, said.mean);
                self.second_day[method].push(Outcome { day, truth, quantiles, mean });
            }
        }
    }
}

fn summed_up(sets: &[Set], tested: &[Tested<'_>], names: [&'static str; 2], runs: Vec<SiteRun>) -> Backtest {
    let names = names.into_iter().chain(baselines().map(Forecaster::name)).chain([FlatMean.name()]);
    let mut scores = Vec::new();
    for (place, set) in sets.iter().enumerate() {
        for (method, name) in names.clone().enumerate() {
            let mean_of = |outcomes: fn(&SiteRun) -> &Vec<Vec<Outcome>>| {
                let of_set = tested.iter().zip(&runs).filter(|(site, _)| site.set == place);
                let of_sites: Vec<Score> =
                    of_set.filter_map(|(_, run)| score(outcomes(run).get(method)?)).collect();
                mean_score(&of_sites)
            };
            if let Some(score) = mean_of(|run| &run.outcomes) {
                let second_day = mean_of(|run| &run.second_day);
                scores.push(MethodScore { set: set.name.clone(), method: name.into(), score, second_day });
            }
        }
    }
    Backtest { scores, steps: runs.into_iter().flat_map(|run| run.steps).collect() }
}
