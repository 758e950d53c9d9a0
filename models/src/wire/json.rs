//! The plain form: one JSON object for each record, for a first look and for brokers that forward JSON.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::{
    Channel, Event, Field, MOST_CHANNELS, MOST_FIELDS, MOST_TEXT, Message, Refused, Sender, Stamp, Telemetry,
    VERSION, at_most, checked_name,
};

/// What the values of a record are divided by once they were read: thousandths.
const PARTS: u32 = 1000;
/// Values beyond this are no measurement.
const MOST: f64 = 1e12;

/// One record as it stands there.
#[derive(Debug, Serialize, Deserialize)]
struct Record {
    v: u64,
    kind: String,
    site: String,
    hub: String,
    store: String,
    boot: i64,
    sequence: i64,
    uptime_ms: i64,
    /// Null while nobody has told the time.
    wall_ms: Option<i64>,
    /// The same for people; nobody reads it back.
    #[serde(skip_serializing_if = "Option::is_none", skip_deserializing)]
    wall: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    span_ms: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    values: Option<BTreeMap<String, Option<f64>>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    what: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    fields: Option<BTreeMap<String, Fact>>,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(untagged)]
enum Fact {
    Flag(bool),
    Number(f64),
    Text(String),
}

/// Writes each record of a message.
pub fn write(message: &Message) -> Vec<String> {
    let records: Vec<Record> = match message {
        Message::Telemetry(telemetry) => {
            (0..telemetry.stamps.len()).map(|n| measured(telemetry, n)).collect()
        }
        Message::Events { from, events } => events.iter().map(|event| happened(from, event)).collect(),
    };
    // Numbers that are no number are written as null; nothing else of this can fail.
    records.iter().filter_map(|record| serde_json::to_string(record).ok()).collect()
}

fn measured(telemetry: &Telemetry, record: usize) -> Record {
    let values = telemetry.channels.iter().map(|channel| (channel.name.clone(), channel.value(record)));
    let span_ms = telemetry.spans_ms.get(record).copied();
    Record {
        span_ms,
        values: Some(values.collect()),
        ..head(&telemetry.from, "telemetry", telemetry.stamps[record])
    }
}

fn happened(from: &Sender, event: &Event) -> Record {
    let fact = |field: &Field| match field {
        Field::Text(text) => Fact::Text(text.clone()),
        Field::Number(number) => Fact::Number(*number),
        Field::Flag(flag) => Fact::Flag(*flag),
    };
    let fields = event.fields.iter().map(|(name, field)| (name.clone(), fact(field))).collect();
    Record { what: Some(event.what.clone()), fields: Some(fields), ..head(from, "events", event.stamp) }
}

fn head(from: &Sender, kind: &str, stamp: Stamp) -> Record {
    let wall = stamp.wall_ms.and_then(|wall| jiff::Timestamp::from_millisecond(wall).ok());
    Record {
        v: VERSION,
        kind: kind.into(),
        site: from.site.clone(),
        hub: from.hub.clone(),
        store: digits(&from.store),
        boot: stamp.boot,
        sequence: stamp.sequence,
        uptime_ms: stamp.uptime_ms,
        wall_ms: stamp.wall_ms,
        wall: wall.map(|wall| wall.to_string()),
        span_ms: None,
        values: None,
        what: None,
        fields: None,
    }
}

/// A store in hexadecimal digits.
pub(super) fn digits(store: &[u8; 16]) -> String {
    let digit = |half: u8| char::from_digit(u32::from(half), 16).unwrap_or('0');
    store.iter().flat_map(|byte| [digit(byte >> 4), digit(byte & 15)]).collect()
}

/// Reads a record as a message of one.
pub fn read(bytes: &[u8]) -> Result<Message, Refused> {
    let record: Record = serde_json::from_slice(bytes).map_err(|error| Refused::Json(error.to_string()))?;
    if record.v == 0 {
        return Err(Refused::Version(record.v));
    }
    let from = Sender {
        site: checked_name(&record.site)?.to_owned(),
        hub: checked_name(&record.hub)?.to_owned(),
        store: store(&record.store)?,
    };
    let Record { boot, sequence, uptime_ms, wall_ms, .. } = record;
    let stamp = Stamp { boot, sequence, uptime_ms, wall_ms };
    stamp.check(0)?;
    match &*record.kind {
        "telemetry" => {
            let values = record.values.ok_or(Refused::Missing("values"))?;
            at_most("channels", values.len() as u64, MOST_CHANNELS)?;
            let channels = values.into_iter().map(|(name, value)| channel(name, value));
            let channels = channels.collect::<Result<_, _>>()?;
            let spans_ms = vec![record.span_ms.ok_or(Refused::Missing("span_ms"))?];
            Ok(Message::Telemetry(Telemetry { from, stamps: vec![stamp], spans_ms, channels }))
        }
        "events" => {
            let what = checked_name(&record.what.ok_or(Refused::Missing("what"))?)?.to_owned();
            let fields = record.fields.unwrap_or_default();
            at_most("fields", fields.len() as u64, MOST_FIELDS)?;
            let fields =
                fields.into_iter().map(|(name, fact)| field(name, fact)).collect::<Result<_, _>>()?;
            Ok(Message::Events { from, events: vec![Event { stamp, what, fields }] })
        }
        other => Err(Refused::Kind(other.to_owned())),
    }
}

fn channel(name: String, value: Option<f64>) -> Result<Channel, Refused> {
    checked_name(&name)?;
    let value = match value {
        Some(value) if value.abs() > MOST => return Err(Refused::Overflow(name)),
        value => value.map(|value| (value * f64::from(PARTS)).round() as i64),
    };
    Ok(Channel { name, parts: PARTS, values: vec![value] })
}

fn field(name: String, fact: Fact) -> Result<(String, Field), Refused> {
    checked_name(&name)?;
    let field = match fact {
        Fact::Flag(flag) => Field::Flag(flag),
        Fact::Number(number) => Field::Number(number),
        Fact::Text(text) => {
            at_most("text", text.len() as u64, MOST_TEXT)?;
            Field::Text(text)
        }
    };
    Ok((name, field))
}

pub(super) fn store(text: &str) -> Result<[u8; 16], Refused> {
    let refused = || Refused::Store(text.chars().take(40).collect());
    if text.len() != 32 || !text.is_ascii() {
        return Err(refused());
    }
    let mut bytes = [0_u8; 16];
    for (place, byte) in bytes.iter_mut().enumerate() {
        *byte = u8::from_str_radix(&text[2 * place..2 * place + 2], 16).map_err(|_| refused())?;
    }
    Ok(bytes)
}
