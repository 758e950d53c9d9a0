//! What the plan would switch; or the reserve rule, where no plan holds. **Here a TV is switched off to
//! keep the lights on.**
//!
//! Only proposals are made here. Whether a load may be switched now is for [`crate::guards`], and what the
//! battery cannot bear for [`crate::protection`].

use sunkeep_models::battery::ChargeBounds;
use sunkeep_models::quantity::{Seconds, StateOfCharge};
use sunkeep_models::time::Uptime;

use crate::care::Needs;
use crate::decision::{Basis, Because};
use crate::evidence::{NEARLY_FULL, is_idle};
use crate::image::ProcessImage;
use crate::settings::{Settings, Tier};
use crate::state::{LoadState, State};

/// How long a load has been off before it returns for no other reason than that the sun is thrown away: how much of it
/// is, nobody measures, and a load that was too much for it must not try again all day.
const SURPLUS_WAIT: Seconds = Seconds(2.0 * 3600.0);

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

/// Sun that nobody takes.
#[derive(Debug, Clone, Copy)]
struct Surplus {
    thrown_away: bool,
    nearly_full: bool,
}

/// Proposes a state for every load that a relay can switch.
pub fn propose(
    settings: &Settings,
    state: &State,
    image: &ProcessImage,
    charge: ChargeBounds,
    needs: &Needs,
) -> (Basis, Vec<Proposal>) {
    let (basis, levels) = levels(settings, state, image);
    let sun = Surplus::of(settings, image, charge);
    let proposals =
        settings.loads.iter().zip(&state.loads).enumerate().filter_map(|(number, (load, memory))| {
            if !load.switchable || load.powers_hub {
                return None;
            }
            if memory.pinned_until.is_some() {
                return Some(Proposal { load: number, on: true, because: Because::Pinned });
            }
            let Some(level) = levels[load.tier.place()] else {
                return Some(Proposal { load: number, on: true, because: Because::Free });
            };
            let raised = needs.raise(load.tier, settings.reserve.hysteresis, [level.keep, level.restore]);
            let on = memory.on.unwrap_or(true);
            let (keep, for_battery) = raised[usize::from(!on)];
            // Being careful must not cost the lights: protection, too, judges by the best estimate.
            let left = if load.tier == Tier::Critical { charge.best } else { charge.low };
            let (on, because) = if left >= keep {
                (true, Because::Free)
            } else if load.tier != Tier::Critical && sun.serves(memory, image.now) {
                (true, Because::Surplus)
            } else {
                let held = Because::Held { tier: load.tier, left, keep, until: level.until };
                let not_full = |since_full| Because::NotFull { left, keep, since_full };
                (false, needs.since_full.filter(|_| for_battery).map_or(held, not_full))
            };
            Some(Proposal { load: number, on, because })
        });
    (basis, proposals.collect())
}

impl Surplus {
    /// A battery that is seen to take no more than the tail is full for all that matters: what the sun brings beyond would
    /// be thrown away. In absorption it still takes, and lead needs those hours. Where nobody measures the current that is
    /// a guess, and the levels decide.
    fn of(settings: &Settings, image: &ProcessImage, charge: ChargeBounds) -> Self {
        let shines = image.fresh(settings, image.sun).is_some_and(|watts| watts > 1.0);
        let thrown_away = shines && is_idle(settings, image, charge).unwrap_or(false);
        Self { thrown_away, nearly_full: charge.best.ratio() >= NEARLY_FULL }
    }

    /// Whether a load is supplied for its sake. One that came back so, and is too much for the sun, draws on a nearly
    /// full battery for a while.
    fn serves(self, memory: &LoadState, now: Uptime) -> bool {
        let on = memory.on.unwrap_or(true);
        let lent = on && memory.because == Because::Surplus && self.nearly_full;
        lent || self.thrown_away && (on || now.since(memory.since) >= SURPLUS_WAIT)
    }
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
