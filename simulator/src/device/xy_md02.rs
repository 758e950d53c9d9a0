//! XY-MD02, a sensor of temperature and humidity, 9600 8N1, unit 1: input registers 1 and 2.

use super::registers::Registers;
use super::{Device, Outputs};
use crate::plant::Readings;
use crate::wire::pdu::{Exception, Request, Response};

/// A sensor in the room where the battery stands.
pub(super) struct Sensor;

impl Device for Sensor {
    fn answer(&mut self, request: &Request, home: &Readings, _: &mut Outputs) -> Result<Response, Exception> {
        let mut all = Registers::default();
        match request {
            Request::ReadRegisters { function: 4, start, count } => {
                all.signed(1, home.air_temperature, 0.1);
                all.unsigned(2, home.humidity, 0.1);
                all.read(*start, *count).map(Response::Registers)
            }
            Request::ReadRegisters { start, count, .. } => {
                for (at, value) in [(0x0101, 1), (0x0102, 9600), (0x0103, 0), (0x0104, 0)] {
                    all.raw(at, value);
                }
                all.read(*start, *count).map(Response::Registers)
            }
            _ => Err(Exception::IllegalFunction),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::noon;
    use super::*;

    #[test]
    fn frost_is_a_negative_number() {
        let request = Request::ReadRegisters { function: 4, start: 1, count: 2 };
        let answer = Sensor.answer(&request, &noon(), &mut Outputs::default());
        assert_eq!(answer, Ok(Response::Registers(vec![(-12_i16).cast_unsigned(), 487])));
        let request = Request::ReadRegisters { function: 4, start: 0, count: 2 };
        let answer = Sensor.answer(&request, &noon(), &mut Outputs::default());
        assert_eq!(answer, Err(Exception::IllegalAddress));
    }
}
