//! The power benchmark's rules: the plant is the reference's to the watt-hour, nothing of the future or of what
//! nobody measured is known, and the command writes what the scorer reads.
#![allow(clippy::expect_used, clippy::panic, reason = "helpers of a test fail by panicking")]

use core::time::Duration;
use std::path::{Path, PathBuf};
use std::process::Command;

use rand::{RngExt as _, SeedableRng as _};
use rand_chacha::ChaCha8Rng;
use serde_json::Value;
use sunkeep_simulator::plant::{RecordedHome, Row, Series};
use sunkeep_simulator::power::{Options, Planner, Played, play};

const ZONE: &str = "UTC";

fn shared() -> Option<PathBuf> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared/power_benchmark");
    if path.exists() {
        return Some(path);
    }
    println!("skipped: no ../shared/power_benchmark");
    None
}

/// A made-up home with too little sun: bright and dark days, demand that comes and goes.
fn made_up(seed: u64, days: usize, row_seconds: i64) -> Series {
    println!("seed {seed}");
    let mut random = ChaCha8Rng::seed_from_u64(seed);
    let rows_a_day = (86_400 / row_seconds) as usize;
    let mut rows = Vec::new();
    for _ in 0..days {
        let noon = random.random_range(30.0..900.0);
        for row in 0..rows_a_day {
            let hour = row as f64 * 24.0 / rows_a_day as f64;
            let height = 1.0 - ((hour - 12.0) / 6.0) * ((hour - 12.0) / 6.0);
            let demand = [40.0, random.random_range(0.0..120.0), random.random_range(-100.0..200.0_f64)];
            let demand = demand.map(|watts: f64| watts.max(0.0));
            rows.push(Row { pv: (noon * height * random.random_range(0.5..1.0)).max(0.0), demand });
        }
    }
    Series { name: "made-up".into(), battery_wh: 2400.0, start_unix: 1_480_550_400, row_seconds, rows }
}

/// The reference plant, written down once more from its description: energy left, Wh, and whether everything
/// is cut.
struct Reference {
    energy: f64,
    open: bool,
}

impl Reference {
    /// What the tiers get in a row, Wh.
    fn row(&mut self, series: &Series, row: Row, on: [bool; 3]) -> [f64; 3] {
        let (capacity, hours) = (series.battery_wh, series.row_seconds as f64 / 3600.0);
        if self.open && self.energy >= 0.3 * capacity {
            self.open = false;
        }
        let connected = |tier: usize| f64::from(u8::from(on[tier] && !self.open));
        let want = [0, 1, 2].map(|tier| row.demand[tier] * hours * connected(tier));
        let (wanted, sun, most) = (want.iter().sum::<f64>(), row.pv * hours, capacity / 5.0 * hours);
        if sun >= wanted {
            self.energy = capacity.min(self.energy + 0.95 * most.min(sun - wanted));
            return want;
        }
        let can_give = 0.95 * (self.energy - 0.2 * capacity).max(0.0);
        if can_give >= wanted - sun {
            self.energy -= (wanted - sun) / 0.95;
            return want;
        }
        let share = can_give / (wanted - sun);
        self.open = true;
        self.energy = 0.2 * capacity + 0.95 * sun.min(most) * (1.0 - share);
        want.map(|energy| energy * share)
    }
}

#[test]
fn the_plant_is_the_references_to_the_watt_hour() {
    for (seed, row_seconds) in [(1, 3600), (2, 1800), (3, 3600)] {
        let series = made_up(seed, 60, row_seconds);
        let mut random = ChaCha8Rng::seed_from_u64(seed + 100);
        let mut reference = Reference { energy: 0.8 * series.battery_wh, open: false };
        let mut home = RecordedHome::new(series.clone(), ZONE, None).expect("a home");
        let (mut served, mut cuts) = ([0.0; 3], 0);
        for row in &series.rows {
            let on = [random.random_bool(0.95), random.random_bool(0.8), random.random_bool(0.6)];
            let got = reference.row(&series, *row, on);
            for (tier, on) in on.into_iter().enumerate() {
                home.permit(tier, on);
                served[tier] += got[tier];
            }
            home.advance(Duration::from_secs(row_seconds as u64));
            cuts += u32::from(reference.open);
            assert!((home.charge() * series.battery_wh - reference.energy).abs() < 1e-6);
        }
        assert!(cuts > 20, "the series has stretches in which everything is cut: {cuts} rows");
        for (found, expected) in home.ledger().served.iter().zip(served) {
            assert!((found - expected).abs() < 1e-3, "{found} Wh, expected {expected}");
        }
    }
}

