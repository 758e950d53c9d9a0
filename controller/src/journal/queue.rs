//! What waits to be written: a bounded queue between the cycle, which never waits, and the writer thread.
//! When a bound is reached the oldest goes and is counted.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use sunkeep_core::Settings;
use sunkeep_core::settings::SettingsDigest;

use super::block::Block;
use super::outbox::Metered;
use super::points::{EventPoint, Lane, MinutePoint, SlotPoint, StoreId};

/// Minutes that wait at the most: two days.
const MINUTES: usize = 2880;
/// Slots that wait at the most: four days.
const SLOTS: usize = 192;
/// Events that wait at the most.
const EVENTS: usize = 1024;
/// Settings that wait at the most.
const SETTINGS: usize = 8;
/// Counters there may be.
pub(super) const COUNTERS: usize = 256;
/// Names under which something learnt is kept, and its bytes.
const LEARNT: usize = 8;
const LEARNT_BYTES: usize = 1 << 20;
/// Blocks that go into one transaction at the most.
const BATCH: usize = 64;

/// Settings as they are stored: what decisions depend on, and the text it came from.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct SettingsRow {
    pub(super) digest: SettingsDigest,
    pub(super) settings: Settings,
    pub(super) text: String,
}

/// When the wall clock was learnt in this boot.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct TimeLearnt {
    pub(super) boot: u32,
    /// Seconds since 1970 at uptime zero.
    pub(super) unix_at_start: i64,
}

/// What one transaction takes along. Numbers beside points tell them apart when they are taken off.
#[derive(Debug, Clone, Default)]
pub(super) struct Batch {
    pub(super) blocks: Vec<Arc<Block>>,
    pub(super) minutes: Vec<(u64, MinutePoint)>,
    pub(super) events: Vec<(u64, EventPoint)>,
    /// Of each lane, the newest record that the broker has; with the store that it was of.
    pub(super) sent: BTreeMap<Lane, (StoreId, i64)>,
    /// What went over the line in a month.
    pub(super) metered: Option<Metered>,
    pub(super) slots: Vec<(u64, SlotPoint)>,
    pub(super) settings: Vec<(u64, SettingsRow)>,
    pub(super) counters: BTreeMap<String, u64>,
    pub(super) learnt: BTreeMap<String, Arc<Vec<u8>>>,
    pub(super) time: Option<TimeLearnt>,
}

/// What the writer is to do next.
#[derive(Debug)]
pub(super) struct Work {
    pub(super) batch: Batch,
    /// The end is asked for: write what is left, and do not try again what fails.
    pub(super) stopping: bool,
}

#[derive(Debug, Default)]
struct Waiting {
    blocks: VecDeque<Arc<Block>>,
    block_bytes: usize,
    minutes: VecDeque<(u64, MinutePoint)>,
    events: VecDeque<(u64, EventPoint)>,
    sent: BTreeMap<Lane, (StoreId, i64)>,
    metered: Option<Metered>,
    slots: VecDeque<(u64, SlotPoint)>,
    settings: VecDeque<(u64, SettingsRow)>,
    counters: BTreeMap<String, u64>,
    learnt: BTreeMap<String, Arc<Vec<u8>>>,
    time: Option<TimeLearnt>,
    number: u64,
    dropped: u64,
    /// How many wait for the queue to drain.
    flushing: usize,
    /// Try now, whatever failed before.
    poke: bool,
    stop: bool,
}

/// The queue itself; shared by those who fill it and the writer.
#[derive(Debug)]
pub(super) struct Queue {
    waiting: Mutex<Waiting>,
    news: Condvar,
    drained: Condvar,
    max_block_bytes: usize,
}

impl Queue {
    pub(super) fn new(max_block_bytes: usize) -> Self {
        Self { waiting: Mutex::default(), news: Condvar::new(), drained: Condvar::new(), max_block_bytes }
    }

