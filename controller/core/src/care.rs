//! Care of the battery by its chemistry: what a lead-acid battery that has not been full for long needs, and
//! what a cold or hot one takes.
//!
//! A lead-acid battery that stays half empty sulphates: the longer since it was full and the deeper it was drawn
//! since, the more. So a floor rises, below which what can wait is held back, and falls at once when the battery
//! has been full; the critical tier is never held back by it. Victron's `BatteryLife` does the same to a system that
//! has a grid to fall back on: its floor rises by 5 % a day, to 80 % at most, while the battery is not charged to
//! 85 %, and it wants 100 % now and then (ESS manual, "Controlling depth of discharge").
//!
//! Drawing on a battery wears it, and lead more the longer it was not full. So the plan pays a price for what it draws,
//! and is paid for each hour in which a battery that was not full for long would be full: it gives up what can wait
//! where that brings the battery to full, and serves it where the sun will not do so anyway.
//!
//! A cold or hot battery takes less charge, or none: the plan must not count on what is refused. Nothing here
//! switches anything, and no charger is told anything: no device of the hub takes such an order.

use serde::{Deserialize, Serialize};
use sunkeep_models::battery::{ChargeBounds, Chemistry};
use sunkeep_models::quantity::{Celsius, Seconds, StateOfCharge, Watts};

use crate::image::ProcessImage;
use crate::settings::{Settings, Tier};
use crate::state::State;

/// The best estimate from which on a battery counts as full where nothing better tells. Not lower: lead that is
/// given its loads back at 99 % stays there, and the last percent is what dissolves the sulphate.
const FULL: f64 = 0.998;
/// With bounds wider than this nobody knows whether it was full.
const BLIND: f64 = 0.5;
/// Days are counted as those of a battery that was half empty.
const HALF: f64 = 0.5;
const DAY: f64 = 86_400.0;
/// Usual price of a kilowatt-hour that is drawn from lead.
const LEAD_PRICE: f64 = 0.5;
/// Worth of an hour of a full battery a day since it was full, in such prices.
const FULL_HOUR: f64 = 0.04;
/// From so many days on since it was full it pays to be full again.
const SOON: f64 = 1.0;
/// Days after which it does not pay any better: a battery that no sun fills must not cost the home its loads.
const LONG: f64 = 60.0;

/// What the owner or the maker wants of the care.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Care {
    /// The floor of a lead-acid battery, where it is to rise.
    pub floor: Option<RisingFloor>,
    /// What the plan pays for wear, where it does.
    pub wear: Option<WearPrice>,
    /// What the battery takes from which temperature on, coldest first; nothing below the first. Empty: no limit.
    pub charge_limits: Vec<ChargeLimit>,
}

/// How the floor of a battery rises that is not full for long.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct RisingFloor {
    /// Days since it was full after which the floor begins to rise: those of a battery that was half empty, and
    /// fewer of one that was emptier.
    pub after_days: f64,
    /// By how much it rises in such a day, 0 to 1.
    pub rise_a_day: f64,
    /// What it rises to at most for what can wait.
    pub highest: StateOfCharge,
    /// What it rises to at most for the important tier.
    pub highest_important: StateOfCharge,
}

/// What the plan pays for wear, in kilowatt-hours that the convenience tier goes without.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct WearPrice {
    /// For a kilowatt-hour that is drawn.
    pub drawn: f64,
    /// What an hour of a full battery is worth, for each day since it was full: those of a battery that was half
    /// empty, and fewer of one that was emptier.
    pub full_hour: f64,
}

/// What a battery takes from a temperature on.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct ChargeLimit {
    /// From this temperature on.
    pub from: Celsius,
    /// Part of the most that is charged, 0 to 1.
    pub share: f64,
}

/// What is remembered of the battery.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct CareState {
    /// Time since it was full; a hub that never saw it counts from its own start.
    pub since_full: Seconds,
    /// The emptiest it has been since.
    pub lowest: StateOfCharge,
}

/// What the battery needs now.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize)]
pub struct Needs {
    /// Level below which a tier is held back until the battery has been full, in the order of [`Tier::ALL`].
    pub floors: [Option<StateOfCharge>; 4],
    /// Time since the battery was full, where a floor has risen.
    pub since_full: Option<Seconds>,
    /// The most that it takes now, and the temperature that says so; `None` where nothing is refused.
    pub takes: Option<(Watts, Celsius)>,
    /// What a kilowatt-hour that is drawn costs, in kilowatt-hours that the convenience tier goes without.
    pub price: f32,
    /// What an hour of a full battery is worth now, in the same.
    pub full_hour: f32,
}

