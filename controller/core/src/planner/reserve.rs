//! What the critical tier needs until the sun returns, on a bad day: for the answer whether the lights last.
//!
//! The method: walk the forecast backwards. The energy that the battery must hold at the start of a slot is
//! what it must hold at the end, plus what the critical tier lacks of sun in between, and never less than
//! nothing. Demand is taken at P90 and the sun at P10, so that a dark day is provided for.

use sunkeep_models::quantity::{Seconds, StateOfCharge};
use sunkeep_models::time::{HORIZON, SLOT_SECONDS};

use super::Forecasts;
use crate::settings::Settings;

/// Level that the battery must hold at the start of each slot for the critical tier; empty without forecasts.
pub(super) fn critical_need(settings: &Settings, forecasts: Option<&Forecasts>) -> Vec<StateOfCharge> {
    let Some(forecasts) = forecasts else { return Vec::new() };
    let hours = Seconds(SLOT_SECONDS as f64).hours();
    let capacity = settings.battery.nominal_energy().0;
    let at = |values: &[f32], slot: usize| values.get(slot).map_or(0.0, |watts| f64::from(*watts));
    let mut needs = vec![settings.reserve.floor; HORIZON];
    let mut need = 0.0_f64;
    for slot in (0..HORIZON).rev() {
        let lack = (at(&forecasts.demand[0].p90, slot) - at(&forecasts.sun.p10, slot)) * hours;
        need += if lack > 0.0 { lack / settings.efficiency } else { lack * settings.efficiency };
        need = need.max(0.0);
        needs[slot] = StateOfCharge::clamped(settings.reserve.floor.ratio() + need / capacity);
    }
    needs
}
