//! The hub shell.

pub mod device_file;
pub mod driver;
pub mod modbus;
