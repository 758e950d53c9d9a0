//! Frames on a serial line: finding requests in a stream of bytes, and the checksum.

/// A request for a unit, as it stood in its frame.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Frame {
    pub(crate) unit: u8,
    pub(crate) pdu: Vec<u8>,
}

/// Longest frame of the serial protocol, bytes.
pub(crate) const LONGEST_FRAME: usize = 256;

/// Checksum of Modbus RTU (CRC-16, reflected polynomial 0xA001), low byte first on the line.
pub(crate) fn checksum(bytes: &[u8]) -> u16 {
    let mut crc = 0xFFFF_u16;
    for byte in bytes {
        crc ^= u16::from(*byte);
        for _ in 0..8 {
            crc = if crc & 1 == 1 { (crc >> 1) ^ 0xA001 } else { crc >> 1 };
        }
    }
    crc
}

/// Encodes a frame with its checksum.
pub(crate) fn encode(unit: u8, pdu: &[u8]) -> Vec<u8> {
    let mut bytes = vec![unit];
    bytes.extend(pdu);
    bytes.extend(checksum(&bytes).to_le_bytes());
    bytes
}

/// Finds requests in what arrives on the line. Bytes that belong to none are dropped one by one.
#[derive(Debug, Default)]
pub(crate) struct Finder {
    bytes: Vec<u8>,
}

impl Finder {
    /// Takes what arrived.
    pub(crate) fn push(&mut self, bytes: &[u8]) {
        self.bytes.extend(bytes);
    }

    /// Forgets what is unfinished: the line was silent for long.
    pub(crate) fn clear(&mut self) {
        self.bytes.clear();
    }

    /// The next whole request, if one has arrived.
    pub(crate) fn next(&mut self) -> Option<Frame> {
        while self.bytes.len() >= 4 {
            match length(&self.bytes) {
                Some(length) if self.bytes.len() < length => return None,
                Some(length) => {
                    let body = &self.bytes[..length - 2];
                    let sum = u16::from_le_bytes([self.bytes[length - 2], self.bytes[length - 1]]);
                    if checksum(body) == sum {
                        let frame = Frame { unit: body[0], pdu: body[1..].to_vec() };
                        self.bytes.drain(..length);
                        return Some(frame);
                    }
                }
                None => {}
            }
            self.bytes.remove(0);
        }
        None
    }
}

/// Length of the request that begins here, if one can; while the byte count is missing, one byte more.
fn length(bytes: &[u8]) -> Option<usize> {
    match bytes[1] {
        1..=6 => Some(8),
        15 | 16 => {
            let length = bytes.get(6).map_or(bytes.len() + 1, |count| 9 + usize::from(*count));
            (length <= LONGEST_FRAME).then_some(length)
        }
        43 => Some(7),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_checksum_of_a_relay_maker() {
        // Waveshare, Protocol Manual of Modbus RTU Relay: relay 1 on is 01 05 00 00 FF 00 8C 3A.
        assert_eq!(encode(1, &[5, 0, 0, 0xFF, 0]), [1, 5, 0, 0, 0xFF, 0, 0x8C, 0x3A]);
    }

    #[test]
    fn requests_are_found_in_noise_and_in_pieces() {
        let mut stream = vec![0x00, 0xFF, 0x41];
        stream.extend(encode(1, &[4, 0x31, 0, 0, 18]));
        stream.extend(encode(2, &[15, 0, 0, 0, 8, 1, 0x55]));
        stream.extend([0x00; 3]);
        stream.extend(encode(9, &[3, 0, 0, 0, 1]));
        let mut finder = Finder::default();
        let mut found = Vec::new();
        for byte in stream {
            finder.push(&[byte]);
            while let Some(frame) = finder.next() {
                found.push((frame.unit, frame.pdu[0]));
            }
        }
        assert_eq!(found, [(1, 4), (2, 15), (9, 3)]);
    }

    #[test]
    fn a_wrong_checksum_is_no_request() {
        let mut frame = encode(1, &[3, 0, 0, 0, 1]);
        frame[7] ^= 1;
        let mut finder = Finder::default();
        finder.push(&frame);
        assert_eq!(finder.next(), None);
    }
}
