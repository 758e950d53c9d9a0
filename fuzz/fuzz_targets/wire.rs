//! A message of a hub. The first byte says whether the rest is as it travels, or CBOR that is packed first: a
//! fuzzer would guess no zstd frame.
#![no_main]

use libfuzzer_sys::fuzz_target;
use sunkeep_models::wire::{MOST_CHANNELS, MOST_FIELDS, MOST_RECORDS, Message, compact};

/// Messages of more records are not written again: packing takes milliseconds.
const WRITTEN: usize = 8;

fuzz_target!(|data: &[u8]| {
    let Some((first, rest)) = data.split_first() else { return };
    let packed =
        if first & 1 == 1 { zstd::bulk::compress(rest, 1).expect("anything packs") } else { rest.into() };
    let message = match Message::read(&packed) {
        Ok(message) => message,
        Err(refused) => {
            let said = refused.to_string();
            assert!(said.len() < 2000, "{said}");
            return;
        }
    };
    assert!(message.records() <= MOST_RECORDS);
    match &message {
        Message::Telemetry(telemetry) => {
            assert!(telemetry.channels.len() <= MOST_CHANNELS);
            assert_eq!(telemetry.spans_ms.len(), telemetry.stamps.len());
            for channel in &telemetry.channels {
                assert_eq!(channel.values.len(), telemetry.stamps.len());
                assert!(
                    (0..message.records()).all(|record| channel.value(record).is_none_or(f64::is_finite))
                );
            }
        }
        Message::Events { events, .. } => {
            assert!(events.iter().all(|event| event.fields.len() <= MOST_FIELDS))
        }
    }
    if message.records() > WRITTEN {
        return;
    }
    let written = compact::write(&message).expect("what was read keeps to the bounds");
    let again = Message::read(&written).expect("what was written can be read");
    assert_eq!(compact::write(&again).expect("and written again"), written);
});
