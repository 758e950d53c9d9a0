//! From the wiring of a home to drivers that run.

use std::path::PathBuf;

use sunkeep_models::quantity::Seconds;
use tokio::sync::mpsc;

use crate::bus_task::{BusTask, Report};
use crate::config::{Bus, BusLink, ChannelWiring, Gpio, GpioDriver, RelayAt, Wiring};
use crate::device_file::Register;
use crate::driver::{Channel, Counter, DeviceId, Driver, Output};
use crate::gpio::{
    CharacterDevice, GpioBank, GpioError, GpioRelay, GpioSettings, Lines, PulseInput, RaspberryHeader,
};
use crate::modbus::{
    BusError, BusSettings, DeviceSettings, LineSettings, ModbusBus, ProbeReport, Relay, RtuSettings,
    TcpSettings, Wanted,
};

/// How often GPIO lines are looked at.
const GPIO_PERIOD: Seconds = Seconds(1.0);

/// How often a device is asked that nothing is taken from.
const SIGN_OF_LIFE: Seconds = Seconds(60.0);
/// A channel that no place of the process image is fed from.
const UNUSED: Channel = Channel(u16::MAX);

/// Everything that a home is connected to, running.
pub struct Buses {
    /// A task for each bus, and one for the GPIO lines.
    pub tasks: Vec<BusTask>,
    /// The task that switches each output.
    pub task_of: Vec<(Output, usize)>,
}

