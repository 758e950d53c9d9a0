//! The trusted state and its steps: each takes one document and gives the state that trusts it, or a refusal,
//! and leaves the old state as it was. Numbers are steps of specification 1.0.34, chapter 5; quoted words are
//! its own. In which order documents are asked for is in `refresh`.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::key::RoleKeys;
use crate::limits::Limits;
use crate::reason::{Reason, Refusal};
use crate::time::{LowerBound, SignedTime, Utc};
use crate::tuf::document::{Kind, Unverified, Verified};
use crate::tuf::roles::{Root, Snapshot, Timestamp};
use crate::tuf::targets::{Delegation, Targets};

/// The lowest versions that are still taken. They outlive the documents they came from: a lost or broken file
/// opens no way back.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Floors {
    /// Of timestamps.
    pub timestamp: u64,
    /// Of snapshots.
    pub snapshot: u64,
    /// Of each targets role that a trusted snapshot ever listed: it must go on being listed.
    pub targets: BTreeMap<String, u64>,
    /// The newest signed times.
    pub time: SignedTime,
}

/// What is trusted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Trusted {
    pub(crate) root: Arc<Verified<Root>>,
    pub(crate) timestamp: Option<Arc<Verified<Timestamp>>>,
    pub(crate) snapshot: Option<Arc<Verified<Snapshot>>>,
    pub(crate) targets: Option<Arc<Verified<Targets>>>,
    pub(crate) floors: Floors,
}

/// What a timestamp changed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Change {
    /// It is the version that is trusted already: nothing new, and no error.
    None,
    /// The new state.
    To(Trusted),
}

impl Trusted {
    /// 5.2: trust begins with a root that came another way (built in, or on a stick). "The expiration of the
    /// trusted root metadata file does not matter".
    pub fn begin(bytes: &[u8], limits: &Limits) -> Result<Self, Refusal> {
        let document = Unverified::read(bytes, Kind::Root, "trusted root", limits)?;
        let root = document.content(bytes, |fields| Root::read(fields, limits))?;
        document.check_signed(&root.content.successor)?;
        let mut floors = Floors::default();
        note_time(&mut floors.time.offline, &root);
        Ok(Self { root: Arc::new(root), timestamp: None, snapshot: None, targets: None, floors })
    }

    /// 5.3.4 to 5.3.8 and 5.3.11 for one new root. Its expiry does not matter yet (5.3.6).
    pub fn with_root(&self, bytes: &[u8], limits: &Limits) -> Result<Self, Refusal> {
        let subject = format!("root {}", self.root.header.version + 1);
        let document = Unverified::read(bytes, Kind::Root, &subject, limits)?;
        let chain = |refusal: Refusal| match refusal.reason {
            Reason::SigThreshold => Refusal { reason: Reason::RootChain, ..refusal },
            _ => refusal,
        };
        // 5.3.4: "MUST have been signed by: (1) a THRESHOLD of keys specified in the trusted root metadata
        // file (version N), and (2) a THRESHOLD of keys specified in the new root". Attack: arbitrary
        // software by who holds only new, or only old keys.
        document.check_signed(&self.root.content.successor).map_err(chain)?;
        let new = document.content(bytes, |fields| Root::read(fields, limits))?;
        document.check_signed(&new.content.successor).map_err(chain)?;
        // 5.3.5: "precisely N+1". Attack: rollback, or skipping the root that revoked a key.
        if new.header.version != self.root.header.version + 1 {
            let detail = format!("its version is {}", new.header.version);
            return Err(Refusal::new(Reason::RootVersion, subject, detail));
        }
        let mut next = self.clone();
        let old = &self.root.content;
        let timestamp_rotated = old.timestamp.lost_any_to(&new.content.timestamp);
        let snapshot_rotated = old.snapshot.lost_any_to(&new.content.snapshot);
        // 5.3.11: "If the timestamp and / or snapshot keys have been rotated, then delete the trusted
        // timestamp and snapshot metadata files." Attack: fast-forward, which would lock the hub out for
        // good. Here a key counts as rotated when it left the role: to add one recovers nothing. Each
        // floor falls with the key that could have raised it: a timestamp lists the snapshot's version, a
        // snapshot those of targets.
        if timestamp_rotated || snapshot_rotated {
            next.timestamp = None;
            next.floors.timestamp = 0;
            next.snapshot = None;
            next.floors.snapshot = 0;
            next.floors.time.online = Utc(0);
        }
        if snapshot_rotated {
            next.floors.targets.clear();
        }
        // The same for the time that a stolen targets key may have signed: what the root signed is left.
        if old.targets.lost_any_to(&new.content.targets) {
            next.floors.time.offline = Utc(0);
            note_time(&mut next.floors.time.offline, &self.root);
        }
        note_time(&mut next.floors.time.offline, &new);
        // 5.3.7: "Set the trusted root metadata file to the new root metadata file."
        next.root = Arc::new(new);
        next.forget_unsigned(limits);
        Ok(next)
    }

