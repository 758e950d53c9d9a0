//! From costs to levels of charge: below which level each tier is shed, hour by hour.

use sunkeep_models::quantity::StateOfCharge;

use super::value::{Bank, CHOICES, Choices, POINTS};
use crate::settings::Settings;

/// Gains below this, in weighted kilowatt-hours, are rounding.
const NOTHING: f32 = 1e-4;

/// No plan asks for more than this, so that a battery that is as good as full serves everybody: what the sun
/// brings on top would be thrown away.
const HIGHEST: f64 = 0.97;

/// Level from which on each tier is served; `None` serves it always. `price` is what serving a tier must
/// bring, in weighted kilowatt-hours: less than nothing for one that is on.
pub(super) fn of(
    settings: &Settings,
    bank: &Bank,
    choices: &Choices,
    price: f32,
) -> [Option<StateOfCharge>; 4] {
    let mut levels = [0.0_f64; 3];
    let mut least = 0.0_f64;
    for (tier, level) in levels.iter_mut().enumerate() {
        *level = f64::from(bank.charge(lowest(choices, tier, price))).max(least);
        least = *level;
    }
    let [critical, important, convenience] = levels;
    // The critical tier gives way only to keep everything from being cut, and only where that is near: where
    // protection has switched off all the rest.
    let highest = settings.protection.low_charge.ratio();
    let critical = (critical > f64::from(bank.cut) + 1e-6).then(|| critical.min(highest));
    let floor = settings.reserve.floor.ratio();
    let level = |level: f64| Some(StateOfCharge::clamped(level.min(HIGHEST).max(floor)));
    let waits = level(convenience);
    [critical.map(StateOfCharge::clamped), level(important), waits, waits]
}

/// The lowest place on the grid from which on it pays to serve `tier`; that of a full battery where it never
/// does, so that a full battery serves everybody.
fn lowest(choices: &Choices, tier: usize, price: f32) -> f32 {
    // What the tier costs: the best choice without it against the best one with it.
    let best = |range: core::ops::Range<usize>, place: usize| {
        range.map(|choice| choices[choice][place]).fold(f32::INFINITY, f32::min)
    };
    let gain = |place: usize| best(0..tier + 1, place) - best(tier + 1..CHOICES, place) - price + NOTHING;
    let mut above = gain(POINTS - 1);
    if above < 0.0 {
        return (POINTS - 1) as f32;
    }
    for place in (0..POINTS - 1).rev() {
        let here = gain(place);
        if here < 0.0 {
            return place as f32 + here / (here - above);
        }
        above = here;
    }
    0.0
}
