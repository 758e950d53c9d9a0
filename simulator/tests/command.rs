//! `sunkeep-sim home` as a process: the same run twice, with the machine idle and busy, gives the same
//! bytes; and it cleans up when asked to end.
#![allow(clippy::expect_used, clippy::panic, reason = "helpers of a test fail by panicking")]

mod common;

use core::sync::atomic::{AtomicBool, Ordering};
use core::time::Duration;
use std::io::{BufRead, BufReader, Write};
use std::net::TcpStream;
use std::path::Path;
use std::process::{Child, Command, Stdio};

use common::{Line, Tcp, now, read};
use serde_json::Value;

fn start(dir: &Path, arguments: &str) -> (Child, Value) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_sunkeep-sim"));
    command.arg("home").arg("--dir").arg(dir).args(arguments.split_whitespace());
    let child = command.stdout(Stdio::piped()).stderr(Stdio::null()).spawn().expect("the simulator");
    let (file, began) = (dir.join("home.json"), now());
    while !file.exists() {
        assert!(began.elapsed() < Duration::from_secs(20), "no home.json");
        std::thread::yield_now();
    }
    let text = std::fs::read_to_string(file).expect("home.json");
    (child, serde_json::from_str(&text).expect("JSON"))
}

fn address(home: &Value, bus: &str) -> String {
    let buses = home["buses"].as_array().expect("buses");
    let found = buses.iter().find(|it| it["name"] == bus).expect("the bus");
    found["address"].as_str().expect("an address").into()
}

/// A hub that sheds the water pump by the state of charge that a GX device tells, for as long as it is told.
fn small_hub(home: &Value) {
    let mut gx = Tcp::connect(&address(home, "gx"));
    let mut line = Line::open(&address(home, "rs485-1"));
    let pump = home["loads"].as_array().expect("loads").iter().find(|load| load["name"] == "water pump");
    let coil = pump.expect("a pump")["coil"].as_u64().expect("a coil") as u8;
    let stream = TcpStream::connect(home["lockstep"].as_str().expect("a port")).expect("a connection");
    let (mut writer, lines) = (stream.try_clone().expect("a handle"), BufReader::new(stream).lines());
    // One write a line: in pieces, each would wait for an acknowledgement.
    let mut say = |line: String| writer.write_all(line.as_bytes()).expect("sending");
    say("{\"hello\":{\"version\":1}}\n".into());
    for message in lines {
        let message: Value = serde_json::from_str(&message.expect("a line")).expect("JSON");
        let Some(n) = message["tick"]["n"].as_u64() else {
            assert_eq!(message, serde_json::json!({"stop": {}}));
            say("{\"summary\":{\"ok\":true}}\n".into());
            return;
        };
        let charge = gx.ask(&read(100, 3, 843, 1)).expect("an answer")[4];
        // The pump hangs on the closed contact: energised is off.
        let order = [1, 5, 0, coil, if charge < 60 { 0xFF } else { 0 }, 0];
        line.send(&order);
        assert_eq!(line.exactly(8)[..6], order);
        say(format!("{{\"done\":{{\"n\":{n}}}}}\n"));
    }
    panic!("the simulator hung up");
}

fn run(seed: u64) -> String {
    let dir = tempfile::tempdir().expect("a folder");
    let (child, home) = start(dir.path(), &format!("--seed {seed} --days 2 --step 300 --lockstep 0"));
    small_hub(&home);
    let output = child.wait_with_output().expect("the simulator");
    assert!(output.status.success());
    assert!(!dir.path().join("rs485-1").is_symlink(), "the links are gone");
    String::from_utf8(output.stdout).expect("text")
}

#[test]
fn the_same_seed_gives_the_same_bytes_on_a_busy_machine() {
    println!("seed 4");
    let idle = run(4);
    let stop = AtomicBool::new(false);
    let busy = std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                while !stop.load(Ordering::Relaxed) {
                    std::hint::spin_loop();
                }
            });
        }
        let busy = run(4);
        stop.store(true, Ordering::Relaxed);
        busy
    });
    assert_eq!(idle, busy);
    assert_ne!(idle, run(5));
    let report: Value = serde_json::from_str(&idle).expect("JSON");
    assert_eq!(report["hub"], serde_json::json!({"ok": true}));
    assert_eq!(report["home"]["days"], 2.0);
    let switched = report["home"]["switches"].as_array().expect("switches").iter();
    let pump = switched.map(|row| (&row[0], &row[1])).find(|row| row.0 == "water pump").expect("the pump");
    assert!(pump.1.as_u64() >= Some(1), "the pump was shed: {report}");
}

#[test]
fn a_run_that_is_ended_early_sums_up_and_leaves_no_links() {
    let dir = tempfile::tempdir().expect("a folder");
    let (child, home) = start(dir.path(), "--seed 2 --days 30 --speed 600");
    assert!(dir.path().join("rs485-0").exists(), "{home}");
    let asked = Command::new("kill").args(["-TERM", &child.id().to_string()]).status().expect("kill");
    assert!(asked.success());
    let output = child.wait_with_output().expect("the simulator");
    assert!(output.status.success(), "{output:?}");
    let report: Value = serde_json::from_slice(&output.stdout).expect("JSON");
    assert!(report["home"]["days"].as_f64() < Some(30.0));
    assert!(!dir.path().join("rs485-0").is_symlink());
}

#[test]
fn what_cannot_be_run_is_refused_with_what_was_expected() {
    let dir = tempfile::tempdir().expect("a folder");
    for (arguments, expected) in [
        ("--days 0", "--days is 0, expected more than 0"),
        ("--step 0", "--step is 0, expected 1 to 86400 s"),
        ("--generator 1,2", "expected START,HOURS,WATTS"),
        ("--site missing.csv", "cannot read missing.json"),
    ] {
        let mut command = Command::new(env!("CARGO_BIN_EXE_sunkeep-sim"));
        command.arg("home").arg("--dir").arg(dir.path()).args(arguments.split_whitespace());
        let output = command.output().expect("the simulator");
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(!output.status.success() && said.contains(expected), "{arguments}: {said}");
    }
}
