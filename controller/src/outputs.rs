//! Makes the relays do what was decided, and knows when to try again.
//!
//! A relay that is as decided is never written, so that start-up pulses none; one that did not confirm is
//! tried again, ever more rarely.

use sunkeep_core::Decision;
use sunkeep_models::quantity::Seconds;
use sunkeep_models::time::Uptime;

use crate::config::{HubStops, Relay, Wiring};
use crate::driver::Output;
use crate::readings::Readings;

/// First wait after a write that did not take; doubled each time.
const FIRST_WAIT: Seconds = Seconds(2.0);
/// Longest wait between two tries.
const LONGEST_WAIT: Seconds = Seconds(60.0);

/// A coil to be energised or released.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Order {
    /// Which output.
    pub output: Output,
    /// Energise or release.
    pub energised: bool,
}

/// What was ordered of each relay.
#[derive(Debug)]
pub struct Outputs {
    tries: Vec<Try>,
}

#[derive(Debug, Clone, Copy, Default)]
struct Try {
    /// What was ordered last.
    ordered: Option<bool>,
    at: Uptime,
    /// Orders in a row that did not take.
    missed: u32,
}

impl Outputs {
    /// Nothing was ordered yet.
    pub fn new(wiring: &Wiring) -> Self {
        Self { tries: vec![Try::default(); wiring.relays.len()] }
    }

    /// What must be written now so that the relays follow the decision.
    pub fn orders(
        &mut self,
        wiring: &Wiring,
        readings: &Readings,
        decision: &Decision,
        now: Uptime,
    ) -> Vec<Order> {
        let mut orders = Vec::new();
        for (relay, tried) in wiring.relays.iter().zip(&mut self.tries) {
            let Some(load) = decision.loads.get(usize::from(relay.output.0)) else { continue };
            let energised = relay.energised_for(load.on);
            let is = readings.energised(relay.output);
            if is == Some(energised) {
                tried.missed = 0;
                continue;
            }
            let changed = decision.changes.iter().any(|change| change.load == relay.output.0);
            // A contact nobody has read yet is left alone until it is read, or until it must change.
            let must = changed || is.is_some() || tried.ordered.is_some();
            if must && (changed || tried.may_try(energised, now)) {
                tried.missed =
                    if tried.ordered == Some(energised) { tried.missed.saturating_add(1) } else { 0 };
                (tried.ordered, tried.at) = (Some(energised), now);
                orders.push(Order { output: relay.output, energised });
            }
        }
        orders
    }

    /// What must be written when the hub is stopped in an orderly way.
    pub fn at_stop(wiring: &Wiring, readings: &Readings) -> Vec<Order> {
        let order = |relay: &Relay| {
            let on = match relay.hub_stops {
                HubStops::Keep => return None,
                HubStops::On => true,
                HubStops::Off => false,
            };
            let energised = relay.energised_for(on);
            let differs = readings.energised(relay.output) != Some(energised);
            differs.then_some(Order { output: relay.output, energised })
        };
        wiring.relays.iter().filter_map(order).collect()
    }
}

impl Try {
    fn may_try(&self, energised: bool, now: Uptime) -> bool {
        if self.ordered != Some(energised) {
            return true;
        }
        let doubled = FIRST_WAIT * f64::from(1_u32 << self.missed.min(10));
        now.since(self.at) >= doubled.min(LONGEST_WAIT)
    }
}
