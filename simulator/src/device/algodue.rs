//! Algodue UEM energy meter, three phases with four wires, register set 0, two's complement.
//!
//! Functions 3 and 4 are the same. At most 127 registers a request on the serial line; a gap in a block
//! is an exception. Only what is documented in the maker's protocol v011 and needed is here: the integer
//! and IEEE blocks of power, and the totals.

use super::registers::Registers;
use super::{Device, Outputs, mains, phase_current};
use crate::plant::Readings;
use crate::wire::pdu::{Exception, Request, Response};

const MOST_REGISTERS: u16 = 127;
const ALARM_BITS: u16 = 40;

/// A meter.
pub(super) struct Meter;

/// The readings as the meter has them.
struct Lines {
    volts: f64,
    amps: [f64; 3],
    watts: [f64; 3],
    total: f64,
    hertz: f64,
}

fn floats(all: &mut Registers, home: &Readings, lines: &Lines) {
    all.zeros(0x1000..=0x103B);
    for (offset, phase) in (0..).step_by(2).zip(0..3) {
        all.float(0x1000 + offset, lines.volts);
        all.float(0x1006 + offset, lines.volts * 3f64.sqrt());
        all.float(0x100E + offset, lines.amps[phase]);
        all.float(0x1018 + offset, 1.0);
        all.float(0x1020 + offset, lines.watts[phase]);
        all.float(0x1028 + offset, lines.watts[phase]);
        all.float(0x1100 + offset, home.phase_energy[phase]);
    }
    all.float(0x100C, lines.volts * 3f64.sqrt());
    all.float(0x1016, lines.amps.iter().sum::<f64>() / 3.0);
    all.float(0x101E, 1.0);
    all.float(0x1026, lines.total);
    all.float(0x102E, lines.total);
    all.float(0x1038, lines.hertz);
    all.raw(0x103A, 0x3DFB);
    all.raw(0x103B, 0xE76D);
    all.zeros(0x1106..=0x114F);
    all.float(0x1106, home.phase_energy.iter().sum());
}

fn integers(all: &mut Registers, home: &Readings, lines: &Lines) {
    for (offset, phase) in (0..).step_by(2).zip(0..3) {
        all.long_high_first(offset, lines.volts, 0.001);
        all.long_high_first(0x000E + offset, lines.amps[phase], 0.001);
    }
    all.long_high_first(0x000C, lines.volts * 3f64.sqrt(), 0.001);
    all.long_high_first(0x0014, 0.0, 0.001);
    all.long_high_first(0x0016, lines.amps.iter().sum::<f64>() / 3.0, 0.001);
    for (offset, phase) in (0..).step_by(3).zip(0..3) {
        all.triple_high_first(0x001C + offset, lines.watts[phase], 0.001);
    }
    all.triple_high_first(0x0025, lines.total, 0.001);
    all.unsigned(0x0040, lines.hertz, 0.001);
    all.triple_high_first(0x0100, home.phase_energy[0], 0.1);
    all.triple_high_first(0x0109, home.phase_energy.iter().sum(), 0.1);
    all.triple_high_first(0x010C, 0.0, 0.1);
    all.triple_high_first(0x0115, 0.0, 0.1);
}

fn identity(all: &mut Registers) {
    all.text(0x0500, "SIM0000001", 5);
    all.raw(0x0505, 8);
    all.raw(0x0506, 1);
    all.raw(0x0507, 0x66);
    all.raw(0x050B, 1);
    all.raw(0x050C, 0);
    all.raw(0x050D, 0);
    all.raw(0x050E, 1);
    for (at, value) in [(0x0512, 1), (0x0513, 1), (0x0514, 1), (0x0515, 6), (0x0517, 0)] {
        all.raw(at, value);
    }
    all.raw(0x051D, 1);
    all.raw(0x0523, 0);
}

impl Device for Meter {
    fn answer(&mut self, request: &Request, home: &Readings, _: &mut Outputs) -> Result<Response, Exception> {
        match request {
            Request::ReadRegisters { start, count, .. } => {
                if *count == 0 {
                    return Err(Exception::IllegalValue);
                }
                if *count > MOST_REGISTERS {
                    return Err(Exception::ResponseLength);
                }
                let lines = Lines {
                    volts: mains(home),
                    amps: home.phases.map(|watts| phase_current(home, watts)),
                    watts: home.phases,
                    total: home.phases.iter().sum(),
                    hertz: if home.disconnected { 0.0 } else { 50.0 },
                };
                let mut all = Registers::default();
                floats(&mut all, home, &lines);
                integers(&mut all, home, &lines);
                identity(&mut all);
                all.read(*start, *count).map(Response::Registers)
            }
            Request::ReadBits { function: 1, start, count } => {
                let fits = *count > 0 && start.saturating_add(*count) <= ALARM_BITS;
                let bits = vec![false; usize::from(*count)];
                fits.then_some(Response::Bits(bits)).ok_or(Exception::IllegalAddress)
            }
            _ => Err(Exception::IllegalFunction),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::noon;
    use super::*;

    fn read(start: u16, count: u16) -> Result<Vec<u16>, Exception> {
        let request = Request::ReadRegisters { function: 3, start, count };
        match Meter.answer(&request, &noon(), &mut Outputs::default())? {
            Response::Registers(values) => Ok(values),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn floats_and_integers_agree() {
        let float = read(0x1026, 2).unwrap();
        assert_eq!(f32::from_bits(u32::from(float[0]) << 16 | u32::from(float[1])), 184.0);
        let whole = read(0x0025, 3).unwrap();
        assert_eq!(u64::from(whole[1]) << 16 | u64::from(whole[2]), 184_000);
        let energy = read(0x0109, 3).unwrap();
        assert_eq!(u64::from(energy[1]) << 16 | u64::from(energy[2]), 60_000);
        assert_eq!(read(0x0523, 1), Ok(vec![0]));
    }

    #[test]
    fn gaps_and_lengths_are_refused() {
        assert_eq!(read(0x1000, 60).unwrap().len(), 60);
        assert_eq!(read(0x1000, 61), Err(Exception::IllegalAddress));
        assert_eq!(read(0x1000, 128), Err(Exception::ResponseLength));
        assert_eq!(read(0x0004, 4), Err(Exception::IllegalAddress));
    }
}
