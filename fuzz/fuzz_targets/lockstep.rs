//! Lines of whoever drives the hub's clock, and the clock that is driven by them.
#![no_main]

use libfuzzer_sys::fuzz_target;
use sunkeep::clock::SteadyClock;
use sunkeep::lockstep::heard;
use sunkeep_models::time::{Slot, Zone};

fuzz_target!(|data: &[u8]| {
    let Ok(text) = std::str::from_utf8(data) else { return };
    let (mut clock, zone) = (SteadyClock::default(), Zone::utc());
    for line in text.lines() {
        match heard(line) {
            Ok(Some((_, now))) => {
                let (now, _) = clock.steady(now);
                if let Some(wall) = now.wall {
                    let local = zone.local(wall.unix);
                    assert!(local.slot_of_day() < 48);
                    assert!(wall.unix - Slot::of(wall.unix).start() < 1800);
                }
            }
            Ok(None) => return,
            Err(error) => assert!(error.to_string().len() < 2000),
        }
    }
});
