//! Rolling-origin backtest: the last fifth of the days of each site is forecast day by day from local
//! midnight, with what was measured before; the model is fitted anew every 56 days to what came earlier.
//! Every forecast of the model is made by the ONNX file it would ship as, run by tract.

use indicatif::ProgressBar;
use sunkeep_models::baseline::baselines;
use sunkeep_models::forecast::{Forecast, ForecastError, Forecaster};
use sunkeep_models::history::{HISTORY_DAYS, SlotHistory};
use sunkeep_models::onnx::OnnxForecaster;
use sunkeep_models::time::{SLOT_SECONDS, SLOTS_PER_DAY, Slot, Zone};

use crate::bundle::{Bundle, BundleError};
use crate::load_fit::{LoadFitError, fit_load};
use crate::scores::{Outcome, Score, mean_score, score};
use crate::series::{Series, SlotSeries};
use crate::table::{SlotRows, Table, table};

/// Days between two fits.
pub const REFIT_DAYS: i64 = 56;

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
    /// P10, P50, P90, W.
    pub quantiles: [f32; 3],
}

/// How one method did on one set.
#[derive(Debug, Clone, PartialEq)]
pub struct MethodScore {
    /// Name of the set.
    pub set: String,
    /// Name of the method.
    pub method: String,
    /// Mean over the sites.
    pub score: Score,
}

