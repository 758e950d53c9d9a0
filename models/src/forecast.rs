//! What is expected of the next 48 hours, and the seam behind which every method that says so stands.

use serde::{Deserialize, Serialize};

use crate::history::SlotHistory;
use crate::time::{HORIZON, Slot, Zone};

/// Quantiles of the mean power of each of the next [`HORIZON`] slots, W. The first value of each is for
/// the slot `issued` itself, which has just begun and of which nothing is known.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Forecast {
    /// First slot forecast; only what was measured in earlier slots went into it.
    pub issued: Slot,
    /// One in ten slots will be below, W.
    pub p10: Vec<f32>,
    /// Half of the slots will be below, W.
    pub p50: Vec<f32>,
    /// Nine in ten slots will be below, W.
    pub p90: Vec<f32>,
}

/// Why there is no forecast.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum ForecastError {
    /// Too little was measured.
    #[error("{method}: {measured} measured slots in the last days, {wanted} wanted")]
    TooLittleHistory {
        /// Which method.
        method: String,
        /// Slots that hold a value.
        measured: usize,
        /// Slots the method needs.
        wanted: usize,
    },
    /// The model answered with something that cannot be a forecast.
    #[error("{method}: {why}")]
    Unusable {
        /// Which method.
        method: String,
        /// What was wrong with it.
        why: String,
    },
}

/// A method that forecasts power. The seam behind which baselines and ONNX models stand alike.
pub trait Forecaster {
    /// Short name for logs, the page and tables: `persistence`, `similar day`, `onnx`.
    fn name(&self) -> &str;

    /// Forecasts the [`HORIZON`] slots from `issued` on, from what was measured before it.
    fn forecast(&self, history: &SlotHistory, issued: Slot, zone: &Zone) -> Result<Forecast, ForecastError>;
}

impl Forecast {
    /// Checks what every forecast must hold: [`HORIZON`] finite values, none negative, in order; the one
    /// place where an unusable one is refused. Tiny disorder (rounding) is mended by sorting the three.
    pub fn checked(
        method: &str,
        issued: Slot,
        [p10, p50, p90]: [Vec<f32>; 3],
    ) -> Result<Self, ForecastError> {
        let unusable = |why: String| ForecastError::Unusable { method: method.into(), why };
        for (name, values) in [("P10", &p10), ("P50", &p50), ("P90", &p90)] {
            if values.len() != HORIZON {
                return Err(unusable(format!("{} values of {name}, expected {HORIZON}", values.len())));
            }
            if let Some(place) = values.iter().position(|watts| !watts.is_finite()) {
                return Err(unusable(format!(
                    "{name} of slot {place} is {}, expected a number",
                    values[place]
                )));
            }
        }
        let mut forecast = Self { issued, p10, p50, p90 };
        for place in 0..HORIZON {
            let mut three =
                [forecast.p10[place], forecast.p50[place], forecast.p90[place]].map(|watts| watts.max(0.0));
            three.sort_by(f32::total_cmp);
            [forecast.p10[place], forecast.p50[place], forecast.p90[place]] = three;
        }
        Ok(forecast)
    }

    /// The expected power of one slot, W, if the forecast reaches it: three tenths of P10 and of P90 and
    /// four of P50, which is what a skewed load needs and P50 alone underestimates (Swanson's rule; Hurst,
    /// Brown and Swanson, "Swanson's 30-40-30 Rule", 2000).
    pub fn mean_at(&self, slot: Slot) -> Option<f32> {
        self.at(slot).map(|[p10, p50, p90]| 0.3 * p10 + 0.4 * p50 + 0.3 * p90)
    }

    /// The quantiles of one slot, if the forecast reaches it: P10, P50, P90, W.
    pub fn at(&self, slot: Slot) -> Option<[f32; 3]> {
        let place = usize::try_from(slot.since(self.issued)).ok()?;
        Some([*self.p10.get(place)?, *self.p50.get(place)?, *self.p90.get(place)?])
    }
}
