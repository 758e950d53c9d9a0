//! What a synthetic home consists of, and how a seed becomes one.

use super::appliances::{ApplianceSpec, Habit, Tier, Wiring};
use super::battery::{BatterySpec, Chemistry};
use super::chance::{Chance, stream};
use super::charger::ChargerSpec;
use super::panels::ArraySpec;
use super::weather::Climate;

/// A generator or hand-switched charger that somebody turns on for a while. It is wired to the battery, so
/// that no instrument names a cause for the charge.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct GeneratorRun {
    /// When it is turned on, s after the start.
    pub after: i64,
    /// How long it runs, s.
    pub lasts: i64,
    /// Power into the battery side, W.
    pub power: f64,
}

impl GeneratorRun {
    /// Whether it runs `since_start` seconds after the start.
    pub(crate) fn covers(&self, since_start: i64) -> bool {
        (self.after..self.after + self.lasts).contains(&since_start)
    }
}

/// A home: place, hardware, people.
#[derive(Debug, Clone, PartialEq)]
pub struct HomeSpec {
    /// Seed of everything that is left to chance.
    pub seed: u64,
    /// Degrees, north positive.
    pub latitude: f64,
    /// Degrees, east positive.
    pub longitude: f64,
    /// IANA name of the time zone.
    pub zone: String,
    /// Sky and air.
    pub climate: Climate,
    /// Panels.
    pub array: ArraySpec,
    /// Battery.
    pub battery: BatterySpec,
    /// Charge controller and low-voltage disconnect.
    pub charger: ChargerSpec,
    /// Share of the battery's power that reaches the appliances, 0 to 1.
    pub inverter_efficiency: f64,
    /// What the inverter draws beside that while anything runs, W.
    pub inverter_idle: f64,
    /// What hub and modem draw, always and before the disconnect, W.
    pub standing: f64,
    /// Appliances, at most eight: one coil each.
    pub appliances: Vec<ApplianceSpec>,
    /// Charge that nobody announces.
    pub generator: Vec<GeneratorRun>,
    /// When the home begins, seconds since 1970.
    pub start_unix: i64,
}

struct Place {
    latitude: f64,
    longitude: f64,
    zone: &'static str,
    climate: Climate,
}

const fn climate(clear: f64, overcast: f64, mean: f64, season: f64, daily: f64, warmest: f64) -> Climate {
    Climate {
        clear_days: clear,
        overcast_days: overcast,
        mean_temperature: mean,
        seasonal_swing: season,
        daily_swing: daily,
        warmest_day: warmest,
    }
}

/// Places where homes have no grid; climates in round figures.
const PLACES: &[Place] = &[
    Place {
        latitude: -1.09,
        longitude: 35.86,
        zone: "Africa/Nairobi",
        climate: climate(0.40, 0.12, 19.0, 2.0, 6.0, 60.0),
    },
    Place {
        latitude: 9.42,
        longitude: -0.84,
        zone: "Africa/Accra",
        climate: climate(0.45, 0.10, 28.0, 3.0, 6.0, 90.0),
    },
    Place {
        latitude: -20.22,
        longitude: -63.39,
        zone: "America/La_Paz",
        climate: climate(0.50, 0.12, 23.0, 5.0, 7.0, 350.0),
    },
    Place {
        latitude: 22.83,
        longitude: 91.10,
        zone: "Asia/Dhaka",
        climate: climate(0.35, 0.22, 25.5, 5.0, 5.0, 140.0),
    },
    Place {
        latitude: -15.42,
        longitude: 28.28,
        zone: "Africa/Lusaka",
        climate: climate(0.50, 0.10, 21.0, 4.0, 7.0, 300.0),
    },
];

