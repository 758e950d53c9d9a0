//! The process image: everything a cycle knows, frozen before it starts.
//!
//! A missing reading is `None` and stays a value like any other; how old one is follows from when it was
//! taken, and what an old one is worth is for [`crate::estimate`] to say.

use serde::{Deserialize, Serialize};
use sunkeep_models::quantity::Seconds;
use sunkeep_models::time::{Uptime, WallTime};

use crate::planner::Plan;
use crate::settings::Settings;

/// A measured value and when it was taken.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Reading {
    /// In the unit of its place in the image.
    pub value: f64,
    /// When the device answered.
    pub at: Uptime,
}

impl Reading {
    /// The value, unless it is older than `limit`.
    pub fn fresh(self, now: Uptime, limit: Seconds) -> Option<f64> {
        (now.since(self.at) <= limit && self.value.is_finite()).then_some(self.value)
    }
}

/// What the battery's devices said.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize)]
pub struct BatteryReadings {
    /// Terminal voltage, V.
    pub voltage: Option<Reading>,
    /// Current into the battery, A.
    pub current: Option<Reading>,
    /// Power into the battery, W.
    pub power: Option<Reading>,
    /// Temperature, degrees Celsius.
    pub temperature: Option<Reading>,
    /// State of charge that a device reports, 0 to 1.
    pub charge: Option<Reading>,
}

/// What is known of one load.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize)]
pub struct LoadReadings {
    /// Power it draws, W.
    pub power: Option<Reading>,
    /// Whether its relay supplies it, as read back: 1 or 0. Missing when nobody knows.
    pub supplied: Option<Reading>,
}

impl LoadReadings {
    /// Whether the relay supplies the load, where that was read back.
    pub fn is_supplied(&self) -> Option<bool> {
        self.supplied.map(|reading| reading.value > 0.5)
    }
}

/// What a person asked for on the page.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub enum Request {
    /// Keep this load on for a while, whatever the plan says; protection still rules.
    KeepOn {
        /// Which load, by its number.
        load: u16,
        /// For how long from now.
        span: Seconds,
    },
    /// Forget the wish.
    Release {
        /// Which load, by its number.
        load: u16,
    },
}

/// The frozen inputs of one cycle.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ProcessImage {
    /// Time since the hub was switched on.
    pub now: Uptime,
    /// The wall clock, where anybody told it.
    pub wall: Option<WallTime>,
    /// Seconds that local time is ahead of UTC.
    pub utc_offset: i32,
    /// The battery.
    pub battery: BatteryReadings,
    /// Power the panels deliver, W.
    pub sun: Option<Reading>,
    /// Power all loads draw together, W.
    pub load: Option<Reading>,
    /// Each load, in the order of the settings.
    pub loads: Vec<LoadReadings>,
    /// What persons asked for since the last cycle.
    pub requests: Vec<Request>,
    /// The planner's last plan.
    pub plan: Option<Plan>,
}

impl ProcessImage {
    /// An image in which nothing is known but the time.
    pub fn empty(now: Uptime, settings: &Settings) -> Self {
        Self {
            now,
            wall: None,
            utc_offset: 0,
            battery: BatteryReadings::default(),
            sun: None,
            load: None,
            loads: vec![LoadReadings::default(); settings.loads.len()],
            requests: Vec::new(),
            plan: None,
        }
    }

    /// The value of one of this image's readings, unless it is missing or too old to count.
    pub fn fresh(&self, settings: &Settings, reading: Option<Reading>) -> Option<f64> {
        reading?.fresh(self.now, settings.stale_after)
    }

    /// Readings in a fixed order, for encodings that store differences.
    pub fn readings_mut(&mut self) -> impl Iterator<Item = &mut Option<Reading>> {
        let battery = &mut self.battery;
        [
            &mut battery.voltage,
            &mut battery.current,
            &mut battery.power,
            &mut battery.temperature,
            &mut battery.charge,
            &mut self.sun,
            &mut self.load,
        ]
        .into_iter()
        .chain(self.loads.iter_mut().flat_map(|load| [&mut load.power, &mut load.supplied]))
    }

    /// Readings in the order of [`Self::readings_mut`].
    pub fn readings(&self) -> impl Iterator<Item = Option<Reading>> + '_ {
        let battery = &self.battery;
        [
            battery.voltage,
            battery.current,
            battery.power,
            battery.temperature,
            battery.charge,
            self.sun,
            self.load,
        ]
        .into_iter()
        .chain(self.loads.iter().flat_map(|load| [load.power, load.supplied]))
    }
}
