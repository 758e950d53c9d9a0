//! Lives through the series of a site as a hub does, slot by slot, and forecasts each tested day at its
//! midnight.

use std::ops::{Range, RangeInclusive};

use indicatif::ProgressBar;
use sunkeep_models::adaptation::AdaptiveForecaster;
use sunkeep_models::baseline::baselines;
use sunkeep_models::forecast::{Forecast, Forecaster};
use sunkeep_models::history::{HISTORY_DAYS, SlotHistory};
use sunkeep_models::pv::adaptive::AdaptivePv;
use sunkeep_models::time::{SLOTS_PER_DAY, Slot, Zone};

use super::days::midnight;
use super::{BacktestError, Options, Step};
use crate::flat_mean::FlatMean;
use crate::parallel;
use crate::scores::Outcome;
use crate::series::{Series, SlotSeries};
use crate::steps::{StepForecast, of_step};

/// Slots that a hub has lived through at its first midnight when it is said to have no day of history: it
/// was switched on at 18:00.
const FIRST_EVENING: usize = SLOTS_PER_DAY / 4;

/// A site with the days it is tested on.
pub(super) struct Tested<'a> {
    /// Place of its set.
    pub(super) set: usize,
    pub(super) zone: &'a Zone,
    pub(super) series: &'a Series,
    pub(super) slots: SlotSeries,
    /// Local days that are scored, counted from 1970-01-01.
    pub(super) days: RangeInclusive<i64>,
    /// The first day that is forecast, scored or not.
    pub(super) first_day: i64,
}

/// What lives through a series and forecasts.
pub(super) trait Hub: Forecaster {
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

/// Lives through all sites, several at a time. Each is lived through by itself: which processor does it
/// changes nothing.
pub(super) fn run_sites(
    tested: &[Tested<'_>],
    progress: &ProgressBar,
    live: impl Fn(usize) -> Result<SiteRun, BacktestError> + Sync,
) -> Result<Vec<SiteRun>, BacktestError> {
    let days: i64 = tested.iter().map(|site| site.days.end() - site.first_day + 1).sum();
    progress.set_length(days as u64);
    progress.set_position(0);
    progress.set_message("backtest");
    parallel::each(tested.len(), live)
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

/// What the run over one site gave.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct SiteRun {
    /// Place of the set among the sets.
    pub set: usize,
    /// Name of the site.
    pub site: String,
    /// By method, the steps that are scored: the hub, its peer, the baselines.
    pub outcomes: Vec<Vec<Outcome>>,
    /// The same for the second day of the horizon.
    pub second_day: Vec<Vec<Outcome>>,
    /// The steps of the forecast of the hub.
    pub steps: Vec<Step>,
}

/// Lives through a series slot by slot and forecasts each tested day at its midnight; `peer` and the
/// baselines forecast the same days.
pub(super) fn live<H: Hub>(
    site: &Tested<'_>,
    switched_on: impl Fn() -> H,
    peer: &dyn Forecaster,
    options: &Options,
    progress: &ProgressBar,
) -> Result<SiteRun, BacktestError> {
    let mut run = SiteRun { set: site.set, site: site.series.site.clone(), ..SiteRun::default() };
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
        let methods: [&dyn Forecaster; 2] = [&hub, peer];
        let flat: &dyn Forecaster = &FlatMean;
        run.day(site, day, &history, methods.into_iter().chain(baselines()).chain([flat]))?;
        progress.inc(1);
    }
    Ok(run)
}

/// Forecasts each scored day at its midnight with one method, from what a hub would remember.
pub(super) fn forecast_days(site: &Tested<'_>, method: &dyn Forecaster) -> Result<SiteRun, BacktestError> {
    let mut run = SiteRun { set: site.set, site: site.series.site.clone(), ..SiteRun::default() };
    for day in site.days.clone() {
        let history = history_before(&site.slots, Slot::of(midnight(site.zone, day)));
        run.day(site, day, &history, std::iter::once(method))?;
    }
    Ok(run)
}

impl SiteRun {
    fn day<'m>(
        &mut self,
        site: &Tested<'_>,
        day: i64,
        history: &SlotHistory,
        methods: impl Iterator<Item = &'m dyn Forecaster>,
    ) -> Result<(), BacktestError> {
        let [start, end, second_end] = [day, day + 1, day + 2].map(|day| midnight(site.zone, day));
        let issued = Slot::of(start);
        for (place, method) in methods.enumerate() {
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
        span: Range<i64>,
        forecast: &Forecast,
    ) {
        let scored = site.days.contains(&day);
        for (time, said) in site.said(span.clone(), forecast) {
            if let Some(outcome) = site.outcome(day, time, &said).filter(|_| scored) {
                self.outcomes[method].push(outcome);
            }
            if method == 0 {
                let (site, issued) = (site.series.site.clone(), span.start);
                self.steps.push(Step { site, issued, time, forecast: said });
            }
        }
    }

    /// Scores the second day of a forecast, where that is among the days that are scored.
    fn second_day_of(
        &mut self,
        site: &Tested<'_>,
        method: usize,
        day: i64,
        span: Range<i64>,
        forecast: &Forecast,
    ) {
        if !site.days.contains(&day) {
            return;
        }
        let said = site.said(span, forecast);
        self.second_day[method].extend(said.filter_map(|(time, said)| site.outcome(day, time, &said)));
    }
}

impl Tested<'_> {
    /// The steps that start in a span, with what a forecast says of them. Where a clock is set back the horizon
    /// ends before the second day.
    fn said(&self, span: Range<i64>, forecast: &Forecast) -> impl Iterator<Item = (i64, StepForecast)> {
        let step = self.series.step;
        let first = span.start + (self.series.first - span.start).rem_euclid(step);
        let times = (first..span.end).step_by(step as usize);
        times.map_while(move |time| Some((time, of_step(forecast, time, step)?)))
    }

    /// What came of a step, where it was measured.
    fn outcome(&self, day: i64, time: i64, said: &StepForecast) -> Option<Outcome> {
        let truth = self.series.at(time)?;
        Some(Outcome { day, truth, quantiles: said.quantiles, mean: said.mean })
    }
}
