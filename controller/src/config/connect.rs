//! From the file as written to what is connected where; what does not fit together is refused with its line.

use std::collections::BTreeSet;
use std::ops::Range;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use super::file::{BusKind, ContactWiring, File, GpioDriver, HubDead};
use super::wiring::{Bus, BusLink, ChannelWiring, Device, Gpio, Place, Pulse, Relay, RelayAt, Term, Wiring};
use super::{ConfigError, Problems};
use crate::device_file::Catalogue;
use crate::driver::{Channel, Output};
use crate::gpio::{Bias, MAX_DEBOUNCE};
use sunkeep_models::quantity::Seconds;

/// Refuses names that could not be told apart, or that break paths such as `device/register`.
pub(super) fn check_name(kind: &str, name: &str, span: &Range<usize>, problems: &mut Problems<'_>) {
    let plain = name.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_' || c == '-');
    if !plain || name.is_empty() || name.len() > 32 {
        let what = format!("name of the {kind} is {name:?}, expected 1 to 32 of a-z, 0-9, '_' and '-'");
        problems.at(span, what);
    }
}

/// Resolves everything that is connected.
pub(super) fn wiring(file: &File, problems: &mut Problems<'_>) -> Result<Wiring, ConfigError> {
    let catalogue = Catalogue::load(file.devices_folder.as_deref().map(Path::new))?;
    let buses = buses(file, problems);
    let devices = devices(file, &buses, &catalogue, problems);
    let pulses = pulses(file, problems);
    let mut wiring = Wiring {
        buses,
        devices,
        gpio: file.gpio.as_ref().map(|gpio| Gpio {
            driver: gpio.driver,
            chip: gpio.chip.as_ref().map_or("/dev/gpiochip0", |chip| chip.get_ref().as_str()).into(),
        }),
        pulses,
        channels: Vec::new(),
        places: Vec::new(),
        relays: Vec::new(),
    };
    if let Some(gpio) = &file.gpio
        && gpio.driver == GpioDriver::Rppal
        && let Some(chip) = &gpio.chip
    {
        let what = "rppal has lines of the header only: expected no chip, or driver = \"chardev\"";
        problems.at(&chip.span(), what.into());
    }
    unique("bus", file.buses.iter().map(|bus| (bus.get_ref().name.as_str(), bus.span())), problems);
    unique(
        "device",
        file.devices.iter().map(|device| (device.get_ref().name.as_str(), device.span())),
        problems,
    );
    unique("pulse", file.pulses.iter().map(|pulse| (pulse.get_ref().name.as_str(), pulse.span())), problems);
    unique("load", file.loads.iter().map(|load| (load.get_ref().name.as_str(), load.span())), problems);
    for pulse in 0..wiring.pulses.len() {
        wiring.channel(ChannelWiring::Pulse { pulse });
    }
    places(file, &mut wiring, problems);
    relays(file, &mut wiring, problems);
    Ok(wiring)
}

fn unique<'a>(kind: &str, names: impl Iterator<Item = (&'a str, Range<usize>)>, problems: &mut Problems<'_>) {
    let mut seen = BTreeSet::new();
    for (name, span) in names {
        if !seen.insert(name) {
            problems.at(&span, format!("a second {kind} is named {name:?}, expected another name"));
        }
    }
}