    /// Forgets documents that the trusted root's keys did not sign; their floors stay. Attack: what a revoked
    /// key signed goes on being used because it was there first.
    fn forget_unsigned(&mut self, limits: &Limits) {
        let root = &self.root.content;
        let signed = |kind: Kind, bytes: &[u8], keys: &RoleKeys| {
            Unverified::read(bytes, kind, kind.name(), limits)
                .and_then(|document| document.check_signed(keys))
                .is_ok()
        };
        self.timestamp.take_if(|kept| !signed(Kind::Timestamp, &kept.bytes, &root.timestamp));
        self.snapshot.take_if(|kept| !signed(Kind::Snapshot, &kept.bytes, &root.snapshot));
        self.targets.take_if(|kept| !signed(Kind::Targets, &kept.bytes, &root.targets));
    }

    /// 5.3.10, after the last root: "MUST be higher than the fixed update start time". Attack: freeze.
    pub fn check_root_fresh(&self, time: LowerBound) -> Result<(), Refusal> {
        let subject = format!("root {}", self.root.header.version);
        self.root.check_fresh(Kind::Root, &subject, time)
    }

    /// 5.4 for one timestamp.
    pub fn with_timestamp(&self, bytes: &[u8], limits: &Limits, time: LowerBound) -> Result<Change, Refusal> {
        let subject = "timestamp";
        let document = Unverified::read(bytes, Kind::Timestamp, subject, limits)?;
        // 5.4.2. Attack: arbitrary software.
        document.check_signed(&self.root.content.timestamp)?;
        let new = document.content(bytes, |fields| Timestamp::read(fields, limits))?;
        // 5.4.3.1: "In case they are equal, discard the new timestamp metadata and abort the update cycle.
        // This is normal". Attack: rollback.
        let (found, floor) = (new.header.version, self.floors.timestamp);
        if found < floor {
            let detail = format!("version {found}, and {floor} was trusted before");
            return Err(Refusal::new(Reason::RollbackTimestamp, subject, detail));
        }
        if found == floor && self.timestamp.is_some() {
            return Ok(Change::None);
        }
        // 5.4.3.2. Attack: rollback of the snapshot by a newer timestamp.
        let (found, floor) = (new.content.snapshot.version, self.floors.snapshot);
        if found < floor {
            let detail = format!("points to snapshot {found}, and {floor} was trusted before");
            return Err(Refusal::new(Reason::RollbackTimestamp, subject, detail));
        }
        // 5.4.4. Attack: freeze.
        new.check_fresh(Kind::Timestamp, subject, time)?;
        let mut next = self.clone();
        next.floors.timestamp = new.header.version;
        next.floors.snapshot = new.content.snapshot.version;
        note_time(&mut next.floors.time.online, &new);
        next.timestamp = Some(Arc::new(new));
        Ok(Change::To(next))
    }

    /// 5.5 for the snapshot that the trusted timestamp names.
    pub fn with_snapshot(&self, bytes: &[u8], limits: &Limits, time: LowerBound) -> Result<Self, Refusal> {
        let subject = "snapshot";
        // A timestamp that was kept from an earlier session may have expired since. Attack: freeze.
        let named = &self.current_timestamp(time)?.content.snapshot;
        // 5.5.2. Attack: mix-and-match.
        named.check(bytes, subject)?;
        let document = Unverified::read(bytes, Kind::Snapshot, subject, limits)?;
        // 5.5.3. Attack: arbitrary software.
        document.check_signed(&self.root.content.snapshot)?;
        let new = document.content(bytes, |fields| Snapshot::read(fields, limits))?;
        // 5.5.4. Attack: mix-and-match; and rollback where it is lower.
        if new.header.version != named.version {
            let lower = new.header.version < named.version;
            let reason = if lower { Reason::RollbackSnapshot } else { Reason::MixAndMatch };
            let detail = format!("version {}, and the timestamp names {}", new.header.version, named.version);
            return Err(Refusal::new(reason, subject, detail));
        }
        // 5.5.5: "MUST be less than or equal to its version number in the new snapshot", and each "MUST
        // continue to be listed". Attack: rollback of targets.
        for (role, floor) in &self.floors.targets {
            let found = new.content.targets.get(role).map(|file| file.version);
            if found.is_none_or(|found| found < *floor) {
                let detail = format!("lists {role:?} as {found:?}, and {floor} was trusted before");
                return Err(Refusal::new(Reason::RollbackTargets, subject, detail));
            }
        }
        // 5.5.6. Attack: freeze.
        new.check_fresh(Kind::Snapshot, subject, time)?;
        let mut next = self.clone();
        for (role, file) in &new.content.targets {
            next.floors.targets.insert(role.clone(), file.version);
        }
        note_time(&mut next.floors.time.online, &new);
        next.snapshot = Some(Arc::new(new));
        Ok(next)
    }

