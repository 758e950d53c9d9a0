//! Typed access to the members of a JSON object, with refusals that say what was expected where. Which members
//! there are belongs to the documents.

use std::collections::BTreeMap;

use crate::digest::{Hashes, MetaFile};
use crate::json::Json;
use crate::limits::{Limits, VERSION_CAP};
use crate::reason::{Reason, Refusal};
use crate::time::Utc;

/// An object and where it stands.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Fields<'a> {
    object: &'a BTreeMap<String, Json>,
    /// What is read, for refusals.
    pub(crate) subject: &'a str,
}

impl<'a> Fields<'a> {
    pub(crate) fn of(value: &'a Json, subject: &'a str) -> Result<Self, Refusal> {
        match value {
            Json::Object(object) => Ok(Self { object, subject }),
            _ => Err(Refusal::new(Reason::BadField, subject, "not an object")),
        }
    }

    pub(crate) fn refuse(&self, reason: Reason, detail: impl AsRef<str>) -> Refusal {
        Refusal::new(reason, self.subject, detail)
    }

    pub(crate) fn get(&self, name: &str) -> Option<&'a Json> {
        self.object.get(name)
    }

    pub(crate) fn members(&self) -> &'a BTreeMap<String, Json> {
        self.object
    }

    fn bad(&self, name: &str, expected: &str) -> Refusal {
        let state = if self.object.contains_key(name) { "is not" } else { "is missing, expected" };
        self.refuse(Reason::BadField, format!("`{name}` {state} {expected}"))
    }

    pub(crate) fn text(&self, name: &str) -> Result<&'a str, Refusal> {
        match self.get(name) {
            Some(Json::Text(text)) => Ok(text),
            _ => Err(self.bad(name, "a string")),
        }
    }

    pub(crate) fn bool(&self, name: &str) -> Result<bool, Refusal> {
        match self.get(name) {
            Some(Json::Bool(value)) => Ok(*value),
            _ => Err(self.bad(name, "true or false")),
        }
    }

    pub(crate) fn integer(&self, name: &str) -> Result<i64, Refusal> {
        match self.get(name) {
            Some(Json::Integer(value)) => Ok(*value),
            _ => Err(self.bad(name, "an integer")),
        }
    }

    pub(crate) fn object(&self, name: &str) -> Result<Self, Refusal> {
        match self.get(name) {
            Some(Json::Object(object)) => Ok(Self { object, subject: self.subject }),
            _ => Err(self.bad(name, "an object")),
        }
    }

    /// A list of at most `cap` items.
    pub(crate) fn list(&self, name: &str, cap: usize) -> Result<&'a [Json], Refusal> {
        match self.get(name) {
            Some(Json::List(list)) if list.len() <= cap => Ok(list),
            Some(Json::List(list)) => Err(self.refuse(
                Reason::CountCap,
                format!("`{name}` has {} items, at most {cap} allowed", list.len()),
            )),
            _ => Err(self.bad(name, "a list")),
        }
    }

    /// A list of strings of at most `cap` items.
    pub(crate) fn texts(&self, name: &str, cap: usize) -> Result<Vec<String>, Refusal> {
        let text = |item: &Json| match item {
            Json::Text(text) => Ok(text.clone()),
            _ => Err(self.bad(name, "a list of strings")),
        };
        self.list(name, cap)?.iter().map(text).collect()
    }

    /// An object of at most `cap` members.
    pub(crate) fn map(&self, name: &str, cap: usize) -> Result<Self, Refusal> {
        let map = self.object(name)?;
        if map.object.len() > cap {
            let found = map.object.len();
            return Err(
                self.refuse(Reason::CountCap, format!("`{name}` has {found} members, at most {cap} allowed"))
            );
        }
        Ok(map)
    }

    /// A version from 1 to the cap; wraps never, for it is compared before it is converted.
    pub(crate) fn version(&self, name: &str) -> Result<u64, Refusal> {
        match self.get(name) {
            Some(Json::Integer(value)) if (1..=VERSION_CAP as i64).contains(value) => Ok(*value as u64),
            found => Err(self.refuse(
                Reason::BadVersion,
                format!("`{name}` is {found:?}, expected an integer from 1 to {VERSION_CAP}"),
            )),
        }
    }

    pub(crate) fn moment(&self, name: &str) -> Result<Utc, Refusal> {
        let found = self.get(name);
        let moment = match found {
            Some(Json::Text(text)) => Utc::parse(text),
            _ => None,
        };
        moment.ok_or_else(|| {
            self.refuse(
                Reason::BadExpires,
                format!("`{name}` is {found:?}, expected a moment such as 2027-01-31T12:00:00Z"),
            )
        })
    }

    /// A length from 1 to `cap`.
    pub(crate) fn length(&self, cap: u64) -> Result<u64, Refusal> {
        match self.get("length") {
            Some(Json::Integer(value)) if *value > 0 && *value as u64 <= cap => Ok(*value as u64),
            found => Err(self.refuse(
                Reason::BadLength,
                format!("`length` is {found:?}, expected an integer from 1 to {cap}"),
            )),
        }
    }

    pub(crate) fn hashes(&self) -> Result<Hashes, Refusal> {
        let missing = || self.refuse(Reason::BadHash, "`hashes` is missing or not an object");
        let hashes = self.object("hashes").map_err(|_| missing())?;
        let digits = |name: &str| match hashes.get(name) {
            None => Ok(None),
            Some(Json::Text(text)) => Ok(Some(text.as_str())),
            Some(_) => Err(self.refuse(Reason::BadHash, format!("hash `{name}` is not a string"))),
        };
        Hashes::parse(digits("sha256")?, digits("sha512")?).ok_or_else(|| {
            self.refuse(
                Reason::BadHash,
                "`hashes` holds no sha256 or sha512 in lower-case hexadecimal of full length",
            )
        })
    }

    /// What a timestamp or a snapshot says of a document: version, and length and hashes if it does.
    pub(crate) fn meta_file(&self, limits: &Limits) -> Result<MetaFile, Refusal> {
        let cap = limits.targets_bytes.max(limits.snapshot_bytes) as u64;
        Ok(MetaFile {
            version: self.version("version")?,
            length: self.get("length").map(|_| self.length(cap)).transpose()?,
            hashes: self.get("hashes").map(|_| self.hashes()).transpose()?,
        })
    }
}
