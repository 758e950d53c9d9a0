//! What hubs send.

use sunkeep_models::wire::{Channel, Event, Field, Message, Sender, Stamp, Telemetry, compact, json};

pub const MINUTE: i64 = 60_000;

pub fn sender(hub: u32) -> Sender {
    let mut store = [7; 16];
    store[..4].copy_from_slice(&hub.to_be_bytes());
    Sender { site: format!("site-{hub}"), hub: format!("hub-{hub}"), store }
}

pub fn topic(hub: u32, lane: &str) -> String {
    format!("sunkeep/v1/hub-{hub}/up/{lane}")
}

/// Minutes of a hub; the last one ends at `end`, or nobody knows when.
pub fn minutes(hub: u32, boot: i64, sequences: core::ops::Range<i64>, end: Option<i64>) -> Telemetry {
    let last = sequences.end - 1;
    let stamp = |sequence: i64| Stamp {
        boot,
        sequence,
        uptime_ms: sequence * MINUTE,
        wall_ms: end.map(|end| end - (last - sequence) * MINUTE),
    };
    let channel = |name: &str, parts, value: &dyn Fn(i64) -> Option<i64>| Channel {
        name: name.into(),
        parts,
        values: sequences.clone().map(value).collect(),
    };
    Telemetry {
        from: sender(hub),
        stamps: sequences.clone().map(stamp).collect(),
        spans_ms: vec![MINUTE; sequences.clone().count()],
        channels: vec![
            channel("load_w", 10, &|sequence| Some(1000 + sequence)),
            channel("pv_w", 10, &|sequence| (sequence % 3 > 0).then_some(sequence)),
            channel("battery_v", 100, &|sequence| Some(1250 + sequence % 7)),
            channel("throttled", 1, &|sequence| Some(sequence % 2)),
            channel("critical_on", 1, &|_| Some(1)),
            channel("load.television.w", 10, &|sequence| Some(sequence % 600)),
            channel("load.television.on", 1, &|sequence| Some(sequence % 2)),
            channel("load.pump.w", 10, &|sequence| (sequence % 2 == 0).then_some(55)),
            channel("tank_c", 10, &|_| Some(412)),
            channel("thinned_of", 1, &|sequence| (sequence % 5 == 0).then_some(3)),
        ],
    }
}

pub fn event(boot: i64, sequence: i64, wall_ms: Option<i64>, what: &str, fields: &[(&str, Field)]) -> Event {
    Event {
        stamp: Stamp { boot, sequence, uptime_ms: sequence * 10, wall_ms },
        what: what.into(),
        fields: fields.iter().map(|(name, field)| ((*name).into(), field.clone())).collect(),
    }
}

pub fn packed(message: Telemetry) -> Vec<u8> {
    compact::write(&Message::Telemetry(message)).unwrap()
}

pub fn plain(message: Telemetry) -> Vec<Vec<u8>> {
    json::write(&Message::Telemetry(message)).into_iter().map(String::into_bytes).collect()
}

pub fn happened(hub: u32, events: Vec<Event>) -> Vec<u8> {
    compact::write(&Message::Events { from: sender(hub), events }).unwrap()
}
