//! The state of charge with bounds: coulomb counting widens them, and what a battery shows of itself (its
//! voltage, the tail of its charge, a cut, somebody else's figure) narrows them.
//!
//! The bounds are interval arithmetic, not statistics: as long as the battery and the sensors are within
//! what [`BatterySpec`] states, the true state of charge lies inside. When evidence contradicts the
//! bounds, something is outside what was stated, and the bounds widen to hold both.

use serde::{Deserialize, Serialize};

use super::coulombs::{Bound, Current, Side};
use super::voltage::{Rest, VoltageWindow, charge_limits};
use super::{BatterySpec, Chemistry};
use crate::quantity::{Amps, Celsius, Seconds, StateOfCharge, Volts, Watts};

/// Longest span one sample speaks for; what lies further back counts as unmeasured.
const HOLD: Seconds = Seconds(120.0);
/// How long voltage and tail current must say "full" (the default of Victron's BMV-700: 3 min).
const FULL_AFTER: Seconds = Seconds(180.0);
/// How far from its stated level a hardware cut may come: it looks at a loaded voltage.
const CUT_UNCERTAINTY: f64 = 0.10;
/// Time constant with which the best figure follows a reported one, s.
const REPORT_PACE: f64 = 300.0;
/// Currents beyond this many capacities an hour are no readings.
const IMPOSSIBLE_RATE: f64 = 20.0;

/// How somebody else came to their figure of the state of charge.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ReportedBy {
    /// A battery management system or monitor that counts the current: off by 10 % where it is seldom full.
    Shunt,
    /// A charger that looks at the voltage: off by 30 % on lead-acid, and next to nothing on LFP.
    VoltageGuess,
}

impl ReportedBy {
    /// How wrong such a figure may be, as a part of the capacity (two standard deviations).
    pub fn uncertainty(self, chemistry: Chemistry) -> f64 {
        match (self, chemistry.is_lead_acid()) {
            (Self::Shunt, _) => 0.10,
            (Self::VoltageGuess, true) => 0.30,
            (Self::VoltageGuess, false) => 0.50,
        }
    }
}

/// Somebody else's figure of the state of charge.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Reported {
    /// The figure.
    pub charge: StateOfCharge,
    /// How wrong it may be, as a part of the capacity; see [`ReportedBy::uncertainty`].
    pub uncertainty: f64,
}

/// What is known of the battery at the end of a step. Anything may be missing, and the caller leaves out
/// what is stale. Current and power are best as means over the step.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize)]
pub struct BatterySample {
    /// Voltage at the terminals of the bank.
    pub voltage: Option<Volts>,
    /// Current into the bank; negative is discharge.
    pub current: Option<Amps>,
    /// Power into the bank, used where no current is measured.
    pub power: Option<Watts>,
    /// Temperature of the battery.
    pub temperature: Option<Celsius>,
    /// Somebody else's figure.
    pub reported: Option<Reported>,
    /// Whether hardware says that it disconnected the loads because the battery is low.
    pub cut: Option<bool>,
}

/// The state of charge and how sure it is: `low` <= `best` <= `high`.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct ChargeBounds {
    /// It is not less than this.
    pub low: StateOfCharge,
    /// The single most plausible figure.
    pub best: StateOfCharge,
    /// It is not more than this.
    pub high: StateOfCharge,
}

impl ChargeBounds {
    /// How far apart the bounds are, 0 to 1.
    pub fn width(&self) -> f64 {
        self.high.ratio() - self.low.ratio()
    }
}

/// The estimate as it runs. A value: store it, restore it, replay it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ChargeEstimator {
    low: Side,
    high: Side,
    best: f64,
    rest: Rest,
    window: VoltageWindow,
    full_for: Seconds,
    was_cut: bool,
}

impl Default for ChargeEstimator {
    fn default() -> Self {
        Self::unknown()
    }
}

impl ChargeEstimator {
    /// Nothing is known: from empty to full.
    pub fn unknown() -> Self {
        Self {
            low: Side::at(Bound::Low, 0.0),
            high: Side::at(Bound::High, 1.0),
            best: 0.5,
            rest: Rest::default(),
            window: VoltageWindow::default(),
            full_for: Seconds::ZERO,
            was_cut: false,
        }
    }

    /// The state of charge with its bounds.
    pub fn bounds(&self) -> ChargeBounds {
        ChargeBounds {
            low: StateOfCharge::clamped(self.low.value()),
            best: StateOfCharge::clamped(self.best),
            high: StateOfCharge::clamped(self.high.value()),
        }
    }

    /// Whether voltage and tail current have just said for long enough that it is full.
    pub fn is_full(&self) -> bool {
        self.full_for >= FULL_AFTER
    }

    /// Takes the estimate `dt` further, at whose end `sample` was read. A sample speaks for the last two
    /// minutes of a longer step; before them nothing is taken as known.
    pub fn advance(&mut self, spec: &BatterySpec, dt: Seconds, sample: &BatterySample) {
        let dt = if dt.is_finite() { dt.max(Seconds::ZERO) } else { Seconds::ZERO };
        let sample = sample.plausible(spec);
        let covered = dt.min(HOLD);
        if dt > covered {
            let unknown = Current::unknown(spec);
            self.count(spec, dt - covered, &unknown);
            self.rest.pass(spec, dt - covered, &unknown, None);
        }
        let current = Current::of(spec, &sample);
        self.count(spec, covered, &current);
        self.rest.pass(spec, covered, &current, sample.voltage);
        self.look_at_voltage(spec, covered, &sample, &current);
        self.look_for_full(spec, covered, &sample, &current);
        self.look_for_cut(spec, &sample);
        if let Some(reported) = sample.reported {
            self.weigh(covered, reported);
        }
    }