    /// 5.6.1 to 5.6.6 for the top-level targets.
    pub fn with_targets(&self, bytes: &[u8], limits: &Limits, time: LowerBound) -> Result<Self, Refusal> {
        let new = self.targets_document("targets", &self.root.content.targets, bytes, limits, time)?;
        let mut next = self.clone();
        note_time(&mut next.floors.time.offline, &new);
        next.targets = Some(Arc::new(new));
        Ok(next)
    }

    /// 5.6.1 to 5.6.5 for a delegated role, as the role that delegates **now** knows it. Attack: what one
    /// parent's keys signed is used under another parent that never trusted them; so what was verified
    /// under one is never taken over for another, and nothing delegated is kept as trusted.
    pub(crate) fn delegated(
        &self,
        delegation: &Delegation,
        bytes: &[u8],
        limits: &Limits,
        time: LowerBound,
    ) -> Result<Verified<Targets>, Refusal> {
        self.targets_document(&delegation.name, &delegation.keys, bytes, limits, time)
    }

    fn targets_document(
        &self,
        role: &str,
        keys: &RoleKeys,
        bytes: &[u8],
        limits: &Limits,
        time: LowerBound,
    ) -> Result<Verified<Targets>, Refusal> {
        let subject = if role == "targets" { role.to_owned() } else { format!("targets role {role:?}") };
        let Some(named) = self.current_snapshot(time)?.content.targets.get(role) else {
            return Err(Refusal::new(Reason::MixAndMatch, subject, "the snapshot does not list it"));
        };
        // 5.6.2. Attack: mix-and-match.
        named.check(bytes, &subject)?;
        let document = Unverified::read(bytes, Kind::Targets, &subject, limits)?;
        // 5.6.3. Attack: arbitrary software.
        document.check_signed(keys)?;
        let new = document.content(bytes, |fields| Targets::read(fields, limits))?;
        // 5.6.4. Attack: mix-and-match.
        if new.header.version != named.version {
            let detail = format!("version {}, and the snapshot names {}", new.header.version, named.version);
            return Err(Refusal::new(Reason::MixAndMatch, subject, detail));
        }
        // 5.6.5. Attack: freeze.
        new.check_fresh(Kind::Targets, &subject, time)?;
        Ok(new)
    }

    /// The timestamp, if it has not expired.
    pub(crate) fn current_timestamp(&self, time: LowerBound) -> Result<&Verified<Timestamp>, Refusal> {
        let Some(timestamp) = &self.timestamp else {
            return Err(Refusal::new(Reason::OutOfOrder, "timestamp", "none is trusted yet"));
        };
        timestamp.check_fresh(Kind::Timestamp, "timestamp", time)?;
        Ok(timestamp)
    }

    /// The snapshot, if it is the one that the timestamp names and has not expired.
    pub(crate) fn current_snapshot(&self, time: LowerBound) -> Result<&Verified<Snapshot>, Refusal> {
        let named = &self.current_timestamp(time)?.content.snapshot;
        let current = |kept: &&Arc<Verified<Snapshot>>| {
            kept.header.version == named.version && named.check(&kept.bytes, "snapshot").is_ok()
        };
        let Some(snapshot) = self.snapshot.as_ref().filter(current) else {
            return Err(Refusal::new(Reason::OutOfOrder, "snapshot", "the newest one is not here yet"));
        };
        snapshot.check_fresh(Kind::Snapshot, "snapshot", time)?;
        Ok(snapshot)
    }

