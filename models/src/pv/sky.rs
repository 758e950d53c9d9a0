//! The clear-sky power of this array as it was measured, and the index of each past slot to it.
//!
//! Clear-sky power is, for each slot of the day, a high quantile of what was measured there in the last
//! days: orientation, shade by the hour, dirt and nameplate in one. Where the place of the array is known,
//! it is learnt as a ratio to the power of a clean one under a clear sky, and so follows the season; where
//! it is not, the envelope of the last weeks follows it. Slots that were throttled are missing in the
//! history and change nothing.

use super::{DAY, Weighted};
use crate::history::SlotHistory;
use crate::sample::{by_slot, filled, sorted_quantile};
use crate::sun::PvArray;
use crate::time::{HORIZON, SLOTS_PER_DAY, Slot};

/// Days that are looked back on.
pub(super) const DAYS: i64 = 30;
/// Quantile of the days that counts as clear.
const CLEAR: f32 = 0.95;
/// Part of the highest power below which it is night or twilight: an index there is noise.
const TWILIGHT: f64 = 0.02;
/// Slots beside the same time of day whose index counts too, and how many where none was ever measured.
const BESIDE: [i64; 2] = [2, 12];
/// Part of the daylight of a day that is its end.
const END_OF_DAY: usize = 3;
/// Part of a day's sun that must have been measured for an index of the day.
const LEAST_SHARE: f64 = 0.3;

/// What was measured in the last days, as parts of a clear sky.
pub(super) struct Sky {
    issued: Slot,
    /// Clear-sky power from the first past slot to the end of the horizon, W; nothing at night.
    clear: Vec<f64>,
    /// Measured power of the past slots, W.
    measured: Vec<Option<f64>>,
    /// Highest clear-sky power, W.
    most: f64,
}

impl Sky {
    /// Learns from what was measured before `issued`; `None` where there was no sun in it.
    pub(super) fn before(array: Option<&PvArray>, history: &SlotHistory, issued: Slot) -> Option<Self> {
        let first = issued.plus(-DAYS * DAY);
        let past = (DAYS * DAY) as usize;
        let measured: Vec<Option<f64>> =
            (0..past as i64).map(|place| history.get(first.plus(place)).map(f64::from)).collect();
        let clean = clean_power(array, first, past + HORIZON);
        let phase = |place: usize| (first.0 + place as i64).rem_euclid(DAY) as usize;
        let mut ratios: [Vec<f32>; SLOTS_PER_DAY] = by_slot(|_| Vec::new());
        for (place, watts) in measured.iter().enumerate() {
            if let Some(watts) = watts {
                ratios[phase(place)].push((watts / clean[place]) as f32);
            }
        }
        let ratios = by_slot(|slot| sorted_quantile(&mut ratios[slot], CLEAR));
        let ratios = filled(&ratios, 0.0);
        let mut clear: Vec<f64> = clean
            .iter()
            .enumerate()
            .map(|(place, watts)| watts * f64::from(ratios[phase(place)]).max(0.0))
            .collect();
        let most = clear.iter().copied().fold(0.0, f64::max);
        for watts in &mut clear {
            if *watts < TWILIGHT * most {
                *watts = 0.0;
            }
        }
        (most > 0.0).then_some(Self { issued, clear, measured, most })
    }

    /// The slot that is forecast first.
    pub(super) fn issued(&self) -> Slot {
        self.issued
    }

    /// Highest clear-sky power, W.
    pub(super) fn most(&self) -> f64 {
        self.most
    }

    /// Clear-sky power, W; nothing at night, in twilight, and outside what is looked at.
    pub(super) fn clear(&self, slot: Slot) -> f64 {
        self.place(slot).and_then(|place| self.clear.get(place)).copied().unwrap_or(0.0)
    }

    /// Clear-sky index of a past slot in daylight.
    pub(super) fn index(&self, slot: Slot) -> Option<f64> {
        let clear = self.clear(slot);
        let watts = (*self.measured.get(self.place(slot)?)?)?;
        (clear > 0.0).then(|| watts.max(0.0) / clear)
    }

