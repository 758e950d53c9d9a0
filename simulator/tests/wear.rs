//! The model of wear against figures that were published, and a lead-acid home lived through for a while.
#![allow(clippy::expect_used, reason = "helpers of a test fail by panicking")]

use sunkeep_simulator::lifetime::{Decides, lead_acid_seeds, live};
use sunkeep_simulator::plant::wear::{Wear, WearSpec, Work};
use sunkeep_simulator::policy::Policy;

/// A tubular flooded bank as in R. Dufo-López et al., Appl. Sci. 2021, 11, 1099: 270 Ah, 1258 full cycles, 20 years
/// of float at 20 °C.
const TUBULAR: WearSpec =
    WearSpec { capacity: 270.0, cycles: 1258.0, float_years: 20.0, float_temperature: 20.0, height: 0.20 };

fn rest(charge: f64) -> f64 {
    2.1 - 0.076 * (1.0 - charge)
}

fn work(hours: f64, current: f64, charge: f64, temperature: f64) -> Work {
    Work { hours, current, cell: rest(charge), rest: rest(charge), charge, temperature }
}

/// Draws `ampere_hours` in one hour after `hours` at `charge`; how much more each counts.
fn weight(wear: &mut Wear, hours: u32, charge: f64, capacity: f64) -> f64 {
    for _ in 0..hours {
        wear.step(work(1.0, 0.0, charge, 20.0));
    }
    let before = (wear.cycles(), wear.weighted());
    wear.step(work(1e-6, -capacity / 10.0, charge, 20.0));
    (wear.weighted() - before.1) / (wear.cycles() - before.0)
}

/// Schiffer et al.: the influence of the state of charge grows by 6.614e-5 an hour, and by 3.307e-3 an hour times the
/// depth of the deepest discharge since the last full charge.
#[test]
fn an_ampere_hour_counts_for_more_the_longer_and_the_deeper() {
    for (days, charge) in [(1, 0.8), (7, 0.3), (30, 0.5), (100, 0.0)] {
        let mut wear = Wear::new(WearSpec::usual(100.0));
        wear.step(work(1.0, 0.0, charge, 20.0));
        let weight = weight(&mut wear, days * 24 - 1, charge, 100.0);
        let published = 1.0 + (6.614e-5 + 3.307e-3 * (1.0 - charge)) * f64::from(days) * 24.0;
        assert!((weight - published).abs() < 1e-3, "{days} days at {charge}: {weight}, expected {published}");
    }
}

/// The same: a full charge forgets time and depth.
#[test]
fn a_full_charge_forgets_what_was() {
    let mut wear = Wear::new(WearSpec::usual(100.0));
    assert!(weight(&mut wear, 500, 0.3, 100.0) > 2.0);
    wear.step(work(1.0, 5.0, 0.9995, 20.0));
    assert!(weight(&mut wear, 1, 0.9995, 100.0) > 2.0, "99.95 % is not full");
    wear.step(work(1.0, 5.0, 1.0, 20.0));
    assert!((weight(&mut wear, 1, 1.0, 100.0) - 1.0).abs() < 1e-6);
}

/// Schiffer et al.: coarse crystals by small currents and bad charges, sqrt(I10 / I) and exp(n / 10.8), where a charge
/// that ends at 95 % is one bad charge, and one that ends at 90 % or at 100 % none.
#[test]
fn bad_charges_and_small_currents_make_coarse_crystals() {
    let factor = |ends: &[f64], current: f64| {
        let mut wear = Wear::new(WearSpec::usual(100.0));
        for &end in ends {
            wear.step(work(1.0, 5.0, end, 20.0));
            wear.step(work(1.0, -current, 0.9, 20.0));
            wear.step(work(1.0, -current, 0.88, 20.0));
        }
        // After a thousand hours the acid has mixed, and what grows is the influence of the state of charge.
        let (early, late) = (weight(&mut wear, 1000, 0.88, 100.0), weight(&mut wear, 1000, 0.88, 100.0));
        (late - early) / 1000.0 / (6.614e-5 + 3.307e-3 * 0.12)
    };
    let close = |found: f64, published: f64| (found / published - 1.0).abs() < 1e-3;
    for (ends, current, published) in [
        (vec![0.9], 10.0, 1.0),
        (vec![0.9], 2.5, 2.0),
        (vec![0.9; 11], 10.0, 1.0),
        (vec![0.95; 11], 10.0, (11.0_f64 / 10.8).exp()),
        (vec![0.925; 4], 10.0, (3.0_f64 / 10.8).exp()),
        (vec![0.95, 1.0, 0.95], 10.0, (1.0_f64 / 10.8).exp()),
    ] {
        let found = factor(&ends, current);
        assert!(close(found, published), "{ends:?} and {current} A: {found}, expected {published}");
    }
}

