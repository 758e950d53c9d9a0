//! The seam to the hardware: what a driver of a bus or of GPIO lines does, and what it reports.
//!
//! A driver performs one transaction at a time, so that a relay write never waits behind queued reads,
//! and it knows nothing of batteries or loads: it turns registers and lines into numbered channels.

use std::future::Future;

use serde::{Deserialize, Serialize};
use sunkeep_models::time::Uptime;

/// A measured quantity of the home; its place in the process image.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Channel(pub u16);

/// A switched output of the home (a relay); its place in the list of loads.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Output(pub u16);

/// A pulse input of the home; its place in the configuration's list.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Counter(pub u16);

/// A configured device; its place in the configuration's list.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct DeviceId(pub u16);

/// What a driver has to say.
#[derive(Debug, Clone, PartialEq)]
pub enum Event {
    /// A channel was read, in the unit the device file states.
    Measured {
        /// Which.
        channel: Channel,
        /// Its value, scaled; always finite.
        value: f64,
        /// When the reply came.
        at: Uptime,
    },
    /// Pulses of an input since the driver was made.
    Counted {
        /// Which.
        counter: Counter,
        /// How many.
        pulses: u64,
    },
    /// The contact of an output as the hardware reports it.
    Contact {
        /// Which.
        output: Output,
        /// Whether current can flow through the relay contact's configured terminal pair (coil energised).
        energised: Option<bool>,
        /// When it was read.
        at: Uptime,
    },
    /// A device answered, after it had been silent or for the first time, or what was doubtful about it has
    /// come right.
    Answers(DeviceId),
    /// A device did not do what was asked; said once, when its health changes.
    Silent {
        /// Which.
        device: DeviceId,
        /// What was asked, what came, and what was expected.
        why: String,
    },
    /// A device answers, but something it said was refused, or something that was asked for does not exist.
    /// Said once for each cause; such a value is never handed out.
    Doubtful {
        /// Which.
        device: DeviceId,
        /// What was asked, what came, and what was expected.
        why: String,
    },
}

/// A bus with its devices, or a set of GPIO lines.
pub trait Driver: Send {
    /// Name of the bus for logs.
    fn name(&self) -> &str;

    /// Performs the next transaction that is due at `now` and returns what it brought; `None` when nothing
    /// is due. Bounded in time by the device's reply timeout.
    fn next(&mut self, now: Uptime) -> impl Future<Output = Option<Vec<Event>>> + Send;

    /// Has silent devices tried with the next transactions, however long they were to be left alone. Lines of a board are
    /// never silent.
    fn try_silent(&mut self) {}

    /// Energises or releases the coil of an output, and reads it back where the hardware can.
    /// `Contact { energised: None, .. }` says that the write was not confirmed.
    fn write(
        &mut self,
        output: Output,
        energised: bool,
        now: Uptime,
    ) -> impl Future<Output = Vec<Event>> + Send;
}
