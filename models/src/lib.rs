//! What a hub knows, as pure data and pure functions: quantities, time and slots, features, battery and
//! sun, forecasts and the models that make them.
//!
//! Nothing here reads a clock, a file or a socket. Hub, training and fleet share this code, so that a
//! feature means the same wherever it is computed.

#[cfg(feature = "onnx")]
pub mod adaptation;
pub mod baseline;
pub mod battery;
pub mod bundle;
pub mod contract;
pub mod day_grid;
pub mod digest;
#[cfg(feature = "onnx")]
pub mod factory;
pub mod forecast;
pub mod history;
#[cfg(feature = "arrow")]
pub mod lake;
pub mod load_features;
#[cfg(feature = "onnx")]
pub mod onnx;
pub mod pv;
pub mod quantity;
mod sample;
pub mod sun;
pub mod tally;
pub mod time;
#[cfg(feature = "wire")]
pub mod wire;
