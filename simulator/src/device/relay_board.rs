//! A board of eight relays, 9600 8N1, unit 1, as the Waveshare Modbus RTU Relay with firmware V2.
//!
//! It keeps its last state by itself, whatever becomes of the hub; after power-up all contacts are off.

use super::registers::Registers;
use super::{Device, Outputs};
use crate::plant::Readings;
use crate::wire::pdu::{Exception, Request, Response};

const COILS: usize = 8;
/// Address that means all coils in a write of one.
const ALL: u16 = 0x00FF;

/// A board; its coils stand in [`Outputs`], for they reach into the home.
pub(super) struct Board;

fn range(start: u16, count: usize) -> Result<core::ops::Range<usize>, Exception> {
    let start = usize::from(start);
    if count == 0 || count > COILS {
        return Err(Exception::IllegalValue);
    }
    (start + count <= COILS).then_some(start..start + count).ok_or(Exception::IllegalAddress)
}

impl Device for Board {
    fn answer(
        &mut self,
        request: &Request,
        _: &Readings,
        outputs: &mut Outputs,
    ) -> Result<Response, Exception> {
        let coils = &mut outputs.coils;
        match request {
            Request::ReadBits { function: 1, start, count } => {
                Ok(Response::Bits(coils[range(*start, usize::from(*count))?].to_vec()))
            }
            Request::WriteCoil { at: ALL, value } => {
                let on = match value {
                    0xFF00 => true,
                    0x0000 => false,
                    _ => return Err(Exception::IllegalValue),
                };
                *coils = [on; COILS];
                Ok(Response::Written)
            }
            Request::WriteCoil { at, value } => {
                let coil = coils.get_mut(usize::from(*at)).ok_or(Exception::IllegalAddress)?;
                *coil = match value {
                    0xFF00 => true,
                    0x0000 => false,
                    0x5500 => !*coil,
                    _ => return Err(Exception::IllegalValue),
                };
                Ok(Response::Written)
            }
            Request::WriteCoils { start, bits } => {
                coils[range(*start, bits.len())?].copy_from_slice(bits);
                Ok(Response::Written)
            }
            Request::ReadRegisters { function: 3, start, count } => {
                let mut all = Registers::default();
                all.raw(0x4000, 1);
                all.raw(0x8000, 200);
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

    fn ask(outputs: &mut Outputs, request: &Request) -> Result<Response, Exception> {
        Board.answer(request, &noon(), outputs)
    }

    #[test]
    fn coils_keep_their_state_and_start_released() {
        let mut outputs = Outputs::default();
        let all = Request::ReadBits { function: 1, start: 0, count: 8 };
        assert_eq!(ask(&mut outputs, &all), Ok(Response::Bits(vec![false; 8])));
        ask(&mut outputs, &Request::WriteCoil { at: 2, value: 0xFF00 }).unwrap();
        ask(&mut outputs, &Request::WriteCoils { start: 6, bits: vec![true, true] }).unwrap();
        let bits = vec![false, false, true, false, false, false, true, true];
        for _ in 0..3 {
            assert_eq!(ask(&mut outputs, &all), Ok(Response::Bits(bits.clone())));
        }
        ask(&mut outputs, &Request::WriteCoil { at: 2, value: 0x5500 }).unwrap();
        assert!(!outputs.coils[2]);
        ask(&mut outputs, &Request::WriteCoil { at: ALL, value: 0x0000 }).unwrap();
        assert_eq!(outputs.coils, [false; 8]);
    }

    #[test]
    fn there_are_eight() {
        let mut outputs = Outputs::default();
        assert_eq!(
            ask(&mut outputs, &Request::ReadBits { function: 1, start: 1, count: 8 }),
            Err(Exception::IllegalAddress)
        );
        assert_eq!(
            ask(&mut outputs, &Request::WriteCoil { at: 8, value: 0xFF00 }),
            Err(Exception::IllegalAddress)
        );
        assert_eq!(ask(&mut outputs, &Request::WriteCoil { at: 0, value: 1 }), Err(Exception::IllegalValue));
        assert_eq!(outputs, Outputs::default());
    }
}
