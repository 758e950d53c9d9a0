//! A configuration file. What is taken can be driven: its buses are accepted and its first cycle decides.
#![no_main]

use libfuzzer_sys::fuzz_target;
use sunkeep::config::{ConfigError, Home, MAX_BYTES};
use sunkeep_core::{ProcessImage, State, step};
use sunkeep_models::time::Uptime;

fuzz_target!(|data: &[u8]| {
    let Ok(text) = std::str::from_utf8(data) else { return };
    // A folder that the text names would be read, and what is in it is another target's business.
    if text.len() as u64 > MAX_BYTES || text.contains("devices_folder") || text.contains('\\') {
        return;
    }
    match Home::parse("fuzz.toml", text) {
        Ok(home) => {
            sunkeep::buses::modbus(&home.wiring).expect("what was taken can be driven");
            let image = ProcessImage::empty(Uptime::from_seconds(1), &home.settings);
            step(&home.settings, State::new(&home.settings), &image);
        }
        Err(error) => {
            let said = error.to_string();
            assert!(said.len() <= 64 * 1024 + 2 * text.len(), "{} bytes of complaints", said.len());
            if let ConfigError::Refused { problems, .. } = error {
                assert!(!problems.is_empty(), "refused without a reason");
                let lines = text.matches('\n').count() + 1;
                assert!(problems.iter().all(|problem| (1..=lines).contains(&problem.line)), "{said}");
            }
        }
    }
});
