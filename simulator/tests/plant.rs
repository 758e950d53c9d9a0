//! What must hold of every simulated home: no energy appears or vanishes, a battery is never below empty or
//! above full, and the same seed gives the same summary byte for byte.
#![allow(clippy::expect_used, clippy::panic, reason = "helpers of a test fail by panicking")]

use core::time::Duration;

use proptest::prelude::*;
use sunkeep_simulator::plant::{Chemistry, HomeSpec, Plant, SolarHome, Stage};

const START: i64 = 1_740_776_400;
const MINUTE: Duration = Duration::from_mins(1);

fn home(seed: u64) -> SolarHome {
    SolarHome::new(HomeSpec::from_seed(seed, START)).expect("a zone that exists")
}

fn days(home: &mut SolarHome, days: u32) {
    for _ in 0..days * 1440 {
        home.advance(MINUTE);
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, ..ProptestConfig::default() })]

    #[test]
    fn energy_balance_closes(
        seed in 0_u64..100_000,
        step in 1_u64..3600,
        allowed in proptest::collection::vec(any::<u8>(), 1..40),
        generator in proptest::option::of((0_i64..172_800, 60_i64..40_000, 100.0..2000.0)),
    ) {
        println!("seed {seed}");
        let mut spec = HomeSpec::from_seed(seed, START);
        spec.generator = generator
            .map(|(after, lasts, power)| sunkeep_simulator::plant::GeneratorRun { after, lasts, power })
            .into_iter()
            .collect();
        let mut home = SolarHome::new(spec).expect("a zone that exists");
        let (energy, span) = (home.battery_energy(), Duration::from_secs(step));
        let steps = (3 * 86_400 / step).max(1);
        for number in 0..steps {
            let mask = allowed[number as usize * allowed.len() / steps as usize];
            for load in 0..8 {
                home.permit(load, mask >> load & 1 == 1);
            }
            home.advance(span);
            prop_assert!((0.0..=1.0).contains(&home.charge()), "charge {}", home.charge());
        }
        let ledger = home.ledger();
        let moved = ledger.pv_used + ledger.generator + ledger.discharged;
        prop_assert!(ledger.imbalance().abs() < 1e-6 * moved.max(1.0), "{} of {moved} Wh", ledger.imbalance());
        prop_assert!((home.battery_energy() - energy - ledger.stored).abs() < 1e-6 * moved.max(1.0));
        prop_assert!(ledger.battery_loss > -1e-9 * moved, "the battery made {} Wh", -ledger.battery_loss);
        prop_assert!(ledger.curtailed() > -1e-9, "{} Wh more than there was", -ledger.curtailed());
        prop_assert!(ledger.unserved.iter().all(|wh| *wh > -1e-9));
    }
}

#[test]
fn same_seed_same_bytes_whatever_else_the_machine_does() {
    println!("seed 11");
    let run = || {
        let mut home = home(11);
        days(&mut home, 4);
        serde_json::to_string(&Plant::Synthetic(Box::new(home)).summary(MINUTE)).expect("a summary")
    };
    let alone = run();
    let crowd: Vec<_> = std::thread::scope(|scope| {
        let runs: Vec<_> = (0..6).map(|_| scope.spawn(run)).collect();
        runs.into_iter().map(|run| run.join().expect("a run")).collect()
    });
    assert!(crowd.iter().all(|summary| *summary == alone), "{alone}\n{crowd:?}");
    let mut other = home(12);
    days(&mut other, 4);
    let other = serde_json::to_string(&Plant::Synthetic(Box::new(other)).summary(MINUTE)).expect("a summary");
    assert_ne!(alone, other);
}

#[test]
fn how_time_is_cut_changes_little() {
    println!("seed 5");
    let mut fine = home(5);
    let mut coarse = home(5);
    for _ in 0..5 * 86_400 / 20 {
        fine.advance(Duration::from_secs(20));
    }
    for _ in 0..5 * 24 {
        coarse.advance(Duration::from_hours(1));
    }
    assert_eq!(fine.unix(), coarse.unix());
    let difference = fine.ledger().pv_used - coarse.ledger().pv_used;
    assert!(difference.abs() < 1e-6 * fine.ledger().pv_used, "{difference} Wh");
}

#[test]
fn both_chemistries_go_through_the_stages_of_a_charge() {
    for chemistry in [Chemistry::Lfp, Chemistry::LeadAcid] {
        let seed = (0..100).find(|seed| HomeSpec::from_seed(*seed, START).battery.chemistry == chemistry);
        let seed = seed.expect("a home of this chemistry");
        println!("seed {seed}");
        let mut spec = HomeSpec::from_seed(seed, START);
        // A sunny place with few appliances, so that the battery fills every day.
        spec.climate.clear_days = 1.0;
        spec.climate.overcast_days = 0.0;
        spec.appliances.truncate(2);
        spec.array.rated = 500.0;
        let set = spec.charger;
        let mut home = SolarHome::new(spec).expect("a zone that exists");
        days(&mut home, 1);
        let mut order = vec![];
        for _ in 0..1440 {
            home.advance(MINUTE);
            if order.last() != Some(&home.stage()) {
                order.push(home.stage());
            }
            let warm = set.compensation * (home.readings().battery_temperature - 25.0);
            let highest = set.absorption + warm.max(0.0) + 0.6;
            assert!(home.readings().battery_voltage < highest, "{} V", home.readings().battery_voltage);
        }
        let rest = [Stage::Off, Stage::Bulk, Stage::Absorption, Stage::Float, Stage::Off];
        assert_eq!(order, rest, "{chemistry:?}");
        assert!(home.ledger().greatest_charge > 0.97, "{}", home.ledger().greatest_charge);
        assert!(home.ledger().curtailed() > 0.1 * home.ledger().pv_available);
    }
}

