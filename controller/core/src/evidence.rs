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
use crate::image::{ProcessImage, Reading};
use crate::settings::Settings;

/// State of charge above which panels may be throttled because there is nowhere to put the energy.
const MAYBE_FULL: f64 = 0.97;

/// Slot means of the past: demand of each tier, of all together, and what the sun gave.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct History {
    /// Demand of the critical, important and convenience tiers (with background work), W.
    pub tiers: [SlotHistory; 3],
    /// Demand of all, W.
    pub total: SlotHistory,
    /// Power the panels could deliver, W.
    pub sun: SlotHistory,
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
    }
}

/// Collects readings into slots.
#[derive(Debug, Default)]
pub struct Tally {
    tiers: [SlotTally; 3],
    total: SlotTally,
    sun: SlotTally,
    last: Option<Uptime>,
}

/// The slot that ended, as the journal keeps it.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct EndedSlot {
    /// Which.
    pub slot: Slot,
    /// Demand of each of three tiers, W.
    pub tiers: [Option<f32>; 3],
    /// Demand of all, W.
    pub total: Option<f32>,
    /// What the sun gave, W.
    pub sun: Option<f32>,
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
        let tiers: [Option<Finished>; 3] =
            std::array::from_fn(|place| self.tiers[place].add(slot, dt, demand[place]));
        let shed = demand.contains(&Evidence::Masked);
        let total = if shed { Evidence::Masked } else { sum(&demand) };
        let total = self.total.add(slot, dt, total);
        let sun = self.sun.add(slot, dt, sunshine(settings, image, decision.charge));
        let ended = total?;
        for (history, finished) in history.tiers.iter_mut().zip(tiers) {
            record(history, finished);
        }
        record(&mut history.total, total);
        record(&mut history.sun, sun);
        let mean = |finished: Option<Finished>| finished.and_then(|finished| finished.mean);
        Some(EndedSlot { slot: ended.slot, tiers: tiers.map(mean), total: ended.mean, sun: mean(sun) })
    }
}

fn record(history: &mut SlotHistory, finished: Option<Finished>) {
    if let Some(Finished { slot, mean }) = finished {
        history.record(slot, mean);
    }
}

fn sum(demand: &[Evidence; 3]) -> Evidence {
    demand.iter().fold(Evidence::Measured(0.0), |sum, tier| match (sum, tier) {
        (Evidence::Measured(sum), Evidence::Measured(watts)) => Evidence::Measured(sum + watts),
        _ => Evidence::Missing,
    })
}

/// Demand of each tier, W. What a meter of its own does not tell is shared out of the total among the loads
/// that are on, by their nominal power. A tier of which a load was shed has a demand nobody measured.
fn demand(settings: &Settings, image: &ProcessImage, decision: &Decision) -> [Evidence; 3] {
    let fresh = |reading: Option<Reading>| image.fresh(settings, reading);
    let (mut metered, mut nominal) = (0.0, 0.0);
    for (number, load) in settings.loads.iter().enumerate() {
        match fresh(image.loads.get(number).and_then(|readings| readings.power)) {
            Some(watts) => metered += watts,
            None if decision.loads[number].on => nominal += load.nominal.0,
            None => {}
        }
    }
    let rest = fresh(image.load).map(|total| (total - metered).max(0.0));
    let share = match rest {
        Some(rest) if nominal > 0.0 => rest / nominal,
        _ => 1.0,
    };
    let mut tiers = [Evidence::Measured(0.0); 3];
    for (number, load) in settings.loads.iter().enumerate() {
        let tier = &mut tiers[load.tier.place().min(2)];
        let readings = image.loads.get(number);
        // Cut off by the hub, by its relay's own doing, or by hardware between.
        let cut =
            fresh(readings.and_then(|readings| readings.supplied)).is_some_and(|supplied| supplied < 0.5);
        let on = decision.loads[number].on && !cut;
        let watts = fresh(readings.and_then(|readings| readings.power)).unwrap_or(if on {
            load.nominal.0 * share
        } else {
            0.0
        });
        *tier = match *tier {
            _ if !on => Evidence::Masked,
            Evidence::Measured(sum) => Evidence::Measured(sum + watts),
            other => other,
        };
    }
    tiers
}

/// What the panels could deliver now, W; `None` where nobody measures it or they may be throttled.
pub fn sun_now(settings: &Settings, image: &ProcessImage, charge: ChargeBounds) -> Option<Watts> {
    match sunshine(settings, image, charge) {
        Evidence::Measured(watts) => Some(Watts(watts)),
        Evidence::Missing | Evidence::Masked => None,
    }
}

/// What the panels delivered, and whether that is what they could have.
fn sunshine(settings: &Settings, image: &ProcessImage, charge: ChargeBounds) -> Evidence {
    let fresh = |reading: Option<Reading>| image.fresh(settings, reading);
    let Some(watts) = fresh(image.sun) else { return Evidence::Missing };
    let absorbing = fresh(image.battery.voltage).is_some_and(|volts| {
        volts >= settings.battery.absorption_voltage.0 - settings.battery.voltage_error.0
    });
    let full = charge.best.ratio() >= MAYBE_FULL;
    // At night nothing is throttled, however full the battery is.
    if (absorbing || full) && watts > 1.0 { Evidence::Masked } else { Evidence::Measured(watts.max(0.0)) }
}
