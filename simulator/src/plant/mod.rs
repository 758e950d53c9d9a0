//! The plant: a home as physics has it. Pure and seeded; no clock, no input, no output.
//!
//! Two kinds stand here: a synthetic home ([`SolarHome`]) and the replay of a recorded series through the
//! power benchmark's reference plant ([`RecordedHome`]).

mod appliances;
mod battery;
mod chance;
mod charger;
mod home_spec;
mod ledger;
mod panels;
mod readings;
mod recorded;
mod recording;
mod solar_home;
pub mod sun;
pub mod wear;
mod weather;

use core::time::Duration;

pub use appliances::{ApplianceSpec, Habit, Tier, Wiring};
pub use battery::{BatterySpec, Chemistry};
pub use charger::{ChargerSpec, Stage};
pub use home_spec::{GeneratorRun, HomeSpec};
pub use ledger::{Ledger, Summary, TierEnergy};
pub use panels::ArraySpec;
pub use readings::Readings;
pub use recorded::RecordedHome;
pub use recording::{Row, Series, SeriesError};
pub use solar_home::{HomeError, SolarHome};
pub use weather::Climate;

/// A load and the relay it hangs on, as a hub's configuration has to state it.
#[derive(Debug, Clone, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct Load {
    /// Short name, unique in the home.
    pub name: String,
    /// How much it matters.
    pub tier: Tier,
    /// Power while it runs, W; for a recorded tier the greatest in the series.
    pub power: f64,
    /// Coil of the relay board, 0 to 7.
    pub coil: u8,
    /// Contact of that relay.
    pub wiring: Wiring,
}

/// A plant of either kind.
#[derive(Debug, Clone)]
pub enum Plant {
    /// A home made of weather, hardware and people.
    Synthetic(Box<SolarHome>),
    /// A recorded series, played through the reference plant.
    Recorded(Box<RecordedHome>),
}

impl Plant {
    /// The loads in order; [`Plant::permit`] takes their places.
    pub fn loads(&self) -> Vec<Load> {
        match self {
            Self::Synthetic(home) => (home.spec().appliances.iter())
                .map(|it| Load {
                    name: it.name.clone(),
                    tier: it.tier,
                    power: it.power,
                    coil: it.coil,
                    wiring: it.wiring,
                })
                .collect(),
            Self::Recorded(home) => home.loads(),
        }
    }

    /// Lets a relay pass current to a load, or not.
    pub fn permit(&mut self, load: usize, allowed: bool) {
        match self {
            Self::Synthetic(home) => home.permit(load, allowed),
            Self::Recorded(home) => home.permit(load, allowed),
        }
    }

    /// Sets the state the relays have before anything was switched: nothing is counted.
    pub fn permit_first(&mut self, load: usize, allowed: bool) {
        match self {
            Self::Synthetic(home) => home.permit_first(load, allowed),
            Self::Recorded(home) => home.permit_first(load, allowed),
        }
    }

    /// Switches the charge controller's load output, behind which all loads hang.
    pub fn switch_load_output(&mut self, on: bool) {
        match self {
            Self::Synthetic(home) => home.switch_load_output(on),
            Self::Recorded(home) => home.switch_load_output(on),
        }
    }

    /// Moves the home on.
    pub fn advance(&mut self, span: Duration) {
        match self {
            Self::Synthetic(home) => home.advance(span),
            Self::Recorded(home) => home.advance(span),
        }
    }

    /// Wall time now, seconds since 1970.
    pub fn unix(&self) -> i64 {
        match self {
            Self::Synthetic(home) => home.unix(),
            Self::Recorded(home) => home.unix(),
        }
    }

    /// What instruments see.
    pub fn readings(&self) -> &Readings {
        match self {
            Self::Synthetic(home) => home.readings(),
            Self::Recorded(home) => home.readings(),
        }
    }

    /// Where the energy went.
    pub fn ledger(&self) -> &Ledger {
        match self {
            Self::Synthetic(home) => home.ledger(),
            Self::Recorded(home) => home.ledger(),
        }
    }

    /// IANA name of the time zone.
    pub fn zone(&self) -> &str {
        match self {
            Self::Synthetic(home) => &home.spec().zone,
            Self::Recorded(home) => home.zone(),
        }
    }

    /// How the run went so far; `step` is the length of a step of the run.
    pub fn summary(&self, step: Duration) -> Summary {
        let names: Vec<_> = self.loads().into_iter().map(|load| load.name).collect();
        let charge = self.readings().charge;
        let mut summary = self.ledger().summary(&names, charge, step.as_secs_f64());
        match self {
            Self::Synthetic(home) => summary.seed = Some(home.spec().seed),
            Self::Recorded(home) => summary.site = Some(home.name().into()),
        }
        summary
    }
}
