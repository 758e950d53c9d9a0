//! The battery as it really is: open-circuit voltage by charge, resistance that rises in the cold, a slow
//! polarisation, losses that warm it. Nothing here is shared with the hub's own estimate of a battery.
//!
//! Sources of the curves: LiFePO4 rest voltages per cell as makers of 3.2 V prismatic cells print them;
//! lead-acid rest voltages as in the BCI service manual, per cell of 2 V.

use serde::{Deserialize, Serialize};

/// What a battery is made of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Chemistry {
    /// Lithium iron phosphate, 3.2 V a cell.
    Lfp,
    /// Lead and sulphuric acid, sealed or flooded, 2 V a cell.
    LeadAcid,
}

/// A battery as it was bought.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct BatterySpec {
    /// What it is made of.
    pub chemistry: Chemistry,
    /// Cells in series.
    pub cells: u32,
    /// Charge it holds, Ah.
    pub capacity: f64,
    /// Resistance of the whole battery at 25 °C, ohm.
    pub resistance: f64,
    /// State of charge at the start, 0 to 1.
    pub initial: f64,
}

/// State of charge and rest voltage of one LiFePO4 cell, V.
const LFP_CURVE: &[(f64, f64)] = &[
    (0.00, 2.50),
    (0.02, 2.80),
    (0.05, 3.00),
    (0.10, 3.20),
    (0.20, 3.255),
    (0.30, 3.285),
    (0.40, 3.300),
    (0.60, 3.315),
    (0.70, 3.330),
    (0.90, 3.345),
    (0.97, 3.37),
    (0.99, 3.42),
    (1.00, 3.65),
];

/// State of charge and rest voltage of one lead-acid cell, V.
const LEAD_CURVE: &[(f64, f64)] = &[
    (0.00, 1.90),
    (0.10, 1.935),
    (0.20, 1.965),
    (0.40, 2.015),
    (0.60, 2.055),
    (0.80, 2.090),
    (0.95, 2.12),
    (1.00, 2.20),
];

impl Chemistry {
    fn curve(self) -> &'static [(f64, f64)] {
        match self {
            Self::Lfp => LFP_CURVE,
            Self::LeadAcid => LEAD_CURVE,
        }
    }

    /// Rest voltage of one cell at this state of charge, V.
    pub(crate) fn cell_voltage(self, charge: f64) -> f64 {
        interpolate(self.curve(), charge)
    }

    /// Share of the charging current that is stored at this state of charge.
    fn acceptance(self, charge: f64) -> f64 {
        match self {
            Self::Lfp => 0.995,
            // Gassing sets in above 80 %.
            Self::LeadAcid => 0.97 - 2.0 * (charge - 0.8).max(0.0),
        }
    }
}

fn interpolate(curve: &[(f64, f64)], at: f64) -> f64 {
    let at = at.clamp(0.0, 1.0);
    let above = curve.partition_point(|(x, _)| *x < at).clamp(1, curve.len() - 1);
    let ((x0, y0), (x1, y1)) = (curve[above - 1], curve[above]);
    y0 + (y1 - y0) * (at - x0) / (x1 - x0)
}

/// A battery at work.
#[derive(Debug, Clone)]
pub(crate) struct Battery {
    spec: BatterySpec,
    charge: f64,
    /// Voltage of the slow polarisation; positive after charging, V.
    polarisation: f64,
    temperature: f64,
    /// Current in the last step, positive into the battery, A.
    current: f64,
    voltage: f64,
}

/// Time constant of the slow polarisation, s.
const POLARISATION_SECONDS: f64 = 900.0;
/// Resistance of the slow polarisation, of the ohmic one.
const POLARISATION_SHARE: f64 = 1.5;

/// What a step cost and stored, Wh.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Flow {
    /// Energy at the terminals, positive into the battery.
    pub(crate) terminal: f64,
    /// Change of the energy stored.
    pub(crate) stored: f64,
}

