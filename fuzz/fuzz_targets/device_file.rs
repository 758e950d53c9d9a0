//! A device file, and the words of a device read by its rules.
#![no_main]

use libfuzzer_sys::fuzz_target;
use sunkeep::device_file::DeviceFile;

fuzz_target!(|data: &[u8]| {
    let Ok(text) = std::str::from_utf8(data) else { return };
    let Ok(file) = DeviceFile::parse("fuzz", text) else { return };
    for register in &file.registers {
        for words in [[0; 4], [0x7FC0, 0, 0, 0], [0xFFFF; 4], [0x8000, 1, 2, 3]] {
            if let Ok(value) = register.value(&words) {
                assert!((register.min..=register.max).contains(&value), "{value} of {register:?}");
            }
        }
    }
});