fn buses(file: &File, problems: &mut Problems<'_>) -> Vec<Bus> {
    let buses = file.buses.iter().map(|spanned| {
        let (table, span) = (spanned.get_ref(), spanned.span());
        check_name("bus", &table.name, &span, problems);
        let mut complain = |what: &str| problems.at(&span, format!("bus {:?}: {what}", table.name));
        let link = match table.kind {
            BusKind::Rtu => {
                if table.address.is_some() {
                    complain("an rtu bus has a port, not an address");
                }
                if table.port.is_none() {
                    complain("no port is given, expected such as port = \"/dev/ttyUSB0\"");
                }
                let baud = table.baud.as_ref().map_or(9600, |baud| *baud.get_ref());
                let stop_bits = table.stop_bits.unwrap_or(1);
                if !(1..=2).contains(&stop_bits) {
                    complain(&format!("stop_bits is {stop_bits}, expected 1 or 2"));
                }
                if let Some(given) = table.baud.as_ref().filter(|_| !(300..=921_600).contains(&baud)) {
                    problems.at(&given.span(), format!("baud is {baud}, expected 300 to 921600"));
                }
                BusLink::Rtu {
                    port: table.port.clone().unwrap_or_default(),
                    baud,
                    parity: table.parity.unwrap_or_default(),
                    stop_bits,
                    echo: table.echo,
                }
            }
            BusKind::Tcp => {
                if table.port.is_some()
                    || table.baud.is_some()
                    || table.parity.is_some()
                    || table.stop_bits.is_some()
                {
                    complain("a tcp bus has an address, and no port, baud, parity or stop_bits");
                }
                let address = table.address.as_ref().map(|address| address.get_ref().clone());
                let valid = address.as_deref().and_then(|address| address.rsplit_once(':')).is_some_and(
                    |(host, port)| !host.is_empty() && port.parse::<u16>().is_ok_and(|port| port > 0),
                );
                if !valid {
                    complain("no usable address, expected such as address = \"192.168.1.10:502\"");
                }
                BusLink::Tcp { address: address.unwrap_or_default() }
            }
        };
        Bus { name: table.name.clone(), link }
    });
    buses.collect()
}

fn devices(file: &File, buses: &[Bus], catalogue: &Catalogue, problems: &mut Problems<'_>) -> Vec<Device> {
    let mut devices = Vec::new();
    let mut units = BTreeSet::new();
    for spanned in &file.devices {
        let (table, span) = (spanned.get_ref(), spanned.span());
        check_name("device", &table.name, &span, problems);
        let name = table.bus.get_ref();
        let bus = buses.iter().position(|bus| bus.name == *name);
        if bus.is_none() {
            problems.at(&table.bus.span(), format!("bus is {name:?}, but no [[bus]] has that name"));
        }
        let unit = *table.unit.get_ref();
        if unit > 247 {
            problems.at(&table.unit.span(), format!("unit is {unit}, expected 0 to 247"));
        }
        if bus.is_some_and(|bus| !units.insert((bus, unit))) {
            let what = format!("unit {unit} is taken by another device on bus {name:?}");
            problems.at(&table.unit.span(), what);
        }
        let Some(model) = catalogue.get(table.model.get_ref()) else {
            let known: Vec<_> = catalogue.keys().collect();
            let what = format!("model is {:?}, expected one of {}", table.model.get_ref(), known.join(", "));
            problems.at(&table.model.span(), what);
            continue;
        };
        if !model.verified && !table.allow_unverified {
            let what = format!(
                "the map of {} was never verified on a device: check its file, then set allow_unverified = true",
                model.name
            );
            problems.at(&table.model.span(), what);
        }
        let poll = problems.number_or("poll_s", table.poll_s.as_ref(), 0.1, 3600.0, 1.0);
        devices.push(Device {
            name: table.name.clone(),
            model,
            bus: bus.unwrap_or_default(),
            unit,
            poll: Seconds(poll),
            allow_unverified: table.allow_unverified,
        });
    }
    devices
}

fn pulses(file: &File, problems: &mut Problems<'_>) -> Vec<Pulse> {
    if let (Some(first), None) = (file.pulses.first(), &file.gpio) {
        problems.at(&first.span(), "a [[pulse]] needs a [gpio] table that says how lines are read".into());
    }
    let mut lines = BTreeSet::new();
    let pulses = file.pulses.iter().map(|spanned| {
        let table = spanned.get_ref();
        if !lines.insert(table.line) {
            problems.at(&spanned.span(), format!("another [[pulse]] has line {}", table.line));
        }
        check_name("pulse", &table.name, &spanned.span(), problems);
        let debounce = Duration::from_millis(table.debounce_ms.as_ref().map_or(20, |value| *value.get_ref()));
        if debounce > MAX_DEBOUNCE {
            let (read, most) = (debounce.as_millis(), MAX_DEBOUNCE.as_millis());
            problems.at(&spanned.span(), format!("debounce_ms is {read}, expected at most {most}"));
        }
        Pulse {
            name: table.name.clone(),
            line: table.line,
            wh_per_pulse: problems.number("wh_per_pulse", &table.wh_per_pulse, 1e-4, 1e5),
            active_low: table.active_low,
            bias: table.bias.unwrap_or(if table.active_low { Bias::Up } else { Bias::Down }),
            debounce,
        }
    });
    pulses.collect()
}

