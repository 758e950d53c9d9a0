//! What a bus is told about itself: the line, its devices, and what is wanted of each. Resolved values; how a
//! person writes them in a configuration file is not known here.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use sunkeep_models::quantity::Seconds;

use crate::device_file::{DeviceFile, Parity};
use crate::driver::{Channel, DeviceId, Output};

/// Most devices of one bus: the standard's unit ids.
pub const MAX_DEVICES: usize = 247;

/// How the bus is reached.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum LineSettings {
    /// A serial port.
    Rtu(RtuSettings),
    /// A device or gateway on the network.
    Tcp(TcpSettings),
}

/// A serial port and how its bits are sent; all devices of a port share them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RtuSettings {
    /// Such as `/dev/ttyUSB0`.
    pub path: PathBuf,
    /// Bits a second.
    pub baud: u32,
    /// Parity.
    pub parity: Parity,
    /// 1 or 2; any other value is taken as 1.
    pub stop_bits: u8,
    /// The adapter hands back what was sent, and that copy is to be dropped.
    pub echo: bool,
}

impl RtuSettings {
    /// Time that `bytes` take on the wire, eleven bits each as the standard counts them.
    pub fn duration_of(&self, bytes: usize) -> Duration {
        Duration::from_secs_f64(bytes as f64 * 11.0 / f64::from(self.baud.max(1)))
    }

    /// Least silence between two frames: 3.5 characters, but never below 1.75 ms.
    pub fn frame_gap(&self) -> Duration {
        let characters = Duration::from_secs_f64(3.5 * 11.0 / f64::from(self.baud.max(1)));
        characters.max(Duration::from_micros(1750))
    }
}

/// A Modbus TCP server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TcpSettings {
    /// Name or address.
    pub host: String,
    /// Usually 502.
    pub port: u16,
}

/// A register that is to be read.
#[derive(Debug, Clone, PartialEq)]
pub struct Wanted {
    /// Its name in the device file.
    pub register: String,
    /// Where its value goes.
    pub channel: Channel,
    /// How often.
    pub period: Seconds,
}

/// A relay that is to be switched.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Relay {
    /// The output it is.
    pub output: Output,
    /// Its place on the board, counted from 0.
    pub index: u16,
}

/// A device of the bus.
#[derive(Debug, Clone, PartialEq)]
pub struct DeviceSettings {
    /// Its place in the configuration.
    pub id: DeviceId,
    /// Its name for people.
    pub name: String,
    /// Unit id.
    pub unit: u8,
    /// What it is.
    pub file: Arc<DeviceFile>,
    /// The home accepts rows that nobody has verified.
    pub allow_unverified: bool,
    /// What to read.
    pub wanted: Vec<Wanted>,
    /// What to switch.
    pub relays: Vec<Relay>,
    /// How often the contacts are read back.
    pub contact_period: Seconds,
}

/// A bus.
#[derive(Debug, Clone, PartialEq)]
pub struct BusSettings {
    /// Its name for people and logs.
    pub name: String,
    /// How it is reached.
    pub line: LineSettings,
    /// Who is on it.
    pub devices: Vec<DeviceSettings>,
}

/// A bus that cannot be driven as it is described.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum BusError {
    /// A register that the device file does not have.
    #[error("device {device:?} has no register {register:?}; {file}.toml has: {known}")]
    UnknownRegister {
        /// Name of the device.
        device: String,
        /// The register that was asked for.
        register: String,
        /// Key of its file.
        file: String,
        /// What there is.
        known: String,
    },
    /// A register that nobody has verified.
    #[error(
        "device {device:?}: register {register:?} of {file}.toml is not verified; check it against the \
         device's own display, then allow it with `allow_unverified = true`"
    )]
    Unverified {
        /// Name of the device.
        device: String,
        /// The register that was asked for.
        register: String,
        /// Key of its file.
        file: String,
    },
    /// A relay that the device file does not have.
    #[error("device {device:?}: relay {index} does not exist; {file}.toml has {count}, counted from 0")]
    UnknownRelay {
        /// Name of the device.
        device: String,
        /// The relay that was asked for.
        index: u16,
        /// Key of its file.
        file: String,
        /// How many there are.
        count: u16,
    },
    /// Two things that must differ do not, or a number is outside its range.
    #[error("bus {bus:?}: {problem}")]
    Impossible {
        /// Name of the bus.
        bus: String,
        /// What was found and what was expected.
        problem: String,
    },
}

impl BusSettings {
    /// Refuses what cannot be driven.
    pub(crate) fn check(&self) -> Result<(), BusError> {
        let impossible = |problem| Err(BusError::Impossible { bus: self.name.clone(), problem });
        if self.devices.is_empty() || self.devices.len() > MAX_DEVICES {
            return impossible(format!("{} devices; expected 1 to {MAX_DEVICES}", self.devices.len()));
        }
        for (place, device) in self.devices.iter().enumerate() {
            let earlier = &self.devices[..place];
            if earlier.iter().any(|other| other.unit == device.unit && other.file.key == device.file.key) {
                return impossible(format!(
                    "two devices of kind {} have unit {}",
                    device.file.key, device.unit
                ));
            }
            if earlier.iter().any(|other| other.id == device.id) {
                return impossible(format!("{:?} has the number of another device", device.name));
            }
            if device.unit > 247 && matches!(self.line, LineSettings::Rtu(_)) {
                return impossible(format!("{:?} has unit {}; expected 0 to 247", device.name, device.unit));
            }
            device.check()?;
            let periods = device.wanted.iter().map(|wanted| wanted.period).chain([device.contact_period]);
            if let Some(period) = periods.into_iter().find(|period| !(0.1..=86_400.0).contains(&period.0)) {
                let seconds = period.0;
                return impossible(format!(
                    "{:?}: a period of {seconds} s; expected 0.1 to 86400",
                    device.name
                ));
            }
        }
        let outputs = || self.devices.iter().flat_map(|device| &device.relays).map(|relay| relay.output);
        if let Some(twice) = outputs().enumerate().find(|(at, one)| outputs().take(*at).any(|o| o == *one)) {
            return impossible(format!("output {} is wired to two relays", twice.1.0));
        }
        Ok(())
    }
}

impl DeviceSettings {
    fn check(&self) -> Result<(), BusError> {
        let (device, file) = (|| self.name.clone(), || self.file.key.clone());
        for wanted in &self.wanted {
            let name = || wanted.register.clone();
            let Some(register) = self.file.register(&wanted.register) else {
                let known = self.file.registers.iter().map(|register| register.name.as_str());
                let known = known.collect::<Vec<_>>().join(", ");
                return Err(BusError::UnknownRegister {
                    device: device(),
                    register: name(),
                    file: file(),
                    known,
                });
            };
            if !register.verified && !self.allow_unverified {
                return Err(BusError::Unverified { device: device(), register: name(), file: file() });
            }
        }
        let count = self.file.relays.map_or(0, |relays| relays.count);
        match self.relays.iter().find(|relay| relay.index >= count) {
            Some(relay) => {
                Err(BusError::UnknownRelay { device: device(), index: relay.index, file: file(), count })
            }
            None => Ok(()),
        }
    }
}
