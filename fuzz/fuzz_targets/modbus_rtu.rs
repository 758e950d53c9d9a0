//! What a serial line carries after a request. The first eight bytes say what is asked and in what pieces
//! the rest comes; a bit of them has every piece bear its checksum, which no fuzzer would guess.
#![no_main]

#[path = "../asked.rs"]
mod asked;

use libfuzzer_sys::fuzz_target;
use sunkeep::modbus::fuzzing::over_rtu;

/// Appends the CRC-16 of Modbus.
fn bear_checksum(piece: &mut Vec<u8>) {
    let sum = piece.iter().fold(0xFFFF_u16, |sum, &byte| {
        (0..8).fold(sum ^ u16::from(byte), |sum, _| if sum & 1 == 1 { sum >> 1 ^ 0xA001 } else { sum >> 1 })
    });
    piece.extend(sum.to_le_bytes());
}

fuzz_target!(|data: &[u8]| {
    let Some((asked, flags, mut pieces)) = asked::split(data) else { return };
    if flags & 2 != 0 {
        pieces.iter_mut().for_each(bear_checksum);
    }
    let words = asked::run(over_rtu(asked, flags & 1 != 0, pieces));
    asked::judge(asked, words);
});