/// Resolves every place of the process image that the file feeds.
fn places(file: &File, wiring: &mut Wiring, problems: &mut Problems<'_>) {
    let battery = &file.battery;
    let wanted = [
        (Place::BatteryVoltage, battery.voltage.as_ref()),
        (Place::BatteryCurrent, battery.current.as_ref()),
        (Place::BatteryPower, battery.power.as_ref()),
        (Place::BatteryTemperature, battery.temperature.as_ref()),
        (Place::BatteryCharge, battery.charge.as_ref()),
        (Place::Sun, file.panels.as_ref().and_then(|panels| panels.power.as_ref())),
        (Place::Total, file.total.power.as_ref()),
    ];
    let loads = file.loads.iter().enumerate();
    let loads = loads.map(|(number, load)| (Place::Load(number), load.get_ref().power.as_ref()));
    for (place, source) in wanted.into_iter().chain(loads) {
        let Some(source) = source else { continue };
        let (written, span) = (source.get_ref().list(), source.span());
        if written.is_empty() || written.len() > 8 {
            problems.at(&span, format!("{}: {} sources, expected 1 to 8", place.key(), written.len()));
        }
        let terms = written.iter().take(8);
        let terms = terms.filter_map(|term| resolve_term(place, term, &span, file, wiring, problems));
        let terms = terms.collect();
        wiring.places.push((place, terms));
    }
    if battery.voltage.is_none() && battery.charge.is_none() {
        let what = "[battery] has neither voltage nor charge: expected at least one of them to be measured";
        problems.at(&file.battery.capacity_ah.span(), what.into());
    }
}

impl Place {
    /// The key in the file, for messages.
    fn key(self) -> &'static str {
        match self {
            Self::BatteryVoltage => "battery.voltage",
            Self::BatteryCurrent => "battery.current",
            Self::BatteryPower => "battery.power",
            Self::BatteryTemperature => "battery.temperature",
            Self::BatteryCharge => "battery.charge",
            Self::Sun => "panels.power",
            Self::Total => "total.power",
            Self::Load(_) => "load.power",
        }
    }

    /// Units that fit, with the factor to the unit of the image.
    fn units(self) -> &'static [(&'static str, f64)] {
        match self {
            Self::BatteryVoltage => &[("V", 1.0), ("mV", 1e-3)],
            Self::BatteryCurrent => &[("A", 1.0), ("mA", 1e-3)],
            Self::BatteryTemperature => &[("degC", 1.0)],
            Self::BatteryCharge => &[("%", 0.01)],
            Self::BatteryPower | Self::Sun | Self::Total | Self::Load(_) => &[("W", 1.0), ("kW", 1e3)],
        }
    }
}