    fn lock(&self) -> MutexGuard<'_, Waiting> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn push_block(&self, block: Block) {
        let mut waiting = self.lock();
        waiting.block_bytes += block.data.len();
        waiting.blocks.push_back(Arc::new(block));
        while waiting.block_bytes > self.max_block_bytes && waiting.blocks.len() > 1 {
            let Some(oldest) = waiting.blocks.pop_front() else { break };
            waiting.block_bytes -= oldest.data.len();
            waiting.dropped += 1;
        }
        drop(waiting);
        self.news.notify_all();
    }

    pub(super) fn push_minute(&self, minute: MinutePoint) {
        let mut waiting = self.lock();
        let number = waiting.next();
        waiting.minutes.push_back((number, minute));
        if waiting.minutes.len() > MINUTES {
            waiting.minutes.pop_front();
            waiting.dropped += 1;
        }
    }

    pub(super) fn push_event(&self, event: EventPoint) {
        let mut waiting = self.lock();
        let number = waiting.next();
        waiting.events.push_back((number, event));
        if waiting.events.len() > EVENTS {
            waiting.events.pop_front();
            waiting.dropped += 1;
        }
    }

    pub(super) fn set_sent(&self, lane: Lane, store: StoreId, upto: i64) {
        let mut waiting = self.lock();
        let newest = waiting.sent.entry(lane).or_insert((store, upto));
        *newest = if newest.0 == store { (store, upto.max(newest.1)) } else { (store, upto) };
    }

    /// Not worth a commit of its own: written with the next block.
    pub(super) fn set_metered(&self, metered: Metered) {
        self.lock().metered = Some(metered);
    }

    pub(super) fn push_slot(&self, slot: SlotPoint) {
        let mut waiting = self.lock();
        let number = waiting.next();
        waiting.slots.push_back((number, slot));
        if waiting.slots.len() > SLOTS {
            waiting.slots.pop_front();
            waiting.dropped += 1;
        }
    }

    pub(super) fn push_settings(&self, row: SettingsRow) {
        let mut waiting = self.lock();
        let number = waiting.next();
        waiting.settings.push_back((number, row));
        if waiting.settings.len() > SETTINGS {
            waiting.settings.pop_front();
            waiting.dropped += 1;
        }
    }

    pub(super) fn set_counter(&self, name: &str, total: u64) {
        let mut waiting = self.lock();
        if waiting.counters.len() < COUNTERS || waiting.counters.contains_key(name) {
            waiting.counters.insert(name.into(), total);
        } else {
            waiting.dropped += 1;
        }
    }

    pub(super) fn set_learnt(&self, name: &str, data: Vec<u8>) {
        let mut waiting = self.lock();
        let room = waiting.learnt.len() < LEARNT || waiting.learnt.contains_key(name);
        if room && data.len() <= LEARNT_BYTES {
            waiting.learnt.insert(name.into(), Arc::new(data));
        } else {
            waiting.dropped += 1;
        }
    }

    pub(super) fn learn_time(&self, time: TimeLearnt) {
        self.lock().time = Some(time);
    }

    /// Waits for something to write. With `pause` it waits at least so long before the next try, unless
    /// the end or a flush is asked for.
    pub(super) fn next(&self, pause: Option<Duration>) -> Work {
        let waiting = self.lock();
        let mut waiting = match pause {
            Some(pause) => {
                let wait =
                    self.news.wait_timeout_while(waiting, pause, |waiting| !waiting.stop && !waiting.poke);
                wait.unwrap_or_else(PoisonError::into_inner).0
            }
            None => {
                let idle = |waiting: &mut Waiting| {
                    let asked = waiting.stop || waiting.flushing > 0 && !waiting.is_empty();
                    waiting.blocks.is_empty() && !asked
                };
                self.news.wait_while(waiting, idle).unwrap_or_else(PoisonError::into_inner)
            }
        };
        waiting.poke = false;
        Work { batch: waiting.batch(), stopping: waiting.stop }
    }

    /// Takes off what was committed.
    pub(super) fn committed(&self, batch: &Batch) {
        let mut waiting = self.lock();
        if let Some(newest) = batch.blocks.last().map(|block| block.head.seq) {
            while let Some(block) = waiting.blocks.pop_front_if(|block| block.head.seq <= newest) {
                waiting.block_bytes -= block.data.len();
            }
        }
        take_off(&mut waiting.minutes, batch.minutes.last().map(|(number, _)| *number));
        take_off(&mut waiting.events, batch.events.last().map(|(number, _)| *number));
        if waiting.metered == batch.metered {
            waiting.metered = None;
        }
        waiting.sent.retain(|lane, upto| batch.sent.get(lane) != Some(upto));
        take_off(&mut waiting.slots, batch.slots.last().map(|(number, _)| *number));
        take_off(&mut waiting.settings, batch.settings.last().map(|(number, _)| *number));
        waiting.counters.retain(|name, total| batch.counters.get(name) != Some(total));
        let written = |name: &String, data: &Arc<Vec<u8>>| {
            batch.learnt.get(name).is_some_and(|written| Arc::ptr_eq(written, data))
        };
        waiting.learnt.retain(|name, data| !written(name, data));
        if waiting.time == batch.time {
            waiting.time = None;
        }
        if waiting.is_empty() {
            drop(waiting);
            self.drained.notify_all();
        }
    }

    /// Waits until everything is committed, at the most so long; says whether it is.
    pub(super) fn flush(&self, patience: Duration) -> bool {
        let mut waiting = self.lock();
        waiting.flushing += 1;
        waiting.poke = true;
        self.news.notify_all();
        let wait = self.drained.wait_timeout_while(waiting, patience, |waiting| !waiting.is_empty());
        let mut waiting = wait.unwrap_or_else(PoisonError::into_inner).0;
        waiting.flushing -= 1;
        waiting.is_empty()
    }

    pub(super) fn stop(&self) {
        self.lock().stop = true;
        self.news.notify_all();
    }

    /// Records that were given up because a bound was reached.
    pub(super) fn dropped(&self) -> u64 {
        self.lock().dropped
    }

    /// Whether nothing waits.
    pub(super) fn is_empty(&self) -> bool {
        self.lock().is_empty()
    }

    /// Blocks that wait.
    pub(super) fn kept(&self) -> usize {
        self.lock().blocks.len()
    }
}

fn take_off<T>(points: &mut VecDeque<(u64, T)>, newest: Option<u64>) {
    let Some(newest) = newest else { return };
    while points.pop_front_if(|(number, _)| *number <= newest).is_some() {}
}

impl Waiting {
    fn next(&mut self) -> u64 {
        self.number += 1;
        self.number
    }

    fn is_empty(&self) -> bool {
        self.blocks.is_empty()
            && self.minutes.is_empty()
            && self.events.is_empty()
            && self.sent.is_empty()
            && self.metered.is_none()
            && self.slots.is_empty()
            && self.settings.is_empty()
            && self.counters.is_empty()
            && self.learnt.is_empty()
            && self.time.is_none()
    }

    fn batch(&self) -> Batch {
        Batch {
            blocks: self.blocks.iter().take(BATCH).cloned().collect(),
            minutes: self.minutes.iter().cloned().collect(),
            events: self.events.iter().cloned().collect(),
            sent: self.sent.clone(),
            metered: self.metered,
            slots: self.slots.iter().copied().collect(),
            settings: self.settings.iter().cloned().collect(),
            counters: self.counters.clone(),
            learnt: self.learnt.clone(),
            time: self.time,
        }
    }
}
