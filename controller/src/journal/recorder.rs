//! The cycle's side: gathers cycles into blocks and hands them on. Does no I/O and never waits for any.

use std::sync::Arc;

use sunkeep_core::decision::Alarm;
use sunkeep_core::{Decision, ProcessImage, State};
use sunkeep_models::quantity::Seconds;
use sunkeep_models::time::Uptime;

use super::block::{Draft, MAX_CYCLES};
use super::points::{EventPoint, Lane, MinutePoint, SlotPoint, Stamp};
use super::queue::{Queue, TimeLearnt};

/// Gathers what the cycle saw and decided. One to a journal; when it is dropped, the open block is ended.
#[derive(Debug)]
pub struct Recorder {
    queue: Arc<Queue>,
    boot: u32,
    next_seq: u64,
    block_span: Seconds,
    draft: Option<Draft>,
    alarm: Option<Alarm>,
    time_known: bool,
}

impl Recorder {
    pub(super) fn new(queue: Arc<Queue>, boot: u32, next_seq: u64, block_span: Seconds) -> Self {
        Self { queue, boot, next_seq, block_span, draft: None, alarm: None, time_known: false }
    }

    /// Notes a cycle: the state before it, what it saw, what it decided. Ends the block when something was
    /// switched or asked for, when an alarm began or ended, and when the next cycle would make it longer
    /// than its span. Returns the number of the block that ended, to be found in
    /// [`super::Journal::committed`] once it is on the disk.
    ///
    /// Every settings in use must have been given to [`super::Journal::keep_settings`], or the block cannot
    /// be replayed.
    pub fn record(&mut self, before: &State, image: &ProcessImage, decision: &Decision) -> Option<u64> {
        self.learn_time(image);
        let mut ended = None;
        if self.draft.as_ref().is_some_and(|draft| !draft.continues(before, image)) {
            ended = self.end_block();
        }
        let draft = self.draft.get_or_insert_with(|| Draft::new(before.clone()));
        let elapsed = draft.last().map_or(Seconds(0.0), |last| image.now.since(last.now));
        draft.add(image, decision);
        let span = draft.first().map_or(Seconds(0.0), |first| image.now.since(first));
        let full = span + elapsed >= self.block_span || draft.len() >= MAX_CYCLES;
        let news = !decision.changes.is_empty() || !image.requests.is_empty() || decision.alarm != self.alarm;
        self.alarm = decision.alarm;
        if full || news { self.end_block() } else { ended }
    }

    /// Ends the block that is being built, so that it is written now. Returns its number.
    pub fn end_block(&mut self) -> Option<u64> {
        let block = self.draft.take()?.finish(self.next_seq, self.boot)?;
        let seq = block.head.seq;
        self.next_seq += 1;
        self.queue.push_block(block);
        Some(seq)
    }

    /// The stamp of a record made now.
    pub fn stamp(&self, image: &ProcessImage) -> Stamp {
        Stamp { boot: self.boot, uptime: image.now, unix: image.wall.map(|wall| wall.unix) }
    }

    /// Notes a minute of telemetry; it is written with the next block.
    pub fn minute(&self, minute: MinutePoint) {
        self.queue.push_minute(minute);
    }

    /// Notes something for the fleet to know; it is written with the next block.
    pub fn event(&self, event: EventPoint) {
        self.queue.push_event(event);
    }

    /// Notes the means of a slot, or corrects them; written with the next block.
    pub fn slot(&self, slot: SlotPoint) {
        self.queue.push_slot(slot);
    }

    /// Notes the total of a pulse counter; written with the next block. Of 256 names at the most.
    pub fn counter(&self, name: &str, total: u64) {
        self.queue.set_counter(name, total);
    }

    /// Notes what was learnt under a name, in place of what was there; written with the next block. Of eight
    /// names and a megabyte each at the most.
    pub fn learnt(&self, name: &str, data: Vec<u8>) {
        self.queue.set_learnt(name, data);
    }

    /// The first time the wall clock is known in a boot, earlier records of it are stamped.
    fn learn_time(&mut self, image: &ProcessImage) {
        let Some(wall) = image.wall.filter(|_| !self.time_known) else { return };
        self.time_known = true;
        let Uptime(uptime) = image.now;
        let unix_at_start = wall.unix.saturating_sub((uptime / 1000) as i64);
        self.queue.learn_time(TimeLearnt { boot: self.boot, unix_at_start });
        let fields = serde_json::json!({
            "boot": self.boot,
            "boot_wall_ms": unix_at_start * 1000,
            "uncertainty_ms": (wall.uncertainty.0 * 1000.0).ceil(),
            "source": wall.source,
        });
        if let serde_json::Value::Object(fields) = fields {
            let (stamp, lane) = (self.stamp(image), Lane::Decisions);
            self.event(EventPoint { stamp, lane, what: "time_learnt".into(), fields });
        }
    }
}

impl Drop for Recorder {
    fn drop(&mut self) {
        self.end_block();
    }
}
