//! The battery against a battery simulated here on its own, whose errors lie inside what the
//! specification states.

use proptest::prelude::*;

use super::chemistry::interpolate;
use super::*;
use crate::quantity::*;

const CHEMISTRIES: [Chemistry; 3] = [Chemistry::Lfp, Chemistry::LeadAcidFlooded, Chemistry::LeadAcidSealed];
const STEP: Seconds = Seconds(60.0);

fn spec(chemistry: Chemistry) -> BatterySpec {
    BatterySpec::new(chemistry, AmpHours(200.0), if chemistry.is_lead_acid() { 12 } else { 8 })
}

fn sample(voltage: f64, current: f64) -> BatterySample {
    BatterySample {
        voltage: Some(Volts(voltage)),
        current: Some(Amps(current)),
        temperature: Some(Celsius(25.0)),
        ..BatterySample::default()
    }
}

/// How one battery and its sensors differ from the specification; each from -1 to 1.
#[derive(Debug, Clone)]
struct Truth {
    capacity: f64,
    gain: f64,
    offset: f64,
    voltage: f64,
    branch: f64,
    resistance: f64,
    efficiency: f64,
}

fn truth() -> impl Strategy<Value = Truth> {
    prop::array::uniform7(-1.0..1.0f64).prop_map(
        |[capacity, gain, offset, voltage, branch, resistance, efficiency]| Truth {
            capacity,
            gain,
            offset,
            voltage,
            branch,
            resistance,
            efficiency,
        },
    )
}

/// Minutes and wished rate (capacities an hour, positive charges).
fn profile() -> impl Strategy<Value = Vec<(u32, f64)>> {
    prop::collection::vec((5u32..400, prop_oneof![-0.4..0.4f64, Just(0.0), 0.05..0.4f64]), 1..24)
}

/// A battery as it really is, written from the physics and not from the estimator.
struct Plant<'a> {
    spec: &'a BatterySpec,
    truth: &'a Truth,
    charge: f64,
    polarisation: f64,
}

impl Plant<'_> {
    /// One minute at the wished rate; what its sensors then show.
    fn step(&mut self, wished: f64) -> BatterySample {
        let capacity = self.spec.capacity.0 * (1.0 + self.spec.capacity_tolerance * self.truth.capacity);
        let series = f64::from(self.spec.cells);
        let lead = self.spec.chemistry.is_lead_acid();
        let nearly_full = if lead { 0.96 } else { 0.985 };
        let rate = match wished {
            rate if rate > 0.0 && self.charge >= nearly_full => rate.min(0.03),
            rate if rate < 0.0 && self.charge <= 0.02 => 0.0,
            rate => rate,
        };
        let absorbing = wished > 0.0 && self.charge >= nearly_full;
        let current = if self.charge >= 1.0 { rate.min(0.0) } else { rate } * self.spec.capacity.0;
        let stated = self.spec.charge_efficiency;
        let stored = stated + 0.55 * (1.0 - stated) * self.truth.efficiency;
        let efficiency = match (current > 0.0, lead) {
            (true, true) => {
                stored.min(0.98) * interpolate(&[(0.8, 1.0), (0.92, 0.6), (1.0, 0.02)], self.charge)
            }
            (true, false) => stored.min(1.0),
            (false, _) => 1.0,
        };
        let hours = STEP.hours();
        self.charge += current * hours * efficiency / capacity - 0.0005 * hours / 24.0;
        self.charge = self.charge.clamp(0.0, 1.0);
        let (up, down) = self.spec.chemistry.polarisation();
        let target = (current / self.spec.capacity.0 / 0.4 * 0.15).clamp(-0.9 * down.0, 0.9 * up.0);
        self.polarisation += (target - self.polarisation) * 0.1;
        let rest = self.spec.open_circuit(StateOfCharge::clamped(self.charge), Some(Celsius(25.0))).0
            + series * self.spec.chemistry.spread().0 * self.truth.branch;
        let resistance = self.spec.internal_resistance.0 * (1.0 + 0.9 * self.truth.resistance);
        let mut voltage = rest + current * resistance + series * self.polarisation;
        if absorbing {
            voltage = self.spec.absorption_voltage.0;
        }
        sample(
            voltage + self.spec.voltage_error.0 * self.truth.voltage,
            current * (1.0 + self.spec.current_gain_error * self.truth.gain)
                + self.spec.current_offset_error.0 * self.truth.offset,
        )
    }
}

