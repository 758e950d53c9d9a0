//! From the wiring of a home to drivers that run.

use std::path::PathBuf;

use sunkeep_models::quantity::Seconds;

use crate::config::{Bus, BusLink, ChannelWiring, RelayAt, Wiring};
use crate::driver::{Channel, DeviceId};
use crate::modbus::{
    BusError, BusSettings, DeviceSettings, LineSettings, ModbusBus, Relay, RtuSettings, TcpSettings, Wanted,
};

/// How often contacts are read back.
const CONTACT_PERIOD: Seconds = Seconds(5.0);

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
    DeviceSettings {
        id: DeviceId(u16::try_from(place).unwrap_or(u16::MAX)),
        name: device.name.clone(),
        unit: device.unit,
        file: device.model.clone(),
        allow_unverified: device.allow_unverified,
        wanted: wanted.collect(),
        relays: relays.collect(),
        contact_period: device.poll.max(CONTACT_PERIOD),
    }
}
