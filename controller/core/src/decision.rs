//! What a cycle decided: each load on or off, and the reason with the numbers that decided.

use serde::{Deserialize, Serialize};
use sunkeep_models::battery::ChargeBounds;
use sunkeep_models::quantity::{Celsius, Seconds, StateOfCharge, Volts, Watts};
use sunkeep_models::time::Uptime;

use crate::care::Needs;
use crate::settings::Tier;
use crate::steps::Draw;

/// The outcome of one cycle.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Decision {
    /// How full the battery is believed to be.
    pub charge: ChargeBounds,
    /// Whether a plan held, or the reserve rule stood in.
    pub basis: Basis,
    /// What the battery needs.
    pub needs: Needs,
    /// What protection is doing.
    pub alarm: Option<Alarm>,
    /// Each load, in the order of the settings.
    pub loads: Vec<LoadDecision>,
    /// What this cycle changed.
    pub changes: Vec<Change>,
}

/// What proposals were made from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Basis {
    /// A plan that is in date and made under these settings.
    Plan,
    /// No plan holds: fixed levels from the settings.
    ReserveRule,
}

/// Which protection has tripped.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub enum Alarm {
    /// The battery is low: everything but the critical tier is off.
    BatteryLow,
    /// The battery is nearly empty: everything is off.
    BatteryEmpty,
    /// The battery is too hot.
    BatteryHot,
    /// The loads drew more than the wiring or the inverter bears.
    Overload,
}

/// One load after a cycle.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct LoadDecision {
    /// Whether its relay shall supply it.
    pub on: bool,
    /// Since when it has been so.
    pub since: Uptime,
    /// Why.
    pub because: Because,
    /// Until when a person's wish keeps it on.
    pub pinned_until: Option<Uptime>,
    /// Whether the relay is known to do as decided; `None` when its state could not be read.
    pub confirmed: Option<bool>,
    /// What it draws while on, by the steps that its switching makes in the total; `None` where it has a
    /// meter of its own, or made no step yet.
    pub draws: Option<Draw>,
}

/// A load that was switched.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Change {
    /// Its number.
    pub load: u16,
    /// On or off from now.
    pub on: bool,
    /// Why.
    pub because: Because,
}

/// The reason for a load's state, with the numbers that decided.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub enum Because {
    /// Nothing speaks against it.
    Free,
    /// It has no relay.
    NotSwitched,
    /// The hub or its modem live from it.
    PowersHub,
    /// A person asked for it.
    Pinned,
    /// The battery is full: what the sun brings beyond would be thrown away.
    Surplus,
    /// Energy is held back for the tiers above it.
    Held {
        /// Tier of the load.
        tier: Tier,
        /// State of charge when it was shed: its lower bound, or for the critical tier the best estimate.
        left: StateOfCharge,
        /// Level that decided: that of shedding for a load that goes off, that of return for one that is off.
        keep: StateOfCharge,
        /// When it is expected back, seconds since 1970; `None` where nobody knows.
        until: Option<i64>,
    },
    /// It waits its turn to return, or for its minimum time off.
    Waiting {
        /// At least this much longer.
        at_least: Seconds,
    },
    /// The battery's voltage is too low.
    LowVoltage {
        /// What was read.
        read: Volts,
        /// What it must not fall below.
        limit: Volts,
    },
    /// The state of charge is too low.
    LowCharge {
        /// What is estimated.
        left: StateOfCharge,
        /// What it must not fall below.
        limit: StateOfCharge,
    },
    /// The battery is too hot.
    Hot {
        /// What was read.
        read: Celsius,
        /// What it must not rise above.
        limit: Celsius,
    },
    /// All loads together drew too much.
    Overload {
        /// What was drawn.
        read: Watts,
        /// What may be drawn.
        limit: Watts,
    },
    /// The battery has not been full for long, and is to become full first.
    NotFull {
        /// State of charge then: its lower bound.
        left: StateOfCharge,
        /// Level that decided.
        keep: StateOfCharge,
        /// Time since it was full.
        since_full: Seconds,
    },
}

impl Because {
    /// The numbers that decided, by name and for programs: charges from 0 to 1, else with their unit (`_v`, `_w`,
    /// `_c` for degrees Celsius, `_s` for seconds, `_unix_s` for seconds since 1970).
    pub fn figures(&self) -> Vec<(&'static str, f64)> {
        match *self {
            Self::Free | Self::NotSwitched | Self::PowersHub | Self::Pinned | Self::Surplus => Vec::new(),
            Self::Held { left, keep, until, .. } => {
                let figures = [("left", left.ratio()), ("keep", keep.ratio())];
                figures.into_iter().chain(until.map(|until| ("until_unix_s", until as f64))).collect()
            }
            Self::Waiting { at_least } => vec![("at_least_s", at_least.0)],
            Self::LowVoltage { read, limit } => vec![("read_v", read.0), ("limit_v", limit.0)],
            Self::LowCharge { left, limit } => vec![("left", left.ratio()), ("limit", limit.ratio())],
            Self::Hot { read, limit } => vec![("read_c", read.0), ("limit_c", limit.0)],
            Self::Overload { read, limit } => vec![("read_w", read.0), ("limit_w", limit.0)],
            Self::NotFull { left, keep, since_full } => {
                vec![("left", left.ratio()), ("keep", keep.ratio()), ("since_full_s", since_full.0)]
            }
        }
    }

    /// Short word for counting: the reason without its numbers.
    pub fn word(&self) -> &'static str {
        match self {
            Self::Free => "free",
            Self::NotSwitched => "not switched",
            Self::PowersHub => "powers the hub",
            Self::Pinned => "asked for",
            Self::Surplus => "surplus",
            Self::Held { .. } => "reserve held",
            Self::Waiting { .. } => "waiting",
            Self::LowVoltage { .. } => "low voltage",
            Self::LowCharge { .. } => "low charge",
            Self::Hot { .. } => "battery hot",
            Self::Overload { .. } => "overload",
            Self::NotFull { .. } => "battery not full for long",
        }
    }
}
