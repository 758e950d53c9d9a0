//! What is held until it is filed: messages as they were decoded, and which of their records go where. Records that
//! are held already are dropped.

use core::hash::BuildHasher as _;
use std::collections::{BTreeMap, HashSet};
use std::hash::RandomState;
use std::time::Instant;

use sunkeep_models::lake::PLAUSIBLE_WALL_MS;
use sunkeep_models::wire::{Event, Message, Sender, Stamp, Telemetry};

use super::counts::{Count, Counts};
use super::happened::{Correction, Happened};
use super::quarantine::Quarantined;

const HOUR_MS: i64 = 3_600_000;
/// A wall time that is not believed is kept under this name, beside what else a record or an event holds.
pub(super) const REFUSED_WALL: &str = "refused_wall_ms";
/// A record that claims to have ended later than this after its receipt has a clock that was not set, ms.
pub(super) const MOST_AHEAD_MS: i64 = 24 * HOUR_MS;

/// Which delivery of the broker: the connection, counted, and the packet.
pub(super) type Delivery = (u64, u16);

/// A record of a message that is held.
#[derive(Debug, Clone, Copy)]
pub(super) struct Row {
    /// Which message.
    pub(super) message: usize,
    /// Which record of it.
    pub(super) record: usize,
    /// When it ended, where the claim is believed.
    pub(super) wall_ms: Option<i64>,
}

/// What is held.
#[derive(Debug, Default)]
pub(super) struct Held {
    pub(super) messages: Vec<Telemetry>,
    /// Records by the hour whose folder they belong into, ms since 1970.
    pub(super) rows: BTreeMap<i64, Vec<Row>>,
    pub(super) events: BTreeMap<i64, Vec<Happened>>,
    pub(super) corrections: Vec<Correction>,
    pub(super) quarantine: BTreeMap<i64, Vec<Quarantined>>,
    /// What is to be acknowledged once all of it is durable.
    pub(super) deliveries: Vec<Delivery>,
    /// Records and events.
    pub(super) records: usize,
    /// Bytes, roughly.
    pub(super) bytes: usize,
    /// Since when something is held.
    pub(super) since: Option<Instant>,
    seen: HashSet<u128>,
}

impl Held {
    /// Takes a message. Repeats of what `before` holds, which is on its way into the lake, are dropped too.
    pub(super) fn take(
        &mut self,
        (lane, message): (&'static str, Message),
        received_ms: i64,
        seen: &Seen,
        counts: &Counts,
    ) {
        match message {
            Message::Telemetry(telemetry) => self.take_telemetry(telemetry, received_ms, seen, counts),
            Message::Events { from, events } => {
                for event in events {
                    let key = seen.key(&from, "event", event.stamp, event_content(&event));
                    if !self.is_new(key, seen, counts) {
                        continue;
                    }
                    let (hour, wall_ms) = placed(event.stamp, received_ms, counts);
                    match Correction::of(&from, &event) {
                        Some(Ok(correction)) => self.corrections.push(correction),
                        Some(Err(())) => counts.add(Count::CorrectionsRefused, 1),
                        None => {}
                    }
                    let happened = Happened::new(&from, event, wall_ms, lane);
                    self.bytes += happened.bytes();
                    self.records += 1;
                    self.events.entry(hour).or_default().push(happened);
                }
            }
        }
    }

    fn take_telemetry(&mut self, telemetry: Telemetry, received_ms: i64, seen: &Seen, counts: &Counts) {
        let message = self.messages.len();
        let names: Vec<u64> =
            telemetry.channels.iter().map(|channel| seen.hash(channel.name.as_str())).collect();
        let mut taken = 0;
        for (record, stamp) in telemetry.stamps.iter().enumerate() {
            // The same whatever the order of the channels and the form they travelled in.
            let content = telemetry.channels.iter().zip(&names).filter_map(|(channel, name)| {
                let value = channel.value(record)?;
                Some(seen.hash((name, value.to_bits())))
            });
            let content = content.fold(0, u64::wrapping_add);
            let from = &telemetry.from;
            let content = (telemetry.spans_ms.get(record), content);
            let key = seen.key(from, "record", *stamp, content);
            if !self.is_new(key, seen, counts) {
                continue;
            }
            let (hour, wall_ms) = placed(*stamp, received_ms, counts);
            self.rows.entry(hour).or_default().push(Row { message, record, wall_ms });
            taken += 1;
        }
        if taken > 0 {
            self.records += taken;
            self.bytes += telemetry.stamps.len() * (64 + 16 * telemetry.channels.len());
            self.messages.push(telemetry);
        }
    }

    /// Keeps a message that was not taken.
    pub(super) fn keep_refused(&mut self, message: Quarantined) {
        self.bytes += message.bytes();
        let hour = message.received_ms.div_euclid(HOUR_MS) * HOUR_MS;
        self.quarantine.entry(hour).or_default().push(message);
    }

    /// Which records are held.
    pub(super) fn take_seen(&mut self) -> HashSet<u128> {
        core::mem::take(&mut self.seen)
    }

    /// The same again.
    pub(super) fn give_back_seen(&mut self, seen: HashSet<u128>) {
        self.seen = seen;
    }

    fn is_new(&mut self, key: u128, before: &Seen, counts: &Counts) -> bool {
        let new = !before.keys.contains(&key) && self.seen.insert(key);
        if !new {
            counts.add(Count::Repeats, 1);
        }
        new
    }
}

/// The records of what is on its way into the lake, as 128 bits of a hash that nobody can foretell.
#[derive(Debug, Default)]
pub(super) struct Seen {
    hashers: [RandomState; 2],
    keys: HashSet<u128>,
}

impl Seen {
    /// What was held is now on its way, and what was on its way before is there.
    pub(super) fn handed_over(&mut self, keys: HashSet<u128>) {
        self.keys = keys;
    }

    fn hash(&self, what: impl core::hash::Hash) -> u64 {
        self.hashers[0].hash_one(what)
    }

    /// Identity and content. The wall time is not content: it may have been learnt between.
    fn key(&self, from: &Sender, kind: &str, stamp: Stamp, content: impl core::hash::Hash) -> u128 {
        let what = (&from.hub, &from.store, kind, stamp.boot, stamp.sequence, stamp.uptime_ms, content);
        u128::from(self.hashers[0].hash_one(&what)) << 64 | u128::from(self.hashers[1].hash_one(&what))
    }
}

/// Start of the hour whose folder a record belongs into, and its wall time where that can be.
fn placed(stamp: Stamp, received_ms: i64, counts: &Counts) -> (i64, Option<i64>) {
    let can_be = |wall: i64| PLAUSIBLE_WALL_MS.contains(&wall) && wall <= received_ms + MOST_AHEAD_MS;
    let wall = stamp.wall_ms.filter(|wall| can_be(*wall));
    if wall.is_none() && stamp.wall_ms.is_some() {
        counts.add(Count::WallsRefused, 1);
    }
    (wall.unwrap_or(received_ms).div_euclid(HOUR_MS) * HOUR_MS, wall)
}

fn event_content(event: &Event) -> String {
    format!("{:?} {:?}", event.what, event.fields)
}
