//! From what this home has lived through to a plan: below which charge each tier is shed, slot by slot.
//!
//! Runs beside the cycle and may be late or missing; [`crate::propose`] then falls back to fixed levels.
//! The method is a stochastic dynamic programme over the state of charge. What may come are whole past days,
//! weighted by how alike they are to now ([`scenarios`]); a future may turn into that of another day a few
//! times a day, so that no plan is made as if tomorrow were known. Going back in time, each hour's charge is
//! worth what serving it in the best way saves ([`value`]); the levels at which that changes are the plan
//! ([`levels`]). The work is bounded: [`scenarios::MOST_DAYS`] days and those of the forecasts, [`REACH`] hours,
//! a fixed grid of charge.

mod levels;
mod reserve;
mod scenarios;
mod value;

use serde::{Deserialize, Serialize};
use sunkeep_models::battery::ChargeBounds;
use sunkeep_models::forecast::Forecast;
use sunkeep_models::quantity::{Seconds, StateOfCharge, Watts};
use sunkeep_models::time::{HORIZON, SLOT_SECONDS, Slot, Uptime};

use self::scenarios::{DAY, Scenarios, TURN};
use self::value::{Bank, CHOICES, Choices, POINTS, Worth};
use crate::care::Needs;
use crate::decision::Decision;
use crate::evidence::{History, sun_now};
use crate::image::ProcessImage;
use crate::settings::{Settings, SettingsDigest, Tier};

pub use self::scenarios::Hour;

/// Slots a plan holds for: the one it was made in and two more.
pub const PLAN_SLOTS: usize = 3;

/// Hours that are looked ahead. What is left then counts for nothing, which hardly matters so far away.
const REACH: usize = 72;
/// Likelihood of a turn, each time a future may turn into that of another day.
const TURNING: f32 = 0.3;
/// What switching a tier must save, in hours of the home's mean demand as though all of it could wait: less
/// is not worth a click of a relay.
const PRICE_HOURS: f32 = 0.08;
/// Hours for which a battery is taken to stay as cold or as hot as it is: it follows the air slowly, and by then
/// the time of day is another.
const STAYS: usize = 6;

/// What the planner tells the cycle.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Plan {
    /// The slot it was made in.
    pub issued: Slot,
    /// When it was made: the time of the image it saw.
    pub made: Uptime,
    /// How much of the slot had passed by then.
    pub into_slot: Seconds,
    /// The settings it was made under.
    pub settings: SettingsDigest,
    /// What the choices of its first hour were expected to cost at the charge it saw.
    pub costs: ChoiceCosts,
    /// The first [`PLAN_SLOTS`] slots.
    pub slots: Vec<PlannedSlot>,
}

/// Expected cost of each choice: what stays unserved in the hour and in the days after it, in kilowatt-hours of
/// the convenience tier (one of the important tier counts as 10, one of the critical tier as 100); with what wears the
/// battery, and less what a full battery is worth, where these have a price ([`crate::care::WearPrice`]).
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct ChoiceCosts {
    /// By how many tiers are served, from none to all three.
    pub by_tiers_served: [f32; CHOICES],
}

impl ChoiceCosts {
    /// How many tiers the cheapest choice serves, the most where several cost as much; and what the next best
    /// would cost more.
    pub fn best(&self) -> (usize, f32) {
        let costs = &self.by_tiers_served;
        let cheapest =
            (0..CHOICES).rev().min_by(|one, other| costs[*one].total_cmp(&costs[*other])).unwrap_or(0);
        let others = (0..CHOICES).filter(|choice| *choice != cheapest).map(|choice| costs[choice]);
        (cheapest, others.fold(f32::INFINITY, f32::min) - costs[cheapest])
    }
}

/// One slot of a plan; arrays follow [`Tier::ALL`].
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct PlannedSlot {
    /// Level below which the tier is shed; `None` sheds it never.
    pub keep: [Option<StateOfCharge>; 4],
    /// Level from which on it returns once it was shed.
    pub restore: [Option<StateOfCharge>; 4],
    /// When a tier that is off is expected back, seconds since 1970.
    pub back: [Option<i64>; 4],
}

