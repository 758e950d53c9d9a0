//! EPEver Tracer 3210A and AN on RS-485, unit 1, 115200 8N1.
//!
//! Facts from the B-series protocol 2.3/2.5 and dumps of a 3210A: input registers are read in blocks of at
//! most 18 at 0x3100, 3 at 0x3200 and 20 at 0x3300; 0x311A, 0x311B and 0x311D only alone; the long answer
//! of the 0x3300 block comes in two bursts. Values of two registers have the low word first.

use core::time::Duration;
use std::collections::BTreeMap;

use super::registers::Registers;
use super::{Device, Outputs, Pause};
use crate::plant::{Readings, Stage};
use crate::wire::pdu::{Exception, Request, Response};

/// Registers that the 3210A gives only in a request of their own.
const ALONE: [u16; 3] = [0x311A, 0x311B, 0x311D];
/// Longest answers that come in one burst, registers.
const ONE_BURST: u16 = 15;
const MOST_HOLDING: u16 = 15;

/// A charge controller.
pub(super) struct Tracer {
    /// An AN rather than a 3210A.
    extended: bool,
    settings: BTreeMap<u16, u16>,
    /// What its clock shows, less the time, s.
    clock_offset: i64,
    charging: bool,
}

impl Tracer {
    pub(super) fn new(extended: bool) -> Self {
        Self { extended, settings: settings(), clock_offset: 0, charging: true }
    }

    fn input(&self, home: &Readings) -> Registers {
        let mut all = Registers::default();
        let volts = home.battery_voltage;
        all.unsigned(0x3100, home.pv_voltage, 0.01);
        all.unsigned(0x3101, amps(home.pv_power, home.pv_voltage), 0.01);
        all.long_low_first(0x3102, home.pv_power, 0.01);
        all.unsigned(0x3104, volts, 0.01);
        all.unsigned(0x3105, amps(home.charge_power, volts), 0.01);
        all.long_low_first(0x3106, home.charge_power, 0.01);
        all.zeros(0x3108..=0x310B);
        let load_volts = if home.disconnected { 0.0 } else { volts };
        all.unsigned(0x310C, load_volts, 0.01);
        all.unsigned(0x310D, amps(home.load_power, load_volts), 0.01);
        all.long_low_first(0x310E, home.load_power, 0.01);
        all.signed(0x3110, home.battery_temperature, 0.01);
        all.signed(0x3111, home.air_temperature + 0.03 * home.charge_power, 0.01);
        all.unsigned(0x311A, voltage_guess(home) * 100.0, 1.0);
        all.signed(0x311B, home.battery_temperature, 0.01);
        all.unsigned(0x311D, home.nominal_voltage, 0.01);
        all.raw(0x3200, battery_status(home));
        all.raw(0x3201, charging_status(home));
        all.raw(0x3202, u16::from(!home.disconnected));
        statistics(&mut all, home);
        if self.extended {
            rated(&mut all, home);
            all.unsigned(0x331A, volts, 0.01);
            let net = amps(home.charge_power, volts) - amps(home.load_power, load_volts);
            all.long_low_first(0x331B, net, 0.01);
            all.signed(0x331D, home.battery_temperature, 0.01);
            all.signed(0x331E, home.air_temperature, 0.01);
        }
        all
    }

    fn read_input(&self, start: u16, count: u16, home: &Readings) -> Result<Response, Exception> {
        if !(1..=125).contains(&count) {
            return Err(Exception::IllegalValue);
        }
        let end = start.saturating_add(count);
        if count > 1 && ALONE.iter().any(|alone| (start..end).contains(alone)) {
            return Err(Exception::IllegalAddress);
        }
        self.input(home).read(start, count).map(Response::Registers)
    }

    fn read_holding(&self, start: u16, count: u16, home: &Readings) -> Result<Response, Exception> {
        if !(1..=MOST_HOLDING).contains(&count) {
            return Err(Exception::IllegalValue);
        }
        let mut all = Registers::default();
        for (at, value) in &self.settings {
            all.raw(*at, *value);
        }
        for (at, value) in (0x9013..).zip(clock(home.unix + self.clock_offset)) {
            all.raw(at, value);
        }
        all.read(start, count).map(Response::Registers)
    }

