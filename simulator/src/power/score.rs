//! The figures of a run, as the power benchmark reports them.

use serde::{Deserialize, Serialize};

use super::Planner;
use crate::plant::RecordedHome;

/// Weights of an unserved kilowatt-hour by tier.
const WEIGHTS: [f64; 3] = [100.0, 10.0, 1.0];

/// One line of figures.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Score {
    /// Name of the site.
    pub site: String,
    /// Whether a plan was followed.
    pub planner: bool,
    /// Days that were played.
    pub days: f64,
    /// Cost of what was not served: 100, 10 and 1 per kWh of the tiers.
    pub cost: f64,
    /// Share of the critical tier's demand that was not served.
    pub unserved_critical: f64,
    /// As `unserved_critical`, of the important tier.
    pub unserved_important: f64,
    /// As `unserved_critical`, of the convenience tier.
    pub unserved_convenience: f64,
    /// Hours in which some demand of the critical tier was not met, by the minute.
    pub critical_hours_lost: f64,
    /// Relay operations a day.
    pub switches_a_day: f64,
    /// How often the hardware cut the loads.
    pub disconnects: u32,
    /// How far off the hub's slot means of each tier's demand were, as a part of that demand: nothing but
    /// rounding and cuts by the hardware where each tier has a meter.
    pub split_error: f64,
}

impl Score {
    pub(super) fn of(plant: &RecordedHome, planner: Planner, split_error: f64) -> Self {
        let ledger = plant.ledger();
        let share = |tier: usize| {
            let wanted = ledger.served[tier] + ledger.unserved[tier];
            if wanted > 0.0 { ledger.unserved[tier] / wanted } else { 0.0 }
        };
        let rounded = |value: f64, digits: i32| (value * 10f64.powi(digits)).round() / 10f64.powi(digits);
        let days = ledger.seconds / 86_400.0;
        let cost: f64 = ledger.unserved.iter().zip(WEIGHTS).map(|(wh, weight)| wh / 1000.0 * weight).sum();
        Self {
            site: plant.name().into(),
            planner: planner != Planner::None,
            days: rounded(days, 3),
            cost: rounded(cost, 2),
            unserved_critical: rounded(share(0), 4),
            unserved_important: rounded(share(1), 4),
            unserved_convenience: rounded(share(2), 4),
            critical_hours_lost: rounded(ledger.unserved_seconds[0] / 3600.0, 1),
            switches_a_day: rounded(f64::from(ledger.switches.iter().sum::<u32>()) / days.max(1e-9), 2),
            disconnects: ledger.disconnects,
            split_error: rounded(split_error, 4),
        }
    }
}