/// What the planner looks at.
#[derive(Debug, Clone, PartialEq)]
pub struct PlanInput<'a> {
    /// The slot that has begun: the forecasts' first.
    pub issued: Slot,
    /// Time of the process image it starts from.
    pub now: Uptime,
    /// How much of the slot has passed.
    pub into_slot: Seconds,
    /// How full the battery is.
    pub charge: ChargeBounds,
    /// What is forecast, where it is: it says what is expected to come of the plan, and stands in for the past
    /// in a home that has hardly one.
    pub forecasts: Option<Forecasts>,
    /// What the home has lived through.
    pub history: &'a History,
    /// Power the panels deliver now, where nothing throttles them.
    pub sun_now: Option<Watts>,
    /// What the battery needs.
    pub needs: Needs,
}

impl<'a> PlanInput<'a> {
    /// What a plan starts from after a cycle, without forecasts; `None` while nobody knows the time.
    pub fn after(
        settings: &Settings,
        image: &ProcessImage,
        decision: &Decision,
        history: &'a History,
    ) -> Option<Self> {
        let unix = image.wall?.unix;
        let issued = Slot::of(unix);
        Some(Self {
            issued,
            now: image.now,
            into_slot: Seconds((unix - issued.start()) as f64),
            charge: decision.charge,
            forecasts: None,
            history,
            sun_now: sun_now(settings, image, decision.charge),
            needs: decision.needs,
        })
    }
}

/// What is forecast of a home.
#[derive(Debug, Clone, PartialEq)]
pub struct Forecasts {
    /// Demand of the critical, important and convenience tiers, W.
    pub demand: [Forecast; 3],
    /// Power the panels could deliver, W.
    pub sun: Forecast,
}

/// A plan with what is expected to come of it, for the page.
#[derive(Debug, Clone, PartialEq)]
pub struct Outlook {
    /// What the cycle gets.
    pub plan: Plan,
    /// Expected state of charge at the start of each slot (P50 of sun and demand).
    pub expected: Vec<StateOfCharge>,
    /// Whether the critical, important and convenience tiers are expected to be served, slot by slot.
    pub served: Vec<[bool; 3]>,
    /// Level below which each tier is shed, slot by slot.
    pub keep: Vec<[Option<StateOfCharge>; 4]>,
    /// Level that the battery must hold at the start of each slot so that the critical tier is served until
    /// the sun returns, with P90 of its demand and P10 of the sun.
    pub critical_need: Vec<StateOfCharge>,
}

impl Plan {
    /// The slot of the plan that holds at `now`; `None` if the plan is too old or was made under other
    /// settings, and so counts as missing.
    pub fn slot_at(&self, settings: SettingsDigest, now: Uptime) -> Option<&PlannedSlot> {
        if self.settings != settings || now < self.made {
            return None;
        }
        let since_start = now.since(self.made) + self.into_slot;
        self.slots.get((since_start.0 / SLOT_SECONDS as f64) as usize)
    }
}

/// A part of the method, to be left out to see what it is worth. No hub leaves one out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Part {
    /// Days count by how alike they are to now; without, all as much.
    Likeness,
    /// Many days may come; without, only their mean.
    Spread,
    /// A future may turn into that of another day; without, a day that has begun is known to its end, and the days that
    /// followed it are, too.
    Turns,
    /// What is left after a day is worth what it serves in the two days after; without, nothing.
    EndValue,
    /// Switching has a price.
    SwitchPrice,
}

/// Makes a plan; `None` where neither the past nor a forecast says anything about a day.
pub fn plan(settings: &Settings, input: &PlanInput<'_>) -> Option<Outlook> {
    plan_without(settings, input, None)
}

/// Makes a plan with a part of the method left out.
pub fn plan_without(settings: &Settings, input: &PlanInput<'_>, part: Option<Part>) -> Option<Outlook> {
    let forecasts = input.forecasts.as_ref();
    let scenarios = Scenarios::gather(input.history, forecasts, input.issued, input.sun_now, part)?;
    Some(plan_for(settings, input, &scenarios, part))
}

/// Makes the plan of somebody who is told the coming hours, whole days of them: to see what knowing is worth. No hub
/// is. `None` without a whole day.
pub fn plan_told(settings: &Settings, input: &PlanInput<'_>, ahead: &[Hour]) -> Option<Outlook> {
    Some(plan_for(settings, input, &Scenarios::told(ahead)?, None))
}

