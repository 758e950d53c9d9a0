//! RTU frames: the checksum, the reply that a request calls for, and the hunt for that reply in whatever the
//! line carries. Pure: no clock and no port, so the end of a frame is told by its length and checksum alone,
//! never by a pause between characters.

use std::fmt::Write as _;

/// Longest RTU frame, with address and checksum, in bytes.
pub(crate) const MAX_FRAME: usize = 256;
/// Most received bytes that are kept while hunting: two frames, so that a whole reply always fits behind
/// garbage.
const KEEP: usize = 2 * MAX_FRAME;

/// CRC-16 of Modbus: polynomial 0xA001 (reflected 0x8005), start 0xFFFF.
pub(crate) fn crc(bytes: &[u8]) -> u16 {
    bytes.iter().fold(0xFFFF, |sum, &byte| {
        (0..8).fold(sum ^ u16::from(byte), |sum, _| if sum & 1 == 1 { sum >> 1 ^ 0xA001 } else { sum >> 1 })
    })
}

#[cfg(test)]
thread_local!(static SUMMED: core::cell::Cell<usize> = const { core::cell::Cell::new(0) });

/// Whether the last two bytes are the checksum of those before.
pub(crate) fn is_sound(frame: &[u8]) -> bool {
    #[cfg(test)]
    SUMMED.set(SUMMED.get() + frame.len());
    match frame.split_last_chunk::<2>() {
        Some((body, sum)) if body.len() >= 2 => crc(body).to_le_bytes() == *sum,
        _ => false,
    }
}

/// The reply that a request calls for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Expected {
    unit: u8,
    function: u8,
    /// What follows the function: the byte count of a read, or what a write repeats of the request.
    starts: Vec<u8>,
    /// Length of the whole frame.
    length: usize,
}

impl Expected {
    /// The reply to `request` (a whole frame); `None` for a function this hub does not send.
    pub(crate) fn of(request: &[u8]) -> Option<Self> {
        let &[unit, function, _, _, high, low, ..] = request else { return None };
        let count = usize::from(u16::from_be_bytes([high, low]));
        let bytes = match function {
            1 | 2 => count.div_ceil(8),
            3 | 4 => 2 * count,
            5 | 6 | 15 | 16 => {
                return Some(Self { unit, function, starts: request[2..6].to_vec(), length: 8 });
            }
            _ => return None,
        };
        Some(Self { unit, function, starts: vec![u8::try_from(bytes).ok()?], length: 5 + bytes })
    }

    /// Length of the reply in bytes, unless it is an exception.
    pub(crate) fn length(&self) -> usize {
        self.length
    }

    /// Length of the reply or exception that would start at the head of `bytes`; `None` if it cannot be one.
    fn candidate(&self, bytes: &[u8]) -> Option<usize> {
        let &[unit, function, ..] = bytes else { return None };
        if unit != self.unit {
            None
        } else if function == self.function | 0x80 {
            Some(5)
        } else if function == self.function && bytes[2..].starts_with(&self.starts) {
            Some(self.length)
        } else {
            None
        }
    }
}

/// Lengths that a frame at the head of `bytes` could have, of whatever unit; 0 is none.
fn any_lengths(bytes: &[u8]) -> [usize; 2] {
    let &[_, function, third, ..] = bytes else { return [0, 0] };
    match function {
        // A reply, or the request of another master.
        1..=4 => [5 + usize::from(third), 8],
        5 | 6 | 15 | 16 => [8, 0],
        0x81..=0xFF => [5, 0],
        _ => [0, 0],
    }
}

/// Finds the reply among what the line carries.
#[derive(Debug, Default)]
pub(crate) struct Hunter {
    kept: Vec<u8>,
    /// How many of the kept bytes were hunted through already: no frame that ends within them is sound, so
    /// that bytes which come one by one do not have everything before them summed up again and again.
    hunted: usize,
    /// Bytes that came and were not part of the reply.
    stray: usize,
    /// The first sound frame of somebody else.
    foreign: Option<Vec<u8>>,
    /// Own request that a half-duplex adapter hands back; dropped once.
    echo: Option<Vec<u8>>,
}

impl Hunter {
    /// Forgets everything, for the next request; `echo` is the request where the adapter hands it back.
    pub(crate) fn start(&mut self, echo: Option<Vec<u8>>) {
        *self = Self { kept: std::mem::take(&mut self.kept), echo, ..Self::default() };
        self.kept.clear();
    }

    /// Takes what was received. Garbage beyond two frames is forgotten, oldest first.
    pub(crate) fn push(&mut self, bytes: &[u8]) {
        self.kept.extend_from_slice(bytes);
        if self.kept.len() > KEEP {
            self.drop_head(self.kept.len() - KEEP);
        }
    }

