//! Modbus, RTU and TCP: a driver that reads devices as their device files say and switches relays.
//!
//! Theory of operation. tokio-modbus encodes requests and decodes replies; everything that makes a shared bus
//! dependable is here. `line` hands the client nothing but the reply to the pending request, found by length
//! and checksum among garbage (`frame`). `link` sends one request at a time, and after a timeout keeps silent
//! until no late reply can come. `blocks` decides which registers go into one request and learns what a device
//! does not have. `device` keeps each device's due times, health and doubts; `bus` picks the next transaction:
//! the devices that answer take turns, and one that does not is tried only when nobody else is waiting.
//! `probe` asks each device once, for a person at the console.
//!
//! What a value means, and what is done about it, is not known here.

mod blocks;
mod bus;
mod device;
mod frame;
#[cfg(feature = "fuzzing")]
pub mod fuzzing;
mod health;
mod line;
mod link;
mod probe;
mod settings;

pub use bus::ModbusBus;
pub use probe::ProbeReport;
pub use settings::{
    BusError, BusSettings, DeviceSettings, LineSettings, MAX_DEVICES, Relay, RtuSettings, TcpSettings, Wanted,
};
