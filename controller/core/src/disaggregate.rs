//! Non-intrusive load monitoring by tiers: what each tier draws where one meter counts for all of them.
//!
//! While only the critical tier is on, the total is its demand; when the important tier joins, the total tells
//! what both want; and so on. Each tier is taken to draw a mean that depends on the hour of the day, and to
//! stray from it by a spread of its own; means and spreads are those under which the totals that were seen are
//! the likeliest (expectation maximisation for sums of normal variables). A total is then shared out so that
//! the steadiest tier strays least. Nothing is switched to learn: what the plan sheds anyway is the evidence.
//!
//! Pure and bounded: [`HISTORY_DAYS`] of slots and a fixed number of rounds. What single loads draw is in
//! [`crate::steps`].

use std::collections::VecDeque;

use serde::{Deserialize, Serialize};
use sunkeep_models::history::{HISTORY_DAYS, SlotHistory};
use sunkeep_models::time::{SLOTS_PER_DAY, Slot};

use crate::steps::MOST;

/// Tiers that a total is shared out among.
pub const TIERS: usize = 3;
/// Most slots that are remembered.
const MOST_SLOTS: usize = HISTORY_DAYS * SLOTS_PER_DAY;
/// Parts of the day that have a mean of their own.
const HOURS: usize = 24;
/// Sets of tiers, the empty one included.
const SETS: usize = 1 << TIERS;
/// Rounds of learning.
const ROUNDS: usize = 30;
/// Slots that the name plates count for beside what was seen.
const PLATES: f64 = 24.0;
/// Slots that a tier's mean over the day counts for at each hour.
const DAYS_MEAN: f64 = 4.0;
/// As [`DAYS_MEAN`], of the spread.
const DAYS_SPREAD: f64 = 24.0;
/// Least spread of a tier, as a part of its mean.
const LEAST_SPREAD: f64 = 0.02;
/// Standard deviations to P10 and P90.
const TENTH: f64 = 1.2816;

/// Which tiers had loads without a meter of their own that were on: a bit each, the critical tier's first.
pub type TierSet = u8;

/// A slot through which the same loads were on.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct SharedSlot {
    /// Which.
    pub slot: Slot,
    /// Tiers that the watts are of.
    pub on: TierSet,
    /// Mean power of their loads without a meter, W.
    pub watts: f32,
    /// Demand of the loads with a meter in each tier, W; `None` where that was not measured.
    pub metered: [Option<f32>; TIERS],
}

/// The past of a home where a meter counts for more than one load. Empty where every load has its own.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Shared {
    slots: VecDeque<SharedSlot>,
}

/// What a tier draws, W.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Share {
    /// Nine times in ten it is more (P10).
    pub low: f64,
    /// Best estimate; those of all tiers add up to the total.
    pub best: f64,
    /// Nine times in ten it is less (P90).
    pub high: f64,
}

/// A normal variable: a mean, and the square of a spread.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
struct Normal {
    mean: f64,
    variance: f64,
}

/// What the tiers draw by hour of the day.
#[derive(Debug, Clone, PartialEq)]
pub struct Profile {
    hours: [[Normal; TIERS]; HOURS],
}

/// Number, sum and sum of squares of the totals seen at an hour with a set of tiers on.
#[derive(Debug, Clone, Copy, Default)]
struct Cell {
    count: f64,
    sum: f64,
    squares: f64,
}

/// What is expected of a tier, given what was seen: number of slots, sum, W, and sum of the squares by which
/// it strays from its mean.
#[derive(Debug, Clone, Copy, Default)]
struct Expected {
    count: f64,
    sum: f64,
    strayed: f64,
}

impl Expected {
    /// The normal variable that follows, where `prior` counts for so many slots: in mean, in spread.
    fn with(&self, prior: Normal, [of_mean, of_spread]: [f64; 2]) -> Normal {
        let mean = ((of_mean * prior.mean + self.sum) / (of_mean + self.count)).max(0.0);
        let variance = (of_spread * prior.variance + self.strayed) / (of_spread + self.count);
        let least = LEAST_SPREAD * mean;
        Normal { mean, variance: variance.max(least * least) }
    }
}

/// What is expected of each tier at an hour.
fn expect(normals: &[Normal; TIERS], cells: &[Cell; SETS]) -> [Expected; TIERS] {
    let mut expected = [Expected::default(); TIERS];
    for (on, cell) in (0..).zip(cells).filter(|(_, cell)| cell.count > 0.0) {
        let mean: f64 = members(on).map(|tier| normals[tier].mean).sum();
        let variance: f64 = members(on).map(|tier| normals[tier].variance).sum();
        // How far the totals are off, and the squares of that.
        let off = cell.sum - cell.count * mean;
        let squares = (cell.squares - 2.0 * mean * cell.sum + cell.count * mean * mean).max(0.0);
        for tier in members(on) {
            let Normal { mean, variance: own } = normals[tier];
            let gain = if variance > 0.0 { own / variance } else { 0.0 };
            expected[tier].count += cell.count;
            expected[tier].sum += cell.count * mean + gain * off;
            expected[tier].strayed += cell.count * own * (1.0 - gain) + gain * gain * squares;
        }
    }
    expected
}