impl Battery {
    pub(crate) fn new(spec: BatterySpec, temperature: f64) -> Self {
        let charge = spec.initial.clamp(0.0, 1.0);
        let voltage = f64::from(spec.cells) * spec.chemistry.cell_voltage(charge);
        Self { spec, charge, polarisation: 0.0, temperature, current: 0.0, voltage }
    }

    pub(crate) fn spec(&self) -> &BatterySpec {
        &self.spec
    }

    /// State of charge, 0 to 1.
    pub(crate) fn charge(&self) -> f64 {
        self.charge
    }

    /// Current in the last step, positive into the battery, A.
    pub(crate) fn current(&self) -> f64 {
        self.current
    }

    /// Voltage at the terminals in the last step, V.
    pub(crate) fn voltage(&self) -> f64 {
        self.voltage
    }

    /// Temperature inside, °C.
    pub(crate) fn temperature(&self) -> f64 {
        self.temperature
    }

    /// Voltage behind the ohmic resistance, V.
    pub(crate) fn source_voltage(&self) -> f64 {
        f64::from(self.spec.cells) * self.spec.chemistry.cell_voltage(self.charge) + self.polarisation
    }

    /// Ohmic resistance now, ohm: 2 % more for each kelvin below 25 °C, more when nearly empty; lead takes
    /// charge against a voltage that climbs towards full.
    pub(crate) fn resistance(&self, charging: bool) -> f64 {
        let cold = (0.02 * (25.0 - self.temperature)).clamp(-0.4, 1.5).exp();
        let state = match (self.spec.chemistry, charging) {
            (Chemistry::Lfp, _) => 1.0 + 1.5 * (0.1 - self.charge).max(0.0) / 0.1,
            (Chemistry::LeadAcid, false) => 1.0 + 1.2 * (0.5 - self.charge).max(0.0) / 0.5,
            (Chemistry::LeadAcid, true) => 3.0 + 14.0 * ((self.charge - 0.75).max(0.0) / 0.25).powi(2),
        };
        self.spec.resistance * cold * state
    }

    /// Current, A, when `power` W flow into the terminals (negative out of them); `None` where the battery
    /// cannot give that much.
    pub(crate) fn current_for(&self, power: f64) -> Option<f64> {
        let (source, resistance) = (self.source_voltage(), self.resistance(power > 0.0));
        let inside = source * source + 4.0 * resistance * power;
        (inside >= 0.0).then(|| (inside.sqrt() - source) / (2.0 * resistance))
    }

    /// Current at which the terminals show `voltage`, A.
    pub(crate) fn current_at(&self, voltage: f64) -> f64 {
        let above = voltage - self.source_voltage();
        above / self.resistance(above > 0.0)
    }

    /// Voltage at the terminals while `current` A flow, V.
    pub(crate) fn voltage_at(&self, current: f64) -> f64 {
        self.source_voltage() + current * self.resistance(current > 0.0)
    }

    /// The current nearest to `current`, A, that for `seconds` stays within what the battery can hold.
    pub(crate) fn bounded(&self, current: f64, seconds: f64) -> f64 {
        let hours = seconds / 3600.0;
        let room =
            (1.0 - self.charge) * self.spec.capacity / hours / self.spec.chemistry.acceptance(self.charge);
        current.clamp(-self.charge * self.spec.capacity / hours, room)
    }

    /// Carries `current` A for `seconds` in air of `ambient` °C; the caller has bounded it.
    pub(crate) fn carry(&mut self, current: f64, seconds: f64, ambient: f64) -> Flow {
        let hours = seconds / 3600.0;
        let chemistry = self.spec.chemistry;
        self.current = current;
        self.voltage = self.voltage_at(current);
        let terminal = self.voltage * current * hours;
        let kept = if current > 0.0 { current * chemistry.acceptance(self.charge) } else { current };
        let before = self.charge;
        self.charge = (self.charge + kept * hours / self.spec.capacity).clamp(0.0, 1.0);
        let stored = self.energy_between(before, self.charge);
        let target = current * self.spec.resistance * POLARISATION_SHARE;
        self.polarisation += (target - self.polarisation) * (1.0 - (-seconds / POLARISATION_SECONDS).exp());
        let heat = (terminal - stored).max(0.0) / hours;
        // About 10 Wh/K of heat for each kWh of capacity, given off within half a day.
        let nominal = f64::from(self.spec.cells) * chemistry.cell_voltage(0.5) * self.spec.capacity;
        let heat_capacity = nominal * 0.01;
        let conductance = heat_capacity / 8.0;
        self.temperature += (heat - (self.temperature - ambient) * conductance) * hours / heat_capacity;
        Flow { terminal, stored }
    }

