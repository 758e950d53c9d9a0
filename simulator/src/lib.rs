//! A solar home that speaks Modbus: a plant, the devices that measure and switch it, and the wire between
//! them and a hub. For tests, for the demo, and for series to train on.
//!
//! - [`plant`]: weather, panels, battery, people; or a recorded series. Pure and seeded.
//! - [`device`]: what each device answers.
//! - [`wire`]: Modbus TCP and RTU, with faults.
//! - [`home`]: a home that runs in this process.
//! - [`hub_config`]: the configuration of a hub that fits it.
//! - [`lifetime`]: homes with a lead-acid battery, lived through for years, and how their batteries wear.
//! - [`lockstep`]: simulator and hub in step.
//! - [`policy`]: what others do with a home's tiers, to compare with.
//! - [`power`]: recorded homes through the hub's own decisions, in this process.
//! - `lake`: the telemetry of a fleet of homes (feature `series`).
//! - `series`: Parquet files of simulated homes (feature `series`).
//!
//! Nothing of the hub's own estimates is used here, nor its device files; but for [`power`] and [`lifetime`],
//! which have no wire between plant and hub.

pub mod device;
pub mod home;
pub mod hub_config;
#[cfg(feature = "series")]
pub mod lake;
pub mod lifetime;
pub mod lockstep;
pub mod plant;
pub mod policy;
pub mod power;
#[cfg(feature = "series")]
pub mod series;
pub mod wire;
mod world;

pub use wire::fault::{Fault, Traffic};