    /// The reply, if all of it has come; whatever stood before it is dropped.
    pub(crate) fn find(&mut self, expected: &Expected) -> Option<Vec<u8>> {
        self.drop_echo();
        let (mut at, mut begun) = (0, false);
        while at < self.kept.len() {
            let rest = &self.kept[at..];
            if let Some(length) = expected.candidate(rest) {
                if let Some(frame) = self.news(at, length) {
                    let frame = frame.to_vec();
                    self.drop_head(at);
                    self.drop_head_silently(frame.len());
                    self.hunted = 0;
                    return Some(frame);
                }
                begun |= rest.len() < length;
            }
            // What may be the reply, its end still to come, is nobody else's frame: a frame whose checksum
            // ends in a zero is sound without that zero, too.
            if begun {
                at += 1;
                continue;
            }
            // A sound frame of somebody else is dropped whole, so that its contents are never hunted through.
            if let Some(frame) = any_lengths(rest).into_iter().find_map(|length| self.news(at, length)) {
                let frame = frame.to_vec();
                self.drop_head(at + frame.len());
                self.foreign.get_or_insert(frame);
                at = 0;
            } else {
                at += 1;
            }
        }
        if !begun {
            self.hunted = self.kept.len();
        }
        None
    }

    /// The frame of this length at this place, if it is sound and was not hunted through before.
    fn news(&self, at: usize, length: usize) -> Option<&[u8]> {
        let end = at + length;
        self.kept.get(at..end).filter(|frame| end > self.hunted && is_sound(frame))
    }

    fn drop_head(&mut self, count: usize) {
        self.stray += count;
        self.drop_head_silently(count);
    }

    fn drop_head_silently(&mut self, count: usize) {
        self.kept.drain(..count);
        self.hunted = self.hunted.saturating_sub(count);
    }

    fn drop_echo(&mut self) {
        let Some(echo) = self.echo.as_ref() else { return };
        if let Some(at) = self.kept.windows(echo.len()).position(|window| window == echo.as_slice()) {
            let length = echo.len();
            self.drop_head(at);
            self.drop_head_silently(length);
            self.echo = None;
        }
    }

    /// What came instead of the reply, in words for a person.
    pub(crate) fn account(&self) -> String {
        if let Some(frame) = &self.foreign {
            return foreign(frame);
        }
        let count = self.stray + self.kept.len();
        if count == 0 {
            return "nothing came".into();
        }
        let mut text = format!("{count} bytes came that make no valid frame:");
        for byte in self.kept.iter().take(12) {
            let _ = write!(text, " {byte:02X}");
        }
        text
    }
}