    /// Energy at rest voltage between two states of charge, Wh; exact for the curve's straight pieces.
    fn energy_between(&self, from: f64, to: f64) -> f64 {
        let curve = self.spec.chemistry.curve();
        let (low, high) = if from <= to { (from, to) } else { (to, from) };
        let mut left = (low, interpolate(curve, low));
        let mut area = 0.0;
        for &(x, y) in curve.iter().filter(|(x, _)| *x > low && *x < high) {
            area += (x - left.0) * (y + left.1) / 2.0;
            left = (x, y);
        }
        area += (high - left.0) * (interpolate(curve, high) + left.1) / 2.0;
        let signed = if from <= to { area } else { -area };
        signed * self.spec.capacity * f64::from(self.spec.cells)
    }

    /// Energy at rest voltage above empty, Wh.
    pub(crate) fn energy(&self) -> f64 {
        self.energy_between(0.0, self.charge)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn battery(chemistry: Chemistry, initial: f64) -> Battery {
        let cells = if chemistry == Chemistry::Lfp { 8 } else { 12 };
        Battery::new(BatterySpec { chemistry, cells, capacity: 100.0, resistance: 0.02, initial }, 25.0)
    }

    #[test]
    fn a_drawn_power_lowers_the_voltage_and_is_delivered() {
        let mut cell = battery(Chemistry::Lfp, 0.5);
        let rest = cell.source_voltage();
        let current = cell.current_for(-500.0).unwrap();
        let flow = cell.carry(current, 3600.0, 25.0);
        assert!((flow.terminal + 500.0).abs() < 1e-9, "{flow:?}");
        assert!(cell.voltage() < rest && flow.stored < flow.terminal, "{flow:?}");
        assert!(cell.current_for(-1e6).is_none(), "a short circuit has no answer");
    }

    #[test]
    fn what_goes_out_never_exceeds_what_came_in() {
        for chemistry in [Chemistry::Lfp, Chemistry::LeadAcid] {
            let mut cell = battery(chemistry, 0.5);
            let start = cell.energy();
            let mut terminal = 0.0;
            for _ in 0..600 {
                terminal += cell.carry(20.0, 60.0, 20.0).terminal;
            }
            while cell.energy() > start {
                terminal += cell.carry(-20.0, 60.0, 20.0).terminal;
            }
            assert!(terminal > 0.0, "{chemistry:?} gave back {terminal} Wh more than it took");
        }
    }

    #[test]
    fn cold_raises_resistance_and_work_warms_it() {
        let mut cell = battery(Chemistry::LeadAcid, 0.8);
        let warm = cell.resistance(false);
        cell.temperature = 0.0;
        assert!(cell.resistance(false) > 1.4 * warm);
        for _ in 0..60 {
            cell.carry(-60.0, 30.0, 0.0);
        }
        assert!(cell.temperature() > 0.05, "{}", cell.temperature());
    }

    #[test]
    fn a_current_is_bounded_by_what_is_there() {
        let cell = battery(Chemistry::Lfp, 0.999);
        assert!(cell.bounded(50.0, 3600.0) < 0.2);
        assert_eq!(cell.bounded(-5.0, 60.0), -5.0);
        assert!(battery(Chemistry::Lfp, 0.001).bounded(-50.0, 3600.0) > -0.2);
    }
}
