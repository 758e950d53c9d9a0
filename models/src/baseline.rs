//! Forecasts without a model: yesterday, the same weekday, the usual day. A model that does not beat them
//! on a site has no place there, and a new hub has nothing else.
//!
//! Each gives its own best guess as P50 and spreads P10 and P90 by how far the same guess was off on
//! earlier days.

use crate::day_grid::{DayGrid, GRID_DAYS};
use crate::forecast::{Forecast, ForecastError, Forecaster};
use crate::history::SlotHistory;
use crate::sample::{by_slot, filled, mean, sorted_quantile};
use crate::time::{HORIZON, LocalTime, SLOTS_PER_DAY, Slot, Zone};

/// Measured slots a baseline needs: half a day.
pub const LEAST_MEASURED: usize = SLOTS_PER_DAY / 2;

/// Misses from which a band is drawn; with fewer it reaches from nothing to twice the guess.
const LEAST_MISSES: usize = 6;

/// The next days will be like the newest day that was measured.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Persistence;

/// A day will be like the same weekday of the last four weeks, in the mean.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct SimilarDay;

/// A day will be like the last 28 days, in the mean.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct SameSlotProfile;

impl Forecaster for Persistence {
    fn name(&self) -> &'static str {
        "persistence"
    }

    fn forecast(&self, history: &SlotHistory, issued: Slot, zone: &Zone) -> Result<Forecast, ForecastError> {
        forecast(self.name(), history, issued, zone, |grid, slot, target| {
            let guess = grid.same_slot(slot, 7).next();
            let newest = grid.newest(slot);
            // The second day lies two days after the newest that was measured: misses at that distance.
            let distance = (target.day - grid.issue_day() + newest).max(1);
            let days = newest..GRID_DAYS as i64 - distance;
            let misses = days.flat_map(|ago| {
                near(slot)
                    .filter_map(move |slot| Some(grid.get(ago, slot)? - grid.get(ago + distance, slot)?))
            });
            (guess, misses.collect())
        })
    }
}

impl Forecaster for SimilarDay {
    fn name(&self) -> &'static str {
        "similar day"
    }

    fn forecast(&self, history: &SlotHistory, issued: Slot, zone: &Zone) -> Result<Forecast, ForecastError> {
        forecast(self.name(), history, issued, zone, |grid, slot, target| {
            let guess = mean(grid.same_weekday(slot, target.day, 4))
                .or_else(|| mean(grid.same_kind(slot, target.weekday)))
                .or_else(|| mean(grid.same_slot(slot, 28)));
            (guess, around_mean(grid, slot))
        })
    }
}

impl Forecaster for SameSlotProfile {
    fn name(&self) -> &'static str {
        "same-slot profile"
    }

    fn forecast(&self, history: &SlotHistory, issued: Slot, zone: &Zone) -> Result<Forecast, ForecastError> {
        forecast(self.name(), history, issued, zone, |grid, slot, _| {
            (mean(grid.same_slot(slot, 28)), around_mean(grid, slot))
        })
    }
}

/// All three, for tables and as the experts of a new hub.
pub fn baselines() -> [&'static dyn Forecaster; 3] {
    [&Persistence, &SimilarDay, &SameSlotProfile]
}

/// Forecasts with a method that gives, for a slot of the day of a target, its guess (W) and its misses on
/// earlier days (measured minus guessed, W). A slot without a guess takes the one of the nearest slot.
fn forecast(
    method: &str,
    history: &SlotHistory,
    issued: Slot,
    zone: &Zone,
    guess: impl Fn(&DayGrid, usize, LocalTime) -> (Option<f32>, Vec<f32>),
) -> Result<Forecast, ForecastError> {
    let grid = DayGrid::before(history, issued, zone);
    let measured: usize = (0..SLOTS_PER_DAY).map(|slot| grid.same_slot(slot, GRID_DAYS).count()).sum();
    let usual = by_slot(|slot| mean(grid.same_slot(slot, GRID_DAYS)));
    let Some(level) = mean(usual.iter().copied().flatten()).filter(|_| measured >= LEAST_MEASURED) else {
        let method = method.into();
        return Err(ForecastError::TooLittleHistory { method, measured, wanted: LEAST_MEASURED });
    };
    let usual = filled(&usual, level);
    let mut quantiles = [(); 3].map(|()| Vec::with_capacity(HORIZON));
    for lead in 0..HORIZON {
        let target = zone.local(issued.plus(lead as i64).start());
        let slot = target.slot_of_day();
        let (guess, mut misses) = guess(&grid, slot, target);
        let guess = guess.unwrap_or(usual[slot]);
        let [below, above] = band(guess, &mut misses);
        for (into, watts) in quantiles.iter_mut().zip([guess + below, guess, guess + above]) {
            into.push(watts.max(0.0));
        }
    }
    Forecast::checked(method, issued, quantiles)
}

/// How far P10 lies below the guess and P90 above, W.
fn band(guess: f32, misses: &mut [f32]) -> [f32; 2] {
    if misses.len() < LEAST_MISSES {
        return [-guess, guess];
    }
    let [below, above] = [0.1, 0.9].map(|quantile| sorted_quantile(misses, quantile).unwrap_or(0.0));
    [below.min(0.0), above.max(0.0)]
}

/// How far the slot, and those beside it, lay from their own mean of 28 days.
fn around_mean(grid: &DayGrid, slot: usize) -> Vec<f32> {
    near(slot)
        .flat_map(|slot| {
            let slot = slot.rem_euclid(SLOTS_PER_DAY as i64) as usize;
            let usual = mean(grid.same_slot(slot, 28)).unwrap_or(0.0);
            grid.same_slot(slot, 28).map(move |watts| watts - usual)
        })
        .collect()
}

/// A slot of the day and the two beside it.
fn near(slot: usize) -> impl Iterator<Item = i64> {
    slot as i64 - 1..=slot as i64 + 1
}
