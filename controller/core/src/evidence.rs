//! What the readings of a slot are evidence of: demand of each tier, and what the sun could give.
//!
//! Demand that was shed was not measured and is never read as zero; sun that was throttled because the
//! battery is full is no evidence of clouds.

use sunkeep_models::battery::ChargeBounds;
use sunkeep_models::history::SlotHistory;
use sunkeep_models::quantity::{Seconds, Watts};
use sunkeep_models::tally::{Evidence, Finished, SlotTally};
use sunkeep_models::time::{Slot, Uptime};

use crate::decision::Decision;
use crate::disaggregate::{Shared, SharedSlot, TIERS, TierSet};
use crate::image::{ProcessImage, Reading};
use crate::settings::{Settings, Tier};
use crate::steps::is_unmetered;

/// State of charge above which a battery that takes nothing is in float, and panels are throttled.
pub(crate) const NEARLY_FULL: f64 = 0.9;
/// State of charge above which there is nowhere to put the energy.
const FULL: f64 = 0.97;

/// Slot means of the past: demand of each tier, of all together, and what the sun gave.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct History {
    /// Demand of the critical, important and convenience tiers (with background work), W.
    pub tiers: [SlotHistory; TIERS],
    /// Demand of all, W.
    pub total: SlotHistory,
    /// Power the panels could deliver, W.
    pub sun: SlotHistory,
    /// Slots in which a meter counted for more than one load. What they say of the tiers is in `tiers`, as it
    /// was known when the last of them ended.
    pub shared: Shared,
}

impl History {
    /// Adds what a more recent history knows.
    pub fn absorb(&mut self, recent: &Self) {
        let pairs = self.tiers.iter_mut().zip(&recent.tiers);
        let others = [(&mut self.total, &recent.total), (&mut self.sun, &recent.sun)];
        for (known, recent) in pairs.chain(others) {
            for (slot, mean) in recent.iter() {
                known.record(slot, mean);
            }
        }
        for slot in recent.shared.iter() {
            self.shared.push(*slot);
        }
    }
}

/// Collects readings into slots.
#[derive(Debug, Default)]
pub struct Tally {
    tiers: [SlotTally; TIERS],
    total: SlotTally,
    sun: SlotTally,
    /// What the loads without a meter draw together, and of which tiers they were in this slot.
    rest: SlotTally,
    rest_of: Option<(Slot, TierSet)>,
    last: Option<Uptime>,
}

/// The slot that ended, as the journal keeps it.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct EndedSlot {
    /// Which.
    pub slot: Slot,
    /// Demand of each of three tiers, W.
    pub tiers: [Option<f32>; TIERS],
    /// Demand of all, W.
    pub total: Option<f32>,
    /// What the sun gave, W.
    pub sun: Option<f32>,
    /// What a meter for more than one load counted.
    pub shared: Option<SharedSlot>,
}

/// What a cycle tells of demand.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Demand {
    /// Demand of each tier, of the loads that are known, W. A tier of which a load is off has a demand nobody
    /// measured.
    tiers: [Evidence; TIERS],
    /// Demand of all, W.
    total: Evidence,
    /// What is left of the total for loads without a meter, and of which tiers they are.
    rest: Option<(Evidence, TierSet)>,
}

impl Tally {
    /// Adds a cycle; hands out the slot that ended with it. Nothing happens while the wall clock is unknown.
    pub fn add(
        &mut self,
        settings: &Settings,
        image: &ProcessImage,
        decision: &Decision,
        history: &mut History,
    ) -> Option<EndedSlot> {
        let dt = self.last.map_or(Seconds::ZERO, |last| image.now.since(last)).min(settings.stale_after);
        self.last = Some(image.now);
        let slot = Slot::of(image.wall?.unix);
        let demand = demand(settings, image, decision);
        let tiers: [Option<Finished>; TIERS] =
            std::array::from_fn(|place| self.tiers[place].add(slot, dt, demand.tiers[place]));
        let shared = self.add_rest(slot, dt, demand.rest);
        let total = self.total.add(slot, dt, demand.total);
        let sun = self.sun.add(slot, dt, sunshine(settings, image, decision.charge));
        let ended = total?;
        let mean = |finished: Option<Finished>| finished.and_then(|finished| finished.mean);
        let mut tiers = tiers.map(mean);
        history.total.record(ended.slot, ended.mean);
        if let Some(sun) = sun {
            history.sun.record(sun.slot, sun.mean);
        }
        let shared = shared.map(|(on, watts)| SharedSlot { slot: ended.slot, on, watts, metered: tiers });
        for (place, history) in history.tiers.iter_mut().enumerate() {
            if blind(settings, image, place) {
                tiers[place] = None;
            }
            history.record(ended.slot, tiers[place]);
        }
        if let Some(shared) = shared {
            history.shared.push(shared);
            let profile = history.shared.learn(plates(settings, image));
            history.shared.share_out(&profile, &mut history.tiers);
            tiers = history.tiers.each_ref().map(|tier| tier.get(ended.slot));
        }
        Some(EndedSlot { slot: ended.slot, tiers, total: ended.mean, sun: mean(sun), shared })
    }

