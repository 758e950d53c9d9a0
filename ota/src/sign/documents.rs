//! The signed parts of the four kinds of documents, and the envelope around them.

use std::collections::BTreeMap;

use crate::digest::{Hashes, hex, sha256};
use crate::json::Json;
use crate::reason::Refusal;
use crate::sign::key::SecretKey;
use crate::time::Utc;
use crate::tuf::document::Kind;

/// The specification that documents are written after.
pub const SPEC_VERSION: &str = "1.0.34";

/// A JSON object.
pub fn object<const N: usize>(members: [(&str, Json); N]) -> Json {
    Json::Object(members.into_iter().map(|(key, value)| (key.to_owned(), value)).collect())
}

/// A JSON string.
pub fn text(text: impl Into<String>) -> Json {
    Json::Text(text.into())
}

/// A JSON number.
pub fn number(value: u64) -> Json {
    i64::try_from(value).map_or(Json::OtherNumber, Json::Integer)
}

/// What every document states.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stamp {
    /// Version.
    pub version: u64,
    /// When it is signed.
    pub issued: Utc,
    /// When it expires.
    pub expires: Utc,
}

/// The signed part of a document of a kind with members of its own.
pub fn signed<const N: usize>(kind: Kind, stamp: Stamp, members: [(&str, Json); N]) -> Json {
    let mut all = BTreeMap::from([
        ("_type".to_owned(), text(kind.name())),
        ("spec_version".to_owned(), text(SPEC_VERSION)),
        ("version".to_owned(), number(stamp.version)),
        ("issued".to_owned(), text(stamp.issued.to_string())),
        ("expires".to_owned(), text(stamp.expires.to_string())),
    ]);
    all.extend(members.into_iter().map(|(key, value)| (key.to_owned(), value)));
    Json::Object(all)
}

/// Keys of a role and how many of them must sign.
#[derive(Debug, Clone)]
pub struct RoleSpec {
    /// Public halves, as [`SecretKey::public`] gives them, by id.
    pub keys: BTreeMap<String, Json>,
    /// How many must sign.
    pub threshold: u64,
}

impl RoleSpec {
    /// A role of these keys.
    pub fn of(keys: &[&SecretKey], threshold: u64) -> Self {
        Self { keys: keys.iter().map(|key| (key.id(), key.public())).collect(), threshold }
    }

    fn members(&self) -> [(&'static str, Json); 2] {
        let ids = self.keys.keys().map(text).collect();
        [("keyids", Json::List(ids)), ("threshold", number(self.threshold))]
    }
}

/// The signed part of a root.
pub fn root(stamp: Stamp, roles: &[(Kind, RoleSpec)], consistent_snapshot: bool) -> Json {
    let keys = roles.iter().flat_map(|(_, role)| role.keys.clone()).collect();
    let roles = roles.iter().map(|(kind, role)| (kind.name().to_owned(), object(role.members()))).collect();
    signed(
        Kind::Root,
        stamp,
        [
            ("consistent_snapshot", Json::Bool(consistent_snapshot)),
            ("keys", Json::Object(keys)),
            ("roles", Json::Object(roles)),
        ],
    )
}

/// A document as a timestamp or snapshot refers to it: version, length and hash.
pub fn meta_file(version: u64, bytes: &[u8]) -> Json {
    object([
        ("version", number(version)),
        ("length", number(bytes.len() as u64)),
        ("hashes", object([("sha256", text(hex(&sha256(bytes))))])),
    ])
}

/// The signed part of a timestamp.
pub fn timestamp(stamp: Stamp, snapshot: Json) -> Json {
    signed(Kind::Timestamp, stamp, [("meta", object([("snapshot.json", snapshot)]))])
}

/// The signed part of a snapshot; documents by role.
pub fn snapshot(stamp: Stamp, documents: BTreeMap<String, Json>) -> Json {
    let meta = documents.into_iter().map(|(role, file)| (format!("{role}.json"), file)).collect();
    signed(Kind::Snapshot, stamp, [("meta", Json::Object(meta))])
}

/// A role to delegate to.
#[derive(Debug, Clone)]
pub struct DelegationSpec {
    /// Its name.
    pub name: String,
    /// Its keys.
    pub role: RoleSpec,
    /// Patterns of the names it is given.
    pub paths: Vec<String>,
    /// Whether a search ends after it.
    pub terminating: bool,
}

/// The signed part of a targets document; targets by name.
pub fn targets(stamp: Stamp, targets: BTreeMap<String, Json>, delegations: &[DelegationSpec]) -> Json {
    let keys = delegations.iter().flat_map(|one| one.role.keys.clone()).collect();
    let roles = delegations
        .iter()
        .map(|one| {
            let [keyids, threshold] = one.role.members();
            object([
                ("name", text(&one.name)),
                keyids,
                threshold,
                ("paths", Json::List(one.paths.iter().map(text).collect())),
                ("terminating", Json::Bool(one.terminating)),
            ])
        })
        .collect();
    let targets = ("targets", Json::Object(targets));
    if delegations.is_empty() {
        return signed(Kind::Targets, stamp, [targets]);
    }
    let delegations = object([("keys", Json::Object(keys)), ("roles", Json::List(roles))]);
    signed(Kind::Targets, stamp, [targets, ("delegations", delegations)])
}

/// A target of these bytes with what else is signed about it under `sunkeep`.
pub fn target(bytes: &[u8], custom: Option<Json>) -> Json {
    let mut members = BTreeMap::from([
        ("length".to_owned(), number(bytes.len() as u64)),
        ("hashes".to_owned(), object([("sha256", text(Hashes::of(bytes).digits()))])),
    ]);
    members.extend(custom.map(|custom| ("custom".to_owned(), object([("sunkeep", custom)]))));
    Json::Object(members)
}

/// The document: the signed part under the signatures of these keys.
pub fn envelope(signed: &Json, keys: &[&SecretKey]) -> Result<Vec<u8>, Refusal> {
    let signatures = keys
        .iter()
        .map(|key| Ok(object([("keyid", text(key.id())), ("sig", text(key.sign(signed)?))])))
        .collect::<Result<_, Refusal>>()?;
    let whole = object([("signatures", Json::List(signatures)), ("signed", signed.clone())]);
    Ok(crate::json::plain(&whole).into_bytes())
}
