//! The bytes of an ONNX file, under a contract that names just these bytes.
#![no_main]

use std::sync::LazyLock;

use libfuzzer_sys::fuzz_target;
use sunkeep_models::contract::{Contract, FileFacts};
use sunkeep_models::digest::sha256_hex;
use sunkeep_models::onnx::OnnxForecaster;

static CONTRACT: LazyLock<Contract> = LazyLock::new(|| {
    let mut contract =
        Contract::parse(include_str!("../../models/onnx/load/model.toml")).expect("the factory's contract");
    // Fewer vectors are quicker to read, and hold the answers as well.
    contract.golden.truncate(3);
    contract
});

fuzz_target!(|data: &[u8]| {
    let file = FileFacts { bytes: data.len(), sha256: sha256_hex(data) };
    let contract = Contract { file, ..CONTRACT.clone() };
    let Ok(text) = contract.to_toml() else { return };
    if let Err(error) = OnnxForecaster::load(&text, data) {
        drop(error.to_string());
    }
});