    /// Adds what is left for loads without a meter; hands out that of the slot that ended, where the same
    /// tiers had it from its beginning to its end.
    fn add_rest(
        &mut self,
        slot: Slot,
        dt: Seconds,
        rest: Option<(Evidence, TierSet)>,
    ) -> Option<(TierSet, f32)> {
        let (evidence, on) = rest.unwrap_or((Evidence::Missing, 0));
        let before = self.rest_of;
        let same = before.is_none_or(|(known, set)| known != slot || set == on);
        if before.is_none_or(|(known, _)| known != slot) {
            self.rest_of = Some((slot, on));
        }
        let ended = self.rest.add(slot, dt, if same { evidence } else { Evidence::Masked });
        let (_, on) = before?;
        Some((on, ended?.mean?)).filter(|(on, _)| *on != 0)
    }
}

fn tier_of(settings: &Settings, load: usize) -> usize {
    settings.loads[load].tier.place().min(TIERS - 1)
}

/// Whether a total is shared out to a tier.
fn blind(settings: &Settings, image: &ProcessImage, tier: usize) -> bool {
    image.load.is_some()
        && (0..settings.loads.len()).any(|load| tier_of(settings, load) == tier && is_unmetered(image, load))
}

/// What the loads without a meter take together in each tier, by their plates, W.
fn plates(settings: &Settings, image: &ProcessImage) -> [f64; TIERS] {
    let mut plates = [0.0; TIERS];
    for load in (0..settings.loads.len()).filter(|load| is_unmetered(image, *load)) {
        plates[tier_of(settings, load)] += settings.loads[load].nominal.0;
    }
    plates
}

/// What a load takes while on, where nothing measures it, W.
fn takes(settings: &Settings, decision: &Decision, load: usize) -> f64 {
    decision.loads[load].draws.map_or(settings.loads[load].nominal, |draw| draw.best).0
}

/// The loads of a tier that share a total.
#[derive(Debug, Clone, Copy, Default)]
struct Sharing {
    some_on: bool,
    some_off: bool,
    /// What those that are on take, W.
    takes: f64,
}

/// What this cycle tells of demand. Where a total is measured, what it holds beside the loads that are known
/// is left to be shared out; without one, a load without a meter counts at what it takes.
fn demand(settings: &Settings, image: &ProcessImage, decision: &Decision) -> Demand {
    let fresh = |reading: Option<Reading>| image.fresh(settings, reading);
    let mut tiers = [Evidence::Measured(0.0); TIERS];
    let mut sharing = [Sharing::default(); TIERS];
    let (mut known, mut shed) = (0.0, false);
    for number in 0..decision.loads.len() {
        let tier = tier_of(settings, number);
        let readings = image.loads.get(number);
        let on = is_supplied(settings, image, decision, number);
        shed |= !on;
        let takes = if on { takes(settings, decision, number) } else { 0.0 };
        let watts = if image.load.is_some() && is_unmetered(image, number) {
            let sharing = &mut sharing[tier];
            *if on { &mut sharing.some_on } else { &mut sharing.some_off } = true;
            sharing.takes += takes;
            0.0
        } else {
            fresh(readings.and_then(|readings| readings.power)).unwrap_or(takes)
        };
        known += watts;
        tiers[tier] = match tiers[tier] {
            _ if !on => Evidence::Masked,
            Evidence::Measured(sum) => Evidence::Measured(sum + watts),
            other => other,
        };
    }
    let total = |total: Evidence| if shed { Evidence::Masked } else { total };
    if !sharing.iter().any(|tier| tier.some_on || tier.some_off) {
        return Demand { tiers, total: total(Evidence::Measured(known)), rest: None };
    }
    let read = |minus: f64| match fresh(image.load) {
        Some(watts) => Evidence::Measured((watts - minus).max(0.0)),
        None => Evidence::Missing,
    };
    let mut on = 0;
    for (tier, sharing) in sharing.iter().enumerate().filter(|(_, sharing)| sharing.some_on) {
        if sharing.some_off {
            // A tier of which a part is off: what is on counts at what it takes.
            known += sharing.takes;
        } else {
            on |= 1 << tier;
        }
    }
    Demand { tiers, total: total(read(0.0)), rest: Some((read(known), on)) }
}

/// What a cycle tells the fleet of demand and sun, in the words of the lake.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Observed {
    /// Demand of each tier, W, as far as its loads are measured or told by their plates; `None` where a part of it is
    /// off or nobody measures it. The last holds background work, too.
    pub tiers: [Option<f64>; TIERS],
    /// Demand of all, W; `None` while something is off.
    pub total: Option<f64>,
    /// Whether every load of a tier is supplied; `None` where it has none.
    pub on: [Option<bool>; Tier::ALL.len()],
    /// Whether the panels may be kept from giving what they could.
    pub throttled: bool,
}

