//! The charge controller's stages, and the hardware low-voltage disconnect that stands behind everything.
//!
//! ```text
//!            sun                 absorption voltage            time is up or current is small
//!   Off ───────────▶ Bulk ───────────────────▶ Absorption ───────────────────────────▶ Float
//!    ▲                 ▲                                                                │
//!    └── night, from any stage                 └──── below the re-bulk voltage ─────────┘
//! ```

use serde::{Deserialize, Serialize};

use super::battery::{BatterySpec, Chemistry};

/// What the charge controller is doing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Stage {
    /// No sun.
    Off,
    /// Everything the panels give goes in.
    Bulk,
    /// The voltage is held while the current falls.
    Absorption,
    /// The battery is full and is kept so.
    Float,
}

/// Settings of a charge controller and of the low-voltage disconnect, V for the whole battery.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct ChargerSpec {
    /// Held during absorption.
    pub absorption: f64,
    /// Held during float.
    pub float: f64,
    /// Below it a full battery is charged anew.
    pub rebulk: f64,
    /// Absorption ends after this long, s.
    pub absorption_seconds: f64,
    /// Absorption ends when the battery takes less than this, A.
    pub tail_current: f64,
    /// Most current the controller can deliver, A.
    pub current_limit: f64,
    /// Share of the panels' power that reaches the battery side, 0 to 1.
    pub efficiency: f64,
    /// Change of the set voltages by battery temperature, V/K from 25 °C (lead-acid).
    pub compensation: f64,
    /// Loads are cut below this voltage.
    pub disconnect: f64,
    /// Loads come back above this voltage.
    pub reconnect: f64,
    /// How long the voltage must stay below before loads are cut, s.
    pub disconnect_delay: f64,
}

impl ChargerSpec {
    /// The usual settings for a battery, with a controller for at most `current_limit` A.
    pub fn usual(battery: &BatterySpec, current_limit: f64) -> Self {
        let cells = f64::from(battery.cells);
        let (absorption, float, rebulk, minutes, compensation, disconnect, reconnect) =
            match battery.chemistry {
                Chemistry::Lfp => (3.52, 3.37, 3.30, 60.0, 0.0, 2.95, 3.25),
                Chemistry::LeadAcid => (2.40, 2.28, 2.15, 180.0, -0.004, 1.88, 2.10),
            };
        Self {
            absorption: cells * absorption,
            float: cells * float,
            rebulk: cells * rebulk,
            absorption_seconds: minutes * 60.0,
            tail_current: battery.capacity / 40.0,
            current_limit,
            efficiency: 0.96,
            compensation: cells * compensation,
            disconnect: cells * disconnect,
            reconnect: cells * reconnect,
            disconnect_delay: 10.0,
        }
    }
}

/// Seconds below the re-bulk voltage before a new charge begins.
const REBULK_SECONDS: f64 = 60.0;
/// Seconds of a small current that end absorption.
const TAIL_SECONDS: f64 = 180.0;

/// A charge controller at work.
#[derive(Debug, Clone)]
pub(crate) struct Charger {
    spec: ChargerSpec,
    stage: Stage,
    absorbed_seconds: f64,
    tail_seconds: f64,
    low_seconds: f64,
}

impl Charger {
    pub(crate) fn new(spec: ChargerSpec) -> Self {
        Self { spec, stage: Stage::Off, absorbed_seconds: 0.0, tail_seconds: 0.0, low_seconds: 0.0 }
    }

    pub(crate) fn stage(&self) -> Stage {
        self.stage
    }

    /// Voltage the controller will not exceed now, V, at this battery temperature (°C).
    pub(crate) fn set_voltage(&self, temperature: f64) -> f64 {
        let set = if self.stage == Stage::Float { self.spec.float } else { self.spec.absorption };
        set + self.spec.compensation * (temperature - 25.0).clamp(-30.0, 30.0)
    }

    /// Moves between stages after `seconds` in which the panels offered `offered` W and the battery showed
    /// `voltage` V and took `current` A, held back by the set voltage or not.
    pub(crate) fn observe(&mut self, seconds: f64, offered: f64, voltage: f64, current: f64, held: bool) {
        if offered <= 0.0 {
            if self.stage != Stage::Off {
                *self = Self::new(self.spec);
            }
            return;
        }
        match self.stage {
            Stage::Off => self.stage = Stage::Bulk,
            Stage::Bulk => {
                if held {
                    self.stage = Stage::Absorption;
                    (self.absorbed_seconds, self.tail_seconds) = (0.0, 0.0);
                }
            }
            Stage::Absorption => {
                self.absorbed_seconds += if held { seconds } else { 0.0 };
                let tail = held && current < self.spec.tail_current;
                self.tail_seconds = if tail { self.tail_seconds + seconds } else { 0.0 };
                if self.tail_seconds >= TAIL_SECONDS || self.absorbed_seconds >= self.spec.absorption_seconds
                {
                    self.stage = Stage::Float;
                    self.low_seconds = 0.0;
                }
            }
            Stage::Float => {
                self.low_seconds = if voltage < self.spec.rebulk { self.low_seconds + seconds } else { 0.0 };
                if self.low_seconds >= REBULK_SECONDS {
                    self.stage = Stage::Bulk;
                }
            }
        }
    }
}

