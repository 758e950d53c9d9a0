//! What a person may see of the hub: one value, published after every cycle, read by the page.
//!
//! Nothing here decides or measures anything.

use std::sync::Arc;

use serde::Serialize;
use sunkeep_core::planner::Outlook;
use sunkeep_core::{Decision, ProcessImage, Settings};
use sunkeep_models::forecast::Forecast;
use sunkeep_models::time::Zone;
use tokio::sync::watch;

use crate::language::Language;
use crate::uplink::Standing;

/// The hub after a cycle.
#[derive(Debug, Clone)]
pub struct View {
    /// Name of the site.
    pub site: Arc<str>,
    /// Its time zone.
    pub zone: Arc<Zone>,
    /// The household's language.
    pub language: Language,
    /// Its settings.
    pub settings: Arc<Settings>,
    /// What the cycle saw.
    pub image: Arc<ProcessImage>,
    /// What it decided.
    pub decision: Arc<Decision>,
    /// What is expected; `None` until the first forecast was made.
    pub forecasts: Option<Arc<Forecasts>>,
    /// The last two days, oldest first, a point every [`POINT_MINUTES`] minutes.
    pub past: Arc<Vec<Point>>,
    /// Every device.
    pub devices: Arc<Vec<DeviceHealth>>,
    /// Every pulse meter.
    pub meters: Arc<Vec<Meter>>,
    /// What is wrong with the hub itself, in sentences; empty when all is well.
    pub faults: Arc<Vec<String>>,
    /// How the way to the fleet stands at this moment; `None` where there is none.
    pub uplink: Option<watch::Receiver<Standing>>,
    /// Counts since the hub was started.
    pub counts: Counts,
}

/// Minutes between two points of [`View::past`].
pub const POINT_MINUTES: i64 = 5;
/// Points of two days.
pub const MOST_POINTS: usize = 2 * 24 * 60 / POINT_MINUTES as usize;

/// What is expected of the next two days.
#[derive(Debug, Clone, PartialEq)]
pub struct Forecasts {
    /// Demand of all tiers together, W.
    pub load: Forecast,
    /// Power the panels can deliver, W.
    pub sun: Forecast,
    /// Method of the load forecast: `adaptive`, or the baseline that stood in.
    pub load_by: String,
    /// Skill of the load forecast against persistence over the last weeks: one less its loss over that of
    /// persistence. `None` on a young site.
    pub skill: Option<f64>,
    /// Skill of the forecast of the sun, in daylight; as [`Forecasts::skill`].
    pub sun_skill: Option<f64>,
    /// The plan and what is expected of it.
    pub outlook: Outlook,
}

/// One point of the past.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Point {
    /// Seconds since 1970.
    pub unix: i64,
    /// State of charge with its bounds, 0 to 1.
    pub low: f32,
    /// See `low`.
    pub best: f32,
    /// See `low`.
    pub high: f32,
    /// Power of the panels, W.
    pub sun: Option<f32>,
    /// Power of all loads, W.
    pub load: Option<f32>,
}

/// A pulse meter.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Meter {
    /// Its name in the configuration.
    pub name: String,
    /// Energy counted since it was first connected, Wh.
    pub wh: f64,
}

/// Whether a device answers.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct DeviceHealth {
    /// Its name in the configuration.
    pub name: String,
    /// What it is.
    pub model: String,
    /// `None` until it was asked for the first time.
    pub answers: Option<bool>,
    /// What went wrong, where it does not.
    pub why: String,
}

/// Counts since the hub was started.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
pub struct Counts {
    /// Cycles.
    pub cycles: u64,
    /// Loads shed.
    pub sheds: u64,
    /// Loads restored.
    pub restores: u64,
    /// Forecasts made by the ONNX model.
    pub onnx_forecasts: u64,
    /// Forecasts made by a baseline, because the model had too little history or failed.
    pub baseline_forecasts: u64,
}
