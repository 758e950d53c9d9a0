//! Appliances and the people who switch them. What people want does not depend on what a relay allows, so
//! that the energy nobody got is known for every tier.

use serde::{Deserialize, Serialize};

use super::chance::Chance;

/// How much a load matters to the home.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Tier {
    /// Light, radio, medicine.
    Critical,
    /// What the day needs.
    Important,
    /// What can wait.
    Convenience,
}

impl Tier {
    /// All tiers, the most important first.
    pub const ALL: [Self; 3] = [Self::Critical, Self::Important, Self::Convenience];

    /// Place in [`Tier::ALL`].
    pub fn index(self) -> usize {
        self as usize
    }
}

/// Which contact of a relay a load hangs on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Wiring {
    /// Current flows while the coil is energised.
    NormallyOpen,
    /// Current flows while the coil is released.
    NormallyClosed,
}

impl Wiring {
    /// Whether current can flow when the coil is energised or not.
    pub fn conducts(self, energised: bool) -> bool {
        match self {
            Self::NormallyOpen => energised,
            Self::NormallyClosed => !energised,
        }
    }
}

/// When an appliance wants power.
#[derive(Debug, Clone, PartialEq)]
pub enum Habit {
    /// On while it is dark and people are awake.
    Lighting {
        /// Hour at which people usually rise, 0 to 24.
        rise: f64,
        /// Hour at which people usually go to bed, 0 to 24.
        bed: f64,
    },
    /// Keeps something cold; the compressor runs when it is too warm inside.
    Cooling {
        /// Temperature to hold, °C.
        hold: f64,
        /// Kelvin of heat let in per hour and kelvin of difference to the air.
        leak: f64,
        /// Kelvin of cooling per hour while the compressor runs.
        pull: f64,
    },
    /// Used now and then.
    Sessions {
        /// Expected sessions begun in each hour of the day.
        starts: [f64; 24],
        /// Mean length of a session, minutes.
        minutes: f64,
        /// Share by which weekends see more of it.
        weekend: f64,
    },
    /// Used by people at home when it is warm.
    Warmth {
        /// Wanted above this temperature of the air, °C.
        above: f64,
    },
}

/// An appliance, and the relay it hangs on.
#[derive(Debug, Clone, PartialEq)]
pub struct ApplianceSpec {
    /// Short name, unique in the home.
    pub name: String,
    /// How much it matters.
    pub tier: Tier,
    /// Power while it runs, W.
    pub power: f64,
    /// When it runs.
    pub habit: Habit,
    /// Coil of the relay board, 0 to 7.
    pub coil: u8,
    /// Contact of that relay.
    pub wiring: Wiring,
}

/// What people see when they decide.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Surroundings {
    /// Hour of the local day, 0..24.
    pub(crate) hour: f64,
    /// Saturday or Sunday.
    pub(crate) weekend: bool,
    /// Daylight has gone.
    pub(crate) dark: bool,
    /// Temperature of the air, °C.
    pub(crate) temperature: f64,
}

/// An appliance in use.
#[derive(Debug, Clone)]
pub(crate) struct Appliance {
    pub(crate) spec: ApplianceSpec,
    chance: Chance,
    wanted: bool,
    /// Minutes left of a session, or of the decision to have light or air.
    minutes_left: f64,
    /// Temperature inside a fridge, °C.
    inside: f64,
    /// Today's deviation from the usual hours.
    shift: f64,
}

impl Appliance {
    pub(crate) fn new(spec: ApplianceSpec, chance: Chance) -> Self {
        let inside = match &spec.habit {
            Habit::Cooling { hold, .. } => *hold,
            _ => 0.0,
        };
        Self { spec, chance, wanted: false, minutes_left: 0.0, inside, shift: 0.0 }
    }

    /// Power it wants now, W, whether it gets it or not.
    pub(crate) fn demand(&self) -> f64 {
        if self.wanted { self.spec.power } else { 0.0 }
    }

    /// Temperature inside, for what keeps things cold, °C.
    #[cfg(test)]
    pub(crate) fn inside(&self) -> f64 {
        self.inside
    }