    /// Coulomb counting.
    fn count(&mut self, spec: &BatterySpec, dt: Seconds, current: &Current) {
        let (low, high) = (self.low.value(), self.high.value());
        self.low.count(spec, dt, current.low, high);
        self.high.count(spec, dt, current.high, low);
        if let Some(best) = current.best {
            let (least, most) = spec.efficiency_bounds(self.best);
            // Below 80 % the limits lie around the stated efficiency; near full the mean of them does.
            let efficiency =
                if best > 0.0 { spec.charge_efficiency.min(f64::midpoint(least, most)) } else { 1.0 };
            self.best += best * dt.hours() * efficiency / spec.capacity.0;
        }
        self.settle();
    }

    fn look_at_voltage(
        &mut self,
        spec: &BatterySpec,
        dt: Seconds,
        sample: &BatterySample,
        current: &Current,
    ) {
        let Some(voltage) = sample.voltage else { return };
        let limits = charge_limits(spec, voltage, current, sample.temperature, &self.rest);
        if let Some((low, high)) = self.window.add(dt, limits) {
            self.correct(low, high);
        }
    }

    fn look_for_full(&mut self, spec: &BatterySpec, dt: Seconds, sample: &BatterySample, current: &Current) {
        let absorbing = sample
            .voltage
            .is_some_and(|voltage| voltage + spec.voltage_error >= spec.absorption_at(sample.temperature));
        let measured = sample.current.is_some() || sample.power.is_some();
        let tail = current.best.is_some_and(|best| {
            best <= spec.tail_current.0 && best >= -spec.current_offset_error.0.max(spec.tail_current.0 / 4.0)
        });
        if !(absorbing && measured && tail) {
            self.full_for = Seconds::ZERO;
            return;
        }
        self.full_for = (self.full_for + dt).min(FULL_AFTER);
        if self.full_for >= FULL_AFTER {
            let missing = spec.chemistry.full_uncertainty();
            self.correct(1.0 - missing, 1.0);
            self.best = self.best.max(1.0 - missing / 2.0);
            self.settle();
        }
    }

    fn look_for_cut(&mut self, spec: &BatterySpec, sample: &BatterySample) {
        let Some(cut) = sample.cut else { return };
        if let (true, false, Some(level)) = (cut, self.was_cut, spec.cut_level) {
            self.correct(level.ratio() - CUT_UNCERTAINTY, level.ratio() + CUT_UNCERTAINTY);
        }
        self.was_cut = cut;
    }

    /// Narrows the bounds to what a report allows. One that contradicts them is set aside: a monitor that is
    /// stuck must not undo what was counted, and bounds that are wrong are found by the voltage.
    fn weigh(&mut self, dt: Seconds, reported: Reported) {
        let uncertainty = reported.uncertainty.clamp(0.001, 1.0);
        let charge = reported.charge.ratio();
        let (low, high) = (charge - uncertainty, charge + uncertainty);
        if low > self.high.value() || high < self.low.value() {
            return;
        }
        // Bounds and uncertainty are both taken as two standard deviations.
        let own = (self.high.value() - self.low.value()) / 4.0;
        let theirs = uncertainty / 2.0;
        let trust = own * own / (own * own + theirs * theirs);
        self.best += (charge - self.best) * trust * (dt.0 / REPORT_PACE).min(1.0);
        self.correct(low, high);
    }

    /// The state of charge lies between these, by evidence of its own.
    fn correct(&mut self, low: f64, high: f64) {
        let (low, high) = (low.clamp(0.0, 1.0), high.clamp(0.0, 1.0));
        if low > self.high.value() || high < self.low.value() {
            self.low.widen(low);
            self.high.widen(high);
        } else {
            self.low.narrow(low);
            self.high.narrow(high);
        }
        self.best = self.best.max(low).min(high);
        self.settle();
    }

    /// Restores the order: rounding can cross two bounds that meet.
    fn settle(&mut self) {
        if self.low.value() > self.high.value() {
            let (low, high) = (self.low.value(), self.high.value());
            self.low.widen(high);
            self.high.widen(low);
        }
        self.best = self.best.max(self.low.value()).min(self.high.value());
    }
}

impl BatterySample {
    /// The sample without what cannot be a reading of this battery.
    fn plausible(&self, spec: &BatterySpec) -> Self {
        let nominal = spec.nominal_voltage();
        let most = spec.capacity.0 * IMPOSSIBLE_RATE;
        Self {
            voltage: self.voltage.filter(|volts| (nominal.0 * 0.5..=nominal.0 * 1.5).contains(&volts.0)),
            current: self.current.filter(|amps| amps.0.abs() <= most),
            power: self.power.filter(|watts| watts.0.abs() <= most * nominal.0),
            temperature: self.temperature.filter(|at| (-40.0..=90.0).contains(&at.0)),
            ..*self
        }
    }
}
