//! Coulomb counting for a bound: what must be true of the charge if every error is at its worst.
//!
//! Two ways of counting run side by side, both sound, and the tighter counts:
//! - **step by step** from the bound itself, each step with the worst capacity for its direction;
//! - **since the anchor**, the last place where evidence set the bound. The true capacity is one fixed
//!   figure, so what went out and came back in cancels, whatever it is. Without this a daily cycle would
//!   widen the bounds by the capacity's tolerance every day.

use serde::{Deserialize, Serialize};

use super::{BatterySample, BatterySpec};
use crate::quantity::{Seconds, Volts};

/// A bound nearer than this to what evidence says is left where it is, so that its anchor stays.
const NEAR: f64 = 1e-6;

/// Which bound.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum Bound {
    Low,
    High,
}

/// One bound of the state of charge.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub(super) struct Side {
    bound: Bound,
    value: f64,
    anchor: f64,
    /// Ampere-hours since the anchor, at their worst.
    moved: f64,
}

impl Side {
    pub(super) fn at(bound: Bound, value: f64) -> Self {
        Self { bound, value, anchor: value, moved: 0.0 }
    }

    pub(super) fn value(&self) -> f64 {
        self.value
    }

    /// Counts `amps` (this bound's worst case) for `dt`. `other` is the opposite bound: the truth may be as
    /// far as there, and the efficiency of charging with it.
    pub(super) fn count(&mut self, spec: &BatterySpec, dt: Seconds, amps: f64, other: f64) {
        let hours = dt.hours();
        let (small, large) = spec.capacity_bounds();
        let charge = amps * hours;
        // Step by step the bound may use the efficiency at its own place: where truth and bound meet, it is
        // the truth's. Since the anchor the truth may have been anywhere between the bounds.
        let (here, anywhere, capacity) = match (self.bound, amps > 0.0) {
            (Bound::Low, true) => {
                (spec.efficiency_bounds(self.value).0, spec.efficiency_bounds(self.value.max(other)).0, large)
            }
            (Bound::Low, false) | (Bound::High, true) => (1.0, 1.0, small),
            (Bound::High, false) => (1.0, 1.0, large),
        };
        let lost = match self.bound {
            Bound::Low => spec.chemistry.worst_self_discharge() * hours / 24.0,
            Bound::High => 0.0,
        };
        let step = self.value + charge * here / capacity - lost;
        self.anchor -= lost;
        self.moved += charge * anywhere;
        let ends = (self.moved / small, self.moved / large);
        let since_anchor = self.anchor
            + match self.bound {
                Bound::Low => ends.0.min(ends.1),
                Bound::High => ends.0.max(ends.1),
            };
        let step_is_tighter = match self.bound {
            Bound::Low => step > since_anchor + NEAR,
            Bound::High => step < since_anchor - NEAR,
        };
        if step_is_tighter {
            *self = Self::at(self.bound, step);
        } else {
            self.value = since_anchor;
        }
        if !(0.0..=1.0).contains(&self.value) {
            *self = Self::at(self.bound, self.value.clamp(0.0, 1.0));
        }
    }

    /// Evidence says the bound is at least this tight.
    pub(super) fn narrow(&mut self, to: f64) {
        let tighter = match self.bound {
            Bound::Low => to > self.value + NEAR,
            Bound::High => to < self.value - NEAR,
        };
        if tighter {
            *self = Self::at(self.bound, to);
        }
    }

    /// Evidence says the bound must reach as far as this.
    pub(super) fn widen(&mut self, to: f64) {
        let wider = match self.bound {
            Bound::Low => to < self.value,
            Bound::High => to > self.value,
        };
        if wider {
            *self = Self::at(self.bound, to);
        }
    }
}

/// A current with its limits, A; positive charges.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Current {
    pub(super) low: f64,
    /// The single most plausible figure, where anything was measured.
    pub(super) best: Option<f64>,
    pub(super) high: f64,
}

impl Current {
    /// What a sample says of the current.
    pub(super) fn of(spec: &BatterySpec, sample: &BatterySample) -> Self {
        match (sample.current, sample.power, sample.voltage) {
            (Some(amps), ..) => Self::measured(spec, amps.0, 0.0),
            (None, Some(power), Some(voltage)) if voltage > Volts::ZERO => {
                let amps = power / voltage;
                Self::measured(spec, amps.0, amps.0.abs() * (spec.voltage_error / voltage))
            }
            (None, Some(power), _) => {
                let (least, most) = voltages(spec);
                let nominal = (power / spec.nominal_voltage()).0;
                let (one, other) = ((power / least).0, (power / most).0);
                let wide = Self::measured(spec, nominal, (one - nominal).abs().max((other - nominal).abs()));
                Self { best: Some(nominal), ..wide }
            }
            (None, None, _) => Self::unknown(spec),
        }
    }

    /// Nobody measures it: anything from every load at once to every charger at once.
    pub(super) fn unknown(spec: &BatterySpec) -> Self {
        let (least, _) = voltages(spec);
        Self { low: -(spec.worst_discharge / least).0, best: None, high: (spec.worst_charge / least).0 }
    }

    fn measured(spec: &BatterySpec, amps: f64, more: f64) -> Self {
        // The reading is the truth times (1 ± gain), so the truth is the reading divided by it.
        let gain = spec.current_gain_error / (1.0 - spec.current_gain_error);
        let error = (amps.abs() + spec.current_offset_error.0) * gain + spec.current_offset_error.0 + more;
        Self { low: amps - error, best: Some(amps), high: amps + error }
    }
}

/// The least and the most a working bank can have between its terminals, V.
fn voltages(spec: &BatterySpec) -> (Volts, Volts) {
    (spec.nominal_voltage() * 0.8, (spec.absorption_voltage * 1.1).max(spec.nominal_voltage()))
}