fn assert_ordered(bounds: ChargeBounds) {
    assert!(
        bounds.low <= bounds.best && bounds.best <= bounds.high,
        "{bounds:?}: low, best and high are out of order"
    );
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 96, ..ProptestConfig::default() })]

    /// Sensors inside their stated errors, a battery inside its stated tolerance: the bounds hold the truth,
    /// from a known start and from an unknown one, with readings that come and go.
    #[test]
    fn bounds_hold_the_truth(
        kind in 0usize..3, start in 0.0..1.0f64, truth in truth(), profile in profile(),
        gaps in prop::collection::vec((0u8..6, any::<bool>(), any::<bool>()), 24),
    ) {
        let spec = spec(CHEMISTRIES[kind]);
        let mut plant = Plant { spec: &spec, truth: &truth, charge: start, polarisation: 0.0 };
        let mut estimator = ChargeEstimator::unknown();
        for (part, (minutes, rate)) in profile.iter().enumerate() {
            let (gap, no_voltage, no_current) = gaps[part];
            for minute in 0..*minutes {
                let mut seen = plant.step(*rate);
                if gap == 0 {
                    if no_voltage { seen.voltage = None }
                    if no_current { seen.current = None }
                }
                if gap == 1 {
                    seen.power = seen.current.zip(seen.voltage).map(|(amps, volts)| volts * amps);
                    seen.current = None;
                }
                estimator.advance(&spec, STEP, &seen);
                let bounds = estimator.bounds();
                assert_ordered(bounds);
                prop_assert!(
                    bounds.low.ratio() <= plant.charge + 1e-9 && plant.charge <= bounds.high.ratio() + 1e-9,
                    "{:?}: the truth {} is outside {bounds:?} in minute {minute} of part {part}",
                    spec.chemistry, plant.charge,
                );
            }
        }
    }

    /// Whatever nonsense the sensors send, the bounds stay ordered and inside 0..=1.
    #[test]
    fn nonsense_keeps_the_order(
        kind in 0usize..3,
        readings in prop::collection::vec(
            (any::<f64>(), any::<f64>(), any::<f64>(), any::<f64>(), -60.0..2000.0f64, any::<f64>()), 1..200),
    ) {
        let mut spec = spec(CHEMISTRIES[kind]);
        spec.cut_level = Some(StateOfCharge::clamped(0.2));
        let mut estimator = ChargeEstimator::unknown();
        for (index, (voltage, current, power, temperature, dt, reported)) in readings.into_iter().enumerate() {
            let charge = StateOfCharge::clamped(reported);
            let by = if index % 2 == 0 { ReportedBy::Shunt } else { ReportedBy::VoltageGuess };
            let seen = BatterySample {
                voltage: (index % 3 != 0).then_some(Volts(if index % 5 == 0 { voltage } else { 20.0 + voltage % 9.0 })),
                current: (index % 4 != 0).then_some(Amps(if index % 7 == 0 { current } else { current % 300.0 })),
                power: Some(Watts(power % 9000.0)),
                temperature: Some(Celsius(temperature)),
                reported: Some(Reported { charge, uncertainty: by.uncertainty(spec.chemistry) }),
                cut: Some(index % 11 == 0),
            };
            estimator.advance(&spec, Seconds(dt), &seen);
            assert_ordered(estimator.bounds());
        }
    }

    /// Without readings the bounds only move apart, and further the longer it takes.
    #[test]
    fn missing_readings_only_widen(kind in 0usize..3, start in 0.1..0.9f64, minutes in 1u32..600) {
        let spec = spec(CHEMISTRIES[kind]);
        let mut estimator = settled(&spec, start);
        for _ in 0..minutes {
            let before = estimator.bounds();
            estimator.advance(&spec, STEP, &BatterySample::default());
            let after = estimator.bounds();
            prop_assert!(after.low <= before.low && after.high >= before.high, "{before:?} became {after:?}");
            prop_assert!(after.width() > before.width() || after.width() == 1.0);
        }
    }

    /// Same readings, same estimate to the last bit, also when it was stored and read back in between.
    #[test]
    fn same_readings_same_bits(kind in 0usize..3, truth in truth(), profile in profile()) {
        let spec = spec(CHEMISTRIES[kind]);
        let mut plant = Plant { spec: &spec, truth: &truth, charge: 0.6, polarisation: 0.0 };
        let mut one = ChargeEstimator::unknown();
        let mut other = ChargeEstimator::unknown();
        for (minutes, rate) in profile {
            for _ in 0..minutes.min(30) {
                let seen = plant.step(rate);
                one.advance(&spec, STEP, &seen);
                other.advance(&spec, STEP, &seen);
            }
            let stored = toml::to_string(&other).unwrap();
            other = toml::from_str(&stored).unwrap();
            prop_assert_eq!(&one, &other);
        }
    }

    /// The inverse of the open-circuit voltage holds the state of charge it came from.
    #[test]
    fn voltage_and_back(kind in 0usize..3, charge in 0.0..=1.0f64, celsius in -20.0..50.0f64) {
        let chemistry = CHEMISTRIES[kind];
        let at = Some(Celsius(celsius));
        let volts = chemistry.open_circuit(StateOfCharge::clamped(charge), at);
        let (low, high) = chemistry.charge_between(volts, volts, at);
        prop_assert!(low.ratio() <= charge && charge <= high.ratio(), "{charge}: {low:?}..{high:?}");
    }
}

