//! What a person's wish costs: energy, and whose reserve it comes out of.

use sunkeep_models::battery::ChargeBounds;
use sunkeep_models::quantity::{Seconds, WattHours, Watts};

use crate::settings::Settings;

/// What keeping a load on for a while costs.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct PinCost {
    /// Energy it will draw.
    pub energy: WattHours,
    /// As a share of the battery, 0 to 1.
    pub share: f64,
    /// How long that energy would feed the critical tier; `None` where that draws nothing.
    pub critical: Option<Seconds>,
    /// Whether the level that is kept for more vital loads will be touched.
    pub touches_reserve: bool,
}

/// What keeping load `number` on for `span` costs, given what it and the critical tier draw.
pub fn pin_cost(
    settings: &Settings,
    number: usize,
    span: Seconds,
    draws: Watts,
    critical: Watts,
    charge: ChargeBounds,
    keep: Option<f64>,
) -> PinCost {
    let load = &settings.loads[number];
    let power = if draws > load.standby { draws } else { load.nominal };
    let energy = power * span;
    let share = energy / settings.battery.nominal_energy();
    PinCost {
        energy,
        share,
        critical: (critical > Watts(0.5)).then(|| Seconds(energy.0 / critical.0 * 3600.0)),
        touches_reserve: keep.is_some_and(|keep| charge.low.ratio() - share < keep),
    }
}
