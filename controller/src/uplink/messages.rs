//! What a message holds: records of the journal in the words of the lake.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;

use sunkeep_core::settings::Tier;
use sunkeep_models::wire::{
    Channel, Event, Field, MOST_FIELDS, MOST_NAME, MOST_TEXT, Message, Refused, Sender, Stamp, Telemetry,
    compact, json,
};

use super::template::{Template, TemplateError};
use crate::config::{Encoding, Uplink};
use crate::journal;
use crate::journal::outbox::Outbox;
use crate::journal::{EventPoint, JournalError, Lane, MinutePoint, StoreId};

/// Events of a message.
const MOST_EVENTS: usize = 50;

/// Bytes to be published, and which records they hold.
#[derive(Debug)]
pub(super) struct Outgoing {
    pub(super) lane: Lane,
    pub(super) payload: Vec<u8>,
    /// Number of the newest record in it.
    pub(super) upto: i64,
    /// Records in it.
    pub(super) records: usize,
}

/// Why a message could not be made.
#[derive(Debug, thiserror::Error)]
pub(super) enum MessageError {
    #[error(transparent)]
    Journal(#[from] JournalError),
    #[error("a message of {records} records cannot be written: {source}")]
    Written { records: usize, source: Refused },
    #[error("the template: {0}")]
    Template(#[from] TemplateError),
}

/// Makes messages of what the outbox holds.
#[derive(Debug)]
pub(super) struct Messages {
    from: Sender,
    encoding: Encoding,
    template: Option<Template>,
    /// Names of the loads by the settings they are of; as many as a journal keeps.
    names: BTreeMap<[u8; 8], Vec<String>>,
}

impl Messages {
    pub(super) fn new(config: &Uplink, StoreId(store): StoreId) -> Result<Self, MessageError> {
        let from = Sender { site: config.site.clone(), hub: config.hub.clone(), store };
        let template = config.template.as_deref().map(Template::new).transpose()?;
        Ok(Self { from, encoding: config.encoding, template, names: BTreeMap::new() })
    }

    /// The next messages of a lane, of records after one and up to another: one in the compact form, one for each record in
    /// the plain form. Empty where nothing is left.
    pub(super) fn next(
        &mut self,
        outbox: &Outbox,
        lane: Lane,
        (after, upto): (i64, i64),
        most: usize,
    ) -> Result<Vec<Outgoing>, MessageError> {
        let (message, numbers) = match lane {
            Lane::Telemetry => {
                let mut minutes = outbox.minutes(after, most)?;
                minutes.retain(|(number, _)| *number <= upto);
                // The channels of a message are those of one home.
                let of = minutes.first().map(|(_, minute)| minute.settings);
                let end = minutes.iter().position(|(_, minute)| Some(minute.settings) != of);
                minutes.truncate(end.unwrap_or(minutes.len()));
                let Some(of) = of else { return Ok(Vec::new()) };
                let names = match self.names.entry(of) {
                    Entry::Occupied(known) => known.into_mut(),
                    Entry::Vacant(place) => place.insert(outbox.load_names(of)?.unwrap_or_default()),
                };
                let numbers: Vec<i64> = minutes.iter().map(|(number, _)| *number).collect();
                (Message::Telemetry(telemetry(&self.from, &minutes, names)), numbers)
            }
            _ => {
                let mut events = outbox.events(lane, after, most.min(MOST_EVENTS))?;
                events.retain(|(number, _)| *number <= upto);
                let numbers: Vec<i64> = events.iter().map(|(number, _)| *number).collect();
                let events = events.into_iter().map(|(number, event)| self::event(number, event)).collect();
                (Message::Events { from: self.from.clone(), events }, numbers)
            }
        };
        let Some(newest) = numbers.last() else { return Ok(Vec::new()) };
        match self.encoding {
            Encoding::Compact => {
                let records = numbers.len();
                let payload = compact::write(&message);
                let payload = payload.map_err(|source| MessageError::Written { records, source })?;
                Ok(vec![Outgoing { lane, payload, upto: *newest, records }])
            }
            Encoding::Json => {
                let lines = json::write(&message).into_iter().zip(numbers);
                let Some(template) = &self.template else {
                    let whole = |(line, upto): (String, i64)| plain_message(lane, line, upto);
                    return Ok(lines.map(whole).collect());
                };
                shaped(template, lane, after, lines)
            }
        }
    }
}

fn plain_message(lane: Lane, line: String, upto: i64) -> Outgoing {
    Outgoing { lane, payload: line.into_bytes(), upto, records: 1 }
}

/// What a template makes of records. A record counts as sent with the last of its messages; one that gives none, with the
/// message before it or after it. Where nothing is left to be said, a message without a payload says how far that is.
fn shaped(
    template: &Template,
    lane: Lane,
    after: i64,
    lines: impl Iterator<Item = (String, i64)>,
) -> Result<Vec<Outgoing>, MessageError> {
    let (mut made, mut before) = (Vec::new(), after);
    for (line, upto) in lines {
        let messages = template.messages(&line)?;
        // All but the last leave the cursor where it was: a connection that breaks sends the whole record again.
        made.extend(
            messages
                .into_iter()
                .map(|message| Outgoing { records: 0, ..plain_message(lane, message, before) }),
        );
        match made.last_mut() {
            Some(last) => (last.upto, last.records) = (upto, last.records + 1),
            None => made.push(Outgoing { lane, payload: Vec::new(), upto, records: 1 }),
        }
        before = upto;
    }
    Ok(made)
}

fn stamp(number: i64, stamp: journal::Stamp) -> Stamp {
    let journal::Stamp { boot, uptime, unix } = stamp;
    Stamp {
        boot: i64::from(boot),
        sequence: number,
        uptime_ms: i64::try_from(uptime.0).unwrap_or(i64::MAX),
        wall_ms: unix.map(|unix| unix.saturating_mul(1000)),
    }
}

/// Minutes of one home, its loads by name.
fn telemetry(from: &Sender, minutes: &[(i64, MinutePoint)], names: &[String]) -> Telemetry {
    let mut channels = Vec::new();
    let mut add = |name: &str, parts: u32, get: &dyn Fn(&MinutePoint) -> Option<f64>| {
        let whole = |value: f64| (value * f64::from(parts)).round() as i64;
        let values: Vec<_> = minutes.iter().map(|(_, minute)| get(minute).map(whole)).collect();
        if values.iter().any(Option::is_some) {
            channels.push(Channel { name: name.into(), parts, values });
        }
    };
    let flag = |on: bool| f64::from(u8::from(on));
    for (place, name) in ["charge_low", "charge_best", "charge_high"].iter().enumerate() {
        add(name, 10_000, &|minute| Some(minute.charge[place].into()));
    }
    add("battery_v", 100, &|minute| minute.volts.map(Into::into));
    add("battery_a", 100, &|minute| minute.amps.map(Into::into));
    add("battery_w", 10, &|minute| minute.watts.map(Into::into));
    add("battery_c", 10, &|minute| minute.celsius.map(Into::into));
    add("pv_w", 10, &|minute| minute.sun.map(Into::into));
    add("throttled", 1, &|minute| Some(flag(minute.demand.throttled)));
    add("drawn_w", 10, &|minute| minute.load.map(Into::into));
    add("load_w", 10, &|minute| minute.demand.total.map(Into::into));
    for tier in Tier::ALL {
        let (word, place) = (tier.word(), tier.place());
        add(&format!("{word}_w"), 10, &|minute| minute.demand.tiers[place].map(Into::into));
        add(&format!("{word}_on"), 1, &|minute| minute.demand.on[place].map(flag));
    }
    for (place, name) in names.iter().enumerate() {
        let name = plain(name);
        let load = |minute: &MinutePoint| minute.loads.get(place).copied();
        add(&format!("load.{name}.w"), 10, &|minute| load(minute)?.watts.map(Into::into));
        add(&format!("load.{name}.on"), 1, &|minute| Some(flag(load(minute)?.on)));
    }
    if minutes.iter().any(|(_, minute)| minute.merged > 1) {
        add("thinned_of", 1, &|minute| Some(minute.merged.into()));
    }
    Telemetry {
        from: from.clone(),
        stamps: minutes.iter().map(|(number, minute)| stamp(*number, minute.stamp)).collect(),
        spans_ms: minutes.iter().map(|(_, minute)| minute.span_ms.into()).collect(),
        channels,
    }
}

/// A name as channels have it: what is neither letter nor digit, `_` nor `-` becomes `_`.
fn plain(name: &str) -> String {
    let plain = |letter: char| if letter.is_ascii_alphanumeric() || letter == '-' { letter } else { '_' };
    name.chars().take(MOST_NAME - "load..on".len()).map(plain).collect()
}

fn event(number: i64, event: EventPoint) -> Event {
    let fields = event.fields.into_iter().take(MOST_FIELDS).filter_map(|(name, value)| {
        let field = match value {
            serde_json::Value::Bool(flag) => Field::Flag(flag),
            serde_json::Value::Number(number) => Field::Number(number.as_f64()?),
            serde_json::Value::String(text) => Field::Text(shortened(text)),
            _ => return None,
        };
        Some((name, field))
    });
    Event { stamp: stamp(number, event.stamp), what: event.what, fields: fields.collect() }
}

fn shortened(mut text: String) -> String {
    text.truncate(text.floor_char_boundary(MOST_TEXT));
    text
}