#[test]
fn the_hardware_cuts_the_loads_and_gives_them_back() {
    println!("seed 3");
    let mut spec = HomeSpec::from_seed(3, START);
    spec.battery.initial = 0.15;
    spec.array.rated *= 0.25;
    let set = spec.charger;
    let mut home = SolarHome::new(spec).expect("a zone that exists");
    let (mut cut_at, mut back_at) = (None, None);
    for _ in 0..4 * 1440 {
        let before = home.readings().clone();
        home.advance(MINUTE);
        let now = home.readings();
        if now.disconnected && !before.disconnected {
            cut_at.get_or_insert(before.battery_voltage);
        }
        if before.disconnected && !now.disconnected {
            back_at.get_or_insert(now.battery_voltage);
        }
        if now.disconnected {
            assert_eq!(now.load_power, 0.0);
        }
    }
    let ledger = home.ledger();
    assert!(ledger.disconnects > 0 && ledger.disconnected_seconds > 600.0, "{ledger:?}");
    assert!(ledger.unserved[0] > 0.0, "even lights and medicine went without");
    assert!(cut_at.expect("a cut") < set.disconnect + 1.0, "{cut_at:?}");
    assert!(back_at.expect("a return") > set.reconnect - 0.5, "{back_at:?}");
}

#[test]
fn a_generator_is_charge_without_sun() {
    println!("seed 8");
    let mut spec = HomeSpec::from_seed(8, START);
    spec.battery.initial = 0.4;
    spec.array.rated = 0.0;
    spec.generator = vec![sunkeep_simulator::plant::GeneratorRun { after: 3600, lasts: 7200, power: 500.0 }];
    let mut home = SolarHome::new(spec).expect("a zone that exists");
    home.advance(Duration::from_hours(2));
    let seen = home.readings();
    assert!(seen.battery_current > 5.0 && seen.pv_power == 0.0 && seen.charge_power == 0.0, "{seen:?}");
    home.advance(Duration::from_hours(2));
    assert!(home.readings().battery_current < 0.0);
    assert!((home.ledger().generator - 1000.0).abs() < 1.0);
    assert_eq!(home.ledger().pv_used, 0.0);
}

#[test]
fn homes_are_of_a_size_that_makes_planning_worth_while() {
    // Over many homes: most demand can be met, and some cannot.
    let (mut served, mut wanted, mut short) = (0.0, 0.0, 0);
    for seed in 0..12 {
        let mut home = home(seed).with_grain(MINUTE);
        days(&mut home, 14);
        let ledger = home.ledger();
        let got: f64 = ledger.served.iter().sum();
        served += got;
        wanted += got + ledger.unserved.iter().sum::<f64>();
        short += i32::from(ledger.disconnects > 0);
        println!(
            "seed {seed}: {:.0} Wh/day wanted, {:.1} % served, {:.0} Wh/day of sun, {} cuts, charge {:.2}..{:.2}",
            (got + ledger.unserved.iter().sum::<f64>()) / 14.0,
            100.0 * got / (got + ledger.unserved.iter().sum::<f64>()),
            ledger.pv_available / 14.0,
            ledger.disconnects,
            ledger.least_charge,
            ledger.greatest_charge,
        );
    }
    assert!((0.75..0.99).contains(&(served / wanted)), "{:.3} of the demand served", served / wanted);
    assert!((2..12).contains(&short), "{short} of 12 homes ran dry");
}

#[test]
fn the_battery_side_carries_the_appliances_and_the_inverter() {
    println!("seed 2");
    let mut home = home(2);
    let (efficiency, idle) = (home.spec().inverter_efficiency, home.spec().inverter_idle);
    let mut running = 0;
    for _ in 0..1440 {
        home.advance(MINUTE);
        let seen = home.readings();
        let appliances: f64 = seen.phases.iter().sum();
        let expected = if appliances > 0.0 { appliances / efficiency + idle } else { 0.0 };
        assert!((seen.load_power - expected).abs() < 1e-9, "{} W for {appliances} W", seen.load_power);
        // What leaves the battery is what the loads, hub and modem draw beyond what the sun brings.
        let drawn = seen.battery_voltage * seen.battery_current + expected + home.spec().standing;
        assert!((drawn - seen.charge_power).abs() < 1e-6, "{drawn} W drawn, {} W charged", seen.charge_power);
        running += i32::from(appliances > 0.0);
    }
    assert!(running > 100, "{running} minutes with something running");
}

#[test]
fn a_change_to_one_thing_leaves_the_others_as_they_were() {
    println!("seed 9");
    let whole = HomeSpec::from_seed(9, START);
    let mut without = whole.clone();
    without.appliances.remove(7);
    // People's wishes and the sky are what is compared: nobody may run out of power.
    let run = |mut spec: HomeSpec| {
        spec.array.rated *= 5.0;
        spec.battery.capacity *= 20.0;
        spec.battery.resistance /= 20.0;
        let mut home = SolarHome::new(spec).expect("a zone that exists");
        let mut used = Vec::new();
        for _ in 0..3 * 1440 {
            home.advance(MINUTE);
            let [critical, important, _] = home.readings().phases;
            used.push((critical, important, home.ledger().pv_available));
        }
        used
    };
    let (whole, without) = (run(whole), run(without));
    assert_eq!(whole, without);
    let peak = |place: fn(&(f64, f64, f64)) -> f64| whole.iter().map(place).fold(0.0, f64::max);
    assert!(peak(|it| it.0) > 0.0 && peak(|it| it.1) > 0.0);
}
