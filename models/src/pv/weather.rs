//! Weather forecasts that somebody else made, as far as a forecast of the sun can use them.
//!
//! They may be there or not, for some slots or all, and be worth much or nothing: what a value has meant for
//! this array is found by comparing it with those of the last weeks, as they were known at the time, and how
//! far to believe that is learnt like the skill of any other expert ([`super::experts`]).
//! How a forecast reaches the hub is no concern of this.

use std::collections::VecDeque;

use serde::{Deserialize, Serialize};

use super::{DAY, LEVELS, Weighted, weighted};
use crate::pv::sky::{DAYS, Sky};
use crate::time::{SLOTS_PER_DAY, Slot};

/// Forecasts that are kept: four a day for as long as is looked back.
pub const MOST_FORECASTS: usize = 4 * (DAYS as usize + 6);
/// Slots of one forecast that are kept: three days.
pub const MOST_SLOTS: usize = 3 * SLOTS_PER_DAY;
/// Slots on each side of the same time of day that count, less and less.
const BESIDE: i64 = 3;
/// Days after which a day counts half.
const HALF: f64 = 15.0;
/// Difference between two forecasts at which one counts half for the other, over the spread of all.
const LIKE: f64 = 0.35;
/// Days, weighted by likeness and age, below which nothing is said.
const LEAST: f64 = 1.5;

/// What a weather forecast foretells.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum WeatherQuantity {
    /// Part of the sky that is covered, 0 to 1.
    CloudCover,
    /// Global horizontal irradiance, mean of the slot, W/m².
    GlobalIrradiance,
}

/// One weather forecast for the site.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct WeatherForecast {
    /// When it could be known on the hub, seconds since 1970.
    pub issued: i64,
    /// What its values are.
    pub quantity: WeatherQuantity,
    /// Slot of the first value.
    pub first: Slot,
    /// The mean of each slot; `None` where it says nothing.
    pub values: Vec<Option<f32>>,
}

/// The weather forecasts of the last weeks, as they became known. Bounded: [`MOST_FORECASTS`] of
/// [`MOST_SLOTS`].
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct Weather {
    /// In the order of their issue.
    forecasts: VecDeque<WeatherForecast>,
}

impl Weather {
    /// Takes in a forecast; the oldest goes where there are too many. Values that are no numbers count as
    /// missing, those beyond [`MOST_SLOTS`] are left out.
    pub fn add(&mut self, mut forecast: WeatherForecast) {
        forecast.values.truncate(MOST_SLOTS);
        for value in &mut forecast.values {
            *value = value.filter(|value| value.is_finite());
        }
        let place = self.forecasts.partition_point(|other| other.issued <= forecast.issued);
        self.forecasts.insert(place, forecast);
        while self.forecasts.len() > MOST_FORECASTS {
            self.forecasts.pop_front();
        }
    }

    /// What the newest forecast that was known at the start of `known` says of a slot.
    fn at(&self, slot: Slot, known: Slot) -> Option<(WeatherQuantity, f64)> {
        self.forecasts.iter().rev().filter(|forecast| forecast.issued <= known.start()).find_map(|forecast| {
            let place = usize::try_from(slot.since(forecast.first)).ok()?;
            let value = (*forecast.values.get(place)?)?;
            Some((forecast.quantity, f64::from(value)))
        })
    }

    /// Quantiles of the clear-sky index of a slot ahead, from those past slots for which the like was
    /// forecast as long before; `None` where there is no forecast, or too little to compare it with.
    pub(super) fn index(&self, sky: &Sky, slot: Slot) -> Option<[f64; 3]> {
        let (quantity, now) = self.at(slot, sky.issued())?;
        let newest = slot.since(sky.issued()).div_euclid(DAY) + 1;
        let mut past: Vec<(f64, Weighted)> = Vec::with_capacity((DAYS * (2 * BESIDE + 1)) as usize);
        for ago in newest..=DAYS {
            let recent = 0.5_f64.powf(ago as f64 / HALF);
            for aside in -BESIDE..=BESIDE {
                let then = slot.plus(aside - ago * DAY);
                let Some(value) = sky.index(then) else { continue };
                // Known as long before as it is known now.
                let Some((of, said)) = self.at(then, sky.issued().plus(aside - ago * DAY)) else { continue };
                if of == quantity {
                    let weight = recent / (1.0 + (aside * aside) as f64);
                    past.push((said, Weighted { value, weight }));
                }
            }
        }
        let all: f64 = past.iter().map(|(_, sample)| sample.weight).sum();
        let mean = past.iter().map(|(said, sample)| sample.weight * said).sum::<f64>() / all.max(1e-9);
        let square = past.iter().map(|(said, sample)| sample.weight * (said - mean).powi(2)).sum::<f64>();
        let like = LIKE * (square / all.max(1e-9)).sqrt().max(1e-6);
        let mut samples: Vec<Weighted> = past
            .into_iter()
            .map(|(said, sample)| {
                let apart = (said - now) / like;
                Weighted { weight: sample.weight / (1.0 + apart * apart), ..sample }
            })
            .collect();
        let known: f64 = samples.iter().map(|sample| sample.weight).sum();
        (known >= LEAST).then(|| weighted(&mut samples, LEVELS))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_newest_that_was_known_counts_and_the_number_is_bounded() {
        let mut weather = Weather::default();
        let forecast = |issued: i64, value: f32| WeatherForecast {
            issued,
            quantity: WeatherQuantity::CloudCover,
            first: Slot::of(issued),
            values: vec![Some(value), None, Some(f32::NAN), Some(value)],
        };
        // One that comes late takes its place.
        weather.add(forecast(3600, 0.2));
        weather.add(forecast(0, 0.1));
        let said = |slot, known| weather.at(Slot(slot), Slot(known)).map(|(_, value)| value as f32);
        assert_eq!(said(2, 1), None, "missing in the first, and the second is not known yet");
        assert_eq!(said(2, 2), Some(0.2));
        assert_eq!(said(3, 1), Some(0.1));
        assert_eq!(said(3, 2), Some(0.1), "missing in the newest");
        assert_eq!(said(4, 2), None, "no number");
        for place in 0..1000 {
            weather.add(forecast(place * 1800, 0.5));
        }
        assert_eq!(weather.forecasts.len(), MOST_FORECASTS);
        weather.add(WeatherForecast { values: vec![Some(0.0); 10_000], ..forecast(9e9 as i64, 0.0) });
        assert_eq!(weather.forecasts.back().unwrap().values.len(), MOST_SLOTS);
    }
}
