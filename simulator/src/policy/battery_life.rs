//! The floor of Victron's `BatteryLife`: it rises on every day on which the battery was drawn down to it, and
//! falls on every day on which the battery was charged.
//!
//! After `delegates/batterylife.py` of github.com/victronenergy/dbus-systemcalc-py: 10 % at least and 80 % at
//! most, up by 5 % once a day at the floor, down by 5 % once a day at 85 % and by 5 % more at 95 %; discharge is
//! allowed again 3 % above the floor; 5 % more for every 24 hours spent below it. Without a grid to go over to,
//! what ends below the floor are the loads that are not critical. The floor begins at 20 %, where the hardware of
//! the benchmark's homes cuts.

/// How far the floor moves at a time.
const STEP: f64 = 0.05;
/// What it never goes below or above.
const LEAST: f64 = 0.20;
const MOST: f64 = 0.80;
/// The battery counts as charged, and as as good as full, from these on.
const CHARGED: f64 = 0.85;
const FULL: f64 = 0.95;
/// How far above the floor loads return.
const BACK: f64 = 0.03;
/// Hours below the floor after which it rises again.
const STAY: f64 = 24.0;

/// The floor and what the day has brought.
#[derive(Debug, Clone)]
pub struct BatteryLife {
    floor: f64,
    day: f64,
    discharged: bool,
    charged: bool,
    full: bool,
    /// Whether loads are off, and since which hour.
    below: Option<f64>,
}

impl Default for BatteryLife {
    fn default() -> Self {
        Self { floor: LEAST, day: 0.0, discharged: false, charged: false, full: false, below: None }
    }
}

impl BatteryLife {
    /// The levels of shedding and of return, `hours` after the start, with this state of charge.
    pub fn levels(&mut self, hours: f64, charge: f64) -> (f64, f64) {
        let day = (hours / 24.0).floor();
        if day > self.day {
            self.day = day;
            (self.discharged, self.charged, self.full) = (false, false, false);
        }
        let mut change = 0.0;
        if let Some(since) = self.below {
            if charge > self.floor + BACK {
                self.below = None;
            } else if hours - since > STAY {
                change += STEP;
                self.below = Some(hours);
            }
        } else if charge <= self.floor {
            self.below = Some(hours);
            if !self.discharged {
                self.discharged = true;
                change += STEP;
            }
        }
        if charge >= CHARGED && !self.charged {
            self.charged = true;
            change -= STEP;
        }
        if charge >= FULL && !self.full {
            self.full = true;
            change -= STEP;
        }
        self.floor = (self.floor + change).clamp(LEAST, MOST);
        (self.floor, self.floor + BACK)
    }

    /// The floor now, 0 to 1.
    pub fn floor(&self) -> f64 {
        self.floor
    }
}