/// An estimator that a shunt told where it stands.
fn settled(spec: &BatterySpec, charge: f64) -> ChargeEstimator {
    let mut estimator = ChargeEstimator::unknown();
    let reported = Some(Reported { charge: StateOfCharge::clamped(charge), uncertainty: 0.10 });
    let seen = BatterySample { current: Some(Amps(0.0)), reported, ..BatterySample::default() };
    for _ in 0..60 {
        estimator.advance(spec, STEP, &seen);
    }
    estimator
}

#[test]
fn a_flat_curve_says_little_and_a_steep_one_much() {
    let width = |chemistry: Chemistry, volts: f64| {
        let (low, high) = chemistry.charge_between(Volts(volts), Volts(volts), None);
        high.ratio() - low.ratio()
    };
    assert!(width(Chemistry::Lfp, 3.30) > 0.4, "LFP in the middle: {}", width(Chemistry::Lfp, 3.30));
    assert!(width(Chemistry::Lfp, 3.0) < 0.05, "LFP at the knee: {}", width(Chemistry::Lfp, 3.0));
    assert!(width(Chemistry::LeadAcidFlooded, 2.017) < 0.2);
}

#[test]
fn a_full_charge_is_recognised_and_counted_down_from() {
    for chemistry in CHEMISTRIES {
        let spec = spec(chemistry);
        let mut estimator = ChargeEstimator::unknown();
        for _ in 0..10 {
            estimator.advance(&spec, STEP, &sample(spec.absorption_voltage.0, 3.0));
        }
        let full = estimator.bounds();
        assert!(full.low.ratio() > 0.9 && full.high == StateOfCharge::FULL, "{chemistry:?}: {full:?}");
        for _ in 0..300 {
            let seen = BatterySample { current: Some(Amps(-20.0)), ..BatterySample::default() };
            estimator.advance(&spec, STEP, &seen);
        }
        let half = estimator.bounds();
        assert!(half.low.ratio() > 0.3 && half.high.ratio() < 0.6, "{chemistry:?}: {half:?}");
        assert!((half.best.ratio() - 0.5).abs() < 0.06, "{chemistry:?}: {half:?}");
    }
}

