//! What a run came to: which loads were shed and why, and how far off the forecasts were. Given to whatever
//! drives the hub in step; counts that a person sees while it runs are in `view`.

use std::collections::BTreeMap;

use serde::Serialize;
use serde_json::{Value, json};
use sunkeep_core::Settings;
use sunkeep_core::decision::Change;
use sunkeep_core::evidence::EndedSlot;
use sunkeep_models::forecast::Forecast;
use sunkeep_models::time::{SLOTS_PER_DAY, Slot};

use crate::forecasts::Demand;
use crate::view::Counts;

/// Gathers a run. Bounded: loads times reasons, and the forecasts of one day.
#[derive(Debug, Default)]
pub struct Summary {
    /// By load number and reason.
    sheds: BTreeMap<(u16, &'static str), u64>,
    /// Of the ONNX model's forecasts.
    errors: BTreeMap<Demand, ByLead>,
}

impl Summary {
    /// Takes in a change of a load.
    pub fn changed(&mut self, change: &Change) {
        if !change.on {
            *self.sheds.entry((change.load, change.because.word())).or_default() += 1;
        }
    }

    /// Takes in a forecast that the ONNX model made.
    pub fn forecast(&mut self, of: Demand, forecast: &Forecast) {
        let errors = self.errors.entry(of).or_default();
        errors.next_slot.forecast(forecast);
        errors.day_ahead.forecast(forecast);
    }

    /// Takes in what a slot turned out to be; demand that was shed was not measured.
    pub fn measured(&mut self, ended: &EndedSlot) {
        for (of, errors) in &mut self.errors {
            let mean = match of {
                Demand::Of(tier) => ended.tiers[tier.place().min(2)],
                Demand::Total => ended.total,
            };
            errors.next_slot.measured(ended.slot, mean);
            errors.day_ahead.measured(ended.slot, mean);
        }
    }

    /// The run as JSON: `counts`; `sheds` with load, reason and how often; `forecast_error` of the ONNX
    /// model's medians by tier and for all, at two leads.
    pub fn json(&self, settings: &Settings, counts: Counts) -> Value {
        let sheds = self.sheds.iter().map(|(&(load, reason), count)| {
            let load = settings.loads.get(usize::from(load)).map(|load| load.name.as_str());
            json!({ "load": load, "reason": reason, "count": count })
        });
        let errors = self.errors.iter().map(|(of, errors)| {
            let told = json!({ "next_slot": errors.next_slot.told(), "day_ahead": errors.day_ahead.told() });
            (of.word().to_owned(), told)
        });
        json!({
            "counts": counts,
            "sheds": sheds.collect::<Vec<_>>(),
            "forecast_error": errors.collect::<serde_json::Map<_, _>>(),
        })
    }
}

/// Errors of the forecasts for the slot after the one that has begun, and for the same slot of the next day.
#[derive(Debug)]
struct ByLead {
    next_slot: Errors,
    day_ahead: Errors,
}

impl Default for ByLead {
    fn default() -> Self {
        Self { next_slot: Errors::at_lead(1), day_ahead: Errors::at_lead(SLOTS_PER_DAY) }
    }
}

/// Forecasts that wait to be compared with what came, and the sums of those that were.
#[derive(Debug)]
struct Errors {
    /// How many slots ahead.
    lead: usize,
    /// Median forecast of each slot that has not ended, W; at most `lead` + 1 of them.
    waiting: BTreeMap<Slot, f32>,
    slots: u64,
    absolute: f64,
    measured: f64,
}

#[derive(Debug, Serialize)]
struct ErrorsTold {
    /// Slots that were both forecast and measured.
    slots: u64,
    /// Mean absolute error of the median, W.
    mae_w: Option<f64>,
    /// Mean of what was measured in these slots, W.
    mean_w: Option<f64>,
}

impl Errors {
    fn at_lead(lead: usize) -> Self {
        Self { lead, waiting: BTreeMap::new(), slots: 0, absolute: 0.0, measured: 0.0 }
    }

    fn forecast(&mut self, forecast: &Forecast) {
        if let Some(&median) = forecast.p50.get(self.lead) {
            self.waiting.insert(forecast.issued.plus(self.lead as i64), median);
        }
        // The clock can be set back: then the farthest can wait for ever.
        while self.waiting.len() > self.lead + 1 {
            self.waiting.pop_first();
        }
    }

    fn measured(&mut self, slot: Slot, total: Option<f32>) {
        let forecast = self.waiting.remove(&slot);
        if let (Some(forecast), Some(total)) = (forecast, total) {
            self.slots += 1;
            self.absolute += f64::from((forecast - total).abs());
            self.measured += f64::from(total);
        }
    }

    fn told(&self) -> ErrorsTold {
        let mean = |sum: f64| (self.slots > 0).then(|| (sum / self.slots as f64 * 100.0).round() / 100.0);
        ErrorsTold { slots: self.slots, mae_w: mean(self.absolute), mean_w: mean(self.measured) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use sunkeep_core::settings::Tier;
    use sunkeep_models::time::HORIZON;

    fn forecast(issued: i64, watts: f32) -> Forecast {
        let level = |factor: f32| vec![watts * factor; HORIZON];
        Forecast { issued: Slot(issued), p10: level(0.5), p50: level(1.0), p90: level(2.0) }
    }

    #[test]
    fn a_forecast_is_compared_with_its_own_slot_only() {
        let mut summary = Summary::default();
        let of = Demand::Of(Tier::Important);
        for slot in 0..100 {
            let tiers = [Some(1e6), (slot % 2 == 0).then_some(110.0), Some(1e6)];
            summary.measured(&EndedSlot {
                slot: Slot(slot),
                tiers,
                total: Some(1e6),
                sun: None,
                shared: None,
            });
            summary.forecast(of, &forecast(slot, if slot < 50 { 100.0 } else { 130.0 }));
        }
        let rounded = |watts: f64| Some((watts * 100.0).round() / 100.0);
        // Even slots 2 to 50 from forecasts of 100 W, 52 to 98 from those of 130 W.
        let near = summary.errors[&of].next_slot.told();
        assert_eq!((near.slots, near.mean_w), (49, Some(110.0)));
        assert_eq!(near.mae_w, rounded((25.0 * 10.0 + 24.0 * 20.0) / 49.0));
        // A day ahead: even slots 48 to 96 from forecasts of 100 W, 98 from one of 130 W.
        let far = summary.errors[&of].day_ahead.told();
        assert_eq!((far.slots, far.mae_w), (26, rounded((25.0 * 10.0 + 20.0) / 26.0)));
        assert!(summary.errors[&of].day_ahead.waiting.len() <= SLOTS_PER_DAY + 1);
    }
}
