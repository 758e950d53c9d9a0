//! Policies of the field on the power benchmark's plant: each is the reference's own where that has it, and those who
//! are told more do better.
#![allow(clippy::expect_used, clippy::panic, reason = "helpers of a test fail by panicking")]

use std::path::{Path, PathBuf};

use rand::{RngExt as _, SeedableRng as _};
use rand_chacha::ChaCha8Rng;
use sunkeep_simulator::plant::{Row, Series};
use sunkeep_simulator::policy::{BatteryLife, Policy};
use sunkeep_simulator::power::{Options, Planner, play, play_rule};

const WHOLE: Options = Options {
    planner: Planner::None,
    hold: true,
    start_unix: None,
    days: None,
    one_meter: false,
    without: None,
};

fn shared() -> Option<PathBuf> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared/power_benchmark");
    if path.exists() {
        return Some(path);
    }
    println!("skipped: no ../shared/power_benchmark");
    None
}

/// A home with too little sun in some weeks and too much in others.
fn made_up(seed: u64, days: usize, row_seconds: i64) -> Series {
    println!("seed {seed}");
    let mut random = ChaCha8Rng::seed_from_u64(seed);
    let rows_a_day = (86_400 / row_seconds) as usize;
    let mut rows = Vec::new();
    for day in 0..days {
        let noon = if day / 7 % 2 == 0 { 300.0 } else { 750.0 } * random.random_range(0.3..1.3);
        for row in 0..rows_a_day {
            let hour = row as f64 * 24.0 / rows_a_day as f64;
            let height = 1.0 - ((hour - 12.0) / 6.0) * ((hour - 12.0) / 6.0);
            let demand = [40.0, 60.0 * random.random::<f64>(), 120.0 * random.random::<f64>()];
            rows.push(Row { pv: (noon * height).max(0.0), demand });
        }
    }
    Series { name: "made-up".into(), battery_wh: 2400.0, start_unix: 1_480_550_400, row_seconds, rows }
}

/// Levels below which a tier goes and above which it returns, written down once more from the reference.
fn levels(policy: Policy, hour: f64) -> [(f64, f64); 3] {
    let never = (-1.0, -1.0);
    match policy {
        Policy::ThreeTiers => [never, (0.30, 0.40), (0.50, 0.60)],
        Policy::TiersByTime if (6.0..22.0).contains(&hour) => [never, (0.30, 0.40), (0.40, 0.80)],
        Policy::TiersByTime => [never, (0.25, 0.35), (0.30, 0.40)],
        Policy::Disconnect | Policy::BatteryLife => [never; 3],
    }
}

/// The reference's plant and policy, row by row: what is on, and what each tier went without, Wh.
fn reference(series: &Series, policy: Policy) -> (Vec<[bool; 3]>, [f64; 3]) {
    let (capacity, hours) = (series.battery_wh, series.row_seconds as f64 / 3600.0);
    let (mut energy, mut open, mut on) = (0.8 * capacity, false, [true; 3]);
    let (mut switches, mut missing) = (Vec::new(), [0.0; 3]);
    for (place, row) in series.rows.iter().enumerate() {
        let charge = energy / capacity;
        for (on, (off, back)) in on.iter_mut().zip(levels(policy, place as f64 * hours % 24.0)) {
            if charge < off {
                *on = false;
            } else if charge > back {
                *on = true;
            }
        }
        switches.push(on);
        open = open && energy < 0.3 * capacity;
        let want = [0, 1, 2].map(|tier| if on[tier] && !open { row.demand[tier] * hours } else { 0.0 });
        let (wanted, sun, most) = (want.iter().sum::<f64>(), row.pv * hours, capacity / 5.0 * hours);
        let can_give = 0.95 * (energy - 0.2 * capacity).max(0.0);
        let mut share = 1.0;
        if sun >= wanted {
            energy = capacity.min(energy + 0.95 * most.min(sun - wanted));
        } else if can_give >= wanted - sun {
            energy -= (wanted - sun) / 0.95;
        } else {
            share = can_give / (wanted - sun);
            open = true;
            energy = 0.2 * capacity + 0.95 * sun.min(most) * (1.0 - share);
        }
        for tier in 0..3 {
            missing[tier] += row.demand[tier] * hours - want[tier] * share;
        }
    }
    (switches, missing)
}