fn plan_for(
    settings: &Settings,
    input: &PlanInput<'_>,
    scenarios: &Scenarios,
    without: Option<Part>,
) -> Outlook {
    let bank = Bank::new(settings, &input.needs);
    let reach = if without == Some(Part::EndValue) { DAY } else { REACH };
    let costs = expected_costs(&bank, scenarios, input, reach);
    let price = if without == Some(Part::SwitchPrice) { 0.0 } else { PRICE_HOURS };
    let price = scenarios.mean_demand * price / 1000.0;
    let levels = |price: f32| -> Vec<_> {
        let hourly = costs.iter().map(|choices| levels::of(settings, &bank, choices, price));
        hourly.flat_map(|levels| [levels, levels]).collect()
    };
    let (mut keep, mut restore) = (levels(-price), levels(price));
    let least = least_for_strangers(settings, scenarios.strangeness());
    for (levels, least) in [(&mut keep, least), (&mut restore, least + settings.reserve.hysteresis)] {
        for level in levels.iter_mut().flat_map(|levels| &mut levels[1..]).flatten() {
            *level = StateOfCharge::clamped(level.ratio().max(least));
        }
    }
    for (keep, restore) in keep.iter().zip(&mut restore) {
        let Some(critical) = keep[0] else { continue };
        // Lights that go off and on again are worse than lights that are off; and nothing returns before them.
        let back = StateOfCharge::clamped(critical.ratio() + settings.reserve.hysteresis);
        *restore = restore.map(|level| level.filter(|level| *level > back).or(Some(back)));
        restore[0] = Some(back);
    }
    raise(settings, &input.needs, &mut keep, &mut restore);
    let (expected, served) = trajectory(settings, input, scenarios, &keep, &restore);
    let slots = (0..PLAN_SLOTS).map(|slot| PlannedSlot {
        keep: keep[slot],
        restore: restore[slot],
        back: Tier::ALL.map(|tier| expected_back(input, &restore, &expected, slot, tier)),
    });
    let plan = Plan {
        issued: input.issued,
        made: input.now,
        into_slot: input.into_slot,
        settings: settings.digest(),
        costs: ChoiceCosts { by_tiers_served: bank.at(&costs[0], input.charge.best) },
        slots: slots.collect(),
    };
    let critical_need = reserve::critical_need(settings, input.forecasts.as_ref());
    Outlook { plan, expected, served, keep, critical_need }
}

/// The level below which no plan serves anything but the critical tier. In a home that is hardly known that is the
/// reserve of the settings: its few days may have been such as will not come again. A week later it is the floor.
fn least_for_strangers(settings: &Settings, strangeness: f64) -> f64 {
    let (floor, reserve) = (settings.reserve.floor.ratio(), settings.reserve.important.ratio());
    floor + strangeness * (reserve - floor).max(0.0)
}

/// Expected cost of each choice in each of the hours that a plan shows, by charge: the days' own, by their
/// weight.
fn expected_costs(bank: &Bank, scenarios: &Scenarios, input: &PlanInput<'_>, reach: usize) -> Vec<Choices> {
    const TURNS: usize = DAY / TURN;
    let days = &scenarios.days;
    let turns: [Vec<f32>; TURNS] = std::array::from_fn(|turn| scenarios.turns(turn + 1));
    let mut next: Vec<Worth> = vec![bank.nothing(); days.len()];
    let mut worth = next.clone();
    let mut expected = vec![[[0.0; POINTS]; CHOICES]; HORIZON / 2];
    let mut choices = [[0.0; POINTS]; CHOICES];
    let refusing = bank.refusing(&input.needs);
    for hour in (0..reach).rev() {
        let bank = if hour < STAYS { &refusing } else { bank };
        let into_day = hour % DAY + 1;
        if into_day.is_multiple_of(TURN) {
            turn(scenarios, &turns[into_day / TURN - 1], into_day == DAY, &next, &mut worth);
            std::mem::swap(&mut next, &mut worth);
        }
        for (day, (next, worth)) in days.iter().zip(next.iter().zip(&mut worth)) {
            let mut energy = *day.hour(hour);
            if let (0, Some(sun)) = (hour, input.sun_now) {
                energy = Hour { sun: sun.0.max(0.0) as f32, ..energy };
            }
            bank.choices(next, &energy, &mut choices);
            bank.back(next, &energy, &choices, worth);
            let Some(expected) = expected.get_mut(hour) else { continue };
            for (expected, cost) in expected.as_flattened_mut().iter_mut().zip(choices.as_flattened()) {
                *expected += day.weight * cost;
            }
        }
        std::mem::swap(&mut next, &mut worth);
    }
    expected
}