    fn write_holding(&mut self, start: u16, values: &[u16], home: &Readings) -> Result<Response, Exception> {
        if start == 0x9013 && values.len() == 3 {
            let unix = clock_to_unix(values).ok_or(Exception::IllegalValue)?;
            self.clock_offset = unix - home.unix;
            return Ok(Response::Written);
        }
        let mut changed = self.settings.clone();
        for (at, value) in (start..).zip(values) {
            *changed.get_mut(&at).ok_or(Exception::IllegalAddress)? = *value;
        }
        // Discharge limit < low-voltage disconnect < ... < over-voltage disconnect, from 0x900E up to 0x9003;
        // the charging limit and the over-voltage reconnect share the upper end.
        let ladder = [0x900E, 0x900D, 0x900C, 0x900B, 0x900A, 0x9009, 0x9008, 0x9007, 0x9006, 0x9004, 0x9003];
        if ladder.windows(2).any(|pair| changed[&pair[0]] > changed[&pair[1]]) {
            return Err(Exception::IllegalValue);
        }
        self.settings = changed;
        Ok(Response::Written)
    }

    fn read_bits(
        &self,
        function: u8,
        start: u16,
        home: &Readings,
        outputs: &Outputs,
    ) -> Result<bool, Exception> {
        match (function, start) {
            (1, 0x0000) => Ok(self.charging),
            (1, 0x0002 | 0x0006) => Ok(outputs.load_output),
            (1, 0x0003) => Ok(true),
            (1, 0x0005) => Ok(false),
            (2, 0x2000) => Ok(home.battery_temperature > 65.0),
            (2, 0x200C) => Ok(home.pv_voltage < 5.0),
            _ => Err(Exception::IllegalAddress),
        }
    }
}

impl Device for Tracer {
    fn answer(
        &mut self,
        request: &Request,
        home: &Readings,
        outputs: &mut Outputs,
    ) -> Result<Response, Exception> {
        match request {
            Request::ReadRegisters { function: 4, start, count } => self.read_input(*start, *count, home),
            Request::ReadRegisters { start, count, .. } => self.read_holding(*start, *count, home),
            Request::ReadBits { function, start, count: 1 } => {
                self.read_bits(*function, *start, home, outputs).map(|bit| Response::Bits(vec![bit]))
            }
            Request::WriteCoil { at: 0x0002, value: value @ (0xFF00 | 0x0000) } => {
                outputs.load_output = *value == 0xFF00;
                Ok(Response::Written)
            }
            Request::WriteCoil { at: 0x0000, value: value @ (0xFF00 | 0x0000) } => {
                self.charging = *value == 0xFF00;
                Ok(Response::Written)
            }
            Request::ReadBits { .. } | Request::WriteCoil { .. } | Request::WriteCoils { .. } => {
                Err(Exception::IllegalAddress)
            }
            Request::WriteRegister { at, value } => self.write_holding(*at, &[*value], home),
            Request::WriteRegisters { start, values } => self.write_holding(*start, values, home),
            Request::Other { .. } => Err(Exception::IllegalFunction),
        }
    }

    fn pause(&self, request: &Request, usual: Duration) -> Option<Pause> {
        match request {
            Request::ReadRegisters { function: 4, start: 0x3300..=0x33FF, count } if *count > ONE_BURST => {
                Some(Pause { after_bytes: 24, lasts: usual })
            }
            _ => None,
        }
    }
}

fn amps(watts: f64, volts: f64) -> f64 {
    if volts > 1.0 { watts / volts } else { 0.0 }
}

/// The controller's own idea of the state of charge: a straight line between two voltages, 0 to 1, and as
/// wrong under load and on LFP as such a line is.
fn voltage_guess(home: &Readings) -> f64 {
    let cell = home.battery_voltage / (home.nominal_voltage / 12.0);
    ((cell - 11.1) / (14.2 - 11.1)).clamp(0.0, 1.0)
}

fn battery_status(home: &Readings) -> u16 {
    let low = home.battery_voltage < home.nominal_voltage;
    let voltage = if home.disconnected { 3 } else { u16::from(low) * 2 };
    let temperature =
        if home.battery_temperature > 55.0 { 1 } else { u16::from(home.battery_temperature < -20.0) * 2 };
    voltage | temperature << 4
}

