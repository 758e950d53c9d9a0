//! Recorded series: the reference plant of the power benchmark, by hand on a few rows, and to the watt-hour
//! over a year where the benchmark's files are at hand.
#![allow(clippy::expect_used, clippy::panic, reason = "helpers of a test fail by panicking")]

use core::time::Duration;
use std::path::{Path, PathBuf};

use sunkeep_simulator::plant::{RecordedHome, Row, Series};

const ZONE: &str = "America/Los_Angeles";
const HOUR: Duration = Duration::from_hours(1);
const MINUTE: Duration = Duration::from_mins(1);

fn series(rows: &[(f64, [f64; 3])]) -> Series {
    Series {
        name: "by hand".into(),
        battery_wh: 10_000.0,
        start_unix: 1_480_550_400,
        row_seconds: 3600,
        rows: rows.iter().map(|(pv, demand)| Row { pv: *pv, demand: *demand }).collect(),
    }
}

#[test]
fn the_reference_plant_by_hand_in_steps_of_an_hour_and_of_a_minute() {
    for step in [HOUR, MINUTE] {
        by_hand(step);
    }
}

fn by_hand(step: Duration) {
    let rows = series(&[
        (4000.0, [500.0, 300.0, 200.0]), // net 3000 W, of which 2000 W may charge
        (0.0, [0.0, 0.0, 0.0]),
        (0.0, [6000.0, 2000.0, 0.0]), // more than is there: cut within the hour
        (3000.0, [100.0, 0.0, 0.0]),  // below 30 % where it begins: stays cut, charges 2000 W
        (0.0, [100.0, 0.0, 0.0]),     // 39 % where it begins: closed again
    ]);
    let mut home = RecordedHome::new(rows, ZONE, None).expect("a home");
    let hours = |home: &mut RecordedHome, hours: u64| {
        for _ in 0..hours * 3600 / step.as_secs() {
            home.advance(step);
        }
    };
    let near =
        |value: f64, expected: f64| assert!((value - expected).abs() < 1e-6, "{value}, not {expected}");
    near(home.charge(), 0.8);
    hours(&mut home, 1);
    near(home.charge(), 0.99);
    near(home.ledger().pv_used, 3000.0);
    hours(&mut home, 2);
    // 7900 Wh above the floor give 7505 Wh; 8000 Wh were wanted.
    near(home.charge(), 0.20);
    near(home.ledger().served[0], 500.0 + 6000.0 * 7505.0 / 8000.0);
    assert_eq!(home.ledger().disconnects, 1);
    assert!(home.readings().disconnected);
    hours(&mut home, 1);
    near(home.charge(), 0.39);
    near(home.ledger().unserved[0], 6000.0 * 495.0 / 8000.0 + 100.0);
    hours(&mut home, 1);
    assert!(!home.readings().disconnected);
    near(home.charge(), 0.39 - 0.01 / 0.95);
    assert!(home.ledger().imbalance().abs() < 1e-9, "{}", home.ledger().imbalance());
    hours(&mut home, 24);
    near(home.charge(), 0.39 - 0.01 / 0.95);
}

#[test]
fn a_shed_tier_is_counted_and_other_tiers_go_on() {
    let mut home = RecordedHome::new(series(&[(0.0, [100.0, 200.0, 400.0]); 4]), ZONE, None).expect("a home");
    home.permit(2, false);
    home.advance(HOUR);
    assert_eq!(home.ledger().served, [100.0, 200.0, 0.0]);
    assert_eq!(home.ledger().unserved, [0.0, 0.0, 400.0]);
    assert_eq!(home.readings().phases, [100.0, 200.0, 0.0]);
    home.permit(2, false);
    home.permit(2, true);
    assert_eq!(home.ledger().switches, [0, 0, 2]);
}

