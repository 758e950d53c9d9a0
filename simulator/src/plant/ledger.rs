//! The accounts of a home: where every watt-hour came from and where it went, and the summary made of them.

use serde::{Deserialize, Serialize};

use super::appliances::Tier;

/// Energy since the start, Wh, and events counted.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Ledger {
    /// Time passed, s.
    pub seconds: f64,
    /// What the panels could have given.
    pub pv_available: f64,
    /// What was taken from them.
    pub pv_used: f64,
    /// What a generator or hand-switched charger gave.
    pub generator: f64,
    /// Given to loads, by tier.
    pub served: [f64; 3],
    /// Wanted by loads and not given, by tier.
    pub unserved: [f64; 3],
    /// Time in which some demand of the tier was not met, s.
    pub unserved_seconds: [f64; 3],
    /// What hub and modem used.
    pub standing: f64,
    /// Lost in charge controller and inverter.
    pub conversion_loss: f64,
    /// Lost in the battery.
    pub battery_loss: f64,
    /// Energy in the battery now, less that at the start.
    pub stored: f64,
    /// Energy charged into the battery's terminals.
    pub charged: f64,
    /// Energy drawn from the battery's terminals.
    pub discharged: f64,
    /// How often the hardware cut the loads.
    pub disconnects: u32,
    /// How long they stayed cut, s.
    pub disconnected_seconds: f64,
    /// How often each load was switched by its relay.
    pub switches: Vec<u32>,
    /// Least state of charge seen, 0 to 1.
    pub least_charge: f64,
    /// Greatest state of charge seen, 0 to 1.
    pub greatest_charge: f64,
}

impl Ledger {
    pub(super) fn new(loads: usize, charge: f64) -> Self {
        Self { switches: vec![0; loads], least_charge: charge, greatest_charge: charge, ..Self::default() }
    }

    /// What came in and is not accounted for, Wh; nothing but rounding where the plant is right.
    pub fn imbalance(&self) -> f64 {
        self.pv_used + self.generator
            - self.served.iter().sum::<f64>()
            - self.standing
            - self.conversion_loss
            - self.battery_loss
            - self.stored
    }

    /// What the panels could have given and nobody took, Wh.
    pub fn curtailed(&self) -> f64 {
        self.pv_available - self.pv_used
    }
}

/// Energy of one tier, Wh.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct TierEnergy {
    /// Given to its loads.
    pub served_wh: f64,
    /// Wanted and not given.
    pub unserved_wh: f64,
    /// Hours in which some of its demand was not met.
    pub hours_short: f64,
}

/// How a run went; what `sunkeep-sim` prints at the end. The same seed and step gives the same bytes.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Summary {
    /// Seed of the home; nothing for a recorded series.
    pub seed: Option<u64>,
    /// Name of the recorded series, where there is one.
    pub site: Option<String>,
    /// Days that passed.
    pub days: f64,
    /// Length of a step, s.
    pub step_seconds: f64,
    /// Critical tier.
    pub critical: TierEnergy,
    /// Important tier.
    pub important: TierEnergy,
    /// Convenience tier.
    pub convenience: TierEnergy,
    /// Cost of what was not served: 100, 10 and 1 per kWh of the tiers.
    pub cost: f64,
    /// What the panels could have given, Wh.
    pub pv_available_wh: f64,
    /// What was taken from them, Wh.
    pub pv_produced_wh: f64,
    /// What they could have given and nobody took, Wh.
    pub pv_curtailed_wh: f64,
    /// Charge without a cause that a hub can see, Wh.
    pub generator_wh: f64,
    /// What hub and modem used, Wh.
    pub standing_wh: f64,
    /// Lost in conversion and in the battery, Wh.
    pub losses_wh: f64,
    /// State of charge at the end, 0 to 1.
    pub charge_end: f64,
    /// Least state of charge, 0 to 1.
    pub charge_least: f64,
    /// Greatest state of charge, 0 to 1.
    pub charge_greatest: f64,
    /// How often the hardware cut the loads.
    pub disconnects: u32,
    /// How long they stayed cut, hours.
    pub disconnected_hours: f64,
    /// Relay operations a day.
    pub switches_a_day: f64,
    /// Relay operations of each load.
    pub switches: Vec<(String, u32)>,
}

/// Weights of an unserved kilowatt-hour by tier, as the power benchmark has them.
const WEIGHTS: [f64; 3] = [100.0, 10.0, 1.0];

fn rounded(value: f64, digits: i32) -> f64 {
    let scale = 10f64.powi(digits);
    // Adding zero turns a negative zero into one that prints as 0.
    (value * scale).round() / scale + 0.0
}

impl Ledger {
    /// The summary; figures rounded to a tenth of a watt-hour.
    pub(super) fn summary(&self, names: &[String], charge: f64, step: f64) -> Summary {
        let tier = |tier: Tier| TierEnergy {
            served_wh: rounded(self.served[tier.index()], 1),
            unserved_wh: rounded(self.unserved[tier.index()], 1),
            hours_short: rounded(self.unserved_seconds[tier.index()] / 3600.0, 2),
        };
        let days = self.seconds / 86_400.0;
        let switches: u32 = self.switches.iter().sum();
        Summary {
            seed: None,
            site: None,
            days: rounded(days, 4),
            step_seconds: step,
            critical: tier(Tier::Critical),
            important: tier(Tier::Important),
            convenience: tier(Tier::Convenience),
            cost: rounded(
                self.unserved.iter().zip(WEIGHTS).map(|(wh, weight)| wh / 1000.0 * weight).sum(),
                2,
            ),
            pv_available_wh: rounded(self.pv_available, 1),
            pv_produced_wh: rounded(self.pv_used, 1),
            pv_curtailed_wh: rounded(self.curtailed(), 1),
            generator_wh: rounded(self.generator, 1),
            standing_wh: rounded(self.standing, 1),
            losses_wh: rounded(self.conversion_loss + self.battery_loss, 1),
            charge_end: rounded(charge, 4),
            charge_least: rounded(self.least_charge, 4),
            charge_greatest: rounded(self.greatest_charge, 4),
            disconnects: self.disconnects,
            disconnected_hours: rounded(self.disconnected_seconds / 3600.0, 2),
            switches_a_day: rounded(f64::from(switches) / days.max(1e-9), 2),
            switches: names.iter().cloned().zip(self.switches.iter().copied()).collect(),
        }
    }
}
