//! Homes that have lived through days: histories for tests of the planner. Nothing here is random.

#![allow(
    dead_code,
    unreachable_pub,
    missing_docs,
    clippy::expect_used,
    reason = "each test file uses its own part of the harness"
)]

use sunkeep_core::evidence::History;
use sunkeep_core::planner::{Forecasts, Outlook, PlanInput, plan};
use sunkeep_core::settings::Settings;
use sunkeep_models::battery::ChargeBounds;
use sunkeep_models::forecast::Forecast;
use sunkeep_models::quantity::{Seconds, StateOfCharge, Watts};
use sunkeep_models::time::{HORIZON, SLOTS_PER_DAY, Slot, Uptime};

/// A midnight.
pub const MIDNIGHT: Slot = Slot(48 * 20_000);

/// Share of the sun in a slot of the day: up from 07:00 to 17:00.
pub fn shines(slot: usize) -> bool {
    (14..34).contains(&(slot % SLOTS_PER_DAY))
}

/// What was measured in the days before a midnight and in `slots` slots after it: `sun` tells the power at
/// noon of each day, the oldest first; demand never changes.
pub fn lived(sun: &[f32], slots: i64, demand: [f32; 3]) -> History {
    let mut history = History::default();
    let first = MIDNIGHT.plus(-(SLOTS_PER_DAY as i64) * sun.len() as i64);
    let today = sun.last().copied().unwrap_or(0.0);
    let whole = (sun.len() * SLOTS_PER_DAY) as i64;
    for slot in 0..whole + slots {
        let day = usize::try_from(slot).expect("a place") / SLOTS_PER_DAY;
        let watts = if shines(slot as usize) { *sun.get(day).unwrap_or(&today) } else { 0.0 };
        let at = first.plus(slot);
        history.sun.record(at, Some(watts));
        history.total.record(at, Some(demand.iter().sum()));
        for (tier, watts) in history.tiers.iter_mut().zip(demand) {
            tier.record(at, Some(watts));
        }
    }
    history
}

/// A forecast of a home with this demand, and sun at noon of P10, P50 and P90.
pub fn forecasts(issued: Slot, demand: [f32; 3], sun: [f32; 3]) -> Forecasts {
    let series = |watts: f32, day_only: bool| -> Vec<f32> {
        let slot = |ahead: usize| (issued.0.rem_euclid(48) as usize) + ahead;
        (0..HORIZON).map(|ahead| if !day_only || shines(slot(ahead)) { watts } else { 0.0 }).collect()
    };
    let flat = |watts: f32| Forecast {
        issued,
        p10: series(watts * 0.8, false),
        p50: series(watts, false),
        p90: series(watts * 1.25, false),
    };
    let [p10, p50, p90] = sun.map(|watts| series(watts, true));
    Forecasts { demand: demand.map(flat), sun: Forecast { issued, p10, p50, p90 } }
}

/// Plans `slots` slots after midnight.
pub fn outlook(
    settings: &Settings,
    history: &History,
    forecasts: Option<Forecasts>,
    slots: i64,
    charge: f64,
    sun_now: Option<f64>,
) -> Option<Outlook> {
    let at = StateOfCharge::clamped(charge);
    let input = PlanInput {
        issued: MIDNIGHT.plus(slots),
        now: Uptime::from_seconds(5000),
        into_slot: Seconds(0.0),
        charge: ChargeBounds { low: at, best: at, high: at },
        forecasts,
        history,
        sun_now: sun_now.map(Watts),
        needs: sunkeep_core::care::Needs::default(),
    };
    plan(settings, &input)
}
