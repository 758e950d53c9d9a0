//! The ablation goes through the very code of the hub: what is left out is missed there, and the whole is the whole.
#![allow(clippy::expect_used, clippy::panic, reason = "helpers of a test fail by panicking")]

use std::process::Command;

use rand::{RngExt as _, SeedableRng as _};
use rand_chacha::ChaCha8Rng;
use sunkeep_simulator::plant::{Row, Series};
use sunkeep_simulator::power::ablation::{Row as TableRow, VARIANTS, Variant};
use sunkeep_simulator::power::{self, Options, Planner, Score};

const ZONE: &str = "America/Los_Angeles";

/// Dark and bright weather in spells; with a day now and then that brings more than the battery takes, if that is wanted.
fn rows(seed: u64, days: usize, bright: bool) -> Vec<Row> {
    println!("seed {seed}");
    let mut random = ChaCha8Rng::seed_from_u64(seed);
    let (mut noon, mut rows) = (300.0, Vec::new());
    for day in 0..days {
        noon = 0.5 * noon + 0.5 * random.random_range(30.0..900.0);
        let noon = if bright && day % 4 == 1 { 2000.0 } else { noon };
        for hour in 0..24 {
            let height = 1.0 - ((f64::from(hour) - 12.0) / 6.0).powi(2);
            let evening = if (18..23).contains(&hour) { 60.0 } else { 10.0 };
            let demand = [30.0, evening, random.random_range(0.0..120.0)];
            rows.push(Row { pv: (noon * height * random.random_range(0.5..1.0)).max(0.0), demand });
        }
    }
    rows
}

fn home(rows: Vec<Row>) -> Series {
    let start_unix = 1_480_550_400;
    Series { name: "made-up".into(), battery_wh: 2400.0, start_unix, row_seconds: 3600, rows }
}

fn play(variant: Variant, series: &Series) -> Score {
    let score = variant.play(series.clone(), ZONE, None).expect("a run");
    println!("{}: {score:?}", variant.name);
    score
}

#[test]
fn each_part_that_is_left_out_changes_what_is_done_and_the_whole_is_the_hubs_own() {
    let [whole, others @ ..] = VARIANTS;
    let (dull, bright) = (home(rows(4, 20, false)), home(rows(4, 8, true)));
    let scores = [&dull, &bright].map(|series| play(whole, series));
    let options = Options {
        planner: Planner::Past,
        hold: true,
        start_unix: None,
        days: None,
        one_meter: false,
        without: None,
    };
    assert_eq!(scores[0], power::play(dull.clone(), ZONE, options).expect("a run").score);
    for variant in others {
        // Only a battery that is full throttles the sun.
        let place = usize::from(variant.name.contains("throttled"));
        let score = play(variant, [&dull, &bright][place]);
        assert_ne!(score, scores[place], "{} is nothing", variant.name);
        let row = TableRow::of(&scores[place..=place], std::slice::from_ref(&score)).expect("a row");
        assert!((row.cost[0] - score.cost / scores[place].cost).abs() < 1e-9, "{row:?}");
    }
}

#[test]
fn the_command_prints_a_row_for_each_part() {
    let folder = tempfile::tempdir().expect("a folder");
    let mut text = String::from("timestamp,pv_w,critical_w,important_w,convenience_w\n");
    for (place, row) in rows(5, 3, false).iter().enumerate() {
        let [critical, important, convenience] = row.demand;
        let (day, hour) = (1 + place / 24, place % 24);
        text +=
            &format!("2016-12-{day:02}T{hour:02}:00:00Z,{},{critical},{important},{convenience}\n", row.pv);
    }
    std::fs::write(folder.path().join("one.csv"), text).expect("written");
    std::fs::write(folder.path().join("one.json"), r#"{"battery_wh": 400.0}"#).expect("written");
    let ablation = |sites: &std::path::Path| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_sunkeep-sim"));
        command.args(["ablation", "--zone", ZONE, "--sites"]).arg(sites).output().expect("the command")
    };
    let output = ablation(folder.path());
    assert!(output.status.success(), "{output:?}");
    let table = String::from_utf8(output.stdout).expect("text");
    println!("{table}");
    assert_eq!(table.lines().count(), 2 + VARIANTS.len());
    assert!(table.contains("| as it is | 1.000 | 1.00 | 1.00 |"), "{table}");
    let nowhere = ablation(&folder.path().join("nowhere"));
    assert!(!nowhere.status.success());
    assert!(String::from_utf8_lossy(&nowhere.stderr).contains("nowhere"), "{nowhere:?}");
}
