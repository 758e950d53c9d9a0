//! Eastron SDM120 (one phase, 2400 8N1) and SDM630 (three phases, 9600 8N1).
//!
//! Every value is a float of two registers, high word first; addresses and counts are even; at most 80
//! registers a request; a parameter the wiring does not have reads 0. Writing is not simulated.

use super::registers::Registers;
use super::{Device, Outputs, mains, phase_current};
use crate::plant::Readings;
use crate::wire::pdu::{Exception, Request, Response};

const MOST_REGISTERS: u16 = 80;
/// Last register of the map; what is not defined up to here reads 0.
const LAST: u16 = 0x017D;

/// A meter.
pub(super) struct Meter {
    /// An SDM630 rather than an SDM120.
    pub(super) three_phase: bool,
}

impl Meter {
    fn input(&self, home: &Readings) -> Registers {
        let mut all = Registers::default();
        all.zeros(0..=LAST);
        let total: f64 = home.phases.iter().sum();
        let energy: f64 = home.phase_energy.iter().sum::<f64>() / 1000.0;
        let volts = mains(home);
        let lines = if self.three_phase { home.phases.to_vec() } else { vec![total] };
        for (offset, watts) in (0..).step_by(2).zip(&lines) {
            all.float(offset, volts);
            all.float(0x0006 + offset, phase_current(home, *watts));
            all.float(0x000C + offset, *watts);
            all.float(0x0012 + offset, *watts);
            all.float(0x001E + offset, 1.0);
        }
        if self.three_phase {
            all.float(0x0034, total);
            all.float(0x0038, total);
            all.float(0x003E, 1.0);
            for (offset, watt_hours) in (0..).step_by(2).zip(home.phase_energy) {
                all.float(0x015A + offset, watt_hours / 1000.0);
                all.float(0x0166 + offset, watt_hours / 1000.0);
            }
        }
        all.float(0x0046, if home.disconnected { 0.0 } else { 50.0 });
        all.float(0x0048, energy);
        all.float(0x0156, energy);
        all
    }

    fn settings(&self) -> Registers {
        let mut all = Registers::default();
        if self.three_phase {
            all.float(0x000A, 3.0);
        }
        all.float(0x000C, 100.0);
        all.float(0x0012, 0.0);
        all.float(0x0014, 1.0);
        all.float(0x0018, 1000.0);
        all.float(0x001C, if self.three_phase { 2.0 } else { 0.0 });
        all
    }
}

impl Device for Meter {
    fn answer(&mut self, request: &Request, home: &Readings, _: &mut Outputs) -> Result<Response, Exception> {
        let Request::ReadRegisters { function, start, count } = request else {
            return Err(Exception::IllegalFunction);
        };
        if *count == 0 || *count > MOST_REGISTERS || count % 2 == 1 {
            return Err(Exception::IllegalValue);
        }
        if start % 2 == 1 {
            return Err(Exception::IllegalAddress);
        }
        let all = if *function == 4 { self.input(home) } else { self.settings() };
        all.read(*start, *count).map(Response::Registers)
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::noon;
    use super::*;

    fn read(three_phase: bool, start: u16, count: u16) -> Result<Vec<f32>, Exception> {
        let request = Request::ReadRegisters { function: 4, start, count };
        let mut meter = Meter { three_phase };
        match meter.answer(&request, &noon(), &mut Outputs::default())? {
            Response::Registers(values) => Ok(values
                .chunks_exact(2)
                .map(|pair| f32::from_bits(u32::from(pair[0]) << 16 | u32::from(pair[1])))
                .collect()),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn one_phase_has_the_sum_and_zeros_for_the_rest() {
        assert_eq!(read(false, 0x000C, 6).unwrap(), [184.0, 0.0, 0.0]);
        assert_eq!(read(false, 0x0048, 2).unwrap(), [6.0]);
        assert_eq!(read(false, 0x0034, 2).unwrap(), [0.0], "no total in a meter of one phase");
    }

    #[test]
    fn three_phases_have_a_tier_each() {
        assert_eq!(read(true, 0x000C, 6).unwrap(), [46.0, 23.0, 115.0]);
        assert_eq!(read(true, 0x0034, 2).unwrap(), [184.0]);
        assert_eq!(read(true, 0x015A, 6).unwrap(), [1.0, 2.0, 3.0]);
    }

    #[test]
    fn eighty_registers_at_even_places() {
        assert_eq!(read(true, 0, 80).unwrap().len(), 40);
        assert_eq!(read(true, 0, 82), Err(Exception::IllegalValue));
        assert_eq!(read(true, 1, 2), Err(Exception::IllegalAddress));
        assert_eq!(read(true, 0, 3), Err(Exception::IllegalValue));
        assert_eq!(read(true, 0x017E, 2), Err(Exception::IllegalAddress));
    }
}
