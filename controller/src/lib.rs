//! The shell of the hub: it freezes what is known into a process image, lets the decision core decide, and
//! carries the decision out. Everything that touches the world is here, and nothing that decides.

pub mod bus_task;
pub mod buses;
pub mod cli;
pub mod clock;
pub mod config;
mod decided;
pub mod device_file;
pub mod driver;
pub mod faults;
pub mod forecasts;
pub mod gpio;
pub mod home_assistant;
pub mod hub;
pub mod journal;
pub mod language;
pub mod lockstep;
pub mod log;
mod minute;
pub mod modbus;
pub mod outputs;
pub mod page;
pub mod readings;
pub mod records;
pub mod summary;
pub mod told;
pub mod totals;
pub mod uplink;
pub mod view;
pub mod watchdog;