    /// A minute passes, in which the appliance had power or not.
    pub(crate) fn minute(&mut self, around: Surroundings, powered: bool) {
        let draw = self.chance.unit();
        if around.hour < 1.0 / 60.0 {
            self.shift = 0.4 * self.chance.normal();
        }
        match &self.spec.habit {
            Habit::Lighting { rise, bed } => {
                let awake = around.hour > rise + self.shift && around.hour < bed + self.shift;
                // Rooms are entered and left: within waking hours in the dark, light burns most of the time.
                if self.minutes_left <= 0.0 {
                    self.minutes_left = 15.0 + 30.0 * self.chance.unit();
                    self.wanted = draw < 0.85;
                }
                self.minutes_left -= 1.0;
                if !(awake && around.dark) {
                    self.wanted = false;
                    self.minutes_left = 0.0;
                }
            }
            Habit::Cooling { hold, leak, pull } => {
                let opened = if draw < 0.01 { 0.3 } else { 0.0 };
                let warming = leak * (around.temperature - self.inside) / 60.0 + opened;
                let cooling = if self.wanted && powered { pull / 60.0 } else { 0.0 };
                self.inside += warming - cooling;
                if self.inside > hold + 1.0 {
                    self.wanted = true;
                } else if self.inside < hold - 1.0 {
                    self.wanted = false;
                }
            }
            Habit::Sessions { starts, minutes, weekend } => {
                let length = -minutes * (1.0 - self.chance.unit()).max(1e-6).ln();
                let hour = ((around.hour - self.shift).rem_euclid(24.0) as usize).min(23);
                let rate = starts[hour] * if around.weekend { 1.0 + weekend } else { 1.0 };
                if self.minutes_left > 0.0 {
                    self.minutes_left -= 1.0;
                } else if draw < rate / 60.0 {
                    self.minutes_left = length.clamp(2.0, 480.0);
                }
                self.wanted = self.minutes_left > 0.0;
            }
            Habit::Warmth { above } => {
                let home = around.hour > 12.0 + self.shift || around.hour < 1.0;
                if self.minutes_left <= 0.0 {
                    self.minutes_left = 20.0 + 60.0 * self.chance.unit();
                    self.wanted = home && around.temperature > *above && draw < 0.8;
                }
                self.minutes_left -= 1.0;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn appliance(habit: Habit) -> Appliance {
        let spec = ApplianceSpec {
            name: "it".into(),
            tier: Tier::Critical,
            power: 60.0,
            habit,
            coil: 0,
            wiring: Wiring::NormallyClosed,
        };
        Appliance::new(spec, Chance::new(3, 100))
    }

    fn around(hour: f64) -> Surroundings {
        Surroundings { hour, weekend: false, dark: !(6.5..18.5).contains(&hour), temperature: 28.0 }
    }

    #[test]
    fn a_fridge_cycles_and_without_power_it_warms_and_keeps_asking() {
        let mut fridge = appliance(Habit::Cooling { hold: 5.0, leak: 0.12, pull: 12.0 });
        let (mut running, mut starts, mut before) = (0, 0, false);
        for minute in 0..1440 {
            fridge.minute(around(f64::from(minute) / 60.0), true);
            running += i32::from(fridge.wanted);
            starts += i32::from(fridge.wanted && !before);
            before = fridge.wanted;
            assert!((3.5..6.8).contains(&fridge.inside()), "{} °C", fridge.inside());
        }
        assert!((200..700).contains(&running), "{running} minutes");
        assert!(starts > 10, "{starts} starts");
        for minute in 0..600 {
            fridge.minute(around(f64::from(minute) / 60.0), false);
        }
        assert!(fridge.inside() > 12.0 && fridge.wanted, "{} °C", fridge.inside());
    }

    #[test]
    fn lights_burn_in_the_evening_and_never_by_day() {
        let mut lights = appliance(Habit::Lighting { rise: 5.5, bed: 22.0 });
        let mut evening = 0;
        for day in 0..10 {
            for minute in 0..1440 {
                let hour = f64::from(minute) / 60.0;
                lights.minute(around(hour), true);
                assert!(lights.demand() == 0.0 || around(hour).dark, "day {day}, hour {hour}");
                evening += i32::from(lights.wanted && (19.0..21.0).contains(&hour));
            }
        }
        assert!((800..1200).contains(&evening), "{evening} of 1200 minutes");
    }

    #[test]
    fn wishes_do_not_depend_on_what_the_relay_allows() {
        let habit = Habit::Sessions { starts: [0.4; 24], minutes: 30.0, weekend: 0.5 };
        let (mut one, mut other) = (appliance(habit.clone()), appliance(habit));
        for minute in 0..14_400 {
            let around = around(f64::from(minute % 1440) / 60.0);
            one.minute(around, true);
            other.minute(around, false);
            assert_eq!(one.wanted, other.wanted, "minute {minute}");
        }
    }

    #[test]
    fn a_contact_conducts_as_it_is_wired() {
        assert!(Wiring::NormallyOpen.conducts(true) && !Wiring::NormallyOpen.conducts(false));
        assert!(!Wiring::NormallyClosed.conducts(true) && Wiring::NormallyClosed.conducts(false));
    }
}
