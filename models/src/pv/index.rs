//! The clear-sky index of a site: what it measured, as a part of what a clear sky gives its array.

use super::{DAY, LEVELS, RECENCY, Weighted, weighted};
use crate::history::{HISTORY_DAYS, SlotHistory};
use crate::sun::PvArray;
use crate::time::Slot;

/// Clear-sky power below this part of its highest is twilight: an index there is noise.
const TWILIGHT: f64 = 0.04;
/// Slots on each side of the same time of day that count, less and less.
const BESIDE: i64 = 6;
/// Distance at which the weight of a slot beside has fallen to a half, in slots.
const BESIDE_HALF: f64 = 0.5;
/// Daylight slots that make up the weather so far.
const RECENT: usize = 6;
/// How far back those may lie, in slots: the last daylight of yesterday still counts.
const RECENT_REACH: i64 = 40;
/// Distance in index at which the weight of another weather has fallen to a half, now and per hour ahead.
const LIKENESS: (f64, f64) = (0.06, 0.01);
/// Share of the last hour's departure in the first slot ahead.
const SHARE: f64 = 0.8;
/// Part of that share by which the band narrows: the sky changes faster than an hour's index tells.
const NARROWING: f64 = 0.3;
/// Time constant with which the last hours' index gives way to the likely one, in slots.
const PERSISTENCE: f64 = 4.0;
/// From this many slots ahead on the last hour says nothing.
const FRESH: i64 = 16;
/// The index of an unknown site, in equal parts: the stated prior.
const PRIOR: [f64; 7] = [0.1, 0.3, 0.5, 0.7, 0.85, 0.95, 1.0];
/// Weight of the whole prior, in days of yesterday.
const PRIOR_DAYS: f64 = 0.5;
/// The most an index can be: the edge of a cloud adds to the sun.
const MOST: f64 = 1.6;
/// Slots of bright sun needed before the array's own peak is believed.
const SCALE_SLOTS: usize = 8;

/// Clear-sky power of an array over a run of slots, W.
pub(super) struct Clear {
    first: Slot,
    power: Vec<f64>,
    most: f64,
}

impl Clear {
    pub(super) fn of(array: &PvArray, first: Slot, count: usize) -> Self {
        let power: Vec<f64> =
            (0..count as i64).map(|place| array.clear_sky_mean(first.plus(place), None).0).collect();
        let most = power.iter().copied().fold(0.0, f64::max);
        Self { first, power, most }
    }

    /// Clear-sky mean power of a slot, W; nothing outside the run.
    pub(super) fn at(&self, slot: Slot) -> f64 {
        usize::try_from(slot.since(self.first))
            .ok()
            .and_then(|place| self.power.get(place))
            .copied()
            .unwrap_or(0.0)
    }

    fn is_daylight(&self, slot: Slot) -> bool {
        self.at(slot) > TWILIGHT * self.most
    }
}

/// What was learnt of the index of a site, for forecasts issued at one slot.
pub(super) struct Index {
    issued: Slot,
    /// Index of each past slot of the run, where it is evidence.
    past: Vec<Option<f64>>,
    first: Slot,
    /// What a clear day brings of the clear-sky power: nameplate, orientation, dirt and shade in one.
    scale: f64,
    /// Weather so far on the day of issue and at the same time of each day before it (0 is today).
    weather: Vec<Option<f64>>,
    /// What the last hour was of what was likely.
    departure: Option<f64>,
}

impl Index {
    /// Learns from what was measured before `issued`.
    pub(super) fn learn(clear: &Clear, history: &SlotHistory, issued: Slot) -> Self {
        let count = usize::try_from(issued.since(clear.first)).unwrap_or(0);
        let past: Vec<Option<f64>> = (0..count as i64)
            .map(|place| {
                let slot = clear.first.plus(place);
                let measured = f64::from(history.get(slot)?);
                clear.is_daylight(slot).then(|| (measured / clear.at(slot)).max(0.0))
            })
            .collect();
        let scale = scale(&past, clear);
        let past = past.into_iter().map(|index| index.map(|index| index.min(MOST * scale))).collect();
        let mut index =
            Self { issued, past, first: clear.first, scale, weather: Vec::new(), departure: None };
        index.weather =
            (0..HISTORY_DAYS as i64).map(|day| index.weather_until(issued.plus(-day * DAY))).collect();
        index.departure = index.departure();
        index
    }

