//! `sunkeep-train features` as a person calls it, as a power cut ends it, and as `fit` goes on from it.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test that cannot go on fails")]

#[path = "../lake/tests/lake/files.rs"]
mod files;

use std::fs;
use std::path::Path;
use std::process::{Command, Output, Stdio};

use files::{Record, SLOT, START, records, tables, write_lake};

fn features(lake: &Path, out: &Path, more: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_sunkeep-train"));
    command.arg("features").arg("--lake").arg(lake).arg("--out").arg(out).args(more);
    command
}

fn said(output: &Output) -> String {
    format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}

#[test]
fn the_help_names_every_option() {
    let output =
        Command::new(env!("CARGO_BIN_EXE_sunkeep-train")).args(["features", "--help"]).output().unwrap();
    let said = said(&output);
    for part in ["--lake", "--out", "--memory-limit", "--cluster", "--issues", "--restart", "512MB"] {
        assert!(said.contains(part), "{said} does not name {part}");
    }
}

#[test]
fn a_run_reports_and_one_over_a_broken_lake_fails() {
    let folder = tempfile::tempdir().unwrap();
    let (lake, out) = (folder.path().join("lake"), folder.path().join("out"));
    let mut all = records("a", START, 480, SLOT);
    all[100].load = Some(-5.0);
    write_lake(&lake, &all);
    let output = features(&lake, &out, &["--issues", "50", "--memory-limit", "200MB"]).output().unwrap();
    assert!(output.status.success(), "{}", said(&output));
    for part in ["1 load_negative", "480 records", "data from 2025-03-01 to 2025-03-10", "1 sites, 480 slots"]
    {
        assert!(said(&output).contains(part), "{} does not say {part:?}", said(&output));
    }
    let output = features(&lake, &out, &["--issues", "50"]).output().unwrap();
    assert!(said(&output).contains("is up to date"), "{}", said(&output));
    fs::write(lake.join("telemetry/half.parquet"), b"PAR1").unwrap();
    let output = features(&lake, &out, &["--issues", "50"]).output().unwrap();
    assert!(!output.status.success());
    assert!(said(&output).contains("telemetry/half.parquet: not a whole Parquet file"), "{}", said(&output));
}

#[test]
fn a_run_that_was_killed_goes_on_and_does_nothing_twice() {
    let folder = tempfile::tempdir().unwrap();
    let (lake, out, whole) =
        (folder.path().join("lake"), folder.path().join("out"), folder.path().join("whole"));
    let all: Vec<Record> =
        (0..12).flat_map(|number| records(&format!("site {number:02}"), START, 480, SLOT)).collect();
    write_lake(&lake, &all);
    let passes = ["--sites-per-pass", "1"];
    assert!(features(&lake, &whole, &passes).status().unwrap().success());
    let work = out.join("unfinished");
    // Killed in the middle of the slots, of the features, and of the last files.
    for stage in ["slots-00003.toml", "features-7-00000.toml", "../slots.parquet"] {
        let mut run =
            features(&lake, &out, &passes).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        while !work.join(stage).exists() {
            assert!(run.try_wait().unwrap().is_none(), "it ended before it could be killed at {stage}");
            std::thread::yield_now();
        }
        run.kill().unwrap();
        run.wait().unwrap();
        assert!(!out.join("features.toml").exists(), "it was quicker than the kill at {stage}");
    }
    // What is recorded as done is believed: a mark left in it comes out in the report.
    let done = work.join("slots-00000.toml");
    let text = fs::read_to_string(&done).unwrap();
    assert!(text.contains("records = 480"));
    fs::write(&done, text.replace("records = 480", "records = 1000480")).unwrap();
    let output = features(&lake, &out, &passes).output().unwrap();
    assert!(output.status.success(), "{}", said(&output));
    assert!(said(&output).contains(&format!("{} records", 12 * 480 + 1_000_000)), "{}", said(&output));
    for (one, other) in tables(&whole).iter().zip(tables(&out)).filter(|(one, _)| one.0 != "features.toml") {
        assert!(*one == other, "{} differs from that of an undisturbed run", one.0);
    }
    assert!(!work.exists());
}

#[test]
fn a_model_is_fitted_to_the_table_of_a_lake() {
    let folder = tempfile::tempdir().unwrap();
    let [lake, out, model] = ["lake", "out", "model"].map(|name| folder.path().join(name));
    let all: Vec<Record> =
        (0..3).flat_map(|number| records(&format!("site {number}"), START, 48 * 60, SLOT)).collect();
    write_lake(&lake, &all);
    assert!(features(&lake, &out, &[]).status().unwrap().success());
    let fit = Command::new(env!("CARGO_BIN_EXE_sunkeep-train"))
        .args(["fit", "--features"])
        .arg(&out)
        .arg("--out")
        .arg(&model)
        .output()
        .unwrap();
    assert!(fit.status.success(), "{}", said(&fit));
    let contract = fs::read_to_string(model.join("model.toml")).unwrap();
    assert!(contract.contains("sites = 3") && contract.contains("first_day = \"2025-03-0"), "{contract}");
}
