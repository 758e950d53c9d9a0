//! What root, timestamp and snapshot say. Rules between documents are in `trusted`.

use std::collections::BTreeMap;

use crate::digest::MetaFile;
use crate::fields::Fields;
use crate::key::{RoleKeys, read_keys};
use crate::limits::Limits;
use crate::reason::{Reason, Refusal};

/// Longest name of a role, bytes.
const ROLE_NAME_CAP: usize = 128;

/// 4.3: who signs what.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Root {
    /// For the next root.
    pub(crate) successor: RoleKeys,
    /// For timestamps.
    pub(crate) timestamp: RoleKeys,
    /// For snapshots.
    pub(crate) snapshot: RoleKeys,
    /// For the top-level targets.
    pub(crate) targets: RoleKeys,
    /// Whether files carry version or hash in their names.
    pub consistent_snapshot: bool,
}

impl Root {
    pub(crate) fn read(fields: &Fields<'_>, limits: &Limits) -> Result<Self, Refusal> {
        let keys = read_keys(fields, limits)?;
        let roles = fields.object("roles")?;
        let role = |name| RoleKeys::read(&roles.object(name)?, &keys, limits);
        Ok(Self {
            successor: role("root")?,
            timestamp: role("timestamp")?,
            snapshot: role("snapshot")?,
            targets: role("targets")?,
            consistent_snapshot: match fields.get("consistent_snapshot") {
                None => false,
                Some(_) => fields.bool("consistent_snapshot")?,
            },
        })
    }
}

/// 4.6: which snapshot is the newest.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Timestamp {
    /// The snapshot.
    pub snapshot: MetaFile,
}

impl Timestamp {
    pub(crate) fn read(fields: &Fields<'_>, limits: &Limits) -> Result<Self, Refusal> {
        let snapshot = fields.object("meta")?.object("snapshot.json")?.meta_file(limits)?;
        Ok(Self { snapshot })
    }
}

/// 4.4: the versions of targets documents that belong together.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Snapshot {
    /// By role.
    pub targets: BTreeMap<String, MetaFile>,
}

impl Snapshot {
    pub(crate) fn read(fields: &Fields<'_>, limits: &Limits) -> Result<Self, Refusal> {
        let meta = fields.map("meta", limits.targets)?;
        let mut targets = BTreeMap::new();
        for (file, value) in meta.members() {
            let role = file.strip_suffix(".json").filter(|role| is_role_name(role));
            let Some(role) = role else {
                return Err(fields.refuse(Reason::BadField, format!("`meta` lists {file:?}")));
            };
            targets.insert(role.to_owned(), Fields::of(value, fields.subject)?.meta_file(limits)?);
        }
        Ok(Self { targets })
    }
}

/// Whether a role may be called so. Names are escaped in requests and never become names of files.
pub(crate) fn is_role_name(name: &str) -> bool {
    !name.is_empty() && name.len() <= ROLE_NAME_CAP && !name.chars().any(char::is_control)
}
