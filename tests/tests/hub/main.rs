//! The hub as a process against a home on real buses: it is stopped, killed, hung, and loses its bus, its
//! disk and its clock.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test ends where it fails")]

mod check;
mod day;
mod death;
mod pulled;
mod shared_bus;
mod start;

/// The program under test.
const HUB: &str = env!("CARGO_BIN_EXE_hub-under-test");
