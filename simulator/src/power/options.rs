//! What a run is asked for, and the settings of the hub that decided.

use serde::Serialize;
use sunkeep_core::settings::{Pace, Reserve};
use sunkeep_core::{Settings, planner};

/// Who decides what is held back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Planner {
    /// The hub's planner, fed with the hub's forecasts, whose factory model knows the measured homes.
    Hub,
    /// The hub's planner, without any forecast or prior.
    Past,
    /// The planner's method, told that yesterday comes again and again.
    Persistence,
    /// The planner's method, told what the next 48 hours bring.
    Told,
    /// Nobody: the reserve rule holds alone, as on a hub without a clock.
    None,
}

/// What part of a series is played, and how.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Options {
    /// Who decides what is held back.
    pub planner: Planner,
    /// Whether relays move only where a row of the series begins, as the benchmark's scorer has it; else in
    /// every cycle, as in a home.
    pub hold: bool,
    /// Where it begins, seconds since 1970; the first row unless told.
    pub start_unix: Option<i64>,
    /// How many days; to the last row unless told.
    pub days: Option<u32>,
    /// Whether the home has one meter for everything: then nothing is known of what each tier draws, and no
    /// plate tells them apart.
    pub one_meter: bool,
    /// What is left out, to see what it is worth.
    pub without: Option<Without>,
}

/// A part of what the hub does that an ablation leaves out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Without {
    /// A part of the planner's method.
    Planner(planner::Part),
    /// Demand that was shed is imputed; without, it is read as none.
    Imputation,
    /// Throttled sun is masked; without, what the panels still gave is taken for all they could.
    Masking,
}

/// Settings of a hub that are its own choice: the same for every home here.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Chosen {
    /// Share of the energy that survives the way into the battery, and again the way out.
    pub efficiency: f64,
    /// How wrong the reported state of charge may be.
    pub reported_uncertainty: f64,
    /// Levels where no plan holds, and the floor of plans.
    pub reserve: Reserve,
    /// How fast switching may go.
    pub pace: Pace,
    /// The least time on and off of each tier, s.
    pub min_on_off_s: [[f64; 2]; 3],
}

impl Chosen {
    pub(super) fn of(settings: &Settings) -> Self {
        let least =
            |tier: usize| settings.loads.get(tier).map_or([0.0; 2], |load| [load.min_on.0, load.min_off.0]);
        Self {
            efficiency: settings.efficiency,
            reported_uncertainty: settings.reported_uncertainty,
            reserve: settings.reserve.clone(),
            pace: settings.pace.clone(),
            min_on_off_s: std::array::from_fn(least),
        }
    }
}