fn foreign(frame: &[u8]) -> String {
    let (unit, function) = (frame[0], frame[1]);
    match function {
        1..=4 if frame.len() == 8 => {
            format!("a request to unit {unit} (function {function}) came: another master is on the bus")
        }
        0x81.. => format!("an exception from unit {unit} (function {}) came", function & 0x7F),
        _ => format!("a reply of {} bytes from unit {unit} (function {function}) came", frame.len()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn framed(body: &[u8]) -> Vec<u8> {
        [body, &crc(body).to_le_bytes()].concat()
    }

    fn read(unit: u8, function: u8, count: u8) -> Expected {
        Expected::of(&framed(&[unit, function, 0x31, 0, 0, count])).unwrap()
    }

    #[test]
    fn checksum_of_the_relay_manual() {
        // waveshare.com/wiki Modbus_RTU_Relay: 01 05 00 00 FF 00 8C 3A.
        assert_eq!(framed(&[1, 5, 0, 0, 0xFF, 0]), [1, 5, 0, 0, 0xFF, 0, 0x8C, 0x3A]);
    }

    #[test]
    fn reply_is_found_behind_garbage_and_behind_other_units() {
        let reply = framed(&[1, 4, 4, 0, 1, 0, 2]);
        let other = framed(&[2, 4, 4, 9, 9, 9, 9]);
        let mut hunter = Hunter::default();
        hunter.push(&[0x00, 0xFF, 0x01, 0x04]);
        hunter.push(&other);
        assert_eq!(hunter.find(&read(1, 4, 2)), None);
        let (first, second) = reply.split_at(4);
        hunter.push(first);
        assert_eq!(hunter.find(&read(1, 4, 2)), None);
        hunter.push(second);
        assert_eq!(hunter.find(&read(1, 4, 2)), Some(reply));
    }

    #[test]
    fn a_frame_inside_the_reply_of_another_unit_is_not_the_reply() {
        let planted = framed(&[1, 4, 2, 0, 7]);
        let carrier = framed(&[&[9, 3, planted.len() as u8], planted.as_slice()].concat());
        let mut hunter = Hunter::default();
        hunter.push(&carrier);
        assert_eq!(hunter.find(&read(1, 4, 1)), None);
        assert_eq!(hunter.account(), "a reply of 12 bytes from unit 9 (function 3) came");
    }

    #[test]
    fn wrong_length_function_and_checksum_are_not_the_reply() {
        let mut damaged = framed(&[1, 4, 4, 0, 1, 0, 2]);
        damaged[3] ^= 0x10;
        for wrong in [framed(&[1, 4, 2, 0, 1]), framed(&[1, 3, 4, 0, 1, 0, 2]), damaged] {
            let mut hunter = Hunter::default();
            hunter.push(&wrong);
            assert_eq!(hunter.find(&read(1, 4, 2)), None, "{wrong:02X?}");
        }
    }

    #[test]
    fn the_confirmation_of_another_write_is_not_the_reply() {
        let expected = Expected::of(&framed(&[1, 5, 0, 3, 0xFF, 0])).unwrap();
        for other in [[1, 5, 0, 4, 0xFF, 0], [1, 5, 0, 3, 0, 0]] {
            let mut hunter = Hunter::default();
            hunter.push(&framed(&other));
            assert_eq!(hunter.find(&expected), None, "{other:02X?}");
        }
    }

    #[test]
    fn own_echo_of_a_write_is_not_its_confirmation() {
        let request = framed(&[1, 5, 0, 0, 0xFF, 0]);
        let expected = Expected::of(&request).unwrap();
        let mut hunter = Hunter::default();
        hunter.start(Some(request.clone()));
        hunter.push(&request);
        assert_eq!(hunter.find(&expected), None);
        hunter.push(&request);
        assert_eq!(hunter.find(&expected), Some(request));
    }

    #[test]
    fn a_reply_that_would_be_sound_without_its_last_byte_is_waited_for() {
        let reply = framed(&[7, 3, 4, 108, 197, 127, 150]);
        assert!(reply[8] == 0 && is_sound(&reply[..8]), "{reply:02X?}");
        let mut hunter = Hunter::default();
        hunter.push(&reply[..8]);
        assert_eq!(hunter.find(&read(7, 3, 2)), None);
        hunter.push(&reply[8..]);
        assert_eq!(hunter.find(&read(7, 3, 2)), Some(reply));
    }

    /// A line that babbles what could be the beginning of long frames, a byte at a time.
    #[test]
    fn babble_is_summed_up_once() {
        let expected = read(1, 4, 125);
        let babble: Vec<u8> = (0..4000).map(|place| if place % 2 == 0 { 3 } else { 0xFF }).collect();
        let summed = |pieces: usize| {
            let mut hunter = Hunter::default();
            SUMMED.set(0);
            for piece in babble.chunks(pieces) {
                hunter.push(piece);
                assert_eq!(hunter.find(&expected), None);
            }
            SUMMED.get()
        };
        let (whole, single) = (summed(256), summed(1));
        assert!(single <= 2 * whole, "{single} bytes summed up one by one, {whole} in large pieces");
    }

    proptest! {
        #[test]
        fn what_is_found_does_not_depend_on_the_pieces(
            parts in prop::collection::vec(
                prop_oneof![
                    prop::collection::vec(any::<u8>(), 0..12),
                    prop::collection::vec(any::<u8>(), 4..=4).prop_map(|words| framed(&[&[7, 3, 4], &words[..]].concat())),
                    prop::collection::vec(any::<u8>(), 2..=2).prop_map(|words| framed(&[&[9, 4, 2], &words[..]].concat())),
                    Just(framed(&[7, 0x83, 2])),
                ],
                0..8,
            ),
            pieces in 1_usize..9,
        ) {
            let bytes = parts.concat();
            let expected = read(7, 3, 2);
            let hunt = |pieces: usize| {
                let mut hunter = Hunter::default();
                bytes.chunks(pieces).find_map(|piece| {
                    hunter.push(piece);
                    hunter.find(&expected)
                })
            };
            prop_assert_eq!(hunt(bytes.len().max(1)), hunt(pieces));
        }

        #[test]
        fn nothing_panics_and_nothing_unsound_is_found(
            chunks in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..300), 0..8),
            unit: u8,
            function in 1_u8..=16,
            count in 1_u8..=125,
            echo: bool,
        ) {
            let request = framed(&[unit, function, 0, 0, 0, count]);
            prop_assume!(Expected::of(&request).is_some());
            let expected = Expected::of(&request).unwrap();
            let mut hunter = Hunter::default();
            hunter.start(echo.then(|| request.clone()));
            for chunk in &chunks {
                hunter.push(chunk);
                if let Some(frame) = hunter.find(&expected) {
                    prop_assert!(is_sound(&frame));
                    prop_assert_eq!(frame[0], unit);
                    prop_assert_eq!(frame[1] & 0x7F, function);
                }
                prop_assert!(hunter.kept.len() <= KEEP);
                let _ = hunter.account();
            }
        }

        #[test]
        fn a_reply_is_found_whatever_stands_before_it(
            before in prop::collection::vec(any::<u8>(), 0..200),
            words in prop::collection::vec(any::<u8>(), 20),
            cut in 0_usize..25,
        ) {
            let reply = framed(&[&[7, 3, 20], words.as_slice()].concat());
            let mut hunter = Hunter::default();
            hunter.push(&before);
            hunter.push(&reply[..cut]);
            // Garbage may hold a sound frame by chance (1 in 65536 a place): then the reply may go with it.
            let carries = |bytes: &[u8]| any_lengths(bytes).iter().any(|&end| bytes.get(..end).is_some_and(is_sound));
            prop_assume!(!(0..before.len()).any(|at| carries(&[&before[at..], &reply].concat())));
            let early = hunter.find(&read(7, 3, 10));
            prop_assert!(early.is_none());
            hunter.push(&reply[cut..]);
            prop_assert_eq!(hunter.find(&read(7, 3, 10)), Some(reply));
        }
    }
}
