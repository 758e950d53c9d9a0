//! `sunkeep-sim demo --homes 3` as a process: hubs, broker, ingest and lake; somebody reads along, the link is pulled, what
//! waits drains, and nothing is left behind.
#![allow(clippy::expect_used, clippy::panic, clippy::unwrap_used, reason = "a test fails by panicking")]

mod common;

use core::time::Duration;
use std::io::{BufRead as _, BufReader, Write as _};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc;

use common::now;
use serde_json::Value;

/// How long anything may take on a busy machine; and the beginning, for the first run builds `sunkeep-fleet`.
const PATIENCE: Duration = Duration::from_mins(1);
const BUILT_WITHIN: Duration = Duration::from_mins(10);
/// How long the link is out: nearly three hours of the homes.
const OUT: Duration = Duration::from_secs(8);

/// What the demo says, line by line.
struct Said {
    lines: mpsc::Receiver<String>,
    all: Vec<String>,
}

impl Said {
    /// The next line that holds this.
    fn next(&mut self, what: &str, within: Duration) -> String {
        let began = now();
        loop {
            let left = within.saturating_sub(began.elapsed());
            let line = self.lines.recv_timeout(left);
            let line = line.unwrap_or_else(|_| panic!("it never said {what:?}, but {:#?}", self.all));
            self.all.push(line.clone());
            if line.contains(what) {
                return line;
            }
        }
    }
}

/// The demo; told to end where the test failed, for it leads other processes.
struct Demo(Option<Child>);

impl Demo {
    fn child(&mut self) -> &mut Child {
        self.0.as_mut().expect("a demo that runs")
    }
}

impl Drop for Demo {
    fn drop(&mut self) {
        if let Some(demo) = &mut self.0 {
            let _ = Command::new("kill").args(["-INT", &demo.id().to_string()]).status();
            let _ = demo.wait();
        }
    }
}

#[test]
fn three_homes_fill_a_lake_and_what_waits_while_the_link_is_out_drains() {
    if !Path::new("/usr/sbin/mosquitto").exists() {
        println!("skipped: no mosquitto (tests/run installs it)");
        return;
    }
    let temporary = tempfile::tempdir().expect("a folder");
    let mut command = Command::new(env!("CARGO_BIN_EXE_sunkeep-sim"));
    command.args("demo --headless --homes 3 --days 100 --speed 1200 --json".split(' '));
    command.env("TMPDIR", temporary.path());
    if Path::new(env!("CARGO_BIN_EXE_sunkeep-sim")).with_file_name("sunkeep-fleet").exists() {
        // Cargo built it with the tests.
        command.env_remove("CARGO");
    }
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut demo = Demo(Some(command.spawn().expect("the demo")));
    let stderr = BufReader::new(demo.child().stderr.take().unwrap());
    let (say, lines) = mpsc::channel();
    std::thread::spawn(move || stderr.lines().map_while(Result::ok).try_for_each(|line| say.send(line)));
    let mut said = Said { lines, all: Vec::new() };
    let read_along = said.next("mosquitto_sub -h", BUILT_WITHIN);
    let heard = Command::new("sh").args(["-c", &format!("{read_along} -C 100 -W 120")]).output().unwrap();
    let heard = String::from_utf8_lossy(&heard.stdout).into_owned();
    let messages = heard.lines().map(|line| line.split_once(' ').unwrap());
    let messages: Vec<(&str, Value)> = messages
        .map(|(topic, message)| (topic, serde_json::from_str(message).unwrap()))
        .filter(|(topic, _)| topic.ends_with("/up/telemetry"))
        .collect();
    for (topic, message) in &messages {
        assert_eq!(*topic, format!("sunkeep/v1/{}/up/telemetry", message["hub"].as_str().unwrap()));
        assert!(message["values"]["charge_best"].is_f64(), "{message}");
    }
    assert!(messages.len() > 50, "{heard}");
    let mut stdin = demo.child().stdin.take().unwrap();
    stdin.write_all(b"\n").unwrap();
    (0..3).for_each(|_| drop(said.next("the link is pulled", PATIENCE)));
    pause(OUT);
    stdin.write_all(b"\n").unwrap();
    (0..3).for_each(|_| drop(said.next("the link is back", PATIENCE)));
    (0..3).for_each(|_| drop(said.next("all that waited has arrived", PATIENCE)));
    let sent = Command::new("kill").args(["-INT", &demo.child().id().to_string()]).status().unwrap();
    assert!(sent.success());
    let output = demo.0.take().unwrap().wait_with_output().unwrap();
    assert!(output.status.success(), "{output:?} {:#?}", said.all);
    let report: Value = serde_json::from_slice(&output.stdout).expect("one JSON document");
    println!("{report}");
    for (number, home) in report["homes"].as_array().unwrap().iter().enumerate() {
        assert_eq!(home["hub"], format!("home-{:04}", number + 1));
        assert!(home["most_waiting"].as_u64() >= Some(60), "the link was pulled: {home}");
        assert!(home["waiting"].as_u64() < Some(60), "{home}");
        assert!(home["acknowledged"].as_u64() >= Some(100), "{home}");
    }
    assert!(report["lake_files"].as_u64() > Some(0), "{report}");
    assert!(std::fs::read_dir(temporary.path()).unwrap().next().is_none(), "it leaves nothing behind");
}

#[expect(clippy::disallowed_methods, reason = "a link that is out for a while is out in real time")]
fn pause(span: Duration) {
    std::thread::sleep(span);
}
