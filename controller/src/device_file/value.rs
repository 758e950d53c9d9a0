//! From words on the wire to a number, or the reason why there is none. Pure.

use std::fmt;

use super::{Register, RegisterType, WordOrder};

/// Why a raw value was not taken.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Refused {
    /// Fewer words came than the type takes.
    TooShort,
    /// The device's own mark for "no value".
    MarkedInvalid(u64),
    /// A float that is not a number, or infinite.
    NotFinite,
    /// Outside the range the device file calls plausible: the scaled value.
    OutOfRange(f64),
}

impl Refused {
    /// Whether the device claims a value that cannot be, rather than saying that it has none.
    pub fn is_lie(self) -> bool {
        matches!(self, Self::OutOfRange(_))
    }
}

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::TooShort => write!(f, "fewer words than the type takes"),
            Self::MarkedInvalid(raw) => write!(f, "raw {raw:#X}, the device's mark for no value"),
            Self::NotFinite => write!(f, "a float that is not a finite number"),
            Self::OutOfRange(value) => write!(f, "{value}, which is outside the plausible range"),
        }
    }
}

impl Register {
    /// The value in `words`, scaled; `words` starts at this register's address. For a bit function a word is
    /// 0 or 1.
    pub fn value(&self, words: &[u16]) -> Result<f64, Refused> {
        let words = words.get(..usize::from(self.kind.width())).ok_or(Refused::TooShort)?;
        let raw = self.raw(words);
        if self.invalid.contains(&raw) {
            return Err(Refused::MarkedInvalid(raw));
        }
        let number = match self.kind {
            RegisterType::U16 | RegisterType::U32 | RegisterType::U64 => raw as f64,
            RegisterType::I16 => f64::from((raw as u16).cast_signed()),
            RegisterType::I32 => f64::from((raw as u32).cast_signed()),
            RegisterType::F32 => f64::from(f32::from_bits(raw as u32)),
            RegisterType::Bit if self.function.is_bits() => f64::from(u8::from(raw != 0)),
            RegisterType::Bit => f64::from(u8::from(raw >> self.bit & 1 == 1)),
        };
        let value = number * self.scale + self.offset;
        if !value.is_finite() {
            return Err(Refused::NotFinite);
        }
        if value < self.min || value > self.max {
            return Err(Refused::OutOfRange(value));
        }
        Ok(value)
    }

    fn raw(&self, words: &[u16]) -> u64 {
        let join = |raw: u64, word: &u16| raw << 16 | u64::from(*word);
        match self.word_order {
            WordOrder::HighFirst => words.iter().fold(0, join),
            WordOrder::LowFirst => words.iter().rev().fold(0, join),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::DeviceFile;
    use super::*;

    fn register(row: &str) -> Register {
        let text = format!(
            "name = \"t\"\nvendor = \"t\"\nsource = \"t\"\nverified = true\n[limits]\nmax_registers = 10\n\
             reply_timeout_ms = 100\nlongest_reply_ms = 200\n[[register]]\nname = \"x\"\nfunction = 4\n\
             address = 0\n{row}\n"
        );
        DeviceFile::parse("t", &text).unwrap().registers.remove(0)
    }

    #[test]
    fn words_become_numbers() {
        let low = register("type = \"u32\"\nword_order = \"low_first\"\nscale = 0.01\nmin = 0\nmax = 1e6");
        assert_eq!(low.value(&[0x86A0, 0x0001]), Ok(1000.0));
        let high = register("type = \"i32\"\nword_order = \"high_first\"\nmin = -1e6\nmax = 1e6");
        assert_eq!(high.value(&[0xFFFF, 0xFFFE]), Ok(-2.0));
        let float = register("type = \"f32\"\nword_order = \"high_first\"\nmin = -1e6\nmax = 1e6");
        let bits = 230.5_f32.to_bits();
        assert_eq!(float.value(&[(bits >> 16) as u16, bits as u16]), Ok(230.5));
        let shifted = register("type = \"i16\"\nscale = 0.1\noffset = -40\nmin = -40\nmax = 80");
        assert_eq!(shifted.value(&[650]), Ok(25.0));
        let big = register("type = \"u64\"\nword_order = \"high_first\"\nmin = 0\nmax = 1e18");
        assert_eq!(big.value(&[0, 0, 1, 2]), Ok(65538.0));
        let bit = register("type = \"bit\"\nbit = 13");
        assert_eq!((bit.value(&[1 << 13]), bit.value(&[!(1 << 13)])), (Ok(1.0), Ok(0.0)));
    }

    #[test]
    fn what_is_no_value_is_refused() {
        let float = register("type = \"f32\"\nword_order = \"high_first\"\nmin = -1e6\nmax = 1e6");
        let nan = f32::NAN.to_bits();
        assert_eq!(float.value(&[(nan >> 16) as u16, nan as u16]), Err(Refused::NotFinite));
        let infinite = f32::INFINITY.to_bits();
        assert_eq!(float.value(&[(infinite >> 16) as u16, 0]), Err(Refused::NotFinite));
        assert_eq!(float.value(&[0]), Err(Refused::TooShort));
        let marked = register("type = \"u16\"\ninvalid = [65535]\nmin = 0\nmax = 1e6");
        assert_eq!(marked.value(&[65535]), Err(Refused::MarkedInvalid(65535)));
        let soc = register("type = \"u16\"\nmin = 0\nmax = 100");
        assert_eq!(soc.value(&[101]), Err(Refused::OutOfRange(101.0)));
        assert_eq!(soc.value(&[100]), Ok(100.0));
    }
}
