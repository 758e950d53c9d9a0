//! What is connected where: buses, devices, GPIO lines, the channels that feed each place of the process
//! image, and relays. How it is found in the file is in `connect`.

use std::sync::Arc;
use std::time::Duration;

use super::file::{ContactWiring, GpioDriver, HubDead, HubStops};
use crate::device_file::{DeviceFile, Parity};
use crate::driver::{Channel, DeviceId, Output};
use crate::gpio::Bias;
use sunkeep_models::quantity::Seconds;

/// What is connected where.
#[derive(Debug, Clone)]
pub struct Wiring {
    /// Modbus buses and gateways.
    pub buses: Vec<Bus>,
    /// Devices on them.
    pub devices: Vec<Device>,
    /// GPIO lines.
    pub gpio: Option<Gpio>,
    /// Pulse inputs.
    pub pulses: Vec<Pulse>,
    /// Every value that is read; a channel's number is its place here.
    pub channels: Vec<ChannelWiring>,
    /// What each place of the process image is made of.
    pub places: Vec<(Place, Vec<Term>)>,
    /// Relays; at most one a load.
    pub relays: Vec<Relay>,
}

/// A Modbus bus or gateway.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Bus {
    /// Its name in the file.
    pub name: String,
    /// How it is reached.
    pub link: BusLink,
}

/// How a bus is reached.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum BusLink {
    /// A serial port.
    Rtu {
        /// Device node.
        port: String,
        /// Bits a second.
        baud: u32,
        /// Parity.
        parity: Parity,
        /// Stop bits, 1 or 2.
        stop_bits: u8,
        /// Whether the adapter hears what it sends.
        echo: bool,
    },
    /// A TCP server.
    Tcp {
        /// Host and port.
        address: String,
    },
}

/// A configured device.
#[derive(Debug, Clone)]
pub struct Device {
    /// Its name in the file.
    pub name: String,
    /// Its kind.
    pub model: Arc<DeviceFile>,
    /// Place of its bus in [`Wiring::buses`].
    pub bus: usize,
    /// Unit id.
    pub unit: u8,
    /// How often it is read.
    pub poll: Seconds,
    /// Whether rows of its file that nobody verified may be used.
    pub allow_unverified: bool,
}

/// GPIO lines of the board.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Gpio {
    /// Kernel interface.
    pub driver: GpioDriver,
    /// Character device, where that is the interface.
    pub chip: String,
}

/// A pulse input of a meter.
#[derive(Debug, Clone, PartialEq)]
pub struct Pulse {
    /// Its name in the file.
    pub name: String,
    /// GPIO line.
    pub line: u32,
    /// Energy of one pulse, Wh.
    pub wh_per_pulse: f64,
    /// A pulse is a low level.
    pub active_low: bool,
    /// Resistor of the line.
    pub bias: Bias,
    /// Edges closer than this are one.
    pub debounce: Duration,
}

/// Where a channel's value is read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ChannelWiring {
    /// A register of a device.
    Register {
        /// Place in [`Wiring::devices`].
        device: usize,
        /// Name in the device file.
        register: String,
    },
    /// Mean power by the interval of pulses, W.
    Pulse {
        /// Place in [`Wiring::pulses`].
        pulse: usize,
    },
}

/// A place of the process image.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Place {
    /// Battery voltage, V.
    BatteryVoltage,
    /// Battery current, A.
    BatteryCurrent,
    /// Battery power, W.
    BatteryPower,
    /// Battery temperature, degrees Celsius.
    BatteryTemperature,
    /// Reported state of charge, 0 to 1.
    BatteryCharge,
    /// Power of the panels, W.
    Sun,
    /// Power of all loads, W.
    Total,
    /// Power of one load, W.
    Load(usize),
}

/// A channel times a factor; the terms of a place are added.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Term {
    /// Which channel.
    pub channel: Channel,
    /// Sign and change of unit.
    pub factor: f64,
}

/// The relay of a load.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Relay {
    /// The load, by its number.
    pub output: Output,
    /// Where it is.
    pub at: RelayAt,
    /// Between which contacts the load is wired.
    pub wiring: ContactWiring,
    /// What the output does when the hub is dead or starting.
    pub hub_dead: HubDead,
    /// What the hub does with it when it is stopped.
    pub hub_stops: HubStops,
}

/// Where a relay is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RelayAt {
    /// A coil of a relay board.
    Coil {
        /// Place in [`Wiring::devices`].
        device: usize,
        /// Coil, counted from 0.
        coil: u16,
    },
    /// A GPIO line.
    Gpio {
        /// Line number.
        line: u32,
        /// The coil is energised by a low level.
        active_low: bool,
    },
}

impl RelayAt {
    /// Whether both name one relay, however it is driven.
    pub(super) fn same_contact(self, other: Self) -> bool {
        match (self, other) {
            (Self::Gpio { line, .. }, Self::Gpio { line: its, .. }) => line == its,
            (one, other) => one == other,
        }
    }
}

impl Relay {
    /// Whether the coil must be energised for the load to be supplied (`on`), or not.
    pub fn energised_for(&self, on: bool) -> bool {
        on == (self.wiring == ContactWiring::NormallyOpen)
    }

    /// Whether the load is supplied while the hub is dead; `None` where the board keeps its last state.
    pub fn supplied_when_dead(&self) -> Option<bool> {
        (self.hub_dead == HubDead::Releases).then_some(self.wiring == ContactWiring::NormallyClosed)
    }
}

impl Wiring {
    /// The board's GPIO lines as a device, numbered after the others; none where the home uses no line.
    pub fn board(&self) -> Option<DeviceId> {
        let relay = self.relays.iter().any(|relay| matches!(relay.at, RelayAt::Gpio { .. }));
        let used = self.gpio.is_some() && (relay || !self.pulses.is_empty());
        used.then(|| DeviceId(u16::try_from(self.devices.len()).unwrap_or(u16::MAX)))
    }
}
