//! A Modbus request and the pieces of what came, from the bytes of the fuzzer.

use std::future::Future;
use std::sync::LazyLock;

use sunkeep::device_file::{Catalogue, Register};
use sunkeep::modbus::fuzzing::Asked;

/// The request, flags, and the pieces; `None` where the bytes are too few or too many.
pub fn split(data: &[u8]) -> Option<(Asked, u8, Vec<Vec<u8>>)> {
    let (&[unit, function, a, b, c, d, flags, size], rest) = data.split_first_chunk::<8>()?;
    let asked = Asked {
        unit,
        function,
        address: u16::from_be_bytes([a, b]),
        // The hub asks for no more than the standard allows: device files are held to it.
        count: u16::from_be_bytes([c, d]).clamp(1, if function <= 2 { 2000 } else { 125 }),
    };
    let pieces = rest.chunks(usize::from(size).max(1)).map(<[u8]>::to_vec).collect();
    Some((asked, flags, pieces))
}

/// Waits for something that never waits.
pub fn run<T>(exchange: impl Future<Output = T>) -> T {
    thread_local!(static RUNTIME: tokio::runtime::Runtime =
        tokio::runtime::Builder::new_current_thread().build().expect("a runtime"));
    RUNTIME.with(|runtime| runtime.block_on(exchange))
}

/// What is taken for a reply has the length that was asked for, and gives plausible values or none.
pub fn judge(asked: Asked, words: Option<Vec<u16>>) {
    static REGISTERS: LazyLock<Vec<Register>> = LazyLock::new(|| {
        let catalogue = Catalogue::load(None).expect("the built-in files");
        catalogue
            .keys()
            .filter_map(|key| catalogue.get(key))
            .flat_map(|file| file.registers.clone())
            .collect()
    });
    let Some(words) = words else { return };
    let read = (1..=4).contains(&asked.function);
    assert_eq!(words.len(), if read { usize::from(asked.count) } else { 0 });
    for register in REGISTERS.iter() {
        if let Ok(value) = register.value(&words) {
            assert!((register.min..=register.max).contains(&value), "{value} of {register:?}");
        }
    }
}
