//! How full the battery is, with bounds: picks what is fresh from the process image and advances the
//! estimator. The physics is in `sunkeep_models::battery`, and so is what a long stretch without readings
//! does to the bounds.

use sunkeep_models::battery::{BatterySample, ChargeBounds, Reported};
use sunkeep_models::quantity::{Amps, Celsius, Seconds, StateOfCharge, Volts, Watts};

use crate::decision::Decision;
use crate::image::ProcessImage;
use crate::settings::{Settings, Tier};
use crate::state::State;
use crate::steps::{self, Draw};

/// Advances the estimate to the time of the image and returns its bounds.
pub fn advance(settings: &Settings, state: &mut State, image: &ProcessImage) -> ChargeBounds {
    let elapsed = state.last.map_or(Seconds::ZERO, |last| image.now.since(last));
    state.charge.advance(&settings.battery, elapsed, &sample(settings, image));
    let bounds = state.charge.bounds();
    state.care.advance(elapsed, bounds, state.charge.is_full());
    bounds
}

/// What is fresh enough to believe.
fn sample(settings: &Settings, image: &ProcessImage) -> BatterySample {
    let fresh = |reading| image.fresh(settings, reading);
    BatterySample {
        voltage: fresh(image.battery.voltage).map(Volts),
        current: fresh(image.battery.current).map(Amps),
        power: fresh(image.battery.power).map(Watts),
        temperature: fresh(image.battery.temperature).map(Celsius),
        reported: fresh(image.battery.charge).map(|ratio| Reported {
            charge: StateOfCharge::clamped(ratio),
            uncertainty: settings.reported_uncertainty,
        }),
        ..BatterySample::default()
    }
}

/// Power a load is taken to draw: measured where a fresh reading exists; else, while on, by the steps that it
/// made in the total, or its nominal power where it made none.
pub fn draw(
    settings: &Settings,
    image: &ProcessImage,
    load: usize,
    estimated: Option<Draw>,
    on: bool,
) -> Watts {
    let measured = image.loads.get(load).and_then(|readings| readings.power);
    match image.fresh(settings, measured) {
        Some(watts) => Watts(watts),
        None if on => estimated.map_or(settings.loads[load].nominal, |draw| draw.best),
        None => Watts::ZERO,
    }
}

/// Power a load draws, or would draw if it were on.
pub fn draw_if_on(settings: &Settings, state: &State, image: &ProcessImage, load: usize) -> Watts {
    draw(settings, image, load, steps::draw(&settings.loads[load], &state.loads[load]), true)
}

/// Power that the critical tier draws now.
pub fn critical_draw(settings: &Settings, image: &ProcessImage, decision: &Decision) -> Watts {
    let critical = settings.loads.iter().enumerate().filter(|(_, load)| load.tier == Tier::Critical);
    let draws = |number: usize| {
        let decided = &decision.loads[number];
        draw(settings, image, number, decided.draws, decided.on)
    };
    critical.map(|(number, _)| draws(number)).sum()
}