fn resolve_term(
    place: Place,
    text: &str,
    span: &Range<usize>,
    file: &File,
    wiring: &mut Wiring,
    problems: &mut Problems<'_>,
) -> Option<Term> {
    let key = place.key();
    let (sign, path) = text.strip_prefix('-').map_or((1.0, text), |rest| (-1.0, rest.trim_start()));
    let mut complain = |what: String| problems.at(span, format!("{key}: {what}"));
    let Some((device_name, register)) = path.split_once('/') else {
        complain(format!("{path:?}, expected \"device/register\" such as \"charger/battery.voltage\""));
        return None;
    };
    if device_name == "pulse" {
        let Some(pulse) = wiring.pulses.iter().position(|pulse| pulse.name == register) else {
            complain(format!("no [[pulse]] is named {register:?}"));
            return None;
        };
        if !place.units().iter().any(|(unit, _)| *unit == "W") {
            complain(format!("{path:?} is in W, expected {}", place.units()[0].0));
            return None;
        }
        return Some(Term { channel: wiring.channel(ChannelWiring::Pulse { pulse }), factor: sign });
    }
    let Some(device) = wiring.devices.iter().position(|device| device.name == device_name) else {
        // A device whose model is unknown was complained about where it stands.
        if !file.devices.iter().any(|device| device.get_ref().name == device_name) {
            complain(format!("no [[device]] is named {device_name:?}"));
        }
        return None;
    };
    let model = Arc::clone(&wiring.devices[device].model);
    let Some(found) = model.register(register) else {
        let known: Vec<_> = model.registers.iter().map(|register| register.name.as_str()).collect();
        complain(format!(
            "{} has no register {register:?}, expected one of {}",
            model.name,
            known.join(", ")
        ));
        return None;
    };
    let allowed = file
        .devices
        .iter()
        .any(|table| table.get_ref().name == device_name && table.get_ref().allow_unverified);
    if !found.verified && !allowed {
        complain(format!(
            "{register:?} of {} is unverified: set allow_unverified = true to use it",
            model.name
        ));
    }
    let Some((_, factor)) = place.units().iter().find(|(unit, _)| *unit == found.unit) else {
        complain(format!("{path:?} is in {}, expected {}", found.unit, place.units()[0].0));
        return None;
    };
    let channel = wiring.channel(ChannelWiring::Register { device, register: register.to_owned() });
    Some(Term { channel, factor: sign * factor })
}

impl Wiring {
    /// The channel of a value; a value that feeds two places is read once.
    fn channel(&mut self, wanted: ChannelWiring) -> Channel {
        let place = self.channels.iter().position(|channel| *channel == wanted).unwrap_or_else(|| {
            self.channels.push(wanted);
            self.channels.len() - 1
        });
        // Few loads and a few places more, of at most eight terms each.
        Channel(u16::try_from(place).unwrap_or(u16::MAX))
    }
}

fn relays(file: &File, wiring: &mut Wiring, problems: &mut Problems<'_>) {
    for (number, load) in file.loads.iter().enumerate() {
        let Some(spanned) = &load.get_ref().relay else { continue };
        let (table, span) = (spanned.get_ref(), spanned.span());
        let name = &load.get_ref().name;
        let mut complain = |what: String| problems.at(&span, format!("relay of {name:?}: {what}"));
        let at = match (&table.device, table.coil, table.gpio) {
            (Some(device_name), Some(coil), None) => {
                let Some(device) = wiring.devices.iter().position(|device| device.name == *device_name)
                else {
                    complain(format!("no [[device]] is named {device_name:?}"));
                    continue;
                };
                let model = &wiring.devices[device].model;
                match model.relays {
                    None => complain(format!("{} has no relays", model.name)),
                    Some(relays) if coil >= relays.count => complain(format!(
                        "coil is {coil}, expected 0 to {} on {}",
                        relays.count - 1,
                        model.name
                    )),
                    Some(_) => {}
                }
                if table.hub_dead != HubDead::Keeps {
                    complain(
                        "a relay board keeps its last state by itself: expected hub_dead = \"keeps\"".into(),
                    );
                }
                if table.active_low {
                    complain("active_low is for a gpio relay".into());
                }
                RelayAt::Coil { device, coil }
            }
            (None, None, Some(line)) => {
                if wiring.gpio.is_none() {
                    complain("a gpio relay needs a [gpio] table that says how lines are switched".into());
                }
                if wiring.pulses.iter().any(|pulse| pulse.line == line) {
                    complain(format!("line {line} is a [[pulse]] input"));
                }
                RelayAt::Gpio { line, active_low: table.active_low }
            }
            _ => {
                complain("expected either device and coil, or gpio".into());
                continue;
            }
        };
        if wiring.relays.iter().any(|relay| relay.at.same_contact(at)) {
            complain("another load has the same relay".into());
        }
        if load.get_ref().powers_hub && table.wiring == ContactWiring::NormallyOpen {
            let what =
                "what powers the hub must be wired normally_closed, or a dead hub could not start again";
            complain(what.into());
        }
        wiring.relays.push(Relay {
            output: Output(u16::try_from(number).unwrap_or(u16::MAX)),
            at,
            wiring: table.wiring,
            hub_dead: table.hub_dead,
            hub_stops: table.hub_stops,
        });
    }
}