/// "Three tiers" (convenience off at 50 %, important at 30 %, critical never) by rows, as the reference has it.
#[test]
fn the_plant_finds_the_references_own_figures() {
    let Some(shared) = shared() else { return };
    let results = std::fs::read_to_string(shared.join("results.csv")).expect("the reference's results");
    let mut compared = 0;
    for line in results.lines() {
        let Some((site, rest)) = line.split_once(",three tiers,") else { continue };
        let expected: f64 = rest.split(',').next().and_then(|cost| cost.parse().ok()).expect("a cost");
        let series = Series::read(&shared.join(format!("sites/{site}.csv"))).expect("the site");
        let (rows, row) = (series.rows.len(), Duration::from_secs(series.row_seconds as u64));
        let mut home = RecordedHome::new(series, "America/Los_Angeles", None).expect("a home");
        let mut on = [true; 3];
        for _ in 0..rows {
            for (tier, (off, back)) in [(1, (0.30, 0.40)), (2, (0.50, 0.60))] {
                on[tier] = home.charge() > back || (on[tier] && home.charge() >= off);
                home.permit(tier, on[tier]);
            }
            home.advance(row);
        }
        let cost: f64 = home
            .ledger()
            .unserved
            .iter()
            .zip([100.0, 10.0, 1.0])
            .map(|(wh, weight)| wh / 1000.0 * weight)
            .sum();
        assert!((cost - expected).abs() < 0.01, "{site}: {cost}, the reference says {expected}");
        compared += 1;
    }
    assert_eq!(compared, 9);
}

fn run(series: &Series, days: u32, one_meter: bool) -> Played {
    let options = Options {
        planner: Planner::Past,
        hold: true,
        start_unix: None,
        days: Some(days),
        one_meter,
        without: None,
    };
    play(series.clone(), ZONE, options).expect("a run")
}

fn switches(series: &Series, days: u32) -> Vec<[bool; 3]> {
    run(series, days, false).switches
}

/// The future replaced by noise, and so what a tier would have drawn while it was off: the choices up to
/// then do not change, those after do.
#[test]
fn nothing_of_the_future_is_known() {
    future_of(false);
}

#[test]
fn nothing_of_the_future_is_known_with_one_meter() {
    future_of(true);
}

fn future_of(one_meter: bool) {
    let series = made_up(7, 12, 3600);
    let switches = |series: &Series, days: u32| run(series, days, one_meter).switches;
    let before = switches(&series, 12);
    // Mornings and noons, where the sun to come would tell most.
    for step in (1..11).map(|day| day * 24 + 7 + day % 5) {
        let mut other = series.clone();
        // What the sun gives in a step is known as it begins; nothing else of it is.
        for (place, row) in other.rows.iter_mut().enumerate().skip(step) {
            row.demand = row.demand.map(|watts| 170.0 - watts.min(170.0));
            if place > step {
                row.pv = 900.0 - row.pv;
            }
        }
        let after = switches(&other, 12);
        assert_eq!(before[..=step], after[..=step], "known before step {step}");
        assert_ne!(before[step + 1..], after[step + 1..], "the noise makes a difference");
    }
}

#[test]
fn what_a_tier_that_is_off_would_draw_is_not_known() {
    let series = made_up(8, 12, 3600);
    let before = switches(&series, 12);
    let mut other = series.clone();
    let mut changed = 0;
    for (row, on) in other.rows.iter_mut().zip(&before) {
        if !on[2] {
            row.demand[2] = 500.0 - row.demand[2];
            changed += 1;
        }
    }
    assert!(changed > 24, "convenience was off in {changed} rows");
    assert_eq!(switches(&other, 12), before);
}

/// With one meter for everything, watts that change from one tier that is on to another, and whatever a tier
/// that is off would draw, are not to be seen: nothing changes. With a meter for each tier much does.
#[test]
fn of_one_meter_nothing_but_the_total_is_known() {
    let mut series = made_up(10, 20, 3600);
    for row in &mut series.rows {
        row.demand = row.demand.map(f64::round);
    }
    let before = run(&series, 20, true).switches;
    let mut other = series.clone();
    let (mut moved, mut hidden) = (0, 0);
    for (row, on) in other.rows.iter_mut().zip(&before) {
        let shown: f64 = row.demand.iter().zip(on).map(|(watts, on)| if *on { *watts } else { 0.0 }).sum();
        let on: Vec<usize> = (0..3).filter(|tier| on[*tier]).collect();
        for tier in 0..3 {
            if !on.contains(&tier) {
                row.demand[tier] = 500.0 - row.demand[tier];
                hidden += 1;
            }
        }
        if on.len() > 1 {
            // Nearly all of it goes to another tier.
            let part = (shown / 8.0).floor();
            for &tier in &on {
                row.demand[tier] = part;
            }
            row.demand[on[moved % on.len()]] = shown - part * (on.len() - 1) as f64;
            moved += 1;
        }
    }
    assert!(moved > 100 && hidden > 100, "{moved} rows shared otherwise, {hidden} demands nobody saw");
    assert_eq!(run(&other, 20, true).switches, before);
    assert_ne!(switches(&other, 20), switches(&series, 20), "with meters it makes a difference");
}

