//! What an hour costs and what charge is worth: a dynamic programme over the state of charge, one step back
//! in time.
//!
//! The cost of a future is its unserved energy, weighted by tier. An empty battery cuts every load, and they
//! return only where it has recovered: that state has a worth of its own, and so nobody runs into it for a
//! few watt-hours. Where the battery's wear has a price, what is drawn costs that, and hours of a full battery that
//! was not full for long are worth something. Only sums, products and comparisons: the same bits on every processor.

use sunkeep_models::quantity::StateOfCharge;

use crate::care::Needs;
use crate::settings::Settings;

use super::scenarios::Hour;

/// Levels of charge that are told apart, from where everything is cut to full.
pub(super) const POINTS: usize = 41;
/// What may be served: nothing, the critical tier, important loads too, everything.
pub(super) const CHOICES: usize = 4;
/// Cost of a kilowatt-hour that a tier wants and does not get.
const WEIGHTS: [f32; 3] = [100.0, 10.0, 1.0];

/// The battery as the plan sees it.
#[derive(Debug, Clone, Copy)]
pub(super) struct Bank {
    /// Level at which everything is cut, 0 to 1.
    pub(super) cut: f32,
    /// Points of the grid below the level at which loads return after a cut.
    open: usize,
    efficiency: f32,
    /// Points that a watt-hour inside the battery is.
    per_wh: f32,
    /// Most that goes into the battery in an hour, Wh; what the sun brings beyond is thrown away.
    most_charged: f32,
    /// Places below which each tier is held back for the battery's sake.
    floors: [usize; 3],
    /// What a watt-hour that is drawn costs.
    price: f32,
    /// What an hour of a full battery is worth.
    full_hour: f32,
}

/// Expected cost of the hours to come by charge: first with the loads connected, then, for the lowest
/// levels, with everything cut.
pub(super) type Worth = Vec<f32>;

/// Cost of each choice by charge.
pub(super) type Choices = [[f32; POINTS]; CHOICES];

impl Bank {
    pub(super) fn new(settings: &Settings, needs: &Needs) -> Self {
        let hardware = settings.battery.cut_level.map_or(0.0, StateOfCharge::ratio);
        let cut = settings.protection.cutoff_charge.ratio().max(hardware).clamp(0.0, 0.9);
        let back = settings.protection.reconnect_charge.ratio().clamp(cut, 0.95);
        let steps = (POINTS - 1) as f64;
        let capacity = settings.battery.nominal_energy().0.max(1.0);
        Self {
            cut: cut as f32,
            open: ((back - cut) / (1.0 - cut) * steps).ceil() as usize,
            efficiency: settings.efficiency.clamp(0.1, 1.0) as f32,
            per_wh: (steps / ((1.0 - cut) * capacity)) as f32,
            most_charged: settings.battery.worst_charge.0.max(0.0) as f32,
            price: needs.price / 1000.0,
            full_hour: needs.full_hour,
            floors: std::array::from_fn(|tier| {
                let floor = needs.floors[tier].map_or(0.0, StateOfCharge::ratio);
                (((floor - cut) / (1.0 - cut) * steps).ceil().max(0.0) as usize).min(POINTS - 1)
            }),
        }
    }

    /// The battery while it is as cold or as hot as now.
    pub(super) fn refusing(&self, needs: &Needs) -> Self {
        let takes = needs.takes.map_or(self.most_charged, |(most, _)| most.0.max(0.0) as f32);
        Self { most_charged: self.most_charged.min(takes), ..*self }
    }

    /// A future in which nothing is wanted any more.
    pub(super) fn nothing(&self) -> Worth {
        vec![0.0; POINTS + self.open + 1]
    }

    /// State of charge of a place on the grid, 0 to 1.
    pub(super) fn charge(&self, place: f32) -> f32 {
        self.cut + (1.0 - self.cut) * place / (POINTS - 1) as f32
    }

    /// Cost of each choice at a charge, between those of the places beside it.
    pub(super) fn at(&self, choices: &Choices, charge: StateOfCharge) -> [f32; CHOICES] {
        let place = (charge.ratio() as f32 - self.cut) / (1.0 - self.cut) * (POINTS - 1) as f32;
        let place = place.clamp(0.0, (POINTS - 1) as f32);
        let below = (place as usize).min(POINTS - 2);
        let upper = place - below as f32;
        choices.map(|costs| costs[below] * (1.0 - upper) + costs[below + 1] * upper)
    }