/// A relay in the hardware that cuts every load when the battery is nearly empty. Nobody overrides it.
#[derive(Debug, Clone)]
pub(crate) struct Disconnect {
    opens_below: f64,
    closes_above: f64,
    delay: f64,
    below_seconds: f64,
    open: bool,
}

impl Disconnect {
    pub(crate) fn new(spec: &ChargerSpec) -> Self {
        Self {
            opens_below: spec.disconnect,
            closes_above: spec.reconnect,
            delay: spec.disconnect_delay,
            below_seconds: 0.0,
            open: false,
        }
    }

    /// Whether the loads are cut.
    pub(crate) fn is_open(&self) -> bool {
        self.open
    }

    /// Opens at once: the battery could not give what was asked.
    pub(crate) fn collapse(&mut self) {
        self.open = true;
    }

    /// Takes note of the battery voltage over `seconds`.
    pub(crate) fn observe(&mut self, voltage: f64, seconds: f64) {
        self.below_seconds = if voltage < self.opens_below { self.below_seconds + seconds } else { 0.0 };
        if self.below_seconds >= self.delay {
            self.open = true;
        } else if voltage > self.closes_above {
            self.open = false;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn spec() -> ChargerSpec {
        let battery = BatterySpec {
            chemistry: Chemistry::LeadAcid,
            cells: 6,
            capacity: 100.0,
            resistance: 0.01,
            initial: 0.5,
        };
        ChargerSpec::usual(&battery, 30.0)
    }

    #[test]
    fn stages_follow_one_another() {
        let mut charger = Charger::new(spec());
        charger.observe(10.0, 100.0, 12.5, 8.0, false);
        assert_eq!(charger.stage(), Stage::Bulk);
        charger.observe(10.0, 100.0, 14.4, 8.0, true);
        assert_eq!(charger.stage(), Stage::Absorption);
        charger.observe(170.0, 100.0, 14.4, 1.0, true);
        assert_eq!(charger.stage(), Stage::Absorption);
        charger.observe(10.0, 100.0, 14.4, 1.0, true);
        assert_eq!(charger.stage(), Stage::Float, "tail current reached");
        assert!(charger.set_voltage(25.0) < 14.0);
        for _ in 0..6 {
            charger.observe(10.0, 100.0, 12.4, -5.0, false);
        }
        assert_eq!(charger.stage(), Stage::Bulk, "a heavy load starts a new charge");
        charger.observe(10.0, 0.0, 12.4, -5.0, false);
        assert_eq!(charger.stage(), Stage::Off);
    }

    #[test]
    fn absorption_ends_by_time_where_the_current_never_falls() {
        let mut charger = Charger::new(spec());
        charger.observe(10.0, 100.0, 12.5, 8.0, false);
        charger.observe(10.0, 100.0, 14.4, 8.0, true);
        let mut minutes = 0;
        while charger.stage() == Stage::Absorption {
            charger.observe(60.0, 100.0, 14.4, 8.0, true);
            minutes += 1;
            assert!(minutes < 1000);
        }
        assert_eq!(minutes, 180);
        assert_eq!(charger.stage(), Stage::Float);
    }

    #[test]
    fn set_voltage_follows_the_temperature_of_lead() {
        let charger = Charger::new(spec());
        assert!((charger.set_voltage(5.0) - charger.set_voltage(25.0) - 0.48).abs() < 1e-9);
    }

    #[test]
    fn the_disconnect_waits_and_comes_back_higher() {
        let spec = spec();
        let mut hardware = Disconnect::new(&spec);
        hardware.observe(spec.disconnect - 0.1, 9.0);
        hardware.observe(spec.disconnect + 0.1, 1.0);
        hardware.observe(spec.disconnect - 0.1, 9.0);
        assert!(!hardware.is_open(), "a dip shorter than the delay does nothing");
        hardware.observe(spec.disconnect - 0.1, 1.0);
        assert!(hardware.is_open());
        hardware.observe(spec.reconnect - 0.01, 100.0);
        assert!(hardware.is_open(), "still below the reconnect voltage");
        hardware.observe(spec.reconnect + 0.01, 1.0);
        assert!(!hardware.is_open());
    }
}
