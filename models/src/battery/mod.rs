//! The battery as physics knows it: open-circuit voltage, resistance and capacity by chemistry, and the
//! state of charge with bounds that hold the truth while readings come and go.
//!
//! Nothing here decides what to switch. Only arithmetic and tables are used (no `exp`, `ln` or `sin`, whose
//! last bit differs between processors), so that a replay of a journal is exact everywhere.

mod chemistry;
mod coulombs;
mod estimator;
mod spec;
mod voltage;

#[cfg(test)]
mod tests;

pub use chemistry::Chemistry;
pub use estimator::{BatterySample, ChargeBounds, ChargeEstimator, Reported, ReportedBy};
pub use spec::{BatterySpec, SpecError};
