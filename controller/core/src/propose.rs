//! What the plan would switch; or the reserve rule, where no plan holds. **Here a TV is switched off to
//! keep the lights on.**
//!
//! Only proposals are made here. Whether a load may be switched now is for [`crate::guards`], and what the
//! battery cannot bear for [`crate::protection`].

use sunkeep_models::battery::ChargeBounds;
use sunkeep_models::quantity::StateOfCharge;

use crate::decision::{Basis, Because};
use crate::image::ProcessImage;
use crate::settings::{Settings, Tier};
use crate::state::State;

/// A load as the plan would have it. Where `on` is how it already is, only the reason is new.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Proposal {
    /// Its number.
    pub load: usize,
    /// On or off.
    pub on: bool,
    /// Why.
    pub because: Because,
}

/// The levels of charge at which a tier is shed now and returns, and when it is expected back.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Level {
    keep: StateOfCharge,
    restore: StateOfCharge,
    until: Option<i64>,
}

/// Proposes a state for every load that a relay can switch.
pub fn propose(
    settings: &Settings,
    state: &State,
    image: &ProcessImage,
    charge: ChargeBounds,
) -> (Basis, Vec<Proposal>) {
    let (basis, levels) = levels(settings, state, image);
    let proposals =
        settings.loads.iter().zip(&state.loads).enumerate().filter_map(|(number, (load, memory))| {
            if !load.switchable || load.powers_hub {
                return None;
            }
            let on = memory.on.unwrap_or(true);
            if memory.pinned_until.is_some() {
                return Some(Proposal { load: number, on: true, because: Because::Pinned });
            }
            let Some(level) = levels[load.tier.place()] else {
                return Some(Proposal { load: number, on: true, because: Because::Free });
            };
            let wanted = if on { level.keep } else { level.restore };
            // Being careful must not cost the lights: protection, too, judges by the best estimate.
            let left = if load.tier == Tier::Critical { charge.best } else { charge.low };
            let enough = left >= wanted;
            let held = Because::Held { tier: load.tier, left, keep: wanted, until: level.until };
            Some(Proposal { load: number, on: enough, because: if enough { Because::Free } else { held } })
        });
    (basis, proposals.collect())
}

/// The level of each tier: from the plan if it holds, else from the settings.
fn levels(settings: &Settings, state: &State, image: &ProcessImage) -> (Basis, [Option<Level>; 4]) {
    let planned = image.plan.as_ref().and_then(|plan| plan.slot_at(state.settings, image.now));
    match planned {
        Some(slot) => {
            let level = |tier: Tier| {
                let (keep, until) = (slot.keep[tier.place()]?, slot.back[tier.place()]);
                let restore = slot.restore[tier.place()].filter(|restore| *restore > keep).unwrap_or(keep);
                Some(Level { keep, restore, until })
            };
            (Basis::Plan, Tier::ALL.map(level))
        }
        None => {
            let level = |tier: Tier| {
                let keep = settings.reserve_level(tier)?;
                let restore = StateOfCharge::clamped(keep.ratio() + settings.reserve.hysteresis);
                Some(Level { keep, restore, until: None })
            };
            (Basis::ReserveRule, Tier::ALL.map(level))
        }
    }
}
