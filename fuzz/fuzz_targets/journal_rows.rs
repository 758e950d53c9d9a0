//! Rows of a journal: the compressed bytes of a block, minutes, slots and settings.
#![no_main]

use libfuzzer_sys::fuzz_target;
use sunkeep::journal::fuzzing::{block_row, small_rows};

fuzz_target!(|data: &[u8]| {
    block_row(data);
    small_rows(data);
});