/// What a backtest found.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Backtest {
    /// By set, the model first.
    pub scores: Vec<MethodScore>,
    /// The steps of the model.
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
    /// Days begin between two slots.
    #[error("time zone {zone}: local midnight is not at the start of a 30-minute slot")]
    Midnight {
        /// Name of the zone.
        zone: String,
    },
    /// The fit failed.
    #[error(transparent)]
    Fit(#[from] LoadFitError),
    /// The model cannot be exported.
    #[error(transparent)]
    Bundle(#[from] BundleError),
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

/// A site with the days it is tested on.
struct Tested<'a> {
    set: usize,
    series: &'a Series,
    slots: SlotSeries,
    /// Local days, counted from 1970-01-01.
    days: std::ops::RangeInclusive<i64>,
}

/// Runs the backtest over all sets with one model at a time, fitted to the earlier part of each.
pub fn backtest(sets: &[Set], progress: &ProgressBar) -> Result<Backtest, BacktestError> {
    let mut tested = Vec::new();
    for (place, set) in sets.iter().enumerate() {
        for series in &set.series {
            let days = tested_days(set, series)?;
            tested.push(Tested { set: place, series, slots: series.slots(), days });
        }
    }
    let tables = tables(sets, progress);
    let starts: Vec<i64> = (0..sets.len())
        .map(|set| {
            let days = tested.iter().filter(|site| site.set == set).map(|site| *site.days.start());
            days.min().unwrap_or(i64::MAX)
        })
        .collect();
    let mut made = Made::default();
    for period in 0.. {
        let firsts: Vec<i64> = starts.iter().map(|start| start + period * REFIT_DAYS).collect();
        if tested.iter().all(|site| firsts[site.set] > *site.days.end()) {
            break;
        }
        let model = fitted_before(sets, &tables, &firsts, progress)?;
        for site in &tested {
            let first = firsts[site.set];
            let days = first.max(*site.days.start())..=(first + REFIT_DAYS - 1).min(*site.days.end());
            for day in days {
                made.day(&sets[site.set], site, day, &model)?;
            }
        }
    }
    Ok(made.into_backtest(sets))
}

/// The rows of each set.
pub fn tables(sets: &[Set], progress: &ProgressBar) -> Vec<Table> {
    let slots: Vec<Vec<SlotSeries>> =
        sets.iter().map(|set| set.series.iter().map(Series::slots).collect()).collect();
    let total: usize = slots.iter().flatten().map(|series| series.values.len()).sum();
    progress.set_length(total as u64);
    progress.set_position(0);
    let stride = crate::table::stride(total);
    sets.iter().zip(&slots).map(|(set, slots)| table(slots, &set.zone, stride, progress)).collect()
}

/// All rows whose target was measured before a slot of each set, by slot of the day.
pub fn rows_before(tables: &[Table], ends: &[Slot]) -> Vec<SlotRows> {
    (0..SLOTS_PER_DAY)
        .map(|slot| {
            let mut all = SlotRows::default();
            for (table, end) in tables.iter().zip(ends) {
                table.by_slot[slot].copy_before(*end, &mut all);
            }
            all
        })
        .collect()
}

fn fitted_before(
    sets: &[Set],
    tables: &[Table],
    firsts: &[i64],
    progress: &ProgressBar,
) -> Result<OnnxForecaster, BacktestError> {
    let ends: Result<Vec<Slot>, BacktestError> =
        sets.iter().zip(firsts).map(|(set, first)| midnight(&set.zone, *first)).collect();
    let rows = rows_before(tables, &ends?);
    let weights = fit_load(&rows, progress)?;
    Ok(Bundle::of(&weights, &rows, sets, Vec::new())?.load()?)
}

/// The first slot of a local day.
pub fn midnight(zone: &Zone, day: i64) -> Result<Slot, BacktestError> {
    let near = Slot::of(day * 86_400).plus(-(SLOTS_PER_DAY as i64));
    let first = (0..3 * SLOTS_PER_DAY as i64)
        .map(|place| near.plus(place))
        .find(|slot| zone.local(slot.start()).day >= day);
    // In zones off by a quarter of an hour the slot before reaches into the day.
    first
        .filter(|slot| zone.local(slot.start() - 1).day < day)
        .ok_or_else(|| BacktestError::Midnight { zone: zone.name().into() })
}

/// The last fifth of the days from the first to the last of which more than half was measured.
fn tested_days(set: &Set, series: &Series) -> Result<std::ops::RangeInclusive<i64>, BacktestError> {
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
    let mut history = SlotHistory::new();
    for back in (1..=(HISTORY_DAYS * SLOTS_PER_DAY) as i64).rev() {
        let slot = issued.plus(-back);
        if slot >= series.first {
            history.record(slot, series.get(slot));
        }
    }
    history
}

/// Forecasts so far: by site and method, the outcomes; and the model's steps.
#[derive(Default)]
struct Made {
    outcomes: std::collections::BTreeMap<(usize, usize, String), Vec<Outcome>>,
    steps: Vec<Step>,
}

impl Made {
    fn day(
        &mut self,
        set: &Set,
        site: &Tested<'_>,
        day: i64,
        model: &OnnxForecaster,
    ) -> Result<(), BacktestError> {
        let issued = midnight(&set.zone, day)?;
        let end = midnight(&set.zone, day + 1)?;
        let history = history_before(&site.slots, issued);
        let methods = std::iter::once(model as &dyn Forecaster).chain(baselines());
        for (method, forecaster) in methods.enumerate() {
            let forecast = forecaster.forecast(&history, issued, &set.zone).map_err(|source| {
                BacktestError::Forecast { site: site.series.site.clone(), issued: issued.start(), source }
            })?;
            let mut time = issued.start();
            while time < end.start() {
                let Some(quantiles) = of_step(&forecast, time, site.series.step) else { break };
                if let Some(truth) = site.series.at(time) {
                    let key = (site.set, method, site.series.site.clone());
                    self.outcomes.entry(key).or_default().push(Outcome { day, truth, quantiles });
                }
                if method == 0 {
                    let (site, issued) = (site.series.site.clone(), issued.start());
                    self.steps.push(Step { site, issued, time, quantiles });
                }
                time += site.series.step;
            }
        }
        Ok(())
    }

    fn into_backtest(self, sets: &[Set]) -> Backtest {
        let names = [sunkeep_models::onnx::NAME].into_iter().chain(baselines().map(Forecaster::name));
        let mut scores = Vec::new();
        for (place, set) in sets.iter().enumerate() {
            for (method, name) in names.clone().enumerate() {
                let of_sites: Vec<Score> = self
                    .outcomes
                    .range((place, method, String::new())..(place, method + 1, String::new()))
                    .filter_map(|(_, outcomes)| score(outcomes))
                    .collect();
                if let Some(score) = mean_score(&of_sites) {
                    scores.push(MethodScore { set: set.name.clone(), method: name.into(), score });
                }
            }
        }
        Backtest { scores, steps: self.steps }
    }
}

/// The quantiles of a step of a series: the mean of the slots it holds; or, of a part of a slot, what a
/// straight line through the slots beside it gives, so that the mean of the slot stays.
fn of_step(forecast: &Forecast, time: i64, step: i64) -> Option<[f32; 3]> {
    let slot = Slot::of(time);
    let at = forecast.at(slot)?;
    if step < SLOT_SECONDS {
        let middle = time - slot.start() + step / 2 - SLOT_SECONDS / 2;
        let aside = middle as f32 / SLOT_SECONDS as f32;
        let before = forecast.at(slot.plus(-1)).unwrap_or(at);
        let after = forecast.at(slot.plus(1)).unwrap_or(at);
        let mut quantiles: [f32; 3] = std::array::from_fn(|quantile| {
            (at[quantile] + aside * (after[quantile] - before[quantile]) / 2.0).max(0.0)
        });
        quantiles.sort_by(f32::total_cmp);
        return Some(quantiles);
    }
    let slots = step / SLOT_SECONDS;
    let mut sum = [0.0; 3];
    for place in 0..slots {
        for (sum, watts) in sum.iter_mut().zip(forecast.at(slot.plus(place))?) {
            *sum += watts / slots as f32;
        }
    }
    Some(sum)
}
