//! When a forecaster learns: at evenly spread times of the local day, from the day that is over then. What it
//! learns is its own business.

use crate::history::SlotHistory;
use crate::time::{SLOT_SECONDS, SLOTS_PER_DAY, Slot, Zone};

/// A day to learn from: its first slot, and at which place of the local day it begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Due {
    pub(crate) day: Slot,
    pub(crate) place: usize,
}

/// The days before `now` that were not learnt from yet, oldest first, with the first slot that is not learnt from
/// after them. `places` is how many times of the day there are. At most the slots of a history are walked
/// through.
pub(crate) fn due(
    history: &SlotHistory,
    learnt_until: Option<Slot>,
    now: Slot,
    zone: &Zone,
    places: usize,
) -> (Vec<Due>, Slot) {
    let spacing = SLOTS_PER_DAY / places;
    let (oldest, end) = (history.start().plus(SLOTS_PER_DAY as i64), now.0.min(history.end().0));
    // After the clock was set back the history begins anew, and so does learning from it.
    let known = learnt_until.filter(|until| until.0 <= history.end().plus(1).0);
    let first = known.map_or(oldest, |until| until.max(oldest));
    let ended = (first.0..=end).map(Slot).filter_map(|slot| {
        let local = slot_of_day(slot, zone);
        let day = slot.plus(-(SLOTS_PER_DAY as i64));
        local.is_multiple_of(spacing).then_some(Due { day, place: local / spacing })
    });
    (ended.collect(), Slot(end + 1).max(first))
}

/// Slot of the local day at the middle of a slot: in zones off by a quarter of an hour midnight falls there.
pub(crate) fn slot_of_day(slot: Slot, zone: &Zone) -> usize {
    zone.local(slot.start() + SLOT_SECONDS / 2).slot_of_day()
}