type Cells = [[Cell; SETS]; HOURS];

impl Shared {
    /// Notes a slot. What is as late or later was written under another clock, and is forgotten.
    pub fn push(&mut self, slot: SharedSlot) {
        // A meter's error, or a damaged row, is no evidence.
        if !(0.0..=MOST as f32).contains(&slot.watts) {
            return;
        }
        while self.slots.back().is_some_and(|last| last.slot >= slot.slot) {
            self.slots.pop_back();
        }
        self.slots.push_back(slot);
        while self.slots.front().is_some_and(|first| slot.slot.since(first.slot) >= MOST_SLOTS as i64) {
            self.slots.pop_front();
        }
    }

    /// Slots, oldest first.
    pub fn iter(&self) -> impl Iterator<Item = &SharedSlot> {
        self.slots.iter()
    }

    /// Whether nothing was shared out yet.
    pub fn is_empty(&self) -> bool {
        self.slots.is_empty()
    }

    /// Learns what each tier draws. `plates` is what the loads without a meter take together in each tier, W:
    /// only how they compare counts.
    pub fn learn(&self, plates: [f64; TIERS]) -> Profile {
        let mut cells: Cells = Default::default();
        let (mut seen, mut rated) = (0.0, 0.0);
        for shared in &self.slots {
            let watts = f64::from(shared.watts);
            let cell = &mut cells[hour(shared.slot)][usize::from(shared.on) % SETS];
            cell.count += 1.0;
            cell.sum += watts;
            cell.squares += watts * watts;
            seen += watts;
            rated += members(shared.on).map(|tier| plates[tier]).sum::<f64>();
        }
        let scale = if rated > 0.0 { seen / rated } else { 1.0 };
        Profile::learn(&cells, plates.map(|watts| watts * scale))
    }

    /// Writes into the history of each tier what it drew, as it is known now.
    pub fn share_out(&self, profile: &Profile, tiers: &mut [SlotHistory; TIERS]) {
        for shared in &self.slots {
            let shares = profile.share(shared.slot, shared.on, f64::from(shared.watts));
            for tier in members(shared.on) {
                let demand = shared.metered[tier].map(|metered| metered + shares[tier].best as f32);
                tiers[tier].record(shared.slot, demand);
            }
        }
    }
}

fn hour(slot: Slot) -> usize {
    slot.0.rem_euclid(SLOTS_PER_DAY as i64) as usize * HOURS / SLOTS_PER_DAY
}

fn members(set: TierSet) -> impl Iterator<Item = usize> + Clone {
    (0..TIERS).filter(move |tier| set >> tier & 1 == 1)
}

impl Profile {
    /// Rounds of expectation maximisation: what is expected of each tier, given the totals and what was
    /// believed so far, is what is believed in the next round.
    fn learn(cells: &Cells, plates: [f64; TIERS]) -> Self {
        let day: [Normal; TIERS] = plates.map(|mean| Normal { mean, variance: (mean * mean).max(1.0) });
        let first = day;
        let (mut day, mut hours) = (day, [day; HOURS]);
        for _ in 0..ROUNDS {
            let mut together = [Expected::default(); TIERS];
            for (normals, cells) in hours.iter_mut().zip(cells) {
                let expected = expect(normals, cells);
                for tier in 0..TIERS {
                    normals[tier] = expected[tier].with(day[tier], [DAYS_MEAN, DAYS_SPREAD]);
                    together[tier].count += expected[tier].count;
                    together[tier].sum += expected[tier].count * normals[tier].mean;
                    together[tier].strayed += expected[tier].strayed;
                }
            }
            for tier in 0..TIERS {
                day[tier] = together[tier].with(first[tier], [PLATES; 2]);
            }
        }
        Self { hours }
    }

    /// What each tier of `on` drew of a total, W; nothing for the others. Each lies within its bounds, none
    /// is negative, and together they are the total.
    pub fn share(&self, slot: Slot, on: TierSet, total: f64) -> [Share; TIERS] {
        let normals = &self.hours[hour(slot)];
        let total = total.max(0.0);
        let mut left = on % SETS as TierSet;
        let mut shares = [Share::default(); TIERS];
        // A tier that would draw less than nothing draws nothing, and the others share the total.
        for _ in 0..TIERS {
            let mean: f64 = members(left).map(|tier| normals[tier].mean).sum();
            let variance: f64 = members(left).map(|tier| normals[tier].variance).sum();
            let mut none = 0;
            for tier in members(left) {
                let gain = if variance > 0.0 {
                    normals[tier].variance / variance
                } else {
                    1.0 / f64::from(left.count_ones())
                };
                let best = normals[tier].mean + gain * (total - mean);
                let wide = TENTH * (normals[tier].variance * (1.0 - gain)).max(0.0).sqrt();
                none |= u8::from(best < 0.0) << tier;
                let best = best.clamp(0.0, total);
                shares[tier] = Share { low: (best - wide).max(0.0), best, high: (best + wide).min(total) };
            }
            if none == 0 {
                break;
            }
            for tier in members(none) {
                shares[tier] = Share { low: 0.0, best: 0.0, high: shares[tier].high };
            }
            left &= !none;
        }
        shares
    }
}