fn charging_status(home: &Readings) -> u16 {
    let stage = match home.stage {
        Stage::Off => 0,
        Stage::Float => 1,
        Stage::Bulk | Stage::Absorption => 2,
    };
    let no_power = u16::from(home.pv_voltage < 5.0);
    no_power << 14 | stage << 2 | u16::from(home.stage != Stage::Off)
}

fn statistics(all: &mut Registers, home: &Readings) {
    all.unsigned(0x3300, home.pv_voltage_today[0], 0.01);
    all.unsigned(0x3301, home.pv_voltage_today[1], 0.01);
    all.unsigned(0x3302, home.battery_voltage_today[0], 0.01);
    all.unsigned(0x3303, home.battery_voltage_today[1], 0.01);
    let kilo = |watt_hours: f64| (watt_hours / 10.0).floor() / 100.0;
    for (start, [total, today]) in [(0x3304, home.load_energy), (0x330C, home.pv_energy)] {
        all.long_low_first(start, kilo(today), 0.01);
        for place in [start + 2, start + 4, start + 6] {
            all.long_low_first(place, kilo(total), 0.01);
        }
    }
}

fn rated(all: &mut Registers, home: &Readings) {
    all.unsigned(0x3000, 150.0, 0.01);
    all.unsigned(0x3001, 40.0, 0.01);
    all.long_low_first(0x3002, 40.0 * home.nominal_voltage, 0.01);
    all.unsigned(0x3004, home.nominal_voltage, 0.01);
    all.unsigned(0x3005, 40.0, 0.01);
    all.long_low_first(0x3006, 40.0 * home.nominal_voltage, 0.01);
    all.raw(0x3008, 2);
    all.unsigned(0x300E, 40.0, 0.01);
}

/// Settings as they leave the factory, for a sealed battery of 12 V.
fn settings() -> BTreeMap<u16, u16> {
    let volts = [1600, 1500, 1500, 1460, 1440, 1380, 1320, 1260, 1220, 1200, 1110, 1060_u16];
    let mut all: BTreeMap<u16, u16> = (0x9003..).zip(volts).collect();
    all.extend([(0x9000, 1), (0x9001, 200), (0x9002, 300)]);
    all.extend((0x9016..=0x9021).map(|at| (at, 0)));
    all.extend((0x903D..=0x903F).chain(0x9042..=0x904D).map(|at| (at, 0)));
    all.extend([(0x9065, 0), (0x9067, 0), (0x9069, 0), (0x906A, 1), (0x906B, 120), (0x906C, 120)]);
    all.extend([(0x906D, 80), (0x906E, 100), (0x9070, 0)]);
    all
}

/// The three clock registers at a moment: minute and second, day and hour, year since 2000 and month.
fn clock(unix: i64) -> [u16; 3] {
    let civil = jiff::Timestamp::from_second(unix)
        .unwrap_or(jiff::Timestamp::UNIX_EPOCH)
        .to_zoned(jiff::tz::TimeZone::UTC)
        .datetime();
    let pair = |high: i16, low: i8| (high.clamp(0, 255).cast_unsigned() << 8) | u16::from(low.unsigned_abs());
    [
        pair(civil.minute().into(), civil.second()),
        pair(civil.day().into(), civil.hour()),
        pair(civil.year() - 2000, civil.month()),
    ]
}

fn clock_to_unix(registers: &[u16]) -> Option<i64> {
    let pair = |place: usize| registers.get(place).map(|value| value.to_be_bytes());
    let ([minute, second], [day, hour], [year, month]) = (pair(0)?, pair(1)?, pair(2)?);
    let small = |byte: u8| i8::try_from(byte).ok();
    let civil = jiff::civil::DateTime::new(
        2000 + i16::from(year),
        small(month)?,
        small(day)?,
        small(hour)?,
        small(minute)?,
        small(second)?,
        0,
    );
    Some(civil.ok()?.to_zoned(jiff::tz::TimeZone::UTC).ok()?.timestamp().as_second())
}

