//! What the same time of day was like: experts that need no model, and that a hub falls back on.

use super::aggregation::Three;
use crate::contract::QUANTILES;
use crate::day_grid::DayGrid;
use crate::sample::{by_slot, mean, sorted_quantile};
use crate::time::{LocalTime, SLOTS_PER_DAY};

/// Profiles there are.
pub(super) const PROFILES: usize = 7;
/// Their names, in their order.
pub(super) const NAMES: [&str; PROFILES] =
    ["7 days", "14 days", "28 days", "same kind of day", "same weekday", "persistence", "last days"];
/// Place of persistence among them.
pub(super) const PERSISTENCE: usize = 5;

/// Days of the profile of the last days, and weight of each relative to the one after it.
const LAST_DAYS: i64 = 7;
const LAST_DAYS_KEPT: f32 = 0.7;

/// Days that spread the band around a mean of days.
const SPREAD_DAYS: usize = 28;

/// The profiles of one issue, over a level.
pub(super) struct Profiles<'a> {
    grid: &'a DayGrid,
    level: f32,
    /// Quantiles of the last 7, 14 and 28 days.
    days: [[Three; SLOTS_PER_DAY]; 3],
    /// How far the days lay from their own mean, P10 and P90; and one day from the next.
    around_mean: [[f32; 2]; SLOTS_PER_DAY],
    /// Mean of the last days, the newer the more, and how far a day lies from it.
    last_days: [Option<f32>; SLOTS_PER_DAY],
    around_last_days: [[f32; 2]; SLOTS_PER_DAY],
    day_to_day: [[f32; 2]; SLOTS_PER_DAY],
}

impl<'a> Profiles<'a> {
    /// Computes the profiles of what a grid holds.
    pub(super) fn of(grid: &'a DayGrid, level: f32) -> Self {
        let days = [(7, 2), (14, 1), (28, 1)]
            .map(|(days, beside)| by_slot(|slot| quantiles(grid, slot, days, beside, level)));
        let around_mean = by_slot(|slot| {
            let mut misses: Vec<f32> = near(slot, 1)
                .flat_map(|slot| {
                    let usual = mean(grid.same_slot(slot, SPREAD_DAYS)).unwrap_or(0.0);
                    grid.same_slot(slot, SPREAD_DAYS).map(move |watts| watts - usual)
                })
                .collect();
            band(&mut misses, level)
        });
        let day_to_day = by_slot(|slot| {
            let mut misses: Vec<f32> = near(slot, 1)
                .flat_map(|slot| {
                    let newest = grid.newest(slot);
                    (newest..newest + SPREAD_DAYS as i64 - 1).filter_map(move |ago| {
                        Some(grid.get(ago, slot as i64)? - grid.get(ago + 1, slot as i64)?)
                    })
                })
                .collect();
            band(&mut misses, level)
        });
        let around_last_days = by_slot(|slot| {
            // A mean of few days lies nearer to them than to the next.
            let known = grid.same_slot(slot, SPREAD_DAYS).count() as f32;
            let wider = if known > 1.0 { ((known + 1.0) / (known - 1.0)).sqrt() } else { 1.0 };
            around_mean[slot].map(|end| end * wider)
        });
        let last_days = by_slot(|slot| last_days(grid, slot));
        Self { grid, level, days, around_mean, last_days, around_last_days, day_to_day }
    }

    /// What each profile says of a target, over the level; `usual` stands in where it knows nothing.
    pub(super) fn say(&self, target: LocalTime, usual: &Three) -> [Three; PROFILES] {
        let slot = target.slot_of_day();
        let around = |guess: Option<f32>, [below, above]: [f32; 2]| -> Three {
            let guess = guess.map_or(usual[1], |watts| watts / self.level);
            [guess + below.min(0.0), guess, guess + above.max(0.0)]
        };
        let spread = self.around_mean[slot];
        let known = |said: Three| if said.iter().all(|value| value.is_finite()) { said } else { *usual };
        [
            known(self.days[0][slot]),
            known(self.days[1][slot]),
            known(self.days[2][slot]),
            around(mean(self.grid.same_kind(slot, target.weekday)), spread),
            around(mean(self.grid.same_weekday(slot, target.day, 4)), spread),
            around(self.grid.same_slot(slot, 7).next(), self.day_to_day[slot]),
            around(self.last_days[slot], self.around_last_days[slot]),
        ]
    }
}

/// Quantiles of a slot and those beside it over days, over a level; NaN where nothing was measured.
fn quantiles(grid: &DayGrid, slot: usize, days: usize, beside: usize, level: f32) -> Three {
    let mut values: Vec<f32> = near(slot, beside).flat_map(|slot| grid.same_slot(slot, days)).collect();
    QUANTILES.map(|quantile| sorted_quantile(&mut values, quantile).map_or(f32::NAN, |watts| watts / level))
}

/// Mean of a slot over the last days, the newer the more, with half of the slots beside it.
fn last_days(grid: &DayGrid, slot: usize) -> Option<f32> {
    let (mut sum, mut weights) = (0.0, 0.0);
    for (beside, near) in [0.5, 1.0, 0.5].into_iter().zip(near(slot, 1)) {
        let newest = grid.newest(near);
        let mut weight = beside;
        for ago in newest..newest + LAST_DAYS {
            if let Some(watts) = grid.get(ago, near as i64) {
                sum += weight * watts;
                weights += weight;
            }
            weight *= LAST_DAYS_KEPT;
        }
    }
    (weights > 0.0).then(|| sum / weights)
}

fn band(misses: &mut [f32], level: f32) -> [f32; 2] {
    [0.1, 0.9].map(|quantile| sorted_quantile(misses, quantile).map_or(0.0, |watts| watts / level))
}

/// A slot of the day and so many on either side.
fn near(slot: usize, beside: usize) -> impl Iterator<Item = usize> {
    (0..=2 * beside).map(move |place| (slot + SLOTS_PER_DAY + place - beside) % SLOTS_PER_DAY)
}
