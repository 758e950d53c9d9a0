//! The messages, one JSON object a line. The hub has its own copy of these types.

use serde::{Deserialize, Serialize};

/// Version of the messages.
pub(super) const VERSION: u32 = 1;
/// Longest line, bytes.
pub(super) const LONGEST_LINE: u64 = 1 << 20;

/// What the hub says.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum FromHub {
    /// First line of a connection.
    Hello(Hello),
    /// The cycle of a tick is complete: outputs are written, forecasts and plan are in.
    Done {
        /// Number of the tick.
        n: u64,
    },
    /// Answer to [`ToHub::Stop`]: whatever the hub has to tell.
    Summary(serde_json::Value),
}

/// First line of a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Hello {
    /// Version of the messages the hub speaks.
    pub version: u32,
}

/// What the simulator says.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum ToHub {
    /// Time has come to run a cycle.
    Tick(Tick),
    /// The run is over.
    Stop {},
}

/// A moment of the simulation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Tick {
    /// Number of the tick, from 1.
    pub n: u64,
    /// Simulated time since the hub said hello, ms.
    pub uptime_ms: u64,
    /// Wall time, seconds since 1970; none in a home without a clock.
    pub unix: Option<i64>,
}