    fn place(&self, slot: Slot) -> Option<usize> {
        usize::try_from(slot.since(self.issued) + DAYS * DAY).ok()
    }

    /// Number of days before the issue with an index.
    pub(super) fn known_days(&self) -> usize {
        (0..DAYS).filter(|ago| self.day(*ago).is_some()).count()
    }

    /// The 24 hours that ended so many days before the issue.
    fn window(&self, ago: i64) -> impl DoubleEndedIterator<Item = Slot> + use<> {
        let end = self.issued.plus(-ago * DAY).0;
        (end - DAY..end).map(Slot)
    }

    /// Energy of the 24 hours that ended so many days before the issue, as a part of the clear sky's.
    pub(super) fn day(&self, ago: i64) -> Option<f64> {
        let all: f64 = self.window(ago).map(|slot| self.clear(slot)).sum();
        let (watts, clear) = self
            .window(ago)
            .filter_map(|slot| Some((self.index(slot)?, self.clear(slot))))
            .fold((0.0, 0.0), |(watts, sum), (index, clear)| (watts + index * clear, sum + clear));
        (clear > LEAST_SHARE * all && clear > 0.0).then(|| watts / clear)
    }

    /// Mean index of the last daylight of those 24 hours.
    pub(super) fn end_of_day(&self, ago: i64) -> Option<f64> {
        let light = self.window(ago).filter(|slot| self.clear(*slot) > 0.0).count();
        let last = self.window(ago).rev().filter(|slot| self.clear(*slot) > 0.0).take(light / END_OF_DAY);
        mean(last.filter_map(|slot| self.index(slot)))
    }

    /// Mean index of the last hour of those 24, where it was daylight.
    pub(super) fn last_hour(&self, ago: i64) -> Option<f64> {
        mean(self.window(ago).rev().take(2).filter_map(|slot| self.index(slot)))
    }

    /// Mean index about the same time of day as `lead` slots after the issue, in those 24 hours.
    pub(super) fn about(&self, ago: i64, lead: i64) -> Option<f64> {
        let middle = lead.rem_euclid(DAY);
        let (mut sum, mut weights) = (0.0, 0.0);
        for (place, slot) in (0..).zip(self.window(ago)) {
            let apart: i64 = place - middle;
            let weight = 4.0 - apart.abs() as f64;
            if weight > 0.0
                && let Some(index) = self.index(slot)
            {
                sum += weight * index;
                weights += weight;
            }
        }
        (weights > 0.0).then(|| sum / weights)
    }

    /// Indices at the same time of day as `target` on the days before the issue, and beside it; a day
    /// counts half after `half` days.
    pub(super) fn samples(&self, target: Slot, half: f64) -> Vec<Weighted> {
        let newest = target.since(self.issued).div_euclid(DAY) + 1;
        for beside in BESIDE {
            let mut samples = Vec::with_capacity((DAYS * (2 * beside + 1)) as usize);
            for ago in newest..=DAYS {
                let recent = 0.5_f64.powf(ago as f64 / half);
                for aside in -beside..=beside {
                    let slot = target.plus(aside - ago * DAY);
                    if let Some(value) = self.index(slot) {
                        samples.push(Weighted { value, weight: recent / (1.0 + (aside * aside) as f64) });
                    }
                }
            }
            if !samples.is_empty() {
                return samples;
            }
        }
        Vec::new()
    }
}

/// Power of a clean array under a clear sky, never nothing; 1 where its place is not known.
fn clean_power(array: Option<&PvArray>, first: Slot, count: usize) -> Vec<f64> {
    let Some(array) = array else { return vec![1.0; count] };
    let power: Vec<f64> =
        (0..count as i64).map(|place| array.clear_sky_mean(first.plus(place), None).0).collect();
    let least = TWILIGHT * power.iter().copied().fold(1.0, f64::max);
    power.into_iter().map(|watts| watts.max(least)).collect()
}

pub(super) fn mean(values: impl Iterator<Item = f64>) -> Option<f64> {
    let (sum, count) = values.fold((0.0, 0.0), |(sum, count), value| (sum + value, count + 1.0));
    (count > 0.0).then(|| sum / count)
}