    /// The top-level targets, if they are those that the snapshot names and have not expired.
    pub(crate) fn current_targets(&self, time: LowerBound) -> Result<&Verified<Targets>, Refusal> {
        let named = self.current_snapshot(time)?.content.targets.get("targets");
        let current = |kept: &&Arc<Verified<Targets>>| {
            named.is_some_and(|named| {
                kept.header.version == named.version && named.check(&kept.bytes, "targets").is_ok()
            })
        };
        let Some(targets) = self.targets.as_ref().filter(current) else {
            return Err(Refusal::new(Reason::OutOfOrder, "targets", "the newest ones are not here yet"));
        };
        targets.check_fresh(Kind::Targets, "targets", time)?;
        Ok(targets)
    }

    /// Whether everything trusted is there, belongs together and is fresh: asked again before something is
    /// activated, for a download may have taken weeks.
    pub fn check_fresh(&self, time: LowerBound) -> Result<(), Refusal> {
        self.check_root_fresh(time)?;
        self.current_targets(time).map(|_| ())
    }

    /// Trusts again what was trusted before a restart. Documents that do not verify any more are left out and
    /// named; the floors hold all the same. Nothing is judged by time here.
    pub fn restore(
        root: &[u8],
        others: &[(Kind, &[u8])],
        floors: Floors,
        limits: &Limits,
    ) -> Result<(Self, Vec<Refusal>), Refusal> {
        let mut trusted = Self::begin(root, limits)?;
        trusted.floors = floors;
        let refusals =
            others.iter().filter_map(|(kind, bytes)| trusted.put_back(*kind, bytes, limits).err()).collect();
        Ok((trusted, refusals))
    }

    fn put_back(&mut self, kind: Kind, bytes: &[u8], limits: &Limits) -> Result<(), Refusal> {
        let subject = format!("stored {}", kind.name());
        let document = Unverified::read(bytes, kind, &subject, limits)?;
        let root = &self.root.content;
        match kind {
            Kind::Root => return Err(Refusal::new(Reason::BadType, subject, "a second root")),
            Kind::Timestamp => {
                document.check_signed(&root.timestamp)?;
                let read = document.content(bytes, |fields| Timestamp::read(fields, limits))?;
                self.timestamp = Some(Arc::new(read));
            }
            Kind::Snapshot => {
                document.check_signed(&root.snapshot)?;
                let read = document.content(bytes, |fields| Snapshot::read(fields, limits))?;
                self.snapshot = Some(Arc::new(read));
            }
            Kind::Targets => {
                document.check_signed(&root.targets)?;
                let read = document.content(bytes, |fields| Targets::read(fields, limits))?;
                self.targets = Some(Arc::new(read));
            }
        }
        Ok(())
    }

    /// The floors.
    pub fn floors(&self) -> &Floors {
        &self.floors
    }

    /// Version of the trusted document of a kind.
    pub fn version(&self, kind: Kind) -> Option<u64> {
        match kind {
            Kind::Root => Some(self.root.header.version),
            Kind::Timestamp => self.timestamp.as_ref().map(|document| document.header.version),
            Kind::Snapshot => self.snapshot.as_ref().map(|document| document.header.version),
            Kind::Targets => self.targets.as_ref().map(|document| document.header.version),
        }
    }

    /// Bytes of the trusted document of a kind, as received.
    pub fn bytes(&self, kind: Kind) -> Option<&[u8]> {
        match kind {
            Kind::Root => Some(&self.root.bytes),
            Kind::Timestamp => self.timestamp.as_ref().map(|document| document.bytes.as_slice()),
            Kind::Snapshot => self.snapshot.as_ref().map(|document| document.bytes.as_slice()),
            Kind::Targets => self.targets.as_ref().map(|document| document.bytes.as_slice()),
        }
    }

    /// When the trusted timestamp says it was signed: since then nothing newer was heard.
    pub fn stale_since(&self) -> Option<Utc> {
        self.timestamp.as_ref().and_then(|timestamp| timestamp.header.issued)
    }

    /// Whether names of files carry version or hash.
    pub fn consistent_snapshot(&self) -> bool {
        self.root.content.consistent_snapshot
    }
}

/// Raises a floor to when a document was signed.
fn note_time<T>(floor: &mut Utc, document: &Verified<T>) {
    *floor = document.header.issued.map_or(*floor, |issued| issued.max(*floor));
}
