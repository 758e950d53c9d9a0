//! What the voltage at the terminals says of the state of charge.
//!
//! Under charge the terminals stand above the open-circuit voltage, under discharge below it: by the drop
//! over the resistance, and by a polarisation that fades over hours of rest. So a voltage gives limits to the
//! open-circuit voltage, wide under load and narrow after a long rest, and these give limits to the charge.

use serde::{Deserialize, Serialize};

use super::BatterySpec;
use super::coulombs::Current;
use crate::quantity::{Celsius, Seconds, StateOfCharge, Volts};

/// Voltage must be seen for this long before it counts: one spike is no evidence.
const WINDOW: Seconds = Seconds(60.0);
/// Current below which a battery rests, in capacities an hour.
const REST_RATE: f64 = 0.02;
/// Current from which on polarisation may be at its largest, in capacities an hour.
const FULL_POLARISATION_RATE: f64 = 0.2;
/// The true resistance is at most this many times the stated one.
const RESISTANCE_TOLERANCE: f64 = 2.0;

/// How long ago the battery was last charged and last discharged.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize)]
pub(super) struct Rest {
    since_charge: Seconds,
    since_discharge: Seconds,
}

impl Rest {
    /// Takes note of a span with this current and voltage. A charger in float may hold the terminals up
    /// with next to no current: that is no rest.
    pub(super) fn pass(
        &mut self,
        spec: &BatterySpec,
        dt: Seconds,
        current: &Current,
        voltage: Option<Volts>,
    ) {
        let resting = spec.capacity.0 * REST_RATE;
        let full = spec.chemistry.open_circuit(StateOfCharge::FULL, None) + spec.chemistry.spread();
        let held_up = voltage.is_some_and(|volts| volts > full * f64::from(spec.cells) + spec.voltage_error);
        let enough = spec.chemistry.relaxation();
        let longer = |since: Seconds, flows| if flows { Seconds::ZERO } else { (since + dt).min(enough) };
        self.since_charge = longer(self.since_charge, held_up || current.high > resting);
        self.since_discharge = longer(self.since_discharge, current.low < -resting);
    }
}

/// Between which states of charge the battery lies if this is its voltage, 0 to 1.
pub(super) fn charge_limits(
    spec: &BatterySpec,
    voltage: Volts,
    current: &Current,
    temperature: Option<Celsius>,
    rest: &Rest,
) -> (f64, f64) {
    let series = f64::from(spec.cells);
    let factor = spec.chemistry.resistance_factor(temperature).max(1.0);
    let resistance = spec.internal_resistance.0 * RESISTANCE_TOLERANCE * factor;
    let relaxation = spec.chemistry.relaxation();
    // Polarisation fades with rest, but as long as a current flows some of it stays.
    let left = |since: Seconds, amps: f64| {
        let standing = amps / (spec.capacity.0 * FULL_POLARISATION_RATE);
        (1.0 - since / relaxation).max(standing).clamp(0.0, 1.0) * factor * series
    };
    let (up, down) = spec.chemistry.polarisation();
    let above = current.high.max(0.0) * resistance + up.0 * left(rest.since_charge, current.high);
    let below = (-current.low).max(0.0) * resistance + down.0 * left(rest.since_discharge, -current.low);
    let low = (voltage.0 - spec.voltage_error.0 - above) / series;
    let high = (voltage.0 + spec.voltage_error.0 + below) / series;
    let (low, high) = spec.chemistry.charge_between(Volts(low), Volts(high), temperature);
    // No voltage tells more of fullness than a tail current does.
    (low.ratio().min(1.0 - spec.chemistry.full_uncertainty()), high.ratio())
}

/// The limits of one window, the widest of each side, so that a single wrong reading cannot narrow anything.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub(super) struct VoltageWindow {
    low: f64,
    high: f64,
    seen: Seconds,
}

impl Default for VoltageWindow {
    fn default() -> Self {
        Self { low: 1.0, high: 0.0, seen: Seconds::ZERO }
    }
}

impl VoltageWindow {
    /// Adds the limits of a span; gives those of the window when it is full, and begins a new one.
    pub(super) fn add(&mut self, dt: Seconds, (low, high): (f64, f64)) -> Option<(f64, f64)> {
        self.low = self.low.min(low);
        self.high = self.high.max(high);
        self.seen += dt;
        if self.seen < WINDOW {
            return None;
        }
        let limits = (self.low, self.high);
        *self = Self::default();
        Some(limits)
    }
}
