//! What targets documents say: targets with their length and hashes, and the roles they delegate to.

use std::collections::BTreeMap;

use crate::digest::{Hashes, sha256};
use crate::fields::Fields;
use crate::json::Json;
use crate::key::{RoleKeys, read_keys};
use crate::limits::Limits;
use crate::reason::{Reason, Refusal};
use crate::tuf::name::fits;
use crate::tuf::roles::is_role_name;

/// 4.5: which targets there are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Targets {
    /// By name, as written.
    pub(crate) targets: BTreeMap<String, Target>,
    /// In the order of search.
    pub(crate) delegations: Vec<Delegation>,
}

/// One target.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Target {
    /// Bytes.
    pub length: u64,
    /// Hashes of its bytes.
    pub hashes: Hashes,
    /// What else is signed about it.
    pub custom: Option<Json>,
}

impl Target {
    /// Refuses bytes of another length or hash (5.7.3). Attack: endless data, arbitrary installation.
    pub fn check(&self, bytes: &[u8], subject: &str) -> Result<(), Refusal> {
        let found = bytes.len() as u64;
        if found != self.length {
            let reason = if found > self.length { Reason::TooLong } else { Reason::BadLength };
            return Err(Refusal::new(reason, subject, format!("{found} bytes, signed are {}", self.length)));
        }
        if !self.hashes.fit(bytes) {
            return Err(Refusal::new(Reason::ContentHash, subject, "its hash is not the signed one"));
        }
        Ok(())
    }
}

/// A role that another one trusts with part of its names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Delegation {
    /// Its name.
    pub name: String,
    /// Whether the search ends after it.
    pub terminating: bool,
    pub(crate) keys: RoleKeys,
    given: Given,
}

/// Which names a role was given.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Given {
    /// Those that fit a pattern.
    Patterns(Vec<String>),
    /// Those whose SHA-256, in hexadecimal, begins so.
    HashPrefixes(Vec<String>),
}

impl Delegation {
    /// Whether it was given this name.
    pub(crate) fn covers(&self, name: &str) -> bool {
        match &self.given {
            Given::Patterns(patterns) => patterns.iter().any(|pattern| fits(pattern, name)),
            Given::HashPrefixes(prefixes) => {
                let digits = crate::digest::hex(&sha256(name.as_bytes()));
                prefixes.iter().any(|prefix| !prefix.is_empty() && digits.starts_with(prefix.as_str()))
            }
        }
    }

    fn read(
        fields: &Fields<'_>,
        keys: &BTreeMap<String, crate::key::PublicKey>,
        limits: &Limits,
    ) -> Result<Self, Refusal> {
        let name = fields.text("name")?;
        if !is_role_name(name) || matches!(name, "root" | "timestamp" | "snapshot" | "targets") {
            return Err(fields.refuse(Reason::BadField, format!("a delegated role called {name:?}")));
        }
        let given = match (fields.get("paths"), fields.get("path_hash_prefixes")) {
            (Some(_), None) => Given::Patterns(fields.texts("paths", limits.targets)?),
            (None, Some(_)) => Given::HashPrefixes(fields.texts("path_hash_prefixes", limits.targets)?),
            _ => return Err(fields.refuse(Reason::BadField, "not one of `paths`, `path_hash_prefixes`")),
        };
        let terminating = fields.bool("terminating")?;
        Ok(Self { name: name.to_owned(), terminating, keys: RoleKeys::read(fields, keys, limits)?, given })
    }
}

impl Targets {
    pub(crate) fn read(fields: &Fields<'_>, limits: &Limits) -> Result<Self, Refusal> {
        let mut targets = BTreeMap::new();
        for (name, value) in fields.map("targets", limits.targets)?.members() {
            let target = Fields::of(value, fields.subject)?;
            let read = Target {
                length: target.length(limits.target_bytes)?,
                hashes: target.hashes()?,
                custom: target.get("custom").cloned(),
            };
            targets.insert(name.clone(), read);
        }
        let delegations = match fields.get("delegations") {
            None => Vec::new(),
            Some(value) => read_delegations(&Fields::of(value, fields.subject)?, limits)?,
        };
        Ok(Self { targets, delegations })
    }
}

fn read_delegations(fields: &Fields<'_>, limits: &Limits) -> Result<Vec<Delegation>, Refusal> {
    let keys = read_keys(fields, limits)?;
    if fields.get("succinct_roles").is_some() {
        return Err(fields.refuse(Reason::BadField, "`succinct_roles` are not read by this client"));
    }
    let roles = fields.list("roles", limits.delegations).map_err(|refusal| match refusal.reason {
        Reason::CountCap => Refusal { reason: Reason::DelegationCap, ..refusal },
        _ => refusal,
    })?;
    let mut read: Vec<Delegation> = Vec::new();
    for value in roles {
        let role = Delegation::read(&Fields::of(value, fields.subject)?, &keys, limits)?;
        if read.iter().any(|other| other.name == role.name) {
            return Err(fields.refuse(Reason::BadField, format!("delegates to {:?} twice", role.name)));
        }
        read.push(role);
    }
    Ok(read)
}