impl HomeSpec {
    /// The home of this seed, starting at local midnight of the day that holds `start_unix`.
    pub fn from_seed(seed: u64, start_unix: i64) -> Self {
        let mut chance = Chance::new(seed, stream::HOME);
        let place = &PLACES[(chance.unit() * PLACES.len() as f64) as usize % PLACES.len()];
        let chemistry = if chance.unit() < 0.7 { Chemistry::Lfp } else { Chemistry::LeadAcid };
        let battery = match chemistry {
            Chemistry::Lfp => BatterySpec {
                chemistry,
                cells: 8,
                capacity: chance.one_of(&[50.0, 60.0, 75.0, 100.0]),
                resistance: chance.between(0.012, 0.022),
                initial: chance.between(0.6, 0.9),
            },
            Chemistry::LeadAcid => BatterySpec {
                chemistry,
                cells: 12,
                capacity: chance.one_of(&[75.0, 100.0, 120.0]),
                resistance: chance.between(0.014, 0.026),
                initial: chance.between(0.7, 0.95),
            },
        };
        let array = ArraySpec {
            rated: 20.0 * chance.between(14.0, 23.0).floor(),
            mpp_voltage: 68.0,
            open_voltage: 82.0,
            tilt: chance.between(8.0, 20.0),
            azimuth: if place.latitude < 0.0 { 0.0 } else { 180.0 } + chance.between(-25.0, 25.0),
            condition: chance.between(0.86, 0.97),
        };
        Self {
            seed,
            latitude: place.latitude + chance.between(-0.3, 0.3),
            longitude: place.longitude + chance.between(-0.3, 0.3),
            zone: place.zone.into(),
            climate: place.climate,
            array,
            charger: ChargerSpec::usual(&battery, 40.0),
            battery,
            inverter_efficiency: 0.92,
            inverter_idle: 4.0,
            standing: 3.0,
            appliances: appliances(&mut chance, place.climate.mean_temperature),
            generator: Vec::new(),
            start_unix,
        }
    }
}

/// Expected sessions for each hour of the day: `base` in waking hours, and `peak` more around each of `hours`.
fn day_pattern(base: f64, peak: f64, hours: &[usize]) -> [f64; 24] {
    let mut starts = [0.0; 24];
    for (hour, start) in starts.iter_mut().enumerate() {
        *start = if (6..22).contains(&hour) { base } else { 0.0 };
        if hours.contains(&hour) {
            *start += peak;
        }
    }
    starts
}

fn appliances(chance: &mut Chance, mean_temperature: f64) -> Vec<ApplianceSpec> {
    let sessions =
        |starts: [f64; 24], minutes: f64, weekend: f64| Habit::Sessions { starts, minutes, weekend };
    let rise = chance.between(5.0, 6.5);
    let bed = chance.between(21.0, 22.7);
    let lights = Habit::Lighting { rise, bed };
    let fridge =
        Habit::Cooling { hold: 5.0, leak: chance.between(0.10, 0.16), pull: chance.between(9.0, 13.0) };
    let rows: [(&str, Tier, f64, Habit); 8] = [
        ("lights", Tier::Critical, chance.between(20.0, 40.0), lights.clone()),
        (
            "radio",
            Tier::Critical,
            chance.between(6.0, 12.0),
            sessions(day_pattern(0.12, 0.5, &[6, 12, 19]), 50.0, 0.3),
        ),
        ("medicine fridge", Tier::Critical, chance.between(45.0, 75.0), fridge),
        (
            "phones",
            Tier::Important,
            chance.between(10.0, 25.0),
            sessions(day_pattern(0.08, 0.5, &[18, 19, 20]), 70.0, 0.0),
        ),
        (
            "fan",
            Tier::Important,
            chance.between(25.0, 50.0),
            Habit::Warmth { above: (mean_temperature + 2.0).clamp(23.0, 29.0) },
        ),
        (
            "water pump",
            Tier::Important,
            chance.between(150.0, 250.0),
            sessions(day_pattern(0.02, 0.6, &[7, 17]), 22.0, 0.2),
        ),
        (
            "television",
            Tier::Convenience,
            chance.between(40.0, 80.0),
            sessions(day_pattern(0.03, 0.6, &[18, 19, 20]), 90.0, 0.6),
        ),
        (
            "iron",
            Tier::Convenience,
            chance.between(450.0, 700.0),
            sessions(day_pattern(0.01, 0.12, &[6, 7, 16]), 14.0, 0.8),
        ),
    ];
    rows.into_iter()
        .zip(0..)
        .map(|((name, tier, power, habit), coil)| ApplianceSpec {
            name: name.into(),
            tier,
            power,
            habit,
            coil,
            // What must run with a dead hub hangs on the contact that is closed at rest.
            wiring: if tier == Tier::Convenience { Wiring::NormallyOpen } else { Wiring::NormallyClosed },
        })
        .collect()
}