/// Raises levels to the floors that the battery needs.
fn raise(
    settings: &Settings,
    needs: &Needs,
    keep: &mut [[Option<StateOfCharge>; 4]],
    restore: &mut [[Option<StateOfCharge>; 4]],
) {
    for (keep, restore) in keep.iter_mut().zip(restore) {
        for tier in Tier::ALL {
            let (keep, restore) = (&mut keep[tier.place()], &mut restore[tier.place()]);
            if needs.floors[tier.place()].is_some() {
                let levels = [*keep, *restore].map(Option::unwrap_or_default);
                let raised = needs.raise(tier, settings.reserve.hysteresis, levels);
                (*keep, *restore) = (Some(raised[0].0), Some(raised[1].0));
            }
        }
    }
}

/// Lets futures turn into those of other days: `likely` says of which, row by row. At the end of a day the
/// one that followed it goes on; after the last of all only the others are left.
fn turn(scenarios: &Scenarios, likely: &[f32], day_ends: bool, next: &[Worth], turned: &mut [Worth]) {
    let rows = likely.chunks_exact(scenarios.days.len().max(1));
    for (place, (row, turned)) in rows.zip(turned).enumerate() {
        let own = if day_ends { scenarios.days[place].next } else { Some(place) };
        let turning = if own.is_some() { TURNING } else { 1.0 };
        match own {
            Some(own) => {
                for (turned, worth) in turned.iter_mut().zip(&next[own]) {
                    *turned = (1.0 - TURNING) * worth;
                }
            }
            None => turned.fill(0.0),
        }
        for (likely, next) in row.iter().zip(next) {
            let likely = turning * likely;
            for (turned, worth) in turned.iter_mut().zip(next) {
                *turned += likely * worth;
            }
        }
    }
}

/// State of charge at the start of each slot and the tiers that are served in it, if sun and demand come as their
/// medians say, or as the mean of the likely days where there is no forecast.
fn trajectory(
    settings: &Settings,
    input: &PlanInput<'_>,
    scenarios: &Scenarios,
    keep: &[[Option<StateOfCharge>; 4]],
    restore: &[[Option<StateOfCharge>; 4]],
) -> (Vec<StateOfCharge>, Vec<[bool; 3]>) {
    let efficiency = settings.efficiency;
    let hours = Seconds(SLOT_SECONDS as f64).hours();
    let capacity = settings.battery.nominal_energy().0;
    let mut on = [true; 3];
    let mut charge = input.charge.best.ratio();
    let (mut expected, mut served) = (Vec::with_capacity(HORIZON), Vec::with_capacity(HORIZON));
    for (slot, (keep, restore)) in keep.iter().zip(restore).enumerate() {
        expected.push(StateOfCharge::clamped(charge));
        let likely = match &input.forecasts {
            Some(forecasts) => forecasts.median(slot),
            None => scenarios.mean(slot / 2),
        };
        let mut demand = 0.0;
        for (place, watts) in likely.demand.into_iter().enumerate() {
            on[place] = serves(if on[place] { keep } else { restore }[place], charge);
            demand += if on[place] { f64::from(watts) } else { 0.0 };
        }
        served.push(on);
        let most =
            input.needs.takes.filter(|_| slot < 2 * STAYS).map_or(settings.battery.worst_charge, |it| it.0);
        let net = (f64::from(likely.sun) - demand).min(most.0) * hours;
        charge += if net > 0.0 { net * efficiency } else { net / efficiency } / capacity;
        charge = charge.clamp(settings.reserve.floor.ratio().min(charge), 1.0);
    }
    (expected, served)
}

impl Forecasts {
    /// Medians of a slot, W.
    fn median(&self, slot: usize) -> Hour {
        let at = |forecast: &Forecast| forecast.p50.get(slot).copied().unwrap_or(0.0);
        Hour { sun: at(&self.sun), demand: self.demand.each_ref().map(at) }
    }
}

fn serves(level: Option<StateOfCharge>, charge: f64) -> bool {
    level.is_none_or(|level| charge >= level.ratio())
}

/// First moment after `from` at which a tier that is off would be back.
fn expected_back(
    input: &PlanInput<'_>,
    restore: &[[Option<StateOfCharge>; 4]],
    expected: &[StateOfCharge],
    from: usize,
    tier: Tier,
) -> Option<i64> {
    (from + 1..HORIZON)
        .find(|&slot| serves(restore[slot][tier.place()], expected[slot].ratio()))
        .map(|slot| input.issued.plus(slot as i64).start())
}
