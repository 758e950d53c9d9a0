//! `sunkeep-sim demo` as a process: home, hub and summary; the same seed gives the same figures; and
//! nothing is left behind however it ends.
#![allow(clippy::expect_used, clippy::panic, reason = "helpers of a test fail by panicking")]

mod common;

use core::time::Duration;
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};

use common::now;
use serde_json::Value;

/// Starts a demo whose temporary folders are made in `temporary`.
fn start(temporary: &Path, arguments: &str) -> Child {
    let mut command = Command::new(env!("CARGO_BIN_EXE_sunkeep-sim"));
    command.arg("demo").args(arguments.split_whitespace()).env("TMPDIR", temporary);
    command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("the demo")
}

fn report(output: &Output) -> Value {
    assert!(output.status.success(), "{output:?}");
    serde_json::from_slice(&output.stdout).expect("one JSON document on standard output")
}

/// The processes this one has started, by the kernel's list.
fn children(of: u32) -> Vec<u32> {
    let list = std::fs::read_to_string(format!("/proc/{of}/task/{of}/children")).unwrap_or_default();
    list.split_whitespace().filter_map(|id| id.parse().ok()).collect()
}

/// Waits until the demo has its hub, and the hub has been given ticks; returns the hub's process.
fn hub_of(demo: &Child, temporary: &Path) -> u32 {
    let began = now();
    loop {
        assert!(began.elapsed() < Duration::from_mins(1), "no hub");
        let journal = std::fs::read_dir(temporary).expect("the folder").flatten().any(|entry| {
            entry.path().join("journal.sqlite").exists() && entry.path().join("hub.toml").exists()
        });
        if let ([hub], true) = (children(demo.id()).as_slice(), journal) {
            return *hub;
        }
        std::thread::yield_now();
    }
}

fn signal(name: &str, process: u32) {
    let sent = Command::new("kill").args([name, &process.to_string()]).status().expect("kill");
    assert!(sent.success());
}

fn is_empty(dir: &Path) -> bool {
    std::fs::read_dir(dir).expect("the folder").next().is_none()
}

fn is_gone(process: u32) -> bool {
    !Path::new(&format!("/proc/{process}")).exists()
}

#[test]
fn the_same_seed_gives_the_same_summary_and_loads_are_shed_and_return() {
    let temporary = tempfile::tempdir().expect("a folder");
    let run = |seed: u32| {
        let demo = start(temporary.path(), &format!("--headless --days 1.5 --json --seed {seed}"));
        let mut report = report(&demo.wait_with_output().expect("the demo"));
        let wall = report["wall_seconds"].take();
        assert!(wall.as_f64() > Some(0.0), "{wall}");
        report
    };
    println!("seed 4");
    let once = run(4);
    assert_eq!(once, run(4));
    assert_ne!(once["home"]["critical"], run(5)["home"]["critical"]);
    assert_eq!(once["simulated_days"], 1.5);
    assert_eq!(once["ended_early"], false);
    let counts = &once["hub"]["counts"];
    assert_eq!(counts["cycles"], 2160);
    assert!(counts["sheds"].as_u64() > Some(0) && counts["restores"].as_u64() > Some(0), "{counts}");
    assert!(counts["onnx_forecasts"].as_u64() > Some(0), "{counts}");
    assert!(once["home"]["critical"]["served_wh"].as_f64() > Some(100.0), "{once}");
    assert!(is_empty(temporary.path()));
}

#[test]
fn a_signal_ends_it_and_leaves_no_process_and_no_folder() {
    for name in ["-INT", "-TERM"] {
        let temporary = tempfile::tempdir().expect("a folder");
        let demo = start(temporary.path(), "--json --speed 5000 --serial");
        let hub = hub_of(&demo, temporary.path());
        signal(name, demo.id());
        let output = demo.wait_with_output().expect("the demo");
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(said.contains("page       http://127.0.0.1:"), "{said}");
        let report = report(&output);
        assert_eq!(report["ended_early"], true);
        assert!(is_gone(hub), "{name}: the hub is still there");
        assert!(is_empty(temporary.path()), "{name}");
    }
}

#[test]
fn a_hub_that_dies_is_told_with_its_last_lines() {
    let temporary = tempfile::tempdir().expect("a folder");
    let demo = start(temporary.path(), "--headless --days 3000 --json");
    let hub = hub_of(&demo, temporary.path());
    // It logs before it can be killed: the first ticks have passed once the journal is there.
    signal("-KILL", hub);
    let output = demo.wait_with_output().expect("the demo");
    assert_eq!(output.status.code(), Some(1));
    assert!(output.stdout.is_empty());
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(said.contains("signal: 9") && said.contains("last lines"), "{said}");
    assert!(is_empty(temporary.path()));
}

#[test]
fn a_folder_of_ones_own_is_kept_and_must_be_empty() {
    let kept = tempfile::tempdir().expect("a folder");
    let temporary = tempfile::tempdir().expect("a folder");
    let arguments = format!("--headless --days 0.05 --dir {}", kept.path().display());
    let output = start(temporary.path(), &arguments).wait_with_output().expect("the demo");
    assert!(output.status.success(), "{output:?}");
    assert!(String::from_utf8_lossy(&output.stdout).contains("critical     served"), "{output:?}");
    assert!(kept.path().join("hub.toml").exists() && kept.path().join("journal.sqlite").exists());
    let again = start(temporary.path(), &arguments).wait_with_output().expect("the demo");
    let said = String::from_utf8_lossy(&again.stderr).into_owned();
    assert!(!again.status.success() && said.contains("expected an empty or missing folder"), "{said}");
}
