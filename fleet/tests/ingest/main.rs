//! From a real broker into a lake of files: what hubs send comes out as rows, once, whoever is killed between.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test may fail by panicking")]
#![allow(unreachable_pub, missing_docs, reason = "the modules of one test")]

mod broker;
mod faults;
mod forms;
mod hostile;
mod hubs;
mod process;
mod rows;
mod scripted;
mod secured;
mod two_stores;

use std::process::Child;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};

/// Longest wait for anything.
const PATIENCE: Duration = Duration::from_mins(1);

#[allow(clippy::disallowed_methods, reason = "real processes take real time")]
fn wait_until(what: &str, mut is_so: impl FnMut() -> bool) {
    let begun = Instant::now();
    while !is_so() {
        assert!(begun.elapsed() < PATIENCE, "waited in vain until {what}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

#[allow(clippy::disallowed_methods, reason = "real processes take real time")]
fn rest(time: Duration) {
    std::thread::sleep(time);
}

fn signal(process: &Child, signal: Signal) {
    kill_process(Pid::from_child(process), signal).unwrap();
}

/// Ms since 1970.
fn now_ms() -> i64 {
    sunkeep_fleet::clock::now_ms()
}
