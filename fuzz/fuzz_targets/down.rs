//! What the fleet says to a hub, and what the hub reports: refused in few words, or within its bounds and the same once it was
//! written and read again.
#![no_main]

use libfuzzer_sys::fuzz_target;
use sunkeep_models::wire::down::{Command, Desired, MOST_COMMAND, MOST_DOCUMENT, MOST_KEYS, Reported};

fuzz_target!(|data: &[u8]| {
    match Command::read(data) {
        Ok(command) => {
            assert!(data.len() <= MOST_COMMAND);
            assert_eq!(Command::read(command.write().as_bytes()), Ok(command));
        }
        Err(refused) => assert!(refused.to_string().len() < 4 * MOST_COMMAND),
    }
    if let Ok(desired) = Desired::read(data) {
        assert!(data.len() <= MOST_DOCUMENT && desired.set.0.len() <= MOST_KEYS);
        let again = Desired::new(desired.version, desired.set.0.clone());
        assert_eq!(again, desired);
    }
    if let Ok(reported) = Reported::read(data) {
        let written = reported.write();
        // Reasons give way to the bound; numbers that are none are written as null, which is no setting.
        if written.len() <= MOST_DOCUMENT {
            drop(Reported::read(written.as_bytes()));
        }
    }
});
