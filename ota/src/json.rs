//! JSON as signed metadata may contain it, read strictly and within bounds, and its canonical form: the bytes
//! that signatures are made over. What the values mean belongs to the documents.
//!
//! The canonical form is OLPC's as python-tuf writes it: keys in the order of their bytes, no white space,
//! `"` and `\` escaped and nothing else, integers only. Strings are **not** normalised: the crate olpc-cjson
//! does, and then two keys that differ only in their normal form fall together in the signed bytes, so that
//! one of them could be added to a signed document without breaking its signature.

use std::cell::Cell;
use std::collections::BTreeMap;
use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, Error, MapAccess, SeqAccess, Visitor};

use crate::limits::Limits;
use crate::reason::{Reason, Refusal};

/// A value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Json {
    /// `null`
    Null,
    /// `true`, `false`
    Bool(bool),
    /// A whole number of 64 bits.
    Integer(i64),
    /// Any other number: it has no canonical form, and is kept only to say where it stood.
    OtherNumber,
    /// A string.
    Text(String),
    /// A list.
    List(Vec<Json>),
    /// An object; its keys are distinct.
    Object(BTreeMap<String, Json>),
}

/// Reads one value from bytes; `subject` names them in a refusal.
pub fn parse(bytes: &[u8], subject: &str, limits: &Limits) -> Result<Json, Refusal> {
    let room = Room { values: Cell::new(limits.values), fault: Cell::new(None) };
    let mut reader = serde_json::Deserializer::from_slice(bytes);
    Build { room: &room, depth: limits.depth }
        .deserialize(&mut reader)
        .and_then(|value| reader.end().map(|()| value))
        .map_err(|error| {
            Refusal::new(room.fault.get().unwrap_or(Reason::JsonSyntax), subject, error.to_string())
        })
}

/// The canonical form of a value.
pub fn canonical(value: &Json, subject: &str) -> Result<Vec<u8>, Refusal> {
    let mut bytes = Vec::new();
    write(value, &mut bytes)
        .map_err(|()| Refusal::new(Reason::JsonNumber, subject, "a number that is no 64-bit integer"))?;
    Ok(bytes)
}

/// Depth is bounded by the parser's.
fn write(value: &Json, into: &mut Vec<u8>) -> Result<(), ()> {
    match value {
        Json::Null => into.extend_from_slice(b"null"),
        Json::Bool(true) => into.extend_from_slice(b"true"),
        Json::Bool(false) => into.extend_from_slice(b"false"),
        Json::Integer(number) => into.extend_from_slice(number.to_string().as_bytes()),
        Json::OtherNumber => return Err(()),
        Json::Text(text) => write_text(text, into),
        Json::List(list) => {
            into.push(b'[');
            for (place, item) in list.iter().enumerate() {
                if place > 0 {
                    into.push(b',');
                }
                write(item, into)?;
            }
            into.push(b']');
        }
        Json::Object(object) => {
            into.push(b'{');
            for (place, (key, item)) in object.iter().enumerate() {
                if place > 0 {
                    into.push(b',');
                }
                write_text(key, into);
                into.push(b':');
                write(item, into)?;
            }
            into.push(b'}');
        }
    }
    Ok(())
}

fn write_text(text: &str, into: &mut Vec<u8>) {
    into.push(b'"');
    for byte in text.bytes() {
        if matches!(byte, b'"' | b'\\') {
            into.push(b'\\');
        }
        into.push(byte);
    }
    into.push(b'"');
}

/// What one document may still use up, and the reason once it did not suffice.
struct Room {
    values: Cell<usize>,
    fault: Cell<Option<Reason>>,
}

impl Room {
    fn refuse<E: Error>(&self, reason: Reason, why: &str) -> E {
        self.fault.set(Some(reason));
        E::custom(why)
    }

    fn take<E: Error>(&self) -> Result<(), E> {
        let left = self.values.get().checked_sub(1);
        self.values.set(left.ok_or_else(|| self.refuse(Reason::CountCap, "more values than allowed"))?);
        Ok(())
    }

    fn text<E: Error>(&self, text: &str) -> Result<(), E> {
        // C code somewhere down the line would read a shorter name than was signed.
        if text.contains('\0') {
            return Err(self.refuse(Reason::JsonSyntax, "NUL in a string"));
        }
        self.take()
    }
}

/// Builds one value and what it holds.
#[derive(Clone, Copy)]
struct Build<'a> {
    room: &'a Room,
    depth: usize,
}

impl Build<'_> {
    fn inner<E: Error>(self) -> Result<Self, E> {
        match self.depth.checked_sub(1) {
            Some(depth) => Ok(Self { depth, ..self }),
            None => Err(self.room.refuse(Reason::JsonDepth, "nested deeper than allowed")),
        }
    }
}

impl<'de> DeserializeSeed<'de> for Build<'_> {
    type Value = Json;

    fn deserialize<D: Deserializer<'de>>(self, reader: D) -> Result<Json, D::Error> {
        reader.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Build<'_> {
    type Value = Json;

    fn expecting(&self, to: &mut fmt::Formatter<'_>) -> fmt::Result {
        to.write_str("a JSON value")
    }

    fn visit_unit<E: Error>(self) -> Result<Json, E> {
        self.room.take()?;
        Ok(Json::Null)
    }

    fn visit_bool<E: Error>(self, value: bool) -> Result<Json, E> {
        self.room.take()?;
        Ok(Json::Bool(value))
    }

    fn visit_i64<E: Error>(self, value: i64) -> Result<Json, E> {
        self.room.take()?;
        Ok(Json::Integer(value))
    }

    fn visit_u64<E: Error>(self, value: u64) -> Result<Json, E> {
        self.room.take()?;
        Ok(i64::try_from(value).map_or(Json::OtherNumber, Json::Integer))
    }

    fn visit_f64<E: Error>(self, _: f64) -> Result<Json, E> {
        self.room.take()?;
        Ok(Json::OtherNumber)
    }

    fn visit_str<E: Error>(self, value: &str) -> Result<Json, E> {
        self.room.text(value)?;
        Ok(Json::Text(value.to_owned()))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Json, A::Error> {
        self.room.take()?;
        let inner = self.inner()?;
        let mut list = Vec::new();
        while let Some(item) = items.next_element_seed(inner)? {
            list.push(item);
        }
        Ok(Json::List(list))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<Json, A::Error> {
        self.room.take()?;
        let inner = self.inner()?;
        let mut object = BTreeMap::new();
        while let Some(key) = members.next_key::<String>()? {
            self.room.text(&key)?;
            let value = members.next_value_seed(inner)?;
            // serde_json would keep the last one in silence, another reader the first.
            if object.insert(key, value).is_some() {
                return Err(self.room.refuse(Reason::JsonDupKey, "a key stands twice in one object"));
            }
        }
        Ok(Json::Object(object))
    }
}

/// The value as ordinary JSON: what is sent, where the canonical form is only what is signed.
#[cfg(feature = "sign")]
pub(crate) fn plain(value: &Json) -> String {
    fn convert(value: &Json) -> serde_json::Value {
        match value {
            Json::Null | Json::OtherNumber => serde_json::Value::Null,
            Json::Bool(value) => (*value).into(),
            Json::Integer(value) => (*value).into(),
            Json::Text(text) => text.as_str().into(),
            Json::List(list) => list.iter().map(convert).collect(),
            Json::Object(object) => serde_json::Value::Object(
                object.iter().map(|(key, item)| (key.clone(), convert(item))).collect(),
            ),
        }
    }
    convert(value).to_string()
}