    /// What each choice costs in an hour and after it, by charge at its start.
    pub(super) fn choices(&self, next: &[f32], hour: &Hour, choices: &mut Choices) {
        let mut missing: f32 = (0..3).map(|tier| WEIGHTS[tier] * hour.demand[tier] / 1000.0).sum();
        let all = missing;
        let mut wanted = 0.0;
        for choice in 0..CHOICES {
            if choice > 0 {
                let demand = hour.demand[choice - 1];
                if demand < 0.01 {
                    choices[choice] = choices[choice - 1];
                    continue;
                }
                wanted += demand;
                missing -= WEIGHTS[choice - 1] * demand / 1000.0;
            }
            self.serve(next, hour.sun, wanted, [missing, all], &mut choices[choice]);
            if choice > 0 {
                // Below its floor a tier is held back, whatever the plan would like.
                let (less, more) = choices.split_at_mut(choice);
                let held = self.floors[choice - 1];
                more[0][..held].copy_from_slice(&less[choice - 1][..held]);
            }
        }
    }

    /// Serves `wanted` Wh through an hour: `missing` is the cost where all of it is served, and where none.
    fn serve(&self, next: &[f32], sun: f32, wanted: f32, [missing, all]: [f32; 2], cost: &mut [f32; POINTS]) {
        let net = sun - wanted;
        let inside =
            if net > 0.0 { net.min(self.most_charged) * self.efficiency } else { net / self.efficiency };
        let missing = missing + (-net).max(0.0) * self.price;
        let shift = (inside * self.per_wh).clamp(-(POINTS as f32), POINTS as f32);
        let whole = shift.floor();
        let (upper, places) = (shift - whole, whole as isize);
        let lowest = if shift < 0.0 { ((-shift).ceil() as usize).min(POINTS) } else { 0 };
        for (place, cost) in cost.iter_mut().enumerate().skip(lowest) {
            let below = place.saturating_add_signed(places).min(POINTS - 1);
            let above = (below + 1).min(POINTS - 1);
            *cost = missing + next[below] * (1.0 - upper) + next[above] * upper;
        }
        // The battery runs empty within the hour, and everything is cut for the rest of it.
        for (place, cost) in cost.iter_mut().enumerate().take(lowest) {
            let share = place as f32 / self.per_wh * self.efficiency / -net;
            let charged = sun.min(self.most_charged) * self.efficiency * (1.0 - share) * self.per_wh;
            *cost = all - (all - missing) * share + self.cut_off(next, charged);
        }
    }

    /// Worth of a place where everything is cut until the battery has recovered.
    fn cut_off(&self, next: &[f32], place: f32) -> f32 {
        let place = place.min((POINTS - 1) as f32);
        let below = (place as usize).min(POINTS - 2);
        let upper = place - below as f32;
        if below < self.open {
            next[POINTS + below] * (1.0 - upper) + next[POINTS + below + 1] * upper
        } else {
            next[below] * (1.0 - upper) + next[below + 1] * upper
        }
    }

    /// The worth of charge an hour earlier, each time with the best choice; and of having been full then.
    pub(super) fn back(&self, next: &[f32], hour: &Hour, choices: &Choices, worth: &mut [f32]) {
        let (connected, cut) = worth.split_at_mut(POINTS);
        for (place, worth) in connected.iter_mut().enumerate() {
            *worth = choices.iter().map(|choice| choice[place]).fold(f32::INFINITY, f32::min);
        }
        connected[POINTS - 1] -= self.full_hour;
        let all: f32 = (0..3).map(|tier| WEIGHTS[tier] * hour.demand[tier] / 1000.0).sum();
        let charged = hour.sun.min(self.most_charged) * self.efficiency * self.per_wh;
        for (place, worth) in cut.iter_mut().enumerate() {
            *worth = if place < self.open {
                all + self.cut_off(next, place as f32 + charged)
            } else {
                connected[place]
            };
        }
    }
}
