//! A `model.toml`. What is taken is written and read again as the same.
#![no_main]

use libfuzzer_sys::fuzz_target;
use sunkeep_models::contract::Contract;

fuzz_target!(|data: &[u8]| {
    let Ok(text) = std::str::from_utf8(data) else { return };
    match Contract::parse(text) {
        Ok(contract) => {
            let written = contract.to_toml().expect("what was read can be written");
            assert_eq!(Contract::parse(&written), Ok(contract));
        }
        Err(error) => drop(error.to_string()),
    }
});
