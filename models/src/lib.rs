//! What a hub knows, as pure data and pure functions: quantities, time and slots, features, battery and
//! sun, forecasts and the models that make them.
//!
//! Nothing here reads a clock, a file or a socket. Hub, training and fleet share this code, so that a
//! feature means the same wherever it is computed.

pub mod battery;
pub mod forecast;
pub mod history;
pub mod pv;
pub mod quantity;
pub mod sun;
pub mod time;
