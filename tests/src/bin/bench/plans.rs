//! One plan alone: so many of them in this process, for who counts what they cost. The history is that of the home
//! of the other stages, as long as the planner looks back.

use anyhow::Context as _;
use sunkeep_core::care::Needs;
use sunkeep_core::evidence::History;
use sunkeep_core::planner::{PlanInput, plan};
use sunkeep_models::battery::ChargeBounds;
use sunkeep_models::quantity::{Seconds, StateOfCharge, Watts};
use sunkeep_models::time::{SLOT_SECONDS, Slot, Uptime};
use sunkeep_simulator::plant::{RecordedHome, Row};
use sunkeep_simulator::power::configuration;

use crate::years::series;

/// Days of the history: more than a plan looks at.
const DAYS: u32 = 35;

/// Makes plans, one at each slot, with the battery at every level in turn.
pub(crate) fn make(many: u16) -> anyhow::Result<()> {
    let series = series(DAYS)?;
    let home = configuration(&RecordedHome::new(series.clone(), "UTC", None)?)?;
    let mut history = History::default();
    let first = Slot::of(series.start_unix);
    for (row, place) in series.rows.iter().zip(0..) {
        record(&mut history, first.plus(place), row);
    }
    for (row, place) in series.rows.iter().zip(0..i64::from(many)) {
        let issued = first.plus(series.rows.len() as i64 + place);
        let level = StateOfCharge::clamped(0.2 + 0.1 * (place % 8) as f64);
        let input = PlanInput {
            issued,
            now: Uptime(place as u64 * SLOT_SECONDS as u64 * 1000),
            into_slot: Seconds::ZERO,
            charge: ChargeBounds { low: level, best: level, high: level },
            forecasts: None,
            history: &history,
            sun_now: Some(Watts(row.pv)),
            needs: Needs::default(),
        };
        plan(&home.settings, &input).context("no plan could be made")?;
        record(&mut history, issued, row);
    }
    Ok(())
}

/// What the hub measured in a slot.
fn record(history: &mut History, slot: Slot, row: &Row) {
    history.sun.record(slot, Some(row.pv as f32));
    history.total.record(slot, Some(row.demand.iter().sum::<f64>() as f32));
    for (tier, watts) in history.tiers.iter_mut().zip(row.demand) {
        tier.record(slot, Some(watts as f32));
    }
}