/// The whole way on a made-up home: from the total alone the tiers' demand becomes known well enough to plan by.
#[test]
fn a_home_with_one_meter_is_served_about_as_well_as_one_with_a_meter_for_each_tier() {
    let mut series = made_up(11, 40, 3600);
    for (place, row) in series.rows.iter_mut().enumerate() {
        let evening = (17..23).contains(&(place % 24));
        row.demand[0] = if evening { 60.0 } else { 30.0 };
        row.demand[1] = row.demand[1] / 3.0 + if evening { 80.0 } else { 10.0 };
    }
    let (metered, one) = (run(&series, 40, false).score, run(&series, 40, true).score);
    println!("{metered:?}\n{one:?}");
    assert!(metered.split_error < 0.01, "{}", metered.split_error);
    assert!(one.split_error > 0.01 && one.split_error < 0.4, "{}", one.split_error);
    assert!(one.cost < 1.2 * metered.cost, "{} against {}", one.cost, metered.cost);
    let options = Options {
        planner: Planner::None,
        hold: true,
        start_unix: None,
        days: Some(40),
        one_meter: true,
        without: None,
    };
    let reserve = play(series, ZONE, options).expect("a run").score;
    assert!(one.cost < reserve.cost, "{} against {}", one.cost, reserve.cost);
}

#[test]
fn the_command_plays_a_folder_and_writes_what_the_scorer_reads() {
    let folder = tempfile::tempdir().expect("a folder");
    let mut text = String::from("timestamp,pv_w,critical_w,important_w,convenience_w\n");
    let series = made_up(9, 3, 3600);
    for (place, row) in series.rows.iter().enumerate() {
        let [critical, important, convenience] = row.demand;
        let (day, hour) = (1 + place / 24, place % 24);
        text +=
            &format!("2016-12-{day:02}T{hour:02}:00:00Z,{},{critical},{important},{convenience}\n", row.pv);
    }
    for name in ["one", "two"] {
        std::fs::write(folder.path().join(format!("{name}.csv")), &text).expect("written");
        std::fs::write(folder.path().join(format!("{name}.json")), r#"{"battery_wh": 2400.0}"#)
            .expect("written");
    }
    let out = folder.path().join("out");
    let output = Command::new(env!("CARGO_BIN_EXE_sunkeep-sim"))
        .args(["power", "--zone", ZONE, "--sites"])
        .arg(folder.path())
        .arg("--out")
        .arg(&out)
        .output()
        .expect("the command");
    assert!(output.status.success(), "{output:?}");
    let lines = String::from_utf8(output.stdout).expect("text");
    let lines: Vec<Value> = lines.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect();
    assert_eq!(lines.len(), 2);
    for line in &lines {
        assert!(line["wall_seconds"].as_f64().expect("seconds") > 0.0);
        assert_eq!((&line["settings"], &line["one_meter"]), (&Value::from("default"), &Value::from(false)));
        let written =
            std::fs::read_to_string(out.join(format!("{}.csv", line["site"].as_str().expect("a name"))));
        let written = written.expect("the switches");
        assert_eq!(written.lines().next(), Some("critical_on,important_on,convenience_on"));
        assert_eq!(written.lines().count(), 1 + series.rows.len());
    }

    let one_meter = Command::new(env!("CARGO_BIN_EXE_sunkeep-sim"))
        .args(["power", "--one-meter", "--zone", ZONE, "--sites"])
        .arg(folder.path())
        .output()
        .expect("the command");
    assert!(one_meter.status.success(), "{one_meter:?}");
    for line in String::from_utf8(one_meter.stdout).expect("text").lines() {
        let line: Value = serde_json::from_str(line).expect("JSON");
        assert_eq!(line["one_meter"], true);
        assert!(line["split_error"].as_f64().expect("a part") > 0.01, "{line}");
    }

    let empty = Command::new(env!("CARGO_BIN_EXE_sunkeep-sim"))
        .args(["power", "--sites"])
        .arg(out.join("nothing"))
        .output()
        .expect("the command");
    assert!(!empty.status.success());
    assert!(String::from_utf8_lossy(&empty.stderr).contains("cannot read the folder"), "{empty:?}");
}
