//! The content of a journal's block, as a writer of another version could leave it: taken apart and, where
//! it can be, decided again.
#![no_main]

use std::sync::LazyLock;

use libfuzzer_sys::fuzz_target;
use sunkeep::config::Home;
use sunkeep::journal::fuzzing::block_content;

static HOME: LazyLock<Home> = LazyLock::new(|| {
    Home::parse("hub.example.toml", include_str!("../../controller/hub.example.toml")).expect("the example")
});

fuzz_target!(|data: &[u8]| {
    block_content(data, &HOME.settings);
});