/// A wiring that no driver can serve.
#[derive(Debug, thiserror::Error)]
pub enum WiringError {
    /// A Modbus bus.
    #[error(transparent)]
    Bus(#[from] BusError),
    /// The GPIO lines.
    #[error(transparent)]
    Gpio(#[from] GpioError),
}

impl Buses {
    /// Starts a task for every bus, and for the board's GPIO lines.
    pub fn start(wiring: &Wiring, reports: &mpsc::Sender<Report>) -> Result<Self, WiringError> {
        let mut this = Self { tasks: Vec::new(), task_of: Vec::new() };
        for (number, driver) in modbus(wiring)? {
            let on_bus =
                |at| matches!(at, RelayAt::Coil { device, .. } if wiring.devices[device].bus == number);
            this.add(driver, wiring, on_bus, reports);
        }
        match &wiring.gpio {
            Some(Gpio { driver: GpioDriver::Rppal, .. }) => {
                this.add_lines(wiring, RaspberryHeader::open, reports)?;
            }
            Some(Gpio { driver: GpioDriver::Chardev, chip }) => {
                let chip = PathBuf::from(chip);
                let open = move |settings: &_| CharacterDevice::open(&chip, settings);
                this.add_lines(wiring, open, reports)?;
            }
            None => {}
        }
        Ok(this)
    }

    /// Starts the task of the board's GPIO lines, if the home uses any; `open` takes them from the system.
    pub fn add_lines<L: Lines + 'static>(
        &mut self,
        wiring: &Wiring,
        open: impl FnMut(&GpioSettings) -> Result<L, GpioError> + Send + 'static,
        reports: &mpsc::Sender<Report>,
    ) -> Result<(), GpioError> {
        if let Some(settings) = gpio(wiring) {
            let on_board = |at| matches!(at, RelayAt::Gpio { .. });
            self.add(GpioBank::new(settings, open)?, wiring, on_board, reports);
        }
        Ok(())
    }

    fn add(
        &mut self,
        driver: impl Driver + 'static,
        wiring: &Wiring,
        serves: impl Fn(RelayAt) -> bool,
        reports: &mpsc::Sender<Report>,
    ) {
        let task = self.tasks.len();
        self.tasks.push(BusTask::start(driver, task, reports.clone()));
        let served = wiring.relays.iter().filter(|relay| serves(relay.at));
        self.task_of.extend(served.map(|relay| (relay.output, task)));
    }
}

/// Takes the board's lines and looks at each once, for a person who has just wired them; none where the home
/// uses none.
pub fn probe_lines(wiring: &Wiring) -> Result<Option<ProbeReport>, GpioError> {
    let (Some(wired), Some(settings)) = (&wiring.gpio, gpio(wiring)) else { return Ok(None) };
    Ok(Some(match wired.driver {
        GpioDriver::Rppal => GpioBank::new(settings, RaspberryHeader::open)?.probe(),
        GpioDriver::Chardev => {
            let chip = PathBuf::from(&wired.chip);
            GpioBank::new(settings, move |settings: &_| CharacterDevice::open(&chip, settings))?.probe()
        }
    }))
}

/// What the board's lines are for; none where the home uses none.
pub fn gpio(wiring: &Wiring) -> Option<GpioSettings> {
    let board = wiring.board()?;
    let inputs = wiring.channels.iter().enumerate().filter_map(|(number, channel)| {
        let ChannelWiring::Pulse { pulse } = *channel else { return None };
        let wired = &wiring.pulses[pulse];
        Some(PulseInput {
            line: wired.line,
            active_low: wired.active_low,
            bias: wired.bias,
            debounce: wired.debounce,
            per_pulse: wired.wh_per_pulse,
            counter: Counter(u16::try_from(pulse).unwrap_or(u16::MAX)),
            rate: Channel(u16::try_from(number).unwrap_or(u16::MAX)),
        })
    });
    let relays = wiring.relays.iter().filter_map(|relay| match relay.at {
        RelayAt::Gpio { line, active_low } => Some(GpioRelay { output: relay.output, line, active_low }),
        RelayAt::Coil { .. } => None,
    });
    Some(GpioSettings {
        name: "gpio".into(),
        device: board,
        inputs: inputs.collect(),
        relays: relays.collect(),
        period: GPIO_PERIOD,
    })
}

/// A driver for every Modbus bus that has devices, with the place of the bus in the wiring.
pub fn modbus(wiring: &Wiring) -> Result<Vec<(usize, ModbusBus)>, BusError> {
    let settings =
        wiring.buses.iter().enumerate().map(|(number, bus)| (number, bus_settings(wiring, number, bus)));
    settings
        .filter(|(_, bus)| !bus.devices.is_empty())
        .map(|(number, bus)| Ok((number, ModbusBus::new(bus)?)))
        .collect()
}

fn bus_settings(wiring: &Wiring, number: usize, bus: &Bus) -> BusSettings {
    let devices = wiring.devices.iter().enumerate().filter(|(_, device)| device.bus == number);
    BusSettings {
        name: bus.name.clone(),
        line: line(&bus.link),
        devices: devices.map(|(place, _)| device_settings(wiring, place)).collect(),
    }
}

fn line(link: &BusLink) -> LineSettings {
    match link {
        BusLink::Rtu { port, baud, parity, stop_bits, echo } => LineSettings::Rtu(RtuSettings {
            path: PathBuf::from(port),
            baud: *baud,
            parity: *parity,
            stop_bits: *stop_bits,
            echo: *echo,
        }),
        BusLink::Tcp { address } => {
            // The configuration has checked that there is a port.
            let (host, port) = address.rsplit_once(':').unwrap_or((address, "502"));
            LineSettings::Tcp(TcpSettings { host: host.into(), port: port.parse().unwrap_or(502) })
        }
    }
}

fn device_settings(wiring: &Wiring, place: usize) -> DeviceSettings {
    let device = &wiring.devices[place];
    let wanted = wiring.channels.iter().enumerate().filter_map(|(number, channel)| match channel {
        ChannelWiring::Register { device: of, register } if *of == place => Some(Wanted {
            register: register.clone(),
            channel: Channel(u16::try_from(number).unwrap_or(u16::MAX)),
            period: device.poll,
        }),
        _ => None,
    });
    let relays = wiring.relays.iter().filter_map(|relay| match relay.at {
        RelayAt::Coil { device: of, coil } if of == place => {
            Some(Relay { output: relay.output, index: coil })
        }
        _ => None,
    });
    let (mut wanted, relays): (Vec<_>, Vec<_>) = (wanted.collect(), relays.collect());
    if wanted.is_empty() && relays.is_empty() {
        // Nothing is taken from it, but whether it answers is of interest.
        let first = device.model.registers.iter().find(|row| row.verified || device.allow_unverified);
        let sign_of_life =
            |row: &Register| Wanted { register: row.name.clone(), channel: UNUSED, period: SIGN_OF_LIFE };
        wanted.extend(first.map(sign_of_life));
    }
    DeviceSettings {
        id: DeviceId(u16::try_from(place).unwrap_or(u16::MAX)),
        name: device.name.clone(),
        unit: device.unit,
        file: device.model.clone(),
        allow_unverified: device.allow_unverified,
        wanted,
        relays,
        contact_period: device.poll,
    }
}