    fn at(&self, slot: Slot) -> Option<f64> {
        let place = usize::try_from(slot.since(self.first)).ok()?;
        self.past.get(place).copied().flatten()
    }

    /// Mean index of the last daylight before a slot, relative to a clear day.
    fn weather_until(&self, slot: Slot) -> Option<f64> {
        let seen: Vec<f64> =
            (1..=RECENT_REACH).filter_map(|back| self.at(slot.plus(-back))).take(RECENT).collect();
        (!seen.is_empty()).then(|| seen.iter().sum::<f64>() / seen.len() as f64 / self.scale)
    }

    /// Quantiles of the index in a slot ahead.
    pub(super) fn quantiles(&self, slot: Slot, levels: [f64; 3]) -> [f64; 3] {
        let ahead = slot.since(self.issued).max(0);
        let likely = self.likely(slot, levels);
        let Some(departure) = self.departure.filter(|_| ahead < FRESH) else { return likely };
        let [p10, p50, p90] = likely;
        let distance = ahead as f64 / PERSISTENCE;
        let share = SHARE / (1.0 + distance * distance);
        let middle = p50 * (1.0 + share * (departure - 1.0));
        let narrow = 1.0 - share * NARROWING;
        [middle - (p50 - p10) * narrow, middle, middle + (p90 - p50) * narrow]
    }

    /// Quantiles by the days before alone.
    fn likely(&self, slot: Slot, levels: [f64; 3]) -> [f64; 3] {
        let ahead = slot.since(self.issued).max(0);
        let mut samples: Vec<Weighted> = PRIOR
            .iter()
            .map(|index| Weighted { value: index * self.scale, weight: PRIOR_DAYS / PRIOR.len() as f64 })
            .collect();
        for day in ahead.div_euclid(DAY) + 1..HISTORY_DAYS as i64 {
            let weight = RECENCY.powi(day as i32) * self.likeness(day, ahead);
            self.add_day(slot.plus(-day * DAY), weight, &mut samples);
        }
        weighted(&mut samples, levels)
    }

    /// By what factor the last hour differs from what the days before let expect of it.
    fn departure(&self) -> Option<f64> {
        let (mut measured, mut expected) = (0.0, 0.0);
        for back in 1..=2 {
            let slot = self.issued.plus(-back);
            if let Some(index) = self.at(slot) {
                measured += index;
                expected += self.likely(slot, LEVELS)[1];
            }
        }
        (expected > 0.0).then(|| (measured / expected).clamp(0.2, 2.0))
    }

    /// One day's share, whatever part of it was measured.
    fn add_day(&self, slot: Slot, weight: f64, samples: &mut Vec<Weighted>) {
        let from = samples.len();
        for beside in -BESIDE..=BESIDE {
            let at = slot.plus(beside);
            if at < self.issued
                && let Some(value) = self.at(at)
            {
                let distance = beside as f64 / BESIDE_HALF;
                samples.push(Weighted { value, weight: 1.0 / (1.0 + distance * distance) });
            }
        }
        let total: f64 = samples[from..].iter().map(|sample| sample.weight).sum();
        for sample in &mut samples[from..] {
            sample.weight *= weight / total;
        }
    }

    /// How much a day counts for its weather up to the hour of issue: a day like today counts fully, and the
    /// further ahead, the less it matters.
    fn likeness(&self, day: i64, ahead: i64) -> f64 {
        let of =
            |day: i64| usize::try_from(day).ok().and_then(|day| self.weather.get(day)).copied().flatten();
        let Some((then, now)) = of(day).zip(of(0)) else { return 0.5 };
        let width = LIKENESS.0 + LIKENESS.1 * ahead as f64 / 2.0;
        let distance = (then - now) / width;
        1.0 / (1.0 + distance * distance)
    }
}

/// What a clear day brings of the clear-sky power: a high quantile of the index in the brighter half of the
/// day; 1 until enough was measured.
fn scale(past: &[Option<f64>], clear: &Clear) -> f64 {
    let mut bright: Vec<f64> = past
        .iter()
        .zip(&clear.power)
        .filter(|(_, power)| **power > 0.4 * clear.most)
        .filter_map(|(index, _)| *index)
        .collect();
    if bright.len() < SCALE_SLOTS {
        return 1.0;
    }
    bright.sort_by(f64::total_cmp);
    let place = (bright.len() as f64 * 0.9) as usize;
    bright.get(place).copied().unwrap_or(1.0).max(0.01)
}
