//! What was measured, slot by slot: the memory that forecasts are made from.

use std::collections::VecDeque;

use serde::{Deserialize, Serialize};

use crate::time::{SLOTS_PER_DAY, Slot};

/// Days of slots a history keeps at the most.
pub const HISTORY_DAYS: usize = 36;

/// Mean power of past slots, W; a slot nobody measured, or whose value is no evidence (demand that was
/// shed, sun that was throttled), is `None`. Bounded: it forgets what is older than [`HISTORY_DAYS`].
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct SlotHistory {
    first: Slot,
    values: VecDeque<Option<f32>>,
}

impl SlotHistory {
    /// A history that remembers nothing.
    pub fn new() -> Self {
        Self::default()
    }

    /// Notes the mean power of a slot. Slots left out since the last call read as missing. A slot before
    /// the oldest kept is ignored, unless it lies so far back that the clock must have been set: then, as
    /// after a leap ahead, the history begins anew. A value that is not finite counts as missing.
    pub fn record(&mut self, slot: Slot, mean: Option<f32>) {
        let mean = mean.filter(|watts| watts.is_finite());
        let bound = HISTORY_DAYS * SLOTS_PER_DAY;
        let leap = slot.since(self.end()) >= bound as i64 || self.first.since(slot) > bound as i64;
        if self.values.is_empty() || leap {
            self.first = slot;
            self.values.clear();
        }
        let Ok(place) = usize::try_from(slot.since(self.first)) else { return };
        while self.values.len() <= place {
            self.values.push_back(None);
        }
        self.values[place] = mean;
        while self.values.len() > bound {
            self.values.pop_front();
            self.first = self.first.plus(1);
        }
    }

    /// Mean power of a slot, W; `None` where it was not measured or is not remembered.
    pub fn get(&self, slot: Slot) -> Option<f32> {
        let place = usize::try_from(slot.since(self.first)).ok()?;
        self.values.get(place).copied().flatten()
    }

    /// The oldest slot remembered.
    pub fn start(&self) -> Slot {
        self.first
    }

    /// The first slot after the newest remembered.
    pub fn end(&self) -> Slot {
        self.first.plus(self.values.len() as i64)
    }

    /// Number of slots that hold a value.
    pub fn measured(&self) -> usize {
        self.values.iter().flatten().count()
    }

    /// Slots with their values, oldest first.
    pub fn iter(&self) -> impl Iterator<Item = (Slot, Option<f32>)> + '_ {
        (self.first.0..).map(Slot).zip(self.values.iter().copied())
    }
}