impl Care {
    /// What is usual for a chemistry. Lead-acid: a kilowatt-hour drawn costs half of one that can wait; the floor rises after three days, by 5 % a day as `BatteryLife`'s
    /// does, to 80 % for what can wait and to 40 % for the important tier. LFP: charged from 0 to 45 °C only, the range that
    /// makers of cells usually state.
    pub fn usual(chemistry: Chemistry) -> Self {
        if chemistry.is_lead_acid() {
            let floor = RisingFloor {
                after_days: 3.0,
                rise_a_day: 0.05,
                highest: StateOfCharge::clamped(0.80),
                highest_important: StateOfCharge::clamped(0.40),
            };
            let wear = WearPrice::usual(chemistry, LEAD_PRICE);
            return Self { floor: Some(floor), wear: Some(wear), charge_limits: Vec::new() };
        }
        let limit = |from: f64, share: f64| ChargeLimit { from: Celsius(from), share };
        Self { floor: None, wear: None, charge_limits: vec![limit(0.0, 1.0), limit(45.0, 0.0)] }
    }

    /// Nothing is held back and nothing refused.
    pub fn none() -> Self {
        Self { floor: None, wear: None, charge_limits: Vec::new() }
    }
}

impl WearPrice {
    /// The usual worth of being full, where a kilowatt-hour that is drawn costs `drawn`.
    pub fn usual(chemistry: Chemistry, drawn: f64) -> Self {
        Self { drawn, full_hour: if chemistry.is_lead_acid() { drawn * FULL_HOUR } else { 0.0 } }
    }
}

impl Default for CareState {
    fn default() -> Self {
        Self { since_full: Seconds::ZERO, lowest: StateOfCharge::FULL }
    }
}

impl CareState {
    /// Takes note of a cycle, `elapsed` after the last.
    pub fn advance(&mut self, elapsed: Seconds, charge: ChargeBounds, tail_seen: bool) {
        if tail_seen || charge.best.ratio() >= FULL {
            *self = Self::default();
            return;
        }
        self.since_full += elapsed;
        if charge.best < self.lowest {
            self.lowest = charge.best;
        }
    }

    /// Days since it was full, as those of a battery that was half empty.
    fn days(&self) -> f64 {
        self.since_full.0 / DAY * (1.0 - self.lowest.ratio()) / HALF
    }
}

/// What the battery needs now.
pub fn needs(settings: &Settings, state: &State, image: &ProcessImage, charge: ChargeBounds) -> Needs {
    let floors = floors(settings, &state.care, charge);
    let risen = floors.iter().any(Option::is_some);
    Needs {
        floors,
        since_full: risen.then_some(state.care.since_full),
        takes: takes(settings, image.fresh(settings, image.battery.temperature).map(Celsius)),
        price: settings.care.wear.map_or(0.0, |wear| wear.drawn as f32),
        full_hour: full_hour(settings, &state.care, charge),
    }
}

/// What an hour of a full battery is worth now. Nothing where nobody could tell that it was full.
fn full_hour(settings: &Settings, care: &CareState, charge: ChargeBounds) -> f32 {
    let Some(wear) = settings.care.wear.filter(|_| charge.width() <= BLIND) else { return 0.0 };
    (wear.full_hour * (care.days() - SOON).clamp(0.0, LONG)) as f32
}

fn floors(settings: &Settings, care: &CareState, charge: ChargeBounds) -> [Option<StateOfCharge>; 4] {
    let Some(floor) = settings.care.floor.filter(|_| charge.width() <= BLIND) else { return [None; 4] };
    let overdue = care.days() - floor.after_days;
    if overdue <= 0.0 {
        return [None; 4];
    }
    let risen = settings.reserve.floor.ratio() + overdue * floor.rise_a_day;
    let level = |highest: StateOfCharge| Some(StateOfCharge::clamped(risen.min(highest.ratio())));
    Tier::ALL.map(|tier| match tier {
        Tier::Critical => None,
        Tier::Important => level(floor.highest_important),
        Tier::Convenience | Tier::Background => level(floor.highest),
    })
}

/// What a battery of this temperature takes; `None` where it takes all, or nobody knows its temperature.
fn takes(settings: &Settings, temperature: Option<Celsius>) -> Option<(Watts, Celsius)> {
    let limits = &settings.care.charge_limits;
    let temperature = temperature.filter(|_| !limits.is_empty())?;
    let share = limits.iter().rfind(|limit| temperature >= limit.from).map_or(0.0, |limit| limit.share);
    (share < 1.0).then(|| (settings.battery.worst_charge * share, temperature))
}

impl Needs {
    /// The levels of a tier, keep and return, as the floor raises them, and whether it did.
    pub fn raise(
        &self,
        tier: Tier,
        hysteresis: f64,
        [keep, back]: [StateOfCharge; 2],
    ) -> [(StateOfCharge, bool); 2] {
        let Some(floor) = self.floors[tier.place()] else { return [(keep, false), (back, false)] };
        let over = StateOfCharge::clamped(floor.ratio() + hysteresis);
        let higher = |level: StateOfCharge, floor: StateOfCharge| {
            if floor > level { (floor, true) } else { (level, false) }
        };
        [higher(keep, floor), higher(back, over)]
    }
}
