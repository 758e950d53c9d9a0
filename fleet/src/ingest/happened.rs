//! Events as rows of the lake, and the time stamps learnt late that some of them tell.

use std::sync::Arc;

use arrow_array::{ArrayRef, Int64Array, RecordBatch, StringArray, TimestampMillisecondArray};
use arrow_schema::ArrowError;
use serde_json::{Map, Value};
use sunkeep_models::lake::{self, PLAUSIBLE_WALL_MS};
use sunkeep_models::wire::{Event, Field, Sender, Stamp};

use super::held::REFUSED_WALL;

/// What an event is called that tells when a boot began.
const TIME_LEARNT: &str = "time_learnt";

/// An event that is held.
#[derive(Debug)]
pub(super) struct Happened {
    site: String,
    hub: String,
    store: String,
    stamp: Stamp,
    wall_ms: Option<i64>,
    lane: &'static str,
    what: String,
    fields: String,
}

/// When a boot of a store began.
#[derive(Debug)]
pub(super) struct Correction {
    site: String,
    hub: String,
    store: String,
    boot: i64,
    boot_wall_ms: i64,
    uncertainty_ms: i64,
    source: Option<String>,
}

impl Happened {
    pub(super) fn new(from: &Sender, event: Event, wall_ms: Option<i64>, lane: &'static str) -> Self {
        let fields = event.fields.into_iter().map(|(name, field)| {
            let value = match field {
                Field::Text(text) => Value::from(text),
                // What is no number is null in JSON.
                Field::Number(number) => Value::from(number),
                Field::Flag(flag) => Value::from(flag),
            };
            (name, value)
        });
        let mut fields: Map<String, Value> = fields.collect();
        if let Some(claimed) = event.stamp.wall_ms.filter(|_| wall_ms.is_none()) {
            fields.insert(REFUSED_WALL.into(), claimed.into());
        }
        Self {
            site: from.site.clone(),
            hub: from.hub.clone(),
            store: digits(&from.store),
            stamp: event.stamp,
            wall_ms,
            lane,
            what: event.what,
            fields: Value::Object(fields).to_string(),
        }
    }

    /// Bytes that are held of it, roughly.
    pub(super) fn bytes(&self) -> usize {
        size_of::<Self>() + self.site.len() + self.hub.len() + self.what.len() + self.fields.len() + 32
    }
}

impl Correction {
    /// What an event tells of when a boot began; `None` where it is about something else, an error where it tells
    /// a time that cannot be.
    pub(super) fn of(from: &Sender, event: &Event) -> Option<Result<Self, ()>> {
        if event.what != TIME_LEARNT {
            return None;
        }
        let number = |name: &str| {
            event.fields.iter().find_map(|(known, field)| match field {
                Field::Number(number) if known == name => Some(number.round() as i64),
                _ => None,
            })
        };
        let source = event.fields.iter().find_map(|(name, field)| match field {
            Field::Text(text) if name == "source" => Some(text.clone()),
            _ => None,
        });
        let boot = number("boot").filter(|boot| *boot >= 0);
        let boot_wall_ms = number("boot_wall_ms").filter(|wall| PLAUSIBLE_WALL_MS.contains(wall));
        let uncertainty_ms = number("uncertainty_ms").filter(|uncertainty| *uncertainty >= 0);
        let (Some(boot), Some(boot_wall_ms), Some(uncertainty_ms)) = (boot, boot_wall_ms, uncertainty_ms)
        else {
            return Some(Err(()));
        };
        let (site, hub, store) = (from.site.clone(), from.hub.clone(), digits(&from.store));
        Some(Ok(Self { site, hub, store, boot, boot_wall_ms, uncertainty_ms, source }))
    }
}

/// A store as the lake names it.
pub(super) fn digits(store: &[u8; 16]) -> String {
    format!("{:032x}", u128::from_be_bytes(*store))
}

/// The rows of events, in the order of the lake.
pub(super) fn rows(events: &[Happened]) -> Result<RecordBatch, ArrowError> {
    let mut events: Vec<&Happened> = events.iter().collect();
    events.sort_by_key(|one| (&one.site, &one.hub, &one.store, one.stamp.boot, one.stamp.sequence));
    let text = |of: &dyn Fn(&Happened) -> String| -> ArrayRef {
        Arc::new(StringArray::from_iter_values(events.iter().map(|event| of(event))))
    };
    let number = |of: &dyn Fn(&Stamp) -> i64| -> ArrayRef {
        Arc::new(Int64Array::from_iter_values(events.iter().map(|event| of(&event.stamp))))
    };
    let wall = events.iter().map(|event| event.wall_ms).collect::<TimestampMillisecondArray>();
    let columns = vec![
        text(&|event| event.site.clone()),
        text(&|event| event.hub.clone()),
        text(&|event| event.store.clone()),
        number(&|stamp| stamp.boot),
        number(&|stamp| stamp.sequence),
        number(&|stamp| stamp.uptime_ms),
        Arc::new(wall.with_timezone("UTC")),
        text(&|event| event.lane.into()),
        text(&|event| event.what.clone()),
        text(&|event| event.fields.clone()),
    ];
    RecordBatch::try_new(lake::events(), columns)
}

/// The rows of corrections.
pub(super) fn correction_rows(corrections: &[Correction]) -> Result<RecordBatch, ArrowError> {
    let text = |of: &dyn Fn(&Correction) -> String| -> ArrayRef {
        Arc::new(StringArray::from_iter_values(corrections.iter().map(of)))
    };
    let number = |of: &dyn Fn(&Correction) -> i64| -> ArrayRef {
        Arc::new(Int64Array::from_iter_values(corrections.iter().map(of)))
    };
    let began = corrections.iter().map(|one| one.boot_wall_ms);
    let source: StringArray = corrections.iter().map(|one| one.source.as_deref()).collect();
    let columns = vec![
        text(&|one| one.site.clone()),
        text(&|one| one.hub.clone()),
        text(&|one| one.store.clone()),
        number(&|one| one.boot),
        Arc::new(TimestampMillisecondArray::from_iter_values(began).with_timezone("UTC")),
        number(&|one| one.uncertainty_ms),
        Arc::new(source),
    ];
    RecordBatch::try_new(lake::corrections(), columns)
}
