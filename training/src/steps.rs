//! From the slots of a forecast to the steps of a measured series.

use sunkeep_models::forecast::Forecast;
use sunkeep_models::time::{SLOT_SECONDS, Slot};

/// The forecast of one step of a series, W.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct StepForecast {
    /// P10, P50, P90; in order, none negative.
    pub quantiles: [f32; 3],
    /// Expected power.
    pub mean: f32,
}

/// The forecast of the step that starts at `time` (seconds since 1970) and lasts `step` s: the mean of the
/// slots it holds; or, of a part of a slot, what a straight line through the slots beside it gives, so that
/// the mean of the slot stays. `None` where the forecast does not reach.
pub fn of_step(forecast: &Forecast, time: i64, step: i64) -> Option<StepForecast> {
    let at = |slot: Slot| {
        let [p10, p50, p90] = forecast.at(slot)?;
        Some([p10, p50, p90, forecast.mean_at(slot)?])
    };
    let slot = Slot::of(time);
    let here = at(slot)?;
    let mut four = [0.0; 4];
    if step < SLOT_SECONDS {
        let middle = time - slot.start() + step / 2 - SLOT_SECONDS / 2;
        let aside = middle as f32 / SLOT_SECONDS as f32;
        let (before, after) = (at(slot.plus(-1)).unwrap_or(here), at(slot.plus(1)).unwrap_or(here));
        for (place, into) in four.iter_mut().enumerate() {
            *into = (here[place] + aside * (after[place] - before[place]) / 2.0).max(0.0);
        }
    } else {
        let slots = step / SLOT_SECONDS;
        for place in 0..slots {
            for (sum, watts) in four.iter_mut().zip(at(slot.plus(place))?) {
                *sum += watts / slots as f32;
            }
        }
    }
    let [p10, p50, p90, mean] = four;
    let mut quantiles = [p10, p50, p90];
    quantiles.sort_by(f32::total_cmp);
    Some(StepForecast { quantiles, mean })
}
