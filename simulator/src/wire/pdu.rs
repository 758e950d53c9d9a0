//! Requests and replies of the Modbus application protocol, without address and checksum.
//!
//! The simulator has its own codec, apart from the library the hub uses, so that a misreading there is not
//! mirrored here. Source: Modbus Application Protocol Specification V1.1b3.

/// A request, decoded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Request {
    /// Function 1 or 2: bits.
    ReadBits {
        /// 1 for coils, 2 for discrete inputs.
        function: u8,
        /// First bit.
        start: u16,
        /// How many.
        count: u16,
    },
    /// Function 3 or 4: registers.
    ReadRegisters {
        /// 3 for holding registers, 4 for input registers.
        function: u8,
        /// First register.
        start: u16,
        /// How many.
        count: u16,
    },
    /// Function 5: one coil; `value` is 0xFF00 for on and 0x0000 for off.
    WriteCoil {
        /// Which coil.
        at: u16,
        /// As it stands in the request.
        value: u16,
    },
    /// Function 6: one register.
    WriteRegister {
        /// Which register.
        at: u16,
        /// Its new value.
        value: u16,
    },
    /// Function 15: several coils.
    WriteCoils {
        /// First coil.
        start: u16,
        /// Their new states.
        bits: Vec<bool>,
    },
    /// Function 16: several registers.
    WriteRegisters {
        /// First register.
        start: u16,
        /// Their new values.
        values: Vec<u16>,
    },
    /// Any other function.
    Other {
        /// Its code.
        function: u8,
    },
}

/// Why a device refuses a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum Exception {
    /// It does not know the function.
    IllegalFunction = 0x01,
    /// An address in the request does not exist.
    IllegalAddress = 0x02,
    /// Count or value cannot be.
    IllegalValue = 0x03,
    /// Algodue on a serial line: the answer would be too long.
    ResponseLength = 0x04,
    /// It is doing something else.
    Busy = 0x06,
    /// Victron: no such service behind this unit.
    GatewayPath = 0x0A,
    /// A gateway heard nothing from the unit.
    GatewayTarget = 0x0B,
}

/// What a device answers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Response {
    /// Values of bits read.
    Bits(Vec<bool>),
    /// Values of registers read.
    Registers(Vec<u16>),
    /// A write was done.
    Written,
}

fn word(bytes: &[u8], at: usize) -> Option<u16> {
    Some(u16::from_be_bytes([*bytes.get(at)?, *bytes.get(at + 1)?]))
}

impl Request {
    /// Decodes a request; `None` where it is cut short or says two different things about its length.
    pub fn decode(pdu: &[u8]) -> Option<Self> {
        let function = *pdu.first()?;
        Some(match function {
            1 | 2 => Self::ReadBits { function, start: word(pdu, 1)?, count: word(pdu, 3)? },
            3 | 4 => Self::ReadRegisters { function, start: word(pdu, 1)?, count: word(pdu, 3)? },
            5 => Self::WriteCoil { at: word(pdu, 1)?, value: word(pdu, 3)? },
            6 => Self::WriteRegister { at: word(pdu, 1)?, value: word(pdu, 3)? },
            15 => {
                let (start, count) = (word(pdu, 1)?, usize::from(word(pdu, 3)?));
                let bytes = pdu.get(6..)?;
                if bytes.len() != usize::from(*pdu.get(5)?) || bytes.len() != count.div_ceil(8) {
                    return None;
                }
                let bits = (0..count).map(|bit| bytes[bit / 8] >> (bit % 8) & 1 == 1).collect();
                Self::WriteCoils { start, bits }
            }
            16 => {
                let (start, count) = (word(pdu, 1)?, usize::from(word(pdu, 3)?));
                let bytes = pdu.get(6..)?;
                if bytes.len() != usize::from(*pdu.get(5)?) || bytes.len() != 2 * count {
                    return None;
                }
                let values =
                    bytes.chunks_exact(2).map(|pair| u16::from_be_bytes([pair[0], pair[1]])).collect();
                Self::WriteRegisters { start, values }
            }
            _ => Self::Other { function },
        })
    }

