//! From forecasts to a plan: how much charge is held back, slot by slot, for the more vital tiers until
//! the sun returns.
//!
//! Runs beside the cycle and may be late or missing; [`crate::propose`] then falls back to fixed levels.
//! The method: walk the forecast backwards. The energy that the battery must hold at the start of a slot is
//! what it must hold at the end, plus what the protected loads lack of sun in between, and never less than
//! nothing. Protected loads are taken at P90 and the sun at P10, so that a dark day is provided for.

use serde::{Deserialize, Serialize};
use sunkeep_models::battery::ChargeBounds;
use sunkeep_models::forecast::Forecast;
use sunkeep_models::quantity::{Seconds, StateOfCharge, WattHours};
use sunkeep_models::time::{HORIZON, SLOT_SECONDS, Slot, Uptime};

use crate::settings::{Settings, SettingsDigest, Tier};

/// Slots a plan holds for: the one it was made in and two more.
pub const PLAN_SLOTS: usize = 3;

/// No reserve asks for more than this, so that a full battery always serves everybody: what the sun
/// brings on top would be thrown away.
const HIGHEST_LEVEL: f64 = 0.9;

/// What the planner tells the cycle.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Plan {
    /// The slot it was made in.
    pub issued: Slot,
    /// When it was made: the time of the image it saw.
    pub made: Uptime,
    /// How much of the slot had passed by then.
    pub into_slot: Seconds,
    /// The settings it was made under.
    pub settings: SettingsDigest,
    /// The first [`PLAN_SLOTS`] slots.
    pub slots: Vec<PlannedSlot>,
}

/// One slot of a plan; arrays follow [`Tier::ALL`].
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct PlannedSlot {
    /// Level below which the tier is shed; `None` sheds it never.
    pub keep: [Option<StateOfCharge>; 4],
    /// When a tier that is off is expected back, seconds since 1970.
    pub back: [Option<i64>; 4],
}

/// What the planner looks at.
#[derive(Debug, Clone, PartialEq)]
pub struct PlanInput {
    /// The slot that has begun: the forecasts' first.
    pub issued: Slot,
    /// Time of the process image it starts from.
    pub now: Uptime,
    /// How much of the slot has passed.
    pub into_slot: Seconds,
    /// How full the battery is.
    pub charge: ChargeBounds,
    /// Demand of the critical, important and convenience tiers, W.
    pub demand: [Forecast; 3],
    /// Power the panels could deliver, W.
    pub sun: Forecast,
}

/// A plan with what is expected to come of it, for the page.
#[derive(Debug, Clone, PartialEq)]
pub struct Outlook {
    /// What the cycle gets.
    pub plan: Plan,
    /// Expected state of charge at the start of each slot (P50 of sun and demand).
    pub expected: Vec<StateOfCharge>,
    /// Level below which each tier is shed, slot by slot.
    pub keep: Vec<[Option<StateOfCharge>; 4]>,
}

impl Plan {
    /// The slot of the plan that holds at `now`; `None` if the plan is too old or was made under other
    /// settings, and so counts as missing.
    pub fn slot_at(&self, settings: SettingsDigest, now: Uptime) -> Option<&PlannedSlot> {
        if self.settings != settings || now < self.made {
            return None;
        }
        let since_start = now.since(self.made) + self.into_slot;
        self.slots.get((since_start.0 / SLOT_SECONDS as f64) as usize)
    }
}

/// Makes a plan. Always possible: shedding is always allowed.
pub fn plan(settings: &Settings, input: &PlanInput) -> Outlook {
    let keep = levels(settings, input);
    let expected = trajectory(settings, input, &keep);
    let slots = (0..PLAN_SLOTS).map(|slot| PlannedSlot {
        keep: keep[slot],
        back: Tier::ALL.map(|tier| expected_back(settings, input, &keep, &expected, slot, tier)),
    });
    let plan = Plan {
        issued: input.issued,
        made: input.now,
        into_slot: input.into_slot,
        settings: settings.digest(),
        slots: slots.collect(),
    };
    Outlook { plan, expected, keep }
}

