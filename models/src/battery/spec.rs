//! A battery as its owner describes it, and what follows from that by arithmetic.

use serde::{Deserialize, Serialize};

use super::chemistry::{Chemistry, interpolate};
use crate::quantity::{AmpHours, Amps, Celsius, Ohms, StateOfCharge, Volts, WattHours, Watts};

/// A battery bank: what is in it, and how wrong its figures and its sensors may be. Made by
/// [`BatterySpec::new`], which fills in what is usual for the chemistry; change fields and ask
/// [`BatterySpec::check`] before use.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct BatterySpec {
    /// What it is made of.
    pub chemistry: Chemistry,
    /// Rated capacity of the bank at 25 °C and the 20-hour rate, Ah. State of charge is counted in the true
    /// capacity, which is near this.
    pub capacity: AmpHours,
    /// Cells in series.
    pub cells: u16,
    /// Resistance of the bank at 25 °C, cables included, Ω. The true one may be from nothing to twice this.
    pub internal_resistance: Ohms,
    /// Part of the charge put in that comes out again, 0 to 1, below 80 % state of charge.
    pub charge_efficiency: f64,
    /// How far the true capacity may be from the rated, as a part of it: age, make, rating.
    pub capacity_tolerance: f64,
    /// How far a measured current may be off, as a part of its value.
    pub current_gain_error: f64,
    /// How far a measured current may be off when nothing flows.
    pub current_offset_error: Amps,
    /// How far the measured voltage of the bank may be off.
    pub voltage_error: Volts,
    /// The most that can be drawn when nobody measures it: every load at once.
    pub worst_discharge: Watts,
    /// The most that can be charged: by all panels and every charger at once, or what charger or battery allow.
    /// Assumed while nobody measures it; plans count on no more.
    pub worst_charge: Watts,
    /// Voltage of the bank in absorption at 25 °C.
    pub absorption_voltage: Volts,
    /// Charging current below which the battery is full, while the voltage is that of absorption.
    pub tail_current: Amps,
    /// State of charge, roughly, at which hardware disconnects the loads, where that is known.
    pub cut_level: Option<StateOfCharge>,
}

/// A battery that cannot be.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[error("battery: {field} is {value}, expected {expected}")]
pub struct SpecError {
    /// Which figure.
    pub field: &'static str,
    /// Its value.
    pub value: f64,
    /// What it may be.
    pub expected: &'static str,
}

impl BatterySpec {
    /// A battery with what is usual for its chemistry: resistance from chemistry and capacity, ±10 %
    /// capacity, current ±2 % and ±C/1000, voltage ±0.5 %, at worst C/2 in either direction, tail current
    /// 4 % of capacity. These are engineering assumptions.
    pub fn new(chemistry: Chemistry, capacity: AmpHours, cells: u16) -> Self {
        let series = f64::from(cells);
        let nominal = chemistry.nominal_voltage() * series;
        let half_rate = nominal * Amps(capacity.0 / 2.0);
        Self {
            chemistry,
            capacity,
            cells,
            internal_resistance: Ohms(series * chemistry.resistance_of_one_ah() / capacity.0),
            charge_efficiency: chemistry.charge_efficiency(),
            capacity_tolerance: 0.10,
            current_gain_error: 0.02,
            current_offset_error: Amps(capacity.0 / 1000.0),
            voltage_error: nominal * 0.005,
            worst_discharge: half_rate,
            worst_charge: half_rate,
            absorption_voltage: chemistry.absorption_voltage() * series,
            tail_current: Amps(capacity.0 * 0.04),
            cut_level: None,
        }
    }

    /// Refuses what cannot be a battery; says which figure and what it may be.
    pub fn check(&self) -> Result<(), SpecError> {
        let fails = |field, value, expected| Err(SpecError { field, value, expected });
        let positive = [
            ("capacity", self.capacity.0),
            ("absorption_voltage", self.absorption_voltage.0),
            ("tail_current", self.tail_current.0),
        ];
        let not_negative = [
            ("internal_resistance", self.internal_resistance.0),
            ("current_offset_error", self.current_offset_error.0),
            ("voltage_error", self.voltage_error.0),
            ("worst_discharge", self.worst_discharge.0),
            ("worst_charge", self.worst_charge.0),
        ];
        let parts = [
            ("capacity_tolerance", self.capacity_tolerance),
            ("current_gain_error", self.current_gain_error),
        ];
        if self.cells == 0 {
            return fails("cells", 0.0, "at least 1");
        }
        for (field, value) in positive {
            if !(value.is_finite() && value > 0.0) {
                return fails(field, value, "more than 0");
            }
        }
        for (field, value) in not_negative {
            if !(value.is_finite() && value >= 0.0) {
                return fails(field, value, "0 or more");
            }
        }
        for (field, value) in parts {
            if !(0.0..=0.6).contains(&value) {
                return fails(field, value, "a part from 0 to 0.6");
            }
        }
        if !(0.5..=1.0).contains(&self.charge_efficiency) {
            return fails("charge_efficiency", self.charge_efficiency, "a part from 0.5 to 1");
        }
        Ok(())
    }

    /// Nominal voltage of the bank, V.
    pub fn nominal_voltage(&self) -> Volts {
        self.chemistry.nominal_voltage() * f64::from(self.cells)
    }

    /// Energy of a full battery at nominal voltage and 25 °C, Wh.
    pub fn nominal_energy(&self) -> WattHours {
        self.capacity * self.nominal_voltage()
    }

    /// Charge that can be drawn from the full battery at this temperature, Ah.
    pub fn usable_capacity(&self, temperature: Option<Celsius>) -> AmpHours {
        self.capacity * self.chemistry.capacity_factor(temperature)
    }

    /// Open-circuit voltage of the bank, V.
    pub fn open_circuit(&self, charge: StateOfCharge, temperature: Option<Celsius>) -> Volts {
        self.chemistry.open_circuit(charge, temperature) * f64::from(self.cells)
    }

    /// Voltage of the bank from which on it may be in absorption at this temperature, V: a charger that
    /// measures temperature stays lower in the heat.
    pub fn absorption_at(&self, temperature: Option<Celsius>) -> Volts {
        let warmer = temperature.filter(|at| at.is_finite()).map_or(0.0, |at| at.0.clamp(-20.0, 50.0) - 25.0);
        self.absorption_voltage + self.chemistry.absorption_per_kelvin() * (f64::from(self.cells) * warmer)
    }

    /// The least and the most the true capacity can be, Ah.
    pub(super) fn capacity_bounds(&self) -> (f64, f64) {
        (self.capacity.0 * (1.0 - self.capacity_tolerance), self.capacity.0 * (1.0 + self.capacity_tolerance))
    }

    /// Between which limits the charge efficiency lies at this state of charge. Lead-acid gasses as it
    /// fills, until nothing of the current is stored; at the top of LFP balancers burn it. Where that begins is
    /// an engineering assumption; sources in `chemistry`.
    pub(super) fn efficiency_bounds(&self, charge: f64) -> (f64, f64) {
        let low = (1.0 - 1.6 * (1.0 - self.charge_efficiency)).max(0.0);
        let taper: &[(f64, f64)] = if self.chemistry.is_lead_acid() {
            &[(0.75, 1.0), (0.9, 0.5), (1.0, 0.0)]
        } else {
            &[(0.97, 1.0), (1.0, 0.0)]
        };
        (low * interpolate(taper, charge), 1.0)
    }
}
