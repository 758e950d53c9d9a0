//! What a hub saw and decided in a cycle, for programs: the fields that `/api/view` and `sunkeep explain --json` share.

use serde::Serialize;
use serde_json::{Value, json};
use sunkeep_core::decision::Basis;
use sunkeep_core::{Decision, ProcessImage, Settings};

use crate::language::{self, Clock, Language};

/// One load.
#[derive(Serialize)]
pub(crate) struct Load<'a> {
    number: usize,
    name: &'a str,
    label: &'a str,
    tier: &'static str,
    on: bool,
    for_s: f64,
    reason: &'static str,
    figures: Vec<Value>,
    sentence: String,
    power_w: Option<f64>,
    estimated_w: Option<[f64; 3]>,
    nominal_w: f64,
    switchable: bool,
    confirmed: Option<bool>,
    kept_on_for_s: Option<f64>,
}

/// What is known of the battery.
pub(crate) fn battery(settings: &Settings, image: &ProcessImage, decision: &Decision) -> Value {
    let fresh = |reading| image.fresh(settings, reading);
    json!({
        "charge_low": decision.charge.low.ratio(),
        "charge_best": decision.charge.best.ratio(),
        "charge_high": decision.charge.high.ratio(),
        "voltage_v": fresh(image.battery.voltage),
        "current_a": fresh(image.battery.current),
        "power_w": battery_power(settings, image),
        "temperature_c": fresh(image.battery.temperature),
    })
}

/// Power into the battery: read, or from voltage and current.
pub(crate) fn battery_power(settings: &Settings, image: &ProcessImage) -> Option<f64> {
    let fresh = |reading| image.fresh(settings, reading);
    fresh(image.battery.power).or_else(|| Some(fresh(image.battery.voltage)? * fresh(image.battery.current)?))
}

/// What the levels came from.
pub(crate) fn basis(decision: &Decision) -> &'static str {
    match decision.basis {
        Basis::Plan => "plan",
        Basis::ReserveRule => "reserve rule",
    }
}

/// What was decided of each load.
pub(crate) fn loads<'a>(
    settings: &'a Settings,
    image: &ProcessImage,
    decision: &Decision,
    language: Language,
) -> Vec<Load<'a>> {
    let clock = Clock { unix: image.wall.map(|wall| wall.unix), utc_offset: image.utc_offset };
    let loads = settings.loads.iter().zip(&decision.loads).enumerate();
    loads
        .map(|(number, (load, decision))| Load {
            number,
            name: &load.name,
            label: &load.label,
            tier: load.tier.word(),
            on: decision.on,
            for_s: image.now.since(decision.since).0,
            reason: decision.because.word(),
            figures: decision
                .because
                .figures()
                .into_iter()
                .map(|(name, value)| json!({ "name": name, "value": value }))
                .collect(),
            sentence: language::sentence(language, load, decision, clock),
            power_w: image.fresh(settings, image.loads.get(number).and_then(|load| load.power)),
            estimated_w: decision.draws.map(|draws| [draws.low, draws.best, draws.high].map(|watts| watts.0)),
            nominal_w: load.nominal.0,
            switchable: load.switchable,
            confirmed: decision.confirmed,
            kept_on_for_s: decision.pinned_until.map(|until| until.since(image.now).0),
        })
        .collect()
}
