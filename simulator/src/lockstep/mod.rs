//! Simulator and hub in step: the plant waits for the hub, so that the same seed gives the same summary
//! however busy the machine is.
//!
//! ```text
//! hub                                                   simulator
//!  ── {"hello":{"version":1}} ─────────────────────────────▶
//!  ◀─ {"tick":{"n":1,"uptime_ms":0,"unix":1480550400}} ─────
//!     reads devices, runs a cycle, writes outputs, plans
//!  ── {"done":{"n":1}} ────────────────────────────────────▶  advances the plant by a step
//!  ◀─ {"tick":{"n":2,...}} ─────────────────────────────────
//!     ...
//!  ◀─ {"stop":{}} ──────────────────────────────────────────
//!  ── {"summary":{...}} ───────────────────────────────────▶
//! ```
//!
//! A hub that goes away and comes back says hello again, and gets the tick that it did not finish; its
//! uptime then starts anew, for it was started anew.

mod messages;
mod server;

pub use messages::{FromHub, Hello, Tick, ToHub};
pub use server::{LockstepError, Schedule, Server};
