//! Homes with a lead-acid battery, lived through for years under one policy or another, and how their batteries
//! wear. In this process, a cycle a minute, without wire or clock.
//!
//! The plant is the synthetic home; the wear is the plant's ([`crate::plant::wear`]) and no policy is told of it.
//! The hub is the hub: its settings come from the configuration it would have on the wire, its plans from what
//! the home has lived through. Other policies are told the true state of charge, which is kinder than life.

mod hub;

use core::time::Duration;

use sunkeep::config::ConfigError;

use self::hub::Hub;
use crate::plant::wear::{Wear, WearSpec};
use crate::plant::{Chemistry, HomeError, HomeSpec, SolarHome, Tier};
use crate::policy::{Policy, Rule};

/// Length of a cycle.
const CYCLE: Duration = Duration::from_mins(1);
const CYCLE_HOURS: f64 = 1.0 / 60.0;

/// Who decides.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Decides {
    /// The hub, as it comes.
    Hub,
    /// The hub, its care of the battery off.
    HubWithoutCare,
    /// A rule of the field.
    Rule(Policy),
}

impl Decides {
    /// Its name in tables.
    pub fn name(self) -> &'static str {
        match self {
            Self::Hub => "planner",
            Self::HubWithoutCare => "planner without care",
            Self::Rule(policy) => policy.name(),
        }
    }
}

/// Why a home could not be lived through.
#[derive(Debug, thiserror::Error)]
pub enum LifetimeError {
    /// The home of the seed has another battery.
    #[error("the home of seed {0} has no lead-acid battery, expected one that has")]
    OtherChemistry(u64),
    /// The home cannot be built.
    #[error(transparent)]
    Home(#[from] HomeError),
    /// The configuration could not be written.
    #[error("the configuration of the hub: {0}")]
    Written(#[from] toml::ser::Error),
    /// The hub refused its configuration.
    #[error(transparent)]
    Refused(#[from] ConfigError),
}

/// What came of it.
#[derive(Debug, Clone, PartialEq, serde::Serialize)]
pub struct Lived {
    /// Seed of the home.
    pub seed: u64,
    /// Who decided.
    pub policy: &'static str,
    /// Days lived.
    pub days: f64,
    /// Unserved energy of the critical, important and convenience tiers, kWh a year.
    pub unserved: [f64; 3],
    /// What they wanted, kWh a year.
    pub wanted: [f64; 3],
    /// How often the hardware cut the loads, a year.
    pub disconnects: f64,
    /// Relay operations a day.
    pub switches: f64,
    /// Mean state of charge.
    pub mean_charge: f64,
    /// Most days on end without a full battery.
    pub longest_not_full: f64,
    /// Capacities drawn a year.
    pub cycles: f64,
    /// The same, weighted by how they wear.
    pub weighted: f64,
    /// Share of the life in float that a year of corrosion takes.
    pub corroded: f64,
    /// Years until the battery is worn out.
    pub years: f64,
}

/// The first `count` seeds whose home has a lead-acid battery.
pub fn lead_acid_seeds(count: usize) -> Vec<u64> {
    let lead = |seed: &u64| HomeSpec::from_seed(*seed, 0).battery.chemistry == Chemistry::LeadAcid;
    (1..).filter(lead).take(count).collect()
}

/// Lives through `days` of the home of `seed` from `start_unix` on, its panels scaled by `panels`.
pub fn live(
    seed: u64,
    start_unix: i64,
    days: u32,
    panels: f64,
    decides: Decides,
) -> Result<Lived, LifetimeError> {
    let mut spec = HomeSpec::from_seed(seed, start_unix);
    if spec.battery.chemistry != Chemistry::LeadAcid {
        return Err(LifetimeError::OtherChemistry(seed));
    }
    spec.array.rated *= panels;
    let tiers: Vec<Tier> = spec.appliances.iter().map(|appliance| appliance.tier).collect();
    let mut wear = Wear::new(WearSpec::usual(spec.battery.capacity));
    let mut home = SolarHome::new(spec)?.with_grain(CYCLE);
    let mut hub = match decides {
        Decides::Hub | Decides::HubWithoutCare => Some(Hub::new(&home, decides == Decides::Hub)?),
        Decides::Rule(_) => None,
    };
    let mut rule = if let Decides::Rule(policy) = decides { Some(Rule::new(policy)) } else { None };
    let (mut charges, mut longest) = (0.0, 0.0_f64);
    let minutes = u64::from(days) * 24 * 60;
    for minute in 0..minutes {
        if let Some(hub) = &mut hub {
            hub.cycle(&mut home);
        }
        if let Some(rule) = &mut rule {
            let on = rule.decide(minute as f64 * CYCLE_HOURS, home.charge());
            for (place, tier) in tiers.iter().enumerate() {
                home.permit(place, on[tier.index()]);
            }
        }
        home.advance(CYCLE);
        wear.step(home.work(CYCLE_HOURS));
        charges += home.charge();
        longest = longest.max(wear.since_full());
    }
    let ledger = home.ledger();
    let years = f64::from(days) / 365.25;
    let a_year = |wh: f64| wh / 1000.0 / years;
    Ok(Lived {
        seed,
        policy: decides.name(),
        days: f64::from(days),
        unserved: ledger.unserved.map(a_year),
        wanted: std::array::from_fn(|tier| a_year(ledger.unserved[tier] + ledger.served[tier])),
        disconnects: f64::from(ledger.disconnects) / years,
        switches: f64::from(ledger.switches.iter().sum::<u32>()) / f64::from(days),
        mean_charge: charges / minutes as f64,
        longest_not_full: longest / 24.0,
        cycles: wear.cycles() / years,
        weighted: wear.weighted() / years,
        corroded: wear.corroded() / years,
        years: wear.years(),
    })
}
