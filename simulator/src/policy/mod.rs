//! What others do with the tiers of a home without a grid, by the state of charge alone: to compare the hub's
//! planner with, on the same plant and by the same score.
//!
//! Levels are those of the power benchmark's reference (`rules` in `reference.py`), where that has the policy.

mod battery_life;

pub use battery_life::BatteryLife;

/// A policy that switches tiers by the state of charge.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Policy {
    /// Nothing is shed before the hardware cuts everything.
    Disconnect,
    /// Convenience is shed at 50 % and important loads at 30 %, at any hour; as SPAN's panels do.
    ThreeTiers,
    /// Two levels by time of day, restored in reverse order; as SMA's Sunny Island is set up for it.
    TiersByTime,
    /// Everything but the critical tier is shed below a floor that rises by 5 % on each day that ends it, and
    /// falls when the battery fills; as Victron's `BatteryLife`.
    BatteryLife,
}

impl Policy {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Disconnect, Self::ThreeTiers, Self::TiersByTime, Self::BatteryLife];

    /// Its name on the command line.
    pub fn name(self) -> &'static str {
        match self {
            Self::Disconnect => "disconnect",
            Self::ThreeTiers => "three-tiers",
            Self::TiersByTime => "tiers-by-time",
            Self::BatteryLife => "battery-life",
        }
    }
}

/// A level below which a tier is shed, and one above which it returns. `None`: never shed.
type Levels = [Option<(f64, f64)>; 3];

/// A policy at work.
#[derive(Debug, Clone)]
pub struct Rule {
    policy: Policy,
    on: [bool; 3],
    floor: BatteryLife,
}

impl Rule {
    /// The policy with all tiers on.
    pub fn new(policy: Policy) -> Self {
        Self { policy, on: [true; 3], floor: BatteryLife::default() }
    }

    /// Which tiers are on from now, `hours` after the start, with this state of charge (0 to 1).
    pub fn decide(&mut self, hours: f64, charge: f64) -> [bool; 3] {
        let levels = self.levels(hours, charge);
        for (on, level) in self.on.iter_mut().zip(levels) {
            match level {
                Some((off, _)) if charge < off => *on = false,
                Some((_, back)) if charge > back => *on = true,
                Some(_) => {}
                None => *on = true,
            }
        }
        self.on
    }

    fn levels(&mut self, hours: f64, charge: f64) -> Levels {
        let hour = hours.rem_euclid(24.0);
        match self.policy {
            Policy::Disconnect => [None; 3],
            Policy::ThreeTiers => [None, Some((0.30, 0.40)), Some((0.50, 0.60))],
            Policy::TiersByTime if (6.0..22.0).contains(&hour) => {
                [None, Some((0.30, 0.40)), Some((0.40, 0.80))]
            }
            Policy::TiersByTime => [None, Some((0.25, 0.35)), Some((0.30, 0.40))],
            Policy::BatteryLife => {
                let levels = self.floor.levels(hours, charge);
                [None, Some(levels), Some(levels)]
            }
        }
    }
}
