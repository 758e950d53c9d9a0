//! The mean of what was measured so far, at all times of the day: what a first evening must beat.

use sunkeep_models::forecast::{Forecast, ForecastError, Forecaster};
use sunkeep_models::history::SlotHistory;
use sunkeep_models::time::{HORIZON, Slot, Zone};

/// Says the mean of the history, between its own P10 and P90.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FlatMean;

impl Forecaster for FlatMean {
    fn name(&self) -> &'static str {
        "flat mean"
    }

    fn forecast(&self, history: &SlotHistory, issued: Slot, _zone: &Zone) -> Result<Forecast, ForecastError> {
        let mut known: Vec<f32> =
            history.iter().filter(|(slot, _)| *slot < issued).filter_map(|(_, watts)| watts).collect();
        if known.is_empty() {
            let method = self.name().into();
            return Err(ForecastError::TooLittleHistory { method, measured: 0, wanted: 1 });
        }
        let mean = known.iter().sum::<f32>() / known.len() as f32;
        known.sort_by(f32::total_cmp);
        let at = |share: f32| known[(share * (known.len() - 1) as f32).round() as usize];
        let three = [at(0.1).min(mean), mean, at(0.9).max(mean)];
        Forecast::checked(self.name(), issued, three.map(|watts| vec![watts; HORIZON]))
    }
}