#[cfg(test)]
mod tests {
    use super::super::testing::noon;
    use super::*;

    fn read(tracer: &mut Tracer, function: u8, start: u16, count: u16) -> Result<Vec<u16>, Exception> {
        let request = Request::ReadRegisters { function, start, count };
        tracer.answer(&request, &noon(), &mut Outputs::default()).map(|response| match response {
            Response::Registers(values) => values,
            other => panic!("{other:?}"),
        })
    }

    #[test]
    fn eighteen_registers_and_no_more() {
        let mut tracer = Tracer::new(false);
        let values = read(&mut tracer, 4, 0x3100, 18).unwrap();
        assert_eq!(values[0], 6850);
        assert_eq!(u32::from(values[2]) | u32::from(values[3]) << 16, 51_234, "PV power, low word first");
        assert_eq!(values[4], 2761);
        assert_eq!(values[16].cast_signed(), -450);
        assert_eq!(read(&mut tracer, 4, 0x3100, 19), Err(Exception::IllegalAddress));
    }

    #[test]
    fn some_registers_are_read_alone_and_some_are_absent() {
        let mut tracer = Tracer::new(false);
        for at in ALONE {
            assert!(read(&mut tracer, 4, at, 1).is_ok(), "{at:#06x}");
        }
        assert_eq!(read(&mut tracer, 4, 0x311A, 2), Err(Exception::IllegalAddress));
        for at in [0x3000, 0x3112, 0x3314, 0x331A, 0x331B] {
            assert_eq!(read(&mut tracer, 4, at, 1), Err(Exception::IllegalAddress), "{at:#06x}");
        }
        let net = read(&mut Tracer::new(true), 4, 0x331B, 2).unwrap();
        let net = (u32::from(net[0]) | u32::from(net[1]) << 16).cast_signed();
        assert_eq!(net, (100.0_f64 * (491.85 - 300.0) / 27.61).round() as i32);
        assert!(read(&mut tracer, 4, 0x3200, 3).is_ok());
        assert!(read(&mut tracer, 3, 0x9000, 15).is_ok());
        assert_eq!(read(&mut tracer, 3, 0x9000, 16), Err(Exception::IllegalValue));
    }

    #[test]
    fn the_long_block_comes_in_two_bursts() {
        let mut tracer = Tracer::new(false);
        assert_eq!(read(&mut tracer, 4, 0x3300, 20).unwrap()[12], 123, "1.23 kWh today");
        let usual = Duration::from_millis(20);
        let long = Request::ReadRegisters { function: 4, start: 0x3300, count: 20 };
        assert_eq!(tracer.pause(&long, usual), Some(Pause { after_bytes: 24, lasts: usual }));
        let short = Request::ReadRegisters { function: 4, start: 0x3304, count: 2 };
        assert_eq!(tracer.pause(&short, usual), None);
        assert_eq!(read(&mut tracer, 4, 0x3300, 21), Err(Exception::IllegalAddress));
    }

    #[test]
    fn the_clock_is_set_in_one_write() {
        let mut tracer = Tracer::new(false);
        assert_eq!(read(&mut tracer, 3, 0x9013, 3).unwrap(), [0x0000, 0x0100, 0x100C], "2016-12-01 00:00");
        let request = Request::WriteRegisters { start: 0x9013, values: vec![0x1E05, 0x1812, 0x1906] };
        tracer.answer(&request, &noon(), &mut Outputs::default()).unwrap();
        assert_eq!(read(&mut tracer, 3, 0x9013, 3).unwrap(), [0x1E05, 0x1812, 0x1906]);
    }

    #[test]
    fn thresholds_out_of_order_are_refused() {
        let mut tracer = Tracer::new(false);
        let write = |tracer: &mut Tracer, at, value| {
            tracer.answer(&Request::WriteRegister { at, value }, &noon(), &mut Outputs::default())
        };
        assert_eq!(write(&mut tracer, 0x900D, 1150), Ok(Response::Written));
        assert_eq!(write(&mut tracer, 0x900D, 1300), Err(Exception::IllegalValue));
        assert_eq!(read(&mut tracer, 3, 0x900D, 1), Ok(vec![1150]));
    }
}
