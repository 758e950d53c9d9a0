//! What a Modbus TCP server sends after a request. The first eight bytes say what is asked and in what
//! pieces the rest comes.
#![no_main]

#[path = "../asked.rs"]
mod asked;

use libfuzzer_sys::fuzz_target;
use sunkeep::modbus::fuzzing::over_tcp;

fuzz_target!(|data: &[u8]| {
    let Some((asked, _, pieces)) = asked::split(data) else { return };
    let words = asked::run(over_tcp(asked, pieces));
    asked::judge(asked, words);
});
