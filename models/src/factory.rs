//! The models a hub leaves the factory with, compiled in: a hub forecasts from its second day on, with no
//! network. How they were made is written in `onnx/README.md`.

use crate::contract::ContractError;
use crate::onnx::OnnxForecaster;

/// The ONNX file of the load model.
pub const LOAD_ONNX: &[u8] = include_bytes!("../onnx/load/load.onnx");
/// Its contract.
pub const LOAD_TOML: &str = include_str!("../onnx/load/model.toml");

/// The load model, checked like any other.
pub fn load_model() -> Result<OnnxForecaster, ContractError> {
    OnnxForecaster::load(LOAD_TOML, LOAD_ONNX)
}
