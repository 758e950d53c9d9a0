//! The root that hubs of a fleet trust: which keys sign what, and how many of them must.

use sunkeep_ota::limits::Limits;
use sunkeep_ota::reason::Refusal;
use sunkeep_ota::sign::documents::{RoleSpec, Stamp, envelope, root};
use sunkeep_ota::sign::key::SecretKey;
use sunkeep_ota::tuf::document::Kind;
use sunkeep_ota::tuf::trusted::Trusted;

use crate::key_file::PublicKey;

/// The keys of a role, and how many of them must sign.
#[derive(Debug, Clone)]
pub struct Role {
    /// Public halves.
    pub keys: Vec<PublicKey>,
    /// How many must sign.
    pub threshold: u64,
}

/// The roles of a root.
#[derive(Debug, Clone)]
pub struct Roles {
    /// Who may sign the next root.
    pub root: Role,
    /// Who says which targets there are.
    pub targets: Role,
    /// Who says which documents belong together.
    pub snapshot: Role,
    /// Who says which snapshot is the newest.
    pub timestamp: Role,
}

/// Signs the first root of a fleet. It is checked as a hub would check it before it is handed out.
pub fn first(roles: &Roles, stamp: Stamp, signers: &[SecretKey]) -> Result<Vec<u8>, Refusal> {
    let spec = |role: &Role| RoleSpec {
        keys: role.keys.iter().map(|key| (key.id.clone(), key.listed.clone())).collect(),
        threshold: role.threshold,
    };
    let all = [
        (Kind::Root, spec(&roles.root)),
        (Kind::Targets, spec(&roles.targets)),
        (Kind::Snapshot, spec(&roles.snapshot)),
        (Kind::Timestamp, spec(&roles.timestamp)),
    ];
    let bytes = envelope(&root(stamp, &all, true), &signers.iter().collect::<Vec<_>>())?;
    Trusted::begin(&bytes, &Limits::default())?;
    Ok(bytes)
}