/// What this cycle tells of demand and sun.
pub fn observed(settings: &Settings, image: &ProcessImage, decision: &Decision) -> Observed {
    let known = |evidence: Evidence| match evidence {
        Evidence::Measured(watts) => Some(watts),
        Evidence::Missing | Evidence::Masked => None,
    };
    let Demand { tiers, total, .. } = demand(settings, image, decision);
    let mut on = [None; Tier::ALL.len()];
    for (number, load) in settings.loads.iter().enumerate() {
        let tier = &mut on[load.tier.place()];
        *tier = Some(tier.unwrap_or(true) && is_supplied(settings, image, decision, number));
    }
    let tiers = std::array::from_fn(|place| known(tiers[place]).filter(|_| !blind(settings, image, place)));
    let throttled = takes_no_more(settings, image, decision.charge);
    Observed { tiers, total: known(total), on, throttled }
}

/// Whether a load gets power: not cut off by the hub, by its relay's own doing, or by hardware between.
fn is_supplied(settings: &Settings, image: &ProcessImage, decision: &Decision, load: usize) -> bool {
    let supplied = image.loads.get(load).and_then(|readings| image.fresh(settings, readings.supplied));
    decision.loads[load].on && supplied.is_none_or(|supplied| supplied >= 0.5)
}

/// What the panels could deliver now, W; `None` where nobody measures it or they may be throttled.
pub fn sun_now(settings: &Settings, image: &ProcessImage, charge: ChargeBounds) -> Option<Watts> {
    // A charger that goes over to float delivers nothing for a while: only what a nearly full battery takes in proves
    // that the panels are not throttled.
    let amps = image.fresh(settings, image.battery.current).unwrap_or(f64::INFINITY);
    if charge.best.ratio() >= NEARLY_FULL && amps <= settings.battery.tail_current.0 {
        return None;
    }
    match sunshine(settings, image, charge) {
        Evidence::Measured(watts) => Some(Watts(watts)),
        Evidence::Missing | Evidence::Masked => None,
    }
}

/// What the panels delivered, and whether that is what they could have.
fn sunshine(settings: &Settings, image: &ProcessImage, charge: ChargeBounds) -> Evidence {
    let Some(watts) = image.fresh(settings, image.sun) else { return Evidence::Missing };
    if takes_no_more(settings, image, charge) { Evidence::Masked } else { Evidence::Measured(watts.max(0.0)) }
}

/// Whether the battery may take less than the panels could give: its voltage is that of absorption; or it is nearly
/// full and neither charged nor discharged, as in float; or, where nobody measures the current, it is as good as full
/// and the sun shines. At night a battery is discharged, be it ever so little.
fn takes_no_more(settings: &Settings, image: &ProcessImage, charge: ChargeBounds) -> bool {
    let fresh = |reading: Option<Reading>| image.fresh(settings, reading);
    let battery = &settings.battery;
    let absorption = battery.absorption_voltage.0 - battery.voltage_error.0;
    let idle = is_idle(settings, image, charge)
        .unwrap_or_else(|| charge.best.ratio() >= FULL && fresh(image.sun).is_some_and(|watts| watts > 1.0));
    idle || fresh(image.battery.voltage).is_some_and(|volts| volts >= absorption)
}

/// Whether the sun carries all loads, so that the battery is not discharged: by its current, or its power, or by the
/// panels' power and that of all loads. `None` where nothing of this is measured.
pub(crate) fn sun_carries(settings: &Settings, image: &ProcessImage, charge: ChargeBounds) -> Option<bool> {
    let fresh = |reading: Option<Reading>| image.fresh(settings, reading);
    let shines = fresh(image.sun).is_none_or(|watts| watts > 1.0);
    if let Some(amps) = fresh(image.battery.current) {
        return Some(
            shines
                && (amps > current_error(settings, amps) || is_idle(settings, image, charge) == Some(true)),
        );
    }
    if let Some(watts) = fresh(image.battery.power) {
        return Some(shines && watts > 0.0);
    }
    Some(fresh(image.sun)? > fresh(image.load)?)
}

/// Whether the battery is nearly full and neither charged, but for the tail, nor discharged; `None` where nobody
/// measures the current.
pub(crate) fn is_idle(settings: &Settings, image: &ProcessImage, charge: ChargeBounds) -> Option<bool> {
    let amps = image.fresh(settings, image.battery.current)?;
    let error = current_error(settings, amps);
    let idle = (-error..=settings.battery.tail_current.0 + error).contains(&amps);
    Some(idle && charge.best.ratio() >= NEARLY_FULL)
}

/// How wrong a reading of the battery's current may be, A.
fn current_error(settings: &Settings, amps: f64) -> f64 {
    let battery = &settings.battery;
    battery.current_offset_error.0 + amps.abs() * battery.current_gain_error
}