/// Level of each tier in each slot.
fn levels(settings: &Settings, input: &PlanInput) -> Vec<[Option<StateOfCharge>; 4]> {
    let [critical, important, _] = &input.demand;
    let at = |values: &[f32], slot: usize| values.get(slot).map_or(0.0, |watts| f64::from(*watts));
    let for_critical = reserve(settings, |slot| (at(&critical.p90, slot), at(&input.sun.p10, slot)));
    let for_both = reserve(settings, |slot| {
        (at(&critical.p90, slot) + at(&important.p90, slot), at(&input.sun.p10, slot))
    });
    let level = |energy: WattHours| {
        let ratio = settings.reserve.floor.ratio() + energy / settings.battery.nominal_energy();
        StateOfCharge::clamped(ratio.min(HIGHEST_LEVEL))
    };
    for_critical
        .into_iter()
        .zip(for_both)
        .map(|(critical, both)| {
            let waits = Some(level(both.max(critical)));
            [None, Some(level(critical)), waits, waits]
        })
        .collect()
}

/// Energy the battery must hold at the start of each slot, above the floor, to serve a demand.
/// `power(slot)` is the demand and the sun, W.
fn reserve(settings: &Settings, power: impl Fn(usize) -> (f64, f64)) -> Vec<WattHours> {
    let efficiency = settings.efficiency;
    let hours = Seconds(SLOT_SECONDS as f64).hours();
    let mut needs = vec![WattHours::ZERO; HORIZON];
    let mut need = 0.0_f64;
    for slot in (0..HORIZON).rev() {
        let (demand, sun) = power(slot);
        let lack = (demand - sun) * hours;
        need += if lack > 0.0 { lack / efficiency } else { lack * efficiency };
        need = need.max(0.0);
        needs[slot] = WattHours(need);
    }
    needs
}

/// State of charge at the start of each slot if sun and demand come as their medians say.
fn trajectory(
    settings: &Settings,
    input: &PlanInput,
    keep: &[[Option<StateOfCharge>; 4]],
) -> Vec<StateOfCharge> {
    let efficiency = settings.efficiency;
    let hours = Seconds(SLOT_SECONDS as f64).hours();
    let capacity = settings.battery.nominal_energy().0;
    let mut on = [true; 3];
    let mut charge = input.charge.best.ratio();
    let mut expected = Vec::with_capacity(HORIZON);
    for (slot, keep) in keep.iter().enumerate() {
        expected.push(StateOfCharge::clamped(charge));
        let mut demand = 0.0;
        for (place, forecast) in input.demand.iter().enumerate() {
            on[place] = serves(settings, keep[place], on[place], charge);
            if on[place] {
                demand += forecast.p50.get(slot).map_or(0.0, |watts| f64::from(*watts));
            }
        }
        let sun = input.sun.p50.get(slot).map_or(0.0, |watts| f64::from(*watts));
        let net = (sun - demand) * hours;
        charge += if net > 0.0 { net * efficiency } else { net / efficiency } / capacity;
        charge = charge.clamp(settings.reserve.floor.ratio().min(charge), 1.0);
    }
    expected
}

fn serves(settings: &Settings, keep: Option<StateOfCharge>, on: bool, charge: f64) -> bool {
    let level = keep.map_or(0.0, |keep| keep.ratio() + if on { 0.0 } else { settings.reserve.hysteresis });
    charge >= level.min(1.0)
}

/// First moment after `from` at which a tier that is off would be back.
fn expected_back(
    settings: &Settings,
    input: &PlanInput,
    keep: &[[Option<StateOfCharge>; 4]],
    expected: &[StateOfCharge],
    from: usize,
    tier: Tier,
) -> Option<i64> {
    (from + 1..HORIZON)
        .find(|&slot| serves(settings, keep[slot][tier.place()], false, expected[slot].ratio()))
        .map(|slot| input.issued.plus(slot as i64).start())
}