#[test]
fn a_daily_cycle_does_not_widen_by_the_capacity_tolerance_each_day() {
    let mut spec = spec(Chemistry::Lfp);
    spec.current_gain_error = 0.0;
    spec.current_offset_error = Amps::ZERO;
    spec.charge_efficiency = 1.0;
    let mut estimator = settled(&spec, 0.6);
    let start = estimator.bounds().width();
    for _ in 0..10 {
        for current in [-20.0, 20.0] {
            for _ in 0..180 {
                let seen = BatterySample { current: Some(Amps(current)), ..BatterySample::default() };
                estimator.advance(&spec, STEP, &seen);
            }
        }
    }
    let grown = estimator.bounds().width() - start;
    assert!(grown < 0.03, "ten cycles of 30 % with a capacity known to 10 % widened the bounds by {grown}");
}

#[test]
fn one_voltage_spike_narrows_nothing() {
    let spec = spec(Chemistry::Lfp);
    let mut estimator = settled(&spec, 0.6);
    let second = Seconds(1.0);
    for _ in 0..59 {
        estimator.advance(&spec, second, &sample(26.5, -5.0));
    }
    let before = estimator.bounds();
    estimator.advance(&spec, second, &sample(14.0, -5.0));
    let after = estimator.bounds();
    assert!((after.high.ratio() - before.high.ratio()).abs() < 0.001, "{before:?} became {after:?}");
    assert!((after.low.ratio() - before.low.ratio()).abs() < 0.001, "{before:?} became {after:?}");
}

#[test]
fn a_charger_in_float_is_no_rest() {
    let spec = spec(Chemistry::Lfp);
    let mut estimator = ChargeEstimator::unknown();
    for _ in 0..600 {
        estimator.advance(&spec, STEP, &sample(8.0 * 3.5, 0.5));
    }
    assert!(estimator.bounds().low.ratio() < 0.5, "{:?}", estimator.bounds());
}

#[test]
fn a_trickle_keeps_some_polarisation() {
    let spec = spec(Chemistry::Lfp);
    let after = |amps: f64| {
        let mut estimator = ChargeEstimator::unknown();
        for _ in 0..600 {
            let seen = BatterySample { current: Some(Amps(amps)), ..BatterySample::default() };
            estimator.advance(&spec, STEP, &seen);
        }
        estimator.advance(&spec, STEP, &sample(8.0 * 3.1, amps));
        estimator.bounds().high.ratio()
    };
    let (trickle, rest) = (after(-3.0), after(0.0));
    // 3 A into the upper limit of the resistance is 4 mΩ · 3.3 A: less than 2 mV a cell, 0.1 % here.
    assert!(trickle > rest + 0.002, "{trickle} at C/67, {rest} at rest");
}

#[test]
fn an_empty_battery_is_seen_by_its_voltage() {
    let spec = spec(Chemistry::Lfp);
    let mut estimator = settled(&spec, 0.5);
    for _ in 0..10 {
        estimator.advance(&spec, STEP, &sample(8.0 * 2.6, -20.0));
    }
    let bounds = estimator.bounds();
    assert!(bounds.high.ratio() < 0.15 && bounds.low.ratio() < 0.05, "{bounds:?}");
}

#[test]
fn a_monitor_that_is_stuck_is_set_aside() {
    let spec = spec(Chemistry::Lfp);
    let mut estimator = settled(&spec, 0.7);
    let reported = Some(Reported { charge: StateOfCharge::clamped(0.7), uncertainty: 0.10 });
    for _ in 0..360 {
        let seen = BatterySample { current: Some(Amps(-20.0)), reported, ..BatterySample::default() };
        estimator.advance(&spec, STEP, &seen);
    }
    let bounds = estimator.bounds();
    assert!(bounds.best.ratio() < 0.25, "six hours at C/10 from 70 %: {bounds:?}");
}

#[test]
fn a_cut_says_where_the_battery_stands_once() {
    let mut spec = spec(Chemistry::LeadAcidSealed);
    spec.cut_level = Some(StateOfCharge::clamped(0.2));
    let mut estimator = ChargeEstimator::unknown();
    let seen = BatterySample { current: Some(Amps(0.0)), cut: Some(true), ..BatterySample::default() };
    estimator.advance(&spec, Seconds(1.0), &seen);
    let bounds = estimator.bounds();
    assert!((0.09..0.11).contains(&bounds.low.ratio()) && (0.29..0.31).contains(&bounds.high.ratio()));
    let charging = BatterySample { current: Some(Amps(60.0)), cut: Some(true), ..BatterySample::default() };
    for _ in 0..90 {
        estimator.advance(&spec, STEP, &charging);
    }
    assert!(estimator.bounds().low.ratio() > 0.4, "{:?}", estimator.bounds());
}