#[test]
fn the_policies_are_the_references_to_the_watt_hour() {
    for (seed, row_seconds) in [(1, 3600), (2, 1800)] {
        let series = made_up(seed, 120, row_seconds);
        for policy in [Policy::Disconnect, Policy::ThreeTiers, Policy::TiersByTime] {
            let (switches, missing) = reference(&series, policy);
            let played = play_rule(series.clone(), "UTC", policy, WHOLE).expect("a run");
            assert_eq!(played.switches, switches, "{policy:?}");
            for (tier, (found, expected)) in played.unserved.iter().zip(missing).enumerate() {
                assert!(
                    (found - expected).abs() < 1.0,
                    "{policy:?}, tier {tier}: {found} Wh, expected {expected}"
                );
            }
            let shed = switches.iter().flatten().filter(|on| !**on).count();
            assert_eq!(shed > 0, policy != Policy::Disconnect, "{policy:?} has something to do in this home");
        }
    }
}

#[test]
fn on_the_benchmarks_sites_the_policies_find_the_references_figures() {
    let Some(shared) = shared() else { return };
    let results = std::fs::read_to_string(shared.join("results.csv")).expect("the reference's results");
    let named = [
        ("disconnect only", Policy::Disconnect),
        ("three tiers", Policy::ThreeTiers),
        ("tiers by time of day", Policy::TiersByTime),
    ];
    let mut compared = 0;
    for line in results.lines() {
        let fields: Vec<&str> = line.split(',').collect();
        let Some((_, policy)) = named.iter().find(|(name, _)| fields.get(1) == Some(name)) else { continue };
        let figure = |place: usize| fields[place].parse::<f64>().expect("a figure");
        let series = Series::read(&shared.join(format!("sites/{}.csv", fields[0]))).expect("the site");
        let score = play_rule(series, "America/Los_Angeles", *policy, WHOLE).expect("a run").score;
        let found = [
            (score.cost, figure(2), 0.011),
            (score.unserved_critical, figure(4), 1.1e-4),
            (score.unserved_important, figure(5), 1.1e-4),
            (score.unserved_convenience, figure(6), 1.1e-4),
            (score.critical_hours_lost, figure(7), 0.01),
            (score.switches_a_day, figure(8), 0.011),
        ];
        for (found, expected, within) in found {
            assert!((found - expected).abs() < within, "{line}: {found}, the reference says {expected}");
        }
        compared += 1;
    }
    assert_eq!(compared, 27);
}

/// Up by 5 % on the first visit of a day and again after a whole day below; down by 5 % each at 85 and 95 %, once a day;
/// never outside of 20 and 80 %.
#[test]
fn the_floor_of_battery_life_moves_as_victron_moves_it() {
    let mut life = BatteryLife::default();
    let mut at = |hours: f64, charge: f64| (life.levels(hours, charge).0 * 100.0).round();
    assert_eq!(at(1.0, 0.5), 20.0);
    assert_eq!(at(2.0, 0.2), 25.0, "at the floor");
    assert_eq!(at(3.0, 0.3), 25.0, "back, more than 3 % above");
    assert_eq!(at(4.0, 0.24), 25.0, "once a day");
    assert_eq!(at(20.0, 0.2), 25.0);
    assert_eq!(at(28.5, 0.2), 30.0, "a day below");
    assert_eq!(at(29.0, 0.34), 30.0);
    assert_eq!(at(30.0, 0.86), 25.0, "charged");
    assert_eq!(at(31.0, 0.5), 25.0);
    assert_eq!(at(32.0, 0.96), 20.0, "full");
    assert_eq!(at(33.0, 0.99), 20.0);
    let mut highest = 0.0_f64;
    for day in 2..60 {
        highest = highest.max(at(f64::from(day) * 24.0 + 1.0, 0.1));
        at(f64::from(day) * 24.0 + 2.0, 0.84);
    }
    assert_eq!(highest, 80.0);
}

#[test]
fn who_is_told_more_does_better() {
    let series = made_up(5, 16, 3600);
    let cost = |planner: Planner| {
        let score = play(series.clone(), "UTC", Options { planner, ..WHOLE }).expect("a run").score;
        println!("{planner:?}: {}", score.cost);
        score.cost
    };
    let disconnect = play_rule(series.clone(), "UTC", Policy::Disconnect, WHOLE).expect("a run").score.cost;
    let (told, past) = (cost(Planner::Told), cost(Planner::Past));
    let persistence = cost(Planner::Persistence);
    assert!(told < past, "48 hours told: {told}, the past alone: {past}");
    assert!(told < persistence && persistence < disconnect, "{told} {persistence} {disconnect}");
}
