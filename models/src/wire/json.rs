//! The plain form: one JSON object for each record, for a first look and for brokers that forward JSON.

use core::fmt;
use core::marker::PhantomData;
use std::borrow::Cow;
use std::collections::BTreeMap;

use serde::de::{MapAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize};

use super::{
    Channel, Event, Field, MOST_CHANNELS, MOST_FIELDS, MOST_NAME, MOST_TEXT, Message, Refused, Sender, Stamp,
    Telemetry, VERSION, at_most, checked_name,
};

/// What the values of a record are divided by once they were read: thousandths.
const PARTS: u32 = 1000;
/// Values beyond this are no measurement.
const MOST: f64 = 1e12;

/// One record as it is written.
#[derive(Debug, Serialize)]
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
    #[serde(skip_serializing_if = "Option::is_none")]
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

/// One record as it is read: texts lie where they came, for a fleet reads many.
#[derive(Debug, Deserialize)]
struct Read<'a> {
    v: u64,
    #[serde(borrow)]
    kind: Cow<'a, str>,
    #[serde(borrow)]
    site: Cow<'a, str>,
    #[serde(borrow)]
    hub: Cow<'a, str>,
    #[serde(borrow)]
    store: Cow<'a, str>,
    boot: i64,
    sequence: i64,
    uptime_ms: i64,
    wall_ms: Option<i64>,
    span_ms: Option<i64>,
    #[serde(borrow)]
    values: Option<Named<'a, Option<f64>>>,
    what: Option<String>,
    #[serde(borrow)]
    fields: Option<Named<'a, Fact>>,
}

/// The members of an object, by name.
#[derive(Debug)]
struct Named<'a, T>(Vec<(Cow<'a, str>, T)>);

/// A name that lies where it came.
#[derive(Deserialize)]
struct Name<'a>(#[serde(borrow)] Cow<'a, str>);

impl<'de: 'a, 'a, T: Deserialize<'de>> Deserialize<'de> for Named<'a, T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Members<'a, T>(PhantomData<(&'a (), T)>);
        impl<'de: 'a, 'a, T: Deserialize<'de>> Visitor<'de> for Members<'a, T> {
            type Value = Named<'a, T>;

            fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                formatter.write_str("an object")
            }

            fn visit_map<M: MapAccess<'de>>(self, mut map: M) -> Result<Self::Value, M::Error> {
                let mut members = Vec::new();
                while let Some((Name(name), value)) = map.next_entry()? {
                    members.push((name, value));
                }
                Ok(Named(members))
            }
        }
        deserializer.deserialize_map(Members(PhantomData))
    }
}

impl<'a, T> Named<'a, T> {
    /// The members in the order of their names, each once.
    fn in_order(mut self) -> Result<Vec<(Cow<'a, str>, T)>, Refused> {
        self.0.sort_by(|one, other| one.0.cmp(&other.0));
        match self.0.windows(2).find(|pair| pair[0].0 == pair[1].0) {
            Some(pair) => Err(Refused::Twice(pair[0].0.chars().take(MOST_NAME).collect())),
            None => Ok(self.0),
        }
    }
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
    let record: Read<'_> = serde_json::from_slice(bytes).map_err(|error| Refused::Json(error.to_string()))?;
    if record.v == 0 {
        return Err(Refused::Version(record.v));
    }
    let from = Sender {
        site: checked_name(&record.site)?.to_owned(),
        hub: checked_name(&record.hub)?.to_owned(),
        store: store(&record.store)?,
    };
    let Read { boot, sequence, uptime_ms, wall_ms, .. } = record;
    let stamp = Stamp { boot, sequence, uptime_ms, wall_ms };
    stamp.check(0)?;
    match &*record.kind {
        "telemetry" => {
            let values = record.values.ok_or(Refused::Missing("values"))?;
            at_most("channels", values.0.len() as u64, MOST_CHANNELS)?;
            let channels = values.in_order()?.into_iter().map(|(name, value)| channel(&name, value));
            let channels = channels.collect::<Result<_, _>>()?;
            let spans_ms = vec![record.span_ms.ok_or(Refused::Missing("span_ms"))?];
            Ok(Message::Telemetry(Telemetry { from, stamps: vec![stamp], spans_ms, channels }))
        }
        "events" => {
            let what = checked_name(&record.what.ok_or(Refused::Missing("what"))?)?.to_owned();
            let fields = record.fields.unwrap_or_else(|| Named(Vec::new()));
            at_most("fields", fields.0.len() as u64, MOST_FIELDS)?;
            let fields = fields.in_order()?;
            let fields =
                fields.into_iter().map(|(name, fact)| field(&name, fact)).collect::<Result<_, _>>()?;
            Ok(Message::Events { from, events: vec![Event { stamp, what, fields }] })
        }
        other => Err(Refused::Kind(other.to_owned())),
    }
}

fn channel(name: &str, value: Option<f64>) -> Result<Channel, Refused> {
    let name = checked_name(name)?.to_owned();
    let value = match value {
        Some(value) if value.abs() > MOST => return Err(Refused::Overflow(name)),
        value => value.map(|value| (value * f64::from(PARTS)).round() as i64),
    };
    Ok(Channel { name, parts: PARTS, values: vec![value] })
}

fn field(name: &str, fact: Fact) -> Result<(String, Field), Refused> {
    let name = checked_name(name)?.to_owned();
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