    /// Code of the function asked for.
    pub fn function(&self) -> u8 {
        match self {
            Self::ReadBits { function, .. }
            | Self::ReadRegisters { function, .. }
            | Self::Other { function } => *function,
            Self::WriteCoil { .. } => 5,
            Self::WriteRegister { .. } => 6,
            Self::WriteCoils { .. } => 15,
            Self::WriteRegisters { .. } => 16,
        }
    }

    /// Encodes the reply to this request.
    pub fn encode_reply(&self, reply: &Result<Response, Exception>) -> Vec<u8> {
        let function = self.function();
        match reply {
            Err(exception) => vec![function | 0x80, *exception as u8],
            Ok(Response::Bits(bits)) => {
                let mut bytes = vec![0_u8; bits.len().div_ceil(8)];
                for (place, bit) in bits.iter().enumerate() {
                    bytes[place / 8] |= u8::from(*bit) << (place % 8);
                }
                let mut pdu = vec![function, bytes.len() as u8];
                pdu.extend(bytes);
                pdu
            }
            Ok(Response::Registers(values)) => {
                let mut pdu = vec![function, (2 * values.len()) as u8];
                pdu.extend(values.iter().flat_map(|value| value.to_be_bytes()));
                pdu
            }
            Ok(Response::Written) => {
                let (at, value) = match self {
                    Self::WriteCoil { at, value } | Self::WriteRegister { at, value } => (*at, *value),
                    Self::WriteCoils { start, bits } => (*start, bits.len() as u16),
                    Self::WriteRegisters { start, values } => (*start, values.len() as u16),
                    Self::ReadBits { .. } | Self::ReadRegisters { .. } | Self::Other { .. } => (0, 0),
                };
                let mut pdu = vec![function];
                pdu.extend(at.to_be_bytes());
                pdu.extend(value.to_be_bytes());
                pdu
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_examples_of_the_specification() {
        // V1.1b3, sections 6.1, 6.3, 6.11 and 6.12.
        let coils = Request::decode(&[0x01, 0x00, 0x13, 0x00, 0x13]).unwrap();
        assert_eq!(coils, Request::ReadBits { function: 1, start: 0x13, count: 19 });
        let bits: Vec<bool> = [0xCD_u8, 0x6B, 0x05]
            .iter()
            .flat_map(|byte| (0..8).map(move |bit| byte >> bit & 1 == 1))
            .take(19)
            .collect();
        assert_eq!(coils.encode_reply(&Ok(Response::Bits(bits))), [0x01, 0x03, 0xCD, 0x6B, 0x05]);
        let read = Request::decode(&[0x03, 0x00, 0x6B, 0x00, 0x03]).unwrap();
        let values = vec![0x022B, 0x0000, 0x0064];
        assert_eq!(
            read.encode_reply(&Ok(Response::Registers(values))),
            [0x03, 0x06, 0x02, 0x2B, 0x00, 0x00, 0x00, 0x64]
        );
        let write = Request::decode(&[0x0F, 0x00, 0x13, 0x00, 0x0A, 0x02, 0xCD, 0x01]).unwrap();
        let Request::WriteCoils { start: 0x13, bits } = &write else { panic!("{write:?}") };
        assert_eq!(bits, &[true, false, true, true, false, false, true, true, true, false]);
        assert_eq!(write.encode_reply(&Ok(Response::Written)), [0x0F, 0x00, 0x13, 0x00, 0x0A]);
        let write = Request::decode(&[0x10, 0x00, 0x01, 0x00, 0x02, 0x04, 0x00, 0x0A, 0x01, 0x02]).unwrap();
        assert_eq!(write, Request::WriteRegisters { start: 1, values: vec![10, 258] });
        assert_eq!(read.encode_reply(&Err(Exception::IllegalAddress)), [0x83, 0x02]);
    }

    #[test]
    fn what_is_cut_short_or_contradicts_itself_is_no_request() {
        let whole = [0x10, 0x00, 0x01, 0x00, 0x02, 0x04, 0x00, 0x0A, 0x01, 0x02];
        for length in 0..whole.len() {
            assert_eq!(Request::decode(&whole[..length]), None, "{length} bytes");
        }
        assert_eq!(Request::decode(&[0x0F, 0, 0, 0, 9, 1, 0xFF]), None);
    }
}