#[test]
fn series_that_cannot_be_are_refused_with_the_line() {
    let dir = tempfile::tempdir().expect("a folder");
    let csv = dir.path().join("site.csv");
    let header = "timestamp,pv_w,critical_w,important_w,convenience_w";
    for (battery, body, expected) in [
        (r#"{"battery_wh": 0}"#, "", "battery_wh is 0"),
        (r#"{"battery_wh": 9}"#, "time,pv\n", "line 1: the header is"),
        (
            r#"{"battery_wh": 9}"#,
            &format!("{header}\n2016-12-01T00:00:00Z,1,2,3\n") as &str,
            "line 2: 4 columns, expected 5",
        ),
        (
            r#"{"battery_wh": 9}"#,
            &format!("{header}\n2016-12-01T00:00:00Z,1,2,-3,4\n"),
            "line 2: \"-3\" is no power",
        ),
        (
            r#"{"battery_wh": 9}"#,
            &format!(
                "{header}\n2016-12-01T00:00:00Z,1,2,3,4\n2016-12-01T01:00:00Z,1,2,3,4\n2016-12-01T03:00:00Z,1,2,3,4\n"
            ),
            "line 4: the row is for 1480561200, expected 1480557600",
        ),
    ] {
        std::fs::write(csv.with_extension("json"), battery).expect("writing");
        std::fs::write(&csv, body).expect("writing");
        let error = Series::read(&csv).expect_err("a refusal").to_string();
        assert!(error.contains(expected), "{error}");
    }
}

/// A file of the power benchmark, if it is at hand.
fn benchmark(file: &str) -> Option<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared/power_benchmark");
    let found = folder.is_dir().then(|| folder.join(file));
    if found.is_none() {
        println!("skipped: no ../shared/power_benchmark");
    }
    found
}

/// Hours played, energy served of each tier and energy left, Wh.
type Checkpoint = (u32, [f64; 3], f64);

/// After these hours with every tier on, `reference.py` has served this much of each tier, Wh, and left
/// this much in the battery, Wh.
const REFERENCE: [(&str, [Checkpoint; 4]); 2] = [
    (
        "home-b01-d2",
        [
            (720, [347_838.164, 368_745.36, 321_221.888], 12_489.268),
            (3288, [1_529_943.83, 1_226_030.856, 961_346.329], 13_517.657),
            (6000, [2_663_302.726, 1_965_120.202, 1_416_647.044], 18_980.847),
            (8760, [4_067_936.819, 3_055_395.648, 2_187_603.467], 12_693.795),
        ],
    ),
    (
        "home-b05-d3",
        [
            (720, [221_491.7, 517_818.3, 149_266.6], 32_724.813),
            (3288, [916_645.607, 1_610_463.659, 439_735.254], 19_740.609),
            (6000, [1_508_636.802, 2_855_543.886, 677_438.108], 47_483.205),
            (8760, [2_268_402.302, 4_205_914.686, 1_263_341.408], 28_697.024),
        ],
    ),
];

#[test]
fn agrees_with_the_reference_plant_to_the_watt_hour_in_steps_of_an_hour_and_of_a_minute() {
    for (name, checkpoints) in REFERENCE {
        let Some(csv) = benchmark(&format!("sites/{name}.csv")) else { return };
        for step in [HOUR, MINUTE] {
            let mut home =
                RecordedHome::new(Series::read(&csv).expect("a series"), ZONE, None).expect("a home");
            let mut hours = 0;
            for (until, served, energy) in checkpoints {
                while hours < until {
                    for _ in 0..HOUR.as_secs() / step.as_secs() {
                        home.advance(step);
                    }
                    hours += 1;
                }
                let left = home.charge() * home.battery_wh();
                for (tier, expected) in served.into_iter().enumerate() {
                    let found = home.ledger().served[tier];
                    assert!(
                        (found - expected).abs() < 0.5,
                        "{name}, {until} h, tier {tier}: {found}, not {expected}"
                    );
                }
                assert!((left - energy).abs() < 0.5, "{name}, {until} h: {left} Wh, not {energy}");
            }
            assert!(home.ledger().imbalance().abs() < 1e-3, "{}", home.ledger().imbalance());
        }
    }
}

#[test]
fn policies_cost_what_the_benchmark_says() {
    let Some(results) = benchmark("results.csv") else { return };
    let results = std::fs::read_to_string(results).expect("the results");
    for name in ["home-b01-d2", "home-b02-d1", "home-b05-d3"] {
        let csv = benchmark(&format!("sites/{name}.csv")).expect("a site");
        for (policy, levels) in [
            ("disconnect only", [(-1.0, -1.0); 3]),
            ("three tiers", [(-1.0, -1.0), (0.30, 0.40), (0.50, 0.60)]),
        ] {
            let mut home =
                RecordedHome::new(Series::read(&csv).expect("a series"), ZONE, None).expect("a home");
            for _ in 0..8760 {
                for (tier, (off, on)) in levels.into_iter().enumerate() {
                    if home.charge() < off {
                        home.permit(tier, false);
                    } else if home.charge() > on {
                        home.permit(tier, true);
                    }
                }
                home.advance(HOUR);
            }
            let row = results.lines().find(|row| row.starts_with(&format!("{name},{policy},")));
            let figures: Vec<f64> =
                row.expect("a row").split(',').skip(2).map(|text| text.parse().expect("a number")).collect();
            let ledger = home.ledger();
            let cost: f64 =
                ledger.unserved.iter().zip([0.1, 0.01, 0.001]).map(|(wh, weight)| wh * weight).sum();
            assert!((cost - figures[0]).abs() < 0.01, "{name}, {policy}: {cost}, not {}", figures[0]);
            let hours = ledger.unserved_seconds[0] / 3600.0;
            assert!((hours - figures[5]).abs() < 0.01, "{name}, {policy}: {hours} h, not {}", figures[5]);
            let switches = f64::from(ledger.switches.iter().sum::<u32>()) / 365.0;
            assert!(
                (switches - figures[6]).abs() < 0.006,
                "{name}, {policy}: {switches}, not {}",
                figures[6]
            );
        }
    }
}
