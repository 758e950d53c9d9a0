//! The harness of the end-to-end tests: a simulated home in this process, and the hub as a process of its
//! own that reads and switches it over real Modbus.
//!
//! - [`house`]: the home, its battery, its wire, and the hub's configuration.
//! - [`hub`]: the hub's process, its log and its page.
//! - [`service`]: what a service manager does: listens to the hub and counts.
//! - [`ticks`]: a clock that the test drives.
//! - [`broker`]: a real MQTT broker, its certificates, and a line to it that breaks.
//! - [`disk`]: a small disk that can be filled.
//! - [`line`]: a bad line between home and broker, with a switch.
//!
//! Helpers fail by panicking, for they run in tests only. Every wait has a bound.
#![allow(
    clippy::expect_used,
    clippy::panic,
    clippy::missing_panics_doc,
    reason = "helpers of a test fail by panicking"
)]
#![expect(clippy::disallowed_methods, reason = "tests of a running process wait in real time")]

pub mod broker;
pub mod disk;
pub mod house;
pub mod hub;
pub mod line;
pub mod service;
pub mod ticks;

use core::time::Duration;
use std::time::Instant;

/// Waits until something holds, looking ten times a second; fails with `what` after `within`.
pub async fn until(what: &str, within: Duration, mut holds: impl AsyncFnMut() -> bool) {
    let start = Instant::now();
    while !holds().await {
        assert!(start.elapsed() < within, "waited {} s in vain: {what}", within.as_secs());
        pause(Duration::from_millis(100)).await;
    }
}

/// Lets time pass.
pub async fn pause(span: Duration) {
    tokio::time::sleep(span).await;
}

/// Now, to measure how long something took.
pub fn now() -> Instant {
    Instant::now()
}