#[test]
fn a_long_gap_counts_as_unmeasured() {
    let spec = spec(Chemistry::Lfp);
    let mut estimator = settled(&spec, 0.5);
    let seen = BatterySample { current: Some(Amps(0.0)), ..BatterySample::default() };
    estimator.advance(&spec, Seconds(4.0 * 3600.0), &seen);
    assert_eq!(estimator.bounds().low, StateOfCharge::EMPTY);
    assert_eq!(estimator.bounds().high, StateOfCharge::FULL);
}

#[test]
fn figures_of_a_battery_follow_from_its_description() {
    let bank = BatterySpec::new(Chemistry::Lfp, AmpHours(100.0), 16);
    assert!((bank.nominal_energy().0 - 5120.0).abs() < 1e-9);
    assert!((bank.internal_resistance.0 - 0.008).abs() < 1e-9);
    assert!((bank.usable_capacity(Some(Celsius(0.0))).0 - 88.0).abs() < 1e-9);
    assert!((bank.usable_capacity(None).0 - 100.0).abs() < 1e-9);
    assert!(bank.check().is_ok());
    let lead = BatterySpec::new(Chemistry::LeadAcidFlooded, AmpHours(100.0), 6);
    assert!((lead.usable_capacity(Some(Celsius(0.0))).0 - 84.0).abs() < 1e-9);
    assert!((lead.absorption_at(Some(Celsius(35.0))).0 - 14.4).abs() < 1e-9);
    assert!((lead.open_circuit(StateOfCharge::FULL, None).0 - 12.732).abs() < 1e-9);
}

#[test]
fn impossible_batteries_are_refused_with_the_reason() {
    let good = spec(Chemistry::Lfp);
    let cases = [
        (BatterySpec { cells: 0, ..good.clone() }, "cells is 0, expected at least 1"),
        (
            BatterySpec { capacity: AmpHours(f64::NAN), ..good.clone() },
            "capacity is NaN, expected more than 0",
        ),
        (BatterySpec { capacity_tolerance: 0.9, ..good.clone() }, "capacity_tolerance is 0.9"),
        (BatterySpec { charge_efficiency: 0.2, ..good.clone() }, "charge_efficiency is 0.2"),
        (BatterySpec { worst_discharge: Watts(-1.0), ..good }, "worst_discharge is -1, expected 0 or more"),
    ];
    for (wrong, message) in cases {
        let said = wrong.check().unwrap_err().to_string();
        assert!(said.contains(message), "{said}");
    }
}

#[test]
fn a_battery_that_is_full_each_day_is_known_well() {
    for chemistry in CHEMISTRIES {
        let spec = spec(chemistry);
        let truth = Truth {
            capacity: -0.5,
            gain: 0.5,
            offset: -0.5,
            voltage: 0.2,
            branch: 0.3,
            resistance: 0.2,
            efficiency: 0.0,
        };
        let mut plant = Plant { spec: &spec, truth: &truth, charge: 0.5, polarisation: 0.0 };
        let mut estimator = ChargeEstimator::unknown();
        let (mut widest, mut worst) = (0.0f64, 0.0f64);
        for minute in 0..4 * 1440 {
            let seen = plant.step(if minute % 1440 < 480 { 0.16 } else { -0.035 });
            estimator.advance(&spec, STEP, &seen);
            if minute >= 1440 {
                let bounds = estimator.bounds();
                widest = widest.max(bounds.width());
                worst = worst.max((bounds.best.ratio() - plant.charge).abs());
            }
        }
        println!("{chemistry:?}: bounds at most {widest:.3} apart, best figure off by {worst:.3} at most");
        let limit = if chemistry.is_lead_acid() { 0.30 } else { 0.20 };
        assert!(widest < limit && worst < 0.05, "{chemistry:?}: {widest} apart, {worst} off");
    }
}
