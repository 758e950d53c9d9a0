//! The first day of a site: what was not yet measured is taken from the typical day of the fleet, scaled
//! to the level seen so far. From the second day on nothing is made up any more: the fleet's model knows
//! what to make of a short history, and days of the site's own tell more.

use super::aggregation::Three;
use crate::history::SlotHistory;
use crate::time::{SLOTS_PER_DAY, Slot, Zone};

/// Days of measurements after which nothing is made up.
const KNOWN_DAYS: usize = 1;
/// Measured slots below which the level is not known: an hour.
const LEAST_MEASURED: usize = 2;

/// The least that the low and the high day differ from the usual one: how far a site may lie from the fleet is
/// not known in the first hours, however alike its sites are.
const LEAST_SPREAD: [f32; 3] = [0.5, 1.0, 1.75];

/// The history of a young site with three days before its first: a low, a usual and a high one. `None`
/// where it needs none, or where nothing is known yet.
pub(super) fn completed(
    history: &SlotHistory,
    issued: Slot,
    zone: &Zone,
    typical: &[Three],
) -> Option<SlotHistory> {
    if typical.len() != SLOTS_PER_DAY {
        return None;
    }
    let reach = (KNOWN_DAYS * SLOTS_PER_DAY) as i64;
    let measured = |slot: Slot| history.get(slot).filter(|_| slot < issued);
    let known = || (1..=reach).rev().map(|back| issued.plus(-back)).filter(|slot| measured(*slot).is_some());
    let first = known().next()?;
    if issued.since(first) >= reach || measured_before(history, issued.plus(-reach)) {
        return None;
    }
    let typical_at = |slot: Slot| typical[zone.local(slot.start()).slot_of_day()];
    let (mut seen, mut expected, mut count) = (0.0_f32, 0.0_f32, 0);
    for slot in known() {
        seen += measured(slot).unwrap_or(0.0);
        expected += typical_at(slot).iter().sum::<f32>() / 3.0;
        count += 1;
    }
    if count < LEAST_MEASURED || expected <= 0.0 {
        return None;
    }
    let level = seen / expected;
    let mut completed = SlotHistory::new();
    let days = 3 * SLOTS_PER_DAY as i64;
    for back in (1..=days).rev() {
        let slot = first.plus(-back);
        // The usual day is the newest, then the high one, then the low one.
        let quantile = [1, 2, 0][((back - 1) / SLOTS_PER_DAY as i64) as usize];
        let typical = typical_at(slot);
        let bound = LEAST_SPREAD[quantile] * typical[1];
        let watts = if quantile == 0 { typical[0].min(bound) } else { typical[quantile].max(bound) };
        completed.record(slot, Some(watts * level));
    }
    for slot in (first.0..issued.0).map(Slot) {
        completed.record(slot, history.get(slot));
    }
    Some(completed)
}

fn measured_before(history: &SlotHistory, slot: Slot) -> bool {
    history.iter().take_while(|(at, _)| *at < slot).any(|(_, watts)| watts.is_some())
}