/// The data sheet's own figure: in float at 25 °C the grid lasts as long as it says, and half as long 15 K above.
#[test]
fn float_life_is_that_of_the_data_sheet_and_halves_with_fifteen_kelvin() {
    let years = |temperature: f64| {
        let mut wear = Wear::new(WearSpec::usual(100.0));
        for _ in 0..2000 {
            wear.step(Work { cell: 2.23, rest: 2.1, ..work(1.0, 0.0, 1.0, temperature) });
        }
        wear.years()
    };
    assert!((years(25.0) - 10.0).abs() < 0.15, "{}", years(25.0));
    assert!((years(40.0) - 5.0).abs() < 0.08, "{}", years(40.0));
}

/// A day of a stand-alone home: discharged over 16 hours, charged over 8 and held at `absorption` V a cell.
fn day(wear: &mut Wear, depth: f64, temperature: f64, full: bool) {
    let capacity = TUBULAR.capacity;
    let top = if full { 1.0 } else { 0.97 };
    for hour in 1..=16 {
        let charge = top - depth * f64::from(hour) / 16.0;
        let cell = rest(charge) - 0.02;
        let current = -depth * capacity / 16.0;
        wear.step(Work { cell, ..work(1.0, current, charge, temperature) });
    }
    for hour in 1..=8 {
        let charge = (top - depth + depth * f64::from(hour) / 6.0).min(top);
        let cell = if hour > 5 { 2.4 } else { rest(charge) + 0.12 };
        let current = if hour <= 6 { depth * capacity / 6.0 } else { 0.0 };
        wear.step(Work { cell, ..work(1.0, current, charge, temperature) });
    }
}

fn years(depth: f64, temperature: f64, full_every: u32) -> f64 {
    let mut wear = Wear::new(TUBULAR);
    for number in 0..730 {
        day(&mut wear, depth, temperature, number % full_every == 0);
    }
    println!("depth {depth}, {temperature} °C, full every {full_every} days: {:.1} years", wear.years());
    wear.years()
}

/// What the paper is for is ranking: seldom full, deep or hot is worse, and who is full every day lives for 1.6 times
/// the cycles of the data sheet at most. How long homes were published to live (12 and 5 years in the paper above) cannot be
/// compared: their conditions are not in what could be read of it.
#[test]
fn seldom_full_deep_and_hot_are_ranked_as_published() {
    let often = years(0.32, 20.0, 1);
    let rated = TUBULAR.cycles / 0.32 / 365.25;
    assert!(often < 1.6 * rated && often > 1.2 * rated, "{often} years, by cycles alone {rated}");
    let monthly = years(0.32, 20.0, 30);
    assert!(monthly < 0.7 * years(0.32, 20.0, 3), "{monthly} years where it is full once a month");
    assert!(monthly < rated, "counting cycles promises {rated} years");
    assert!(years(0.64, 20.0, 30) < 0.5 * monthly, "deep cycles");
    assert!(years(0.10, 40.0, 3) < 0.7 * years(0.10, 20.0, 3), "heat");
}

/// A home that is short of sun, for two months from the dry season into the rain: the planner's battery wears less
/// than that of three tiers, and less critical and important energy is missed.
#[test]
fn the_planners_battery_lasts_longer_than_that_of_three_tiers() {
    let seed = lead_acid_seeds(2)[1];
    println!("seed {seed}");
    let lived = |decides: Decides| {
        let lived = live(seed, 1_714_521_600, 60, 1.0, decides).expect("a home");
        println!("{lived:?}");
        lived
    };
    let planner = lived(Decides::Hub);
    let tiers = lived(Decides::Rule(Policy::ThreeTiers));
    assert!(planner.years > 1.1 * tiers.years, "{} years, under three tiers {}", planner.years, tiers.years);
    assert!(planner.weighted < tiers.weighted);
    let missed = |[critical, important, _]: [f64; 3]| critical + important;
    assert!(missed(planner.unserved) < missed(tiers.unserved), "{planner:?} {tiers:?}");
    assert!(planner.unserved[0] < tiers.unserved[0]);
}
