//! What the panels will bring: the clear-sky power of this array times the quantiles of the clear-sky index
//! measured on this site, read from the days whose weather up to the same hour was most like today's.
//!
//! Slots in which the sun was throttled (a full battery) are missing in the history and so are no evidence
//! of clouds. Without a location, quantiles of the same slot of the last days are all there is; in the first hours a
//! wide guess from what was measured of the sun so far.
//! Where the sun stands and what a clear sky gives belongs to [`crate::sun`].

#[cfg(feature = "onnx")]
pub mod adaptive;
#[cfg(feature = "onnx")]
mod experts;
mod first_hours;
mod index;
#[cfg(test)]
mod measured;
#[cfg(feature = "onnx")]
mod place;
#[cfg(feature = "onnx")]
mod sky;
#[cfg(feature = "onnx")]
pub mod weather;

use index::{Clear, Index};

use crate::forecast::{Forecast, ForecastError, Forecaster};
use crate::history::{HISTORY_DAYS, SlotHistory};
use crate::sun::PvArray;
use crate::time::{HORIZON, SLOTS_PER_DAY, Slot, Zone};

/// A value with its weight among its like.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Weighted {
    value: f64,
    weight: f64,
}

const DAY: i64 = SLOTS_PER_DAY as i64;
/// Quantiles of a forecast.
const LEVELS: [f64; 3] = [0.1, 0.5, 0.9];
/// Weight of a day relative to the one after it: half after about twelve days.
const RECENCY: f64 = 0.945;
/// Slots before and after the same time of day that count too, where no location is known.
const NEIGHBOURS: i64 = 1;

/// The forecaster of PV power.
#[derive(Debug, Clone, PartialEq)]
pub struct PvForecaster {
    /// The array, where its location is known. Peak power, tilt and azimuth may be wrong: what it delivers is
    /// learnt.
    pub array: Option<PvArray>,
}

impl Forecaster for PvForecaster {
    fn name(&self) -> &'static str {
        if self.array.is_some() { "clear-sky index" } else { "same slot" }
    }

    fn forecast(&self, history: &SlotHistory, issued: Slot, zone: &Zone) -> Result<Forecast, ForecastError> {
        let quantiles = match &self.array {
            Some(array) => from_index(array, history, issued),
            None => from_same_slots(history, issued, zone)?,
        };
        Forecast::checked(self.name(), issued, quantiles)
    }
}

/// The forecast of an array whose sun is known. Always possible: with nothing measured it is the wide
/// prior of [`Index`].
fn from_index(array: &PvArray, history: &SlotHistory, issued: Slot) -> [Vec<f32>; 3] {
    let past = HISTORY_DAYS as i64 * DAY;
    let clear = Clear::of(array, issued.plus(-past), (past + HORIZON as i64) as usize);
    let index = Index::learn(&clear, history, issued);
    let mut quantiles = [const { Vec::new() }; 3];
    for ahead in 0..HORIZON as i64 {
        let slot = issued.plus(ahead);
        let sky = clear.at(slot);
        let indices = if sky > 0.0 { index.quantiles(slot, LEVELS) } else { [0.0; 3] };
        for (series, quantile) in quantiles.iter_mut().zip(indices) {
            series.push((quantile * sky) as f32);
        }
    }
    quantiles
}

/// Quantiles of the same time of day in the last days, for a site whose place on Earth nobody knows.
fn from_same_slots(history: &SlotHistory, issued: Slot, zone: &Zone) -> Result<[Vec<f32>; 3], ForecastError> {
    let measured = history.iter().filter(|(slot, mean)| *slot < issued && mean.is_some()).count();
    if measured < SLOTS_PER_DAY {
        return first_hours::forecast(history, issued, zone).ok_or_else(|| {
            let method = "same slot".into();
            ForecastError::TooLittleHistory { method, measured, wanted: SLOTS_PER_DAY }
        });
    }
    let known = |slot: Slot| history.get(slot).filter(|_| slot < issued).map(f64::from);
    let most = history.iter().filter(|(slot, _)| *slot < issued).filter_map(|(_, mean)| mean);
    let most = f64::from(most.fold(0.0, f32::max));
    let mut quantiles = [const { Vec::new() }; 3];
    for ahead in 0..HORIZON as i64 {
        let slot = issued.plus(ahead);
        let first = ahead.div_euclid(DAY) + 1;
        let mut samples = Vec::new();
        for day in first..=HISTORY_DAYS as i64 {
            for beside in -NEIGHBOURS..=NEIGHBOURS {
                if let Some(value) = known(slot.plus(beside - day * DAY)) {
                    let near = 1.0 / (1.0 + (beside * beside) as f64);
                    samples.push(Weighted { value, weight: RECENCY.powi(day as i32) * near });
                }
            }
        }
        // A time of day that was never measured (always throttled): anything up to the most seen.
        let values =
            if samples.is_empty() { [0.0, most / 2.0, most] } else { weighted(&mut samples, LEVELS) };
        for (series, value) in quantiles.iter_mut().zip(values) {
            series.push(value as f32);
        }
    }
    Ok(quantiles)
}

