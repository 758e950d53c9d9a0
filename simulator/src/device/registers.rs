//! A device's registers at one moment: which addresses exist and what they hold.

use std::collections::BTreeMap;

use crate::wire::pdu::Exception;

/// Registers by address; what is not there is a gap.
#[derive(Debug, Default)]
pub(crate) struct Registers(BTreeMap<u16, u16>);

/// The nearest whole number of steps of `scale`; `NaN` reads as 0.
fn steps(value: f64, scale: f64) -> i64 {
    (value / scale).round() as i64
}

impl Registers {
    /// One register as it is.
    pub(crate) fn raw(&mut self, at: u16, value: u16) {
        self.0.insert(at, value);
    }

    /// Several registers that hold zero.
    pub(crate) fn zeros(&mut self, range: core::ops::RangeInclusive<u16>) {
        self.0.extend(range.map(|at| (at, 0)));
    }

    /// An unsigned value in steps of `scale`, at the nearest end where it does not fit.
    pub(crate) fn unsigned(&mut self, at: u16, value: f64, scale: f64) {
        self.raw(at, steps(value, scale).clamp(0, 0xFFFF) as u16);
    }

    /// A signed value in steps of `scale`, at the nearest end where it does not fit.
    pub(crate) fn signed(&mut self, at: u16, value: f64, scale: f64) {
        self.raw(at, (steps(value, scale).clamp(-0x8000, 0x7FFF) as i16).cast_unsigned());
    }

    /// A value of two registers, the low word first (EPEver).
    pub(crate) fn long_low_first(&mut self, at: u16, value: f64, scale: f64) {
        let bits = steps(value, scale) as u32;
        self.raw(at, bits as u16);
        self.raw(at + 1, (bits >> 16) as u16);
    }

    /// A value of two registers, the high word first; negative values as two's complement.
    pub(crate) fn long_high_first(&mut self, at: u16, value: f64, scale: f64) {
        let bits = steps(value, scale) as u32;
        self.raw(at, (bits >> 16) as u16);
        self.raw(at + 1, bits as u16);
    }

    /// A value of three registers, the high word first, as two's complement.
    pub(crate) fn triple_high_first(&mut self, at: u16, value: f64, scale: f64) {
        let bits = steps(value, scale);
        for (place, shift) in (0..).zip([32, 16, 0]) {
            self.raw(at + place, (bits >> shift) as u16);
        }
    }

    /// A float of two registers, the high word first.
    pub(crate) fn float(&mut self, at: u16, value: f64) {
        let bits = (value as f32).to_bits();
        self.raw(at, (bits >> 16) as u16);
        self.raw(at + 1, bits as u16);
    }

    /// Text, two characters a register.
    pub(crate) fn text(&mut self, at: u16, text: &str, registers: u16) {
        let mut bytes = text.bytes().chain(core::iter::repeat(0));
        for place in 0..registers {
            let pair = [bytes.next().unwrap_or(0), bytes.next().unwrap_or(0)];
            self.raw(at + place, u16::from_be_bytes(pair));
        }
    }

    /// Registers from `start` on; an exception where one of them is a gap.
    pub(crate) fn read(&self, start: u16, count: u16) -> Result<Vec<u16>, Exception> {
        (0..count)
            .map(|place| start.checked_add(place).and_then(|at| self.0.get(&at)).copied())
            .collect::<Option<Vec<_>>>()
            .ok_or(Exception::IllegalAddress)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_stand_in_their_order() {
        let mut registers = Registers::default();
        registers.long_low_first(0, 1234.56, 0.01); // 123456 = 0x0001_E240
        registers.long_high_first(2, -2.0, 1.0);
        registers.triple_high_first(4, 6_553_600_000.0, 0.1);
        registers.float(7, 230.0);
        registers.signed(9, -12.34, 0.01);
        registers.unsigned(10, 1e9, 0.01);
        assert_eq!(registers.read(0, 2), Ok(vec![0xE240, 0x0001]));
        assert_eq!(registers.read(2, 2), Ok(vec![0xFFFF, 0xFFFE]));
        assert_eq!(registers.read(4, 3), Ok(vec![0x000F, 0x4240, 0x0000]));
        assert_eq!(registers.read(7, 2), Ok(vec![0x4366, 0x0000]));
        assert_eq!(registers.read(9, 2), Ok(vec![(-1234_i16).cast_unsigned(), 0xFFFF]));
        assert_eq!(registers.read(10, 2), Err(Exception::IllegalAddress));
        assert_eq!(registers.read(0xFFFF, 2), Err(Exception::IllegalAddress));
    }
}
