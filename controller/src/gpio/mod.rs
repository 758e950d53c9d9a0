//! Pulse counters and relays on GPIO lines, behind the driver seam.
//!
//! `Lines` is what a board offers: edges of inputs, levels of outputs. `raspberry` offers it through rppal,
//! `character_device` through the kernel's GPIO character device, for boards that rppal does not know. `pulses`
//! turns edges into counts and rates, `bank` is the driver. Nothing here stores a total: pulses are counted from
//! the start of the driver, and whoever keeps totals adds them to what was there before.

mod bank;
mod character_device;
mod pulses;
mod raspberry;

use std::path::Path;
use std::time::Duration;

use sunkeep_models::quantity::Seconds;

pub use bank::GpioBank;
pub use character_device::CharacterDevice;
pub use raspberry::RaspberryHeader;

use crate::driver::{Channel, Counter, DeviceId, Output};

/// Most pulse counters of one board.
pub const MAX_INPUTS: usize = 8;
/// Most relays of one board.
pub const MAX_RELAYS: usize = 32;
/// Longest debounce: a meter's pulse lasts 30 ms at least, a reed contact's more.
pub const MAX_DEBOUNCE: Duration = Duration::from_secs(1);

/// GPIO that cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum GpioError {
    /// rppal works on a Raspberry Pi only.
    #[error(
        "GPIO through rppal needs a Raspberry Pi that it knows, but this is {board}; use the character device \
         instead (here: {chips})"
    )]
    NotARaspberry {
        /// What the board says it is.
        board: String,
        /// The character devices that were found.
        chips: String,
    },
    /// A line or chip that cannot be had.
    #[error("{place}: {problem}")]
    Line {
        /// The chip and line.
        place: String,
        /// What the system said, and what to try.
        problem: String,
    },
    /// Settings that cannot be.
    #[error("{bank}: {problem}")]
    Impossible {
        /// Name of the set of lines.
        bank: String,
        /// What was found and what was expected.
        problem: String,
    },
}

/// Resistor of an input.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Bias {
    /// None of the board's own.
    Off,
    /// To the supply: for a contact that closes to ground.
    Up,
    /// To ground.
    Down,
}

/// An input that counts pulses.
#[derive(Debug, Clone, PartialEq)]
pub struct PulseInput {
    /// Number of the line on its chip (BCM number on a Raspberry Pi).
    pub line: u32,
    /// A pulse is a low level: a contact to ground with a resistor to the supply.
    pub active_low: bool,
    /// Resistor.
    pub bias: Bias,
    /// Levels shorter than this are bouncing of the contact.
    pub debounce: Duration,
    /// What one pulse stands for, such as 1 Wh for a meter of 1000 impulses a kWh.
    pub per_pulse: f64,
    /// Where the number of pulses goes.
    pub counter: Counter,
    /// Where the mean rate goes, in units an hour: W for Wh.
    pub rate: Channel,
}

/// A relay on a line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct GpioRelay {
    /// The output it is.
    pub output: Output,
    /// Number of the line on its chip.
    pub line: u32,
    /// The relay is energised by a low level.
    pub active_low: bool,
}

/// A set of lines and what they are for.
#[derive(Debug, Clone, PartialEq)]
pub struct GpioSettings {
    /// Its name for people and logs.
    pub name: String,
    /// Its place in the configuration.
    pub device: DeviceId,
    /// Pulse counters, eight at most.
    pub inputs: Vec<PulseInput>,
    /// Relays.
    pub relays: Vec<GpioRelay>,
    /// How often inputs are looked at and contacts are read back.
    pub period: Seconds,
}

/// A change of an input's level.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Edge {
    /// When, on the kernel's own clock; only differences mean something.
    pub at: Duration,
    /// The level after it.
    pub high: bool,
}

/// Edges of an input since they were last taken.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Edges {
    /// In order of time, at most `MAX_EDGES`.
    pub edges: Vec<Edge>,
    /// Edges that the queue could not hold.
    pub lost: u64,
}

/// Most edges of an input between two looks: 500 pulses a second, ten times what a meter gives.
pub const MAX_EDGES: usize = 1024;

/// What a board offers. Levels are those of the wire; what a low level means is not known here.
pub trait Lines: Send {
    /// Edges of an input since the last call.
    fn take_edges(&mut self, line: u32) -> Result<Edges, GpioError>;

    /// Level of an output, as the hardware reads it back.
    fn level(&mut self, line: u32) -> Result<bool, GpioError>;

    /// Sets the level of an output.
    fn set_level(&mut self, line: u32, high: bool) -> Result<(), GpioError>;
}

impl GpioSettings {
    /// Refuses what cannot be.
    pub(crate) fn check(&self) -> Result<(), GpioError> {
        let impossible = |problem| Err(GpioError::Impossible { bank: self.name.clone(), problem });
        if self.inputs.len() > MAX_INPUTS || self.relays.len() > MAX_RELAYS {
            let (inputs, relays) = (self.inputs.len(), self.relays.len());
            return impossible(format!(
                "{inputs} pulse inputs and {relays} relays; expected at most {MAX_INPUTS} and {MAX_RELAYS}"
            ));
        }
        if !(0.1..=60.0).contains(&self.period.0) {
            return impossible(format!("a period of {} s; expected 0.1 to 60", self.period.0));
        }
        for input in &self.inputs {
            let line = input.line;
            if !(input.per_pulse.is_finite() && input.per_pulse > 0.0) {
                return impossible(format!("line {line}: {} a pulse; expected more than 0", input.per_pulse));
            }
            if input.debounce > MAX_DEBOUNCE {
                let most = MAX_DEBOUNCE.as_millis();
                return impossible(format!(
                    "line {line}: debounce {:?}; expected at most {most} ms",
                    input.debounce
                ));
            }
        }
        let lines =
            self.inputs.iter().map(|input| input.line).chain(self.relays.iter().map(|relay| relay.line));
        let mut lines: Vec<_> = lines.collect();
        lines.sort_unstable();
        if let Some([twice, ..]) = lines.windows(2).find(|pair| pair[0] == pair[1]) {
            return impossible(format!("line {twice} is used twice"));
        }
        Ok(())
    }
}

/// The character devices of this machine, for an error message.
fn chips_here() -> String {
    match gpiocdev::chip::chips() {
        Ok(chips) if !chips.is_empty() => {
            chips.iter().map(|chip| chip.display().to_string()).collect::<Vec<_>>().join(", ")
        }
        _ => "no /dev/gpiochip* found".into(),
    }
}

/// Where a line is, for an error message.
fn place(chip: &Path, line: u32) -> String {
    format!("{} line {line}", chip.display())
}