/// Quantiles of weighted samples, by straight lines between the middles of their weights. Nothing but zeros
/// without samples.
fn weighted(samples: &mut [Weighted], levels: [f64; 3]) -> [f64; 3] {
    samples.sort_by(|one, other| one.value.total_cmp(&other.value));
    let total: f64 = samples.iter().map(|sample| sample.weight).sum();
    levels.map(|level| {
        let wanted = level * total;
        let (mut reached, mut before) = (0.0, None::<(f64, f64)>);
        for sample in samples.iter() {
            let middle = reached + sample.weight / 2.0;
            if middle >= wanted {
                return match before {
                    Some((at, value)) if middle > at => {
                        value + (sample.value - value) * (wanted - at) / (middle - at)
                    }
                    _ => sample.value,
                };
            }
            before = Some((middle, sample.value));
            reached += sample.weight;
        }
        before.map_or(0.0, |(_, value)| value)
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::quantity::Watts;
    use crate::sun::Location;

    /// 2024-06-01T00:00 in Nairobi (UTC+3).
    const MIDNIGHT: Slot = Slot(954_378);

    fn array(peak: f64) -> PvArray {
        PvArray::new(Location::new(-1.2864, 36.8172).unwrap(), Watts(peak), 10.0, 0.0).unwrap()
    }

    /// `days` before [`MIDNIGHT`] at the clear-sky index that `weather` gives each day and slot of day.
    fn measured(true_peak: f64, days: i64, weather: impl Fn(i64, i64) -> Option<f64>) -> SlotHistory {
        let mut history = SlotHistory::new();
        for back in (1..=days * DAY).rev() {
            let slot = MIDNIGHT.plus(-back);
            let day = (back - 1) / DAY;
            let index = weather(day, DAY - 1 - (back - 1) % DAY);
            let clear = array(true_peak).clear_sky_mean(slot, None).0;
            history.record(slot, index.map(|index| (index * clear) as f32));
        }
        history
    }

    fn forecast(array: Option<PvArray>, history: &SlotHistory, issued: Slot) -> Forecast {
        PvForecaster { array }.forecast(history, issued, &Zone::utc()).unwrap()
    }

    fn noon() -> usize {
        24
    }

    #[test]
    fn nothing_measured_gives_a_wide_prior_and_dark_nights() {
        let forecast = forecast(Some(array(1000.0)), &SlotHistory::new(), MIDNIGHT);
        let clear = array(1000.0).clear_sky_mean(MIDNIGHT.plus(24), None).0 as f32;
        let [p10, p50, p90] = forecast.at(MIDNIGHT.plus(24)).unwrap();
        assert!(p10 < 0.35 * clear && p90 > 0.9 * clear, "{p10} {p50} {p90} of {clear}");
        assert!(p50 > 0.4 * clear && p50 < 0.9 * clear, "{p50} of {clear}");
        for night in (0..12).chain(38..48) {
            assert_eq!(forecast.at(MIDNIGHT.plus(night)), Some([0.0; 3]), "slot {night}");
        }
    }

    #[test]
    fn a_wrong_nameplate_is_learnt() {
        let history = measured(1000.0, 10, |_, _| Some(0.9));
        let right = forecast(Some(array(1000.0)), &history, MIDNIGHT).p50[noon()];
        let wrong = forecast(Some(array(2500.0)), &history, MIDNIGHT).p50[noon()];
        assert!((wrong / right - 1.0).abs() < 0.03, "{wrong} with 2,500 W on the plate, {right} with 1,000");
        let short = measured(1000.0, 2, |_, _| Some(0.9));
        let right = forecast(Some(array(1000.0)), &short, MIDNIGHT).p90[noon()];
        let wrong = forecast(Some(array(2500.0)), &short, MIDNIGHT).p90[noon()];
        assert!(
            (wrong / right - 1.0).abs() < 0.15,
            "P90: {wrong} with 2,500 W on the plate, {right} with 1,000"
        );
    }

    #[test]
    fn throttled_slots_are_no_clouds() {
        let clouded = measured(1000.0, 14, |_, of_day| Some(if of_day > 23 { 0.2 } else { 0.9 }));
        let throttled = measured(1000.0, 14, |_, of_day| (of_day <= 23).then_some(0.9));
        let clouded = forecast(Some(array(1000.0)), &clouded, MIDNIGHT).p50[28];
        let throttled = forecast(Some(array(1000.0)), &throttled, MIDNIGHT).p50[28];
        assert!(throttled > 3.0 * clouded, "{throttled} throttled, {clouded} clouded");
    }

    #[test]
    fn a_dull_morning_lowers_the_next_hours() {
        // Sunny and dull days in turn, and today is dull so far.
        let days = |day: i64, of_day| Some(if day % 2 == 0 && of_day < 48 { 0.25 } else { 0.9 });
        let history = measured(1000.0, 20, days);
        let mut today = history.clone();
        for past in 0..22 {
            let slot = MIDNIGHT.plus(past);
            today.record(slot, Some((0.25 * array(1000.0).clear_sky_mean(slot, None).0) as f32));
        }
        let issued = MIDNIGHT.plus(22);
        let clear = array(1000.0).clear_sky_mean(issued, None).0 as f32;
        let after = forecast(Some(array(1000.0)), &today, issued);
        assert!(after.p50[0] < 0.4 * clear, "{} of {clear}", after.p50[0]);
        assert!(after.p90[DAY as usize] > 0.6 * clear, "tomorrow may be sunny: {}", after.p90[DAY as usize]);
    }

    #[test]
    fn a_day_like_none_before_lowers_the_next_hours_and_not_tomorrow() {
        let mut today = measured(1000.0, 20, |_, _| Some(0.9));
        for past in 0..22 {
            let slot = MIDNIGHT.plus(past);
            today.record(slot, Some((0.3 * array(1000.0).clear_sky_mean(slot, None).0) as f32));
        }
        let issued = MIDNIGHT.plus(22);
        let clear = |ahead| array(1000.0).clear_sky_mean(issued.plus(ahead), None).0 as f32;
        let after = forecast(Some(array(1000.0)), &today, issued);
        assert!(after.p50[0] < 0.55 * clear(0), "{} of {}", after.p50[0], clear(0));
        assert!(after.p50[49] > 0.7 * clear(49), "{} of {}", after.p50[49], clear(49));
    }

    #[test]
    fn without_a_location_the_same_slots_speak_and_before_a_day_is_over_what_sun_there_was() {
        let history = measured(1000.0, 10, |_, _| Some(0.8));
        let forecast = forecast(None, &history, MIDNIGHT);
        let clear = array(1000.0).clear_sky_mean(MIDNIGHT.plus(24), None).0 as f32;
        assert!((forecast.p50[noon()] / clear - 0.8).abs() < 0.05, "{} of {clear}", forecast.p50[noon()]);
        assert_eq!(forecast.p90[2], 0.0);
        // The hours of one morning, 09:00 to 11:00 in Nairobi.
        let nairobi = Zone::named("Africa/Nairobi").unwrap();
        let blind = PvForecaster { array: None };
        let short = measured(1000.0, 1, |_, of_day| (of_day > 2 && of_day < 24).then_some(0.8));
        let issued = MIDNIGHT.plus(24 - DAY);
        let guessed = blind.forecast(&short, issued, &nairobi).unwrap();
        let noon = array(1000.0).clear_sky_mean(issued.plus(1), None).0 as f32;
        let [p10, p50, p90] = guessed.at(issued.plus(1)).unwrap();
        assert!(
            p10 < 0.3 * noon && p50 > 0.4 * noon && p50 < 0.9 * noon && p90 > 0.9 * noon,
            "{p10} {p50} {p90}"
        );
        assert_eq!(guessed.at(issued.plus(24)), Some([0.0; 3]), "the night is dark");
        // A night tells nothing.
        let dark = measured(1000.0, 1, |_, of_day| (of_day > 38).then_some(0.8));
        let refused = blind.forecast(&dark, MIDNIGHT, &nairobi).unwrap_err();
        assert_eq!(refused.to_string(), "same slot: 9 measured slots in the last days, 48 wanted");
    }

    #[test]
    fn nothing_measured_after_the_issue_counts() {
        let history = measured(1000.0, 2, |day, of_day| Some(0.3 + 0.07 * ((day + of_day) % 9) as f64));
        let issued = MIDNIGHT.plus(-DAY);
        for array in [Some(array(1000.0)), None] {
            let before = forecast(array, &history, issued);
            let mut changed = history.clone();
            for ahead in 0..DAY {
                changed.record(issued.plus(ahead), Some(9999.0));
            }
            assert_eq!(before, forecast(array, &changed, issued));
        }
    }

    #[test]
    fn quantiles_of_weighted_samples() {
        let mut even: Vec<_> = (0..=10).map(|v| Weighted { value: f64::from(v), weight: 1.0 }).collect();
        let [p10, p50, p90] = weighted(&mut even, LEVELS);
        assert!((p50 - 5.0).abs() < 1e-9 && (p10 - 0.6).abs() < 1e-9 && (p90 - 9.4).abs() < 1e-9);
        assert_eq!(weighted(&mut [Weighted { value: 3.0, weight: 0.2 }], LEVELS), [3.0; 3]);
        assert_eq!(weighted(&mut [], LEVELS), [0.0; 3]);
    }
}
