//! What is held until it is filed: messages as they were decoded, and which of their records go where. Records that
//! are held already are dropped.

use core::hash::BuildHasher as _;
use std::collections::{BTreeMap, HashMap, HashSet};
use std::hash::RandomState;
use std::time::Instant;

use sunkeep_models::lake::PLAUSIBLE_WALL_MS;
use sunkeep_models::wire::{Channel, Event, MOST_RECORDS, Message, Sender, Stamp, Telemetry};

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
    /// The message of each hub that its next record may be added to.
    open: HashMap<u64, usize>,
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
        let names: Vec<u64> =
            telemetry.channels.iter().map(|channel| seen.hash(channel.name.as_str())).collect();
        let mut new = Vec::with_capacity(telemetry.stamps.len());
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
            if self.is_new(key, seen, counts) {
                new.push((record, placed(*stamp, received_ms, counts)));
            }
        }
        if new.is_empty() {
            return;
        }
        self.records += new.len();
        let (message, first) = self.put(telemetry, seen);
        for (record, (hour, wall_ms)) in new {
            self.rows.entry(hour).or_default().push(Row { message, record: first + record, wall_ms });
        }
    }

    /// Keeps a message, or adds the record of one that bears a single one, as plain messages do, to the last of its hub:
    /// a record by itself would take twenty times its room. Which message it is in now, and from which record on.
    fn put(&mut self, telemetry: Telemetry, seen: &Seen) -> (usize, usize) {
        if telemetry.stamps.len() == 1 {
            let hub = seen.hash((&telemetry.from.hub, &telemetry.from.store));
            let open = self.open.get(&hub).copied().filter(|open| fits(&self.messages[*open], &telemetry));
            if let Some(open) = open {
                let message = &mut self.messages[open];
                let first = message.stamps.len();
                self.bytes += RECORD + telemetry.channels.len() * size_of::<Option<i64>>();
                message.stamps.extend(telemetry.stamps);
                message.spans_ms.extend(telemetry.spans_ms);
                for (into, from) in message.channels.iter_mut().zip(telemetry.channels) {
                    into.values.extend(from.values);
                }
                return (open, first);
            }
            self.open.insert(hub, self.messages.len());
        }
        self.bytes += bytes(&telemetry);
        self.messages.push(telemetry);
        (self.messages.len() - 1, 0)
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

/// Whether a record can be added: of the same hub, with the same channels, and not too many.
fn fits(message: &Telemetry, more: &Telemetry) -> bool {
    let alike = |one: &Channel, other: &Channel| one.name == other.name && one.parts == other.parts;
    message.from == more.from
        && message.stamps.len() < MOST_RECORDS
        && message.channels.len() == more.channels.len()
        && message.channels.iter().zip(&more.channels).all(|(one, other)| alike(one, other))
}

/// Bytes of a record, beside its values.
const RECORD: usize = size_of::<Stamp>() + size_of::<Row>() + 64;

/// Bytes that a message holds, with what the allocator adds for each piece.
fn bytes(telemetry: &Telemetry) -> usize {
    const PIECE: usize = 16;
    let records = telemetry.stamps.len();
    let channels = telemetry.channels.iter().map(|channel| {
        size_of::<Channel>()
            + 2 * PIECE
            + channel.name.len()
            + channel.values.len() * size_of::<Option<i64>>()
    });
    size_of::<Telemetry>() + records * RECORD + channels.sum::<usize>()
}

fn event_content(event: &Event) -> String {
    format!("{:?} {:?}", event.what, event.fields)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A record of a hub with these channels; the value says which record and which channel.
    fn record(hub: &str, sequence: i64, names: &[&str], parts: u32) -> Telemetry {
        let from = Sender { site: "s".into(), hub: hub.into(), store: [1; 16] };
        let channel = |(place, name): (usize, &&str)| Channel {
            name: (*name).into(),
            parts,
            values: vec![Some((sequence * 10 + place as i64) * i64::from(parts))],
        };
        Telemetry {
            from,
            stamps: vec![Stamp { boot: 1, sequence, uptime_ms: sequence, wall_ms: None }],
            spans_ms: vec![sequence + 1],
            channels: names.iter().enumerate().map(channel).collect(),
        }
    }

    #[test]
    fn records_that_come_one_by_one_stay_what_they_are() {
        let (mut held, seen, counts) = (Held::default(), Seen::default(), Counts::default());
        let mut expected = Vec::new();
        for sequence in 0..4000 {
            let hub = ["one", "two"][sequence as usize / 3 % 2];
            // Now and then other channels, another order, another resolution; and every tenth comes twice.
            let (names, parts): (&[&str], u32) = match sequence % 500 {
                7 => (&["a", "c"], 1),
                8 => (&["b", "a"], 1),
                9 => (&["a", "b"], 10),
                10 => (&["a"], 1),
                _ => (&["a", "b"], 1),
            };
            for _ in 0..=usize::from(sequence % 10 == 0) {
                held.take_telemetry(record(hub, sequence, names, parts), 5, &seen, &counts);
            }
            expected.push((hub, sequence, names));
        }
        let mut rows: Vec<Row> = held.rows.values().flatten().copied().collect();
        rows.sort_by_key(|row| held.messages[row.message].stamps[row.record].sequence);
        assert_eq!((rows.len(), held.records), (4000, 4000));
        assert_eq!(counts.get(Count::Repeats), 400);
        for (row, (hub, sequence, names)) in rows.iter().zip(expected) {
            let message = &held.messages[row.message];
            assert_eq!((message.from.hub.as_str(), message.stamps[row.record].sequence), (hub, sequence));
            assert_eq!(message.spans_ms[row.record], sequence + 1);
            let found: Vec<_> = message.channels.iter().map(|one| one.name.as_str()).collect();
            assert_eq!(found, names, "{sequence}");
            for (place, channel) in message.channels.iter().enumerate() {
                assert_eq!(channel.value(row.record), Some((sequence * 10 + place as i64) as f64));
            }
        }
        assert!(held.messages.iter().all(|message| message.stamps.len() <= MOST_RECORDS));
        assert!(held.messages.len() < 80, "{} messages", held.messages.len());
        let room: usize = held.messages.iter().map(bytes).sum();
        assert!((room / 2..=room).contains(&held.bytes), "{} of {room} bytes", held.bytes);
    }
}
