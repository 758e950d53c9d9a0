//! The order of a refresh (5.3 to 5.6.6), driven by whoever can fetch: it says what it wants, is given bytes or
//! told that there are none, and holds what is trusted by then. Searching targets is in `search`.

use crate::limits::Limits;
use crate::reason::{Reason, Refusal};
use crate::time::LowerBound;
use crate::tuf::document::Kind;
use crate::tuf::trusted::{Change, Trusted};

/// A document to fetch.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Want {
    /// Its role.
    pub role: String,
    /// The version to ask for, where names carry it.
    pub version: Option<u64>,
    /// Fetch no more bytes than this; a longer answer may be cut there and will be refused.
    pub cap: usize,
}

impl Want {
    /// Its name in the repository, with the role escaped so that it is one part of a path.
    pub fn path(&self) -> String {
        let mut path = self.version.map_or_else(String::new, |version| format!("{version}."));
        for byte in self.role.bytes() {
            if byte.is_ascii_alphanumeric() || b"-_.~".contains(&byte) {
                path.push(char::from(byte));
            } else {
                path.push_str(&format!("%{byte:02X}"));
            }
        }
        path + ".json"
    }
}

/// What came of a want.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Answer<'a> {
    /// These bytes.
    Bytes(&'a [u8]),
    /// The repository has no such document.
    Missing,
}

/// Where a refresh stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stage {
    Root,
    Timestamp,
    Snapshot,
    Targets,
    Over,
}

/// A refresh under way.
#[derive(Debug, Clone)]
pub struct Refresh {
    trusted: Trusted,
    limits: Limits,
    time: LowerBound,
    roots: u32,
    stage: Stage,
}

impl Refresh {
    /// 5.1: the time is fixed when it begins.
    pub fn begin(trusted: Trusted, limits: Limits, time: LowerBound) -> Self {
        Self { trusted, limits, time, roots: 0, stage: Stage::Root }
    }

    /// The next document, or nothing when the refresh is over.
    pub fn want(&self) -> Option<Want> {
        let consistent = self.trusted.consistent_snapshot();
        let want = |role: Kind, version: Option<u64>, cap: usize, stated: Option<u64>| {
            let cap = stated.map_or(cap, |length| cap.min(length as usize));
            Some(Want { role: role.name().to_owned(), version, cap })
        };
        let limits = &self.limits;
        match self.stage {
            // 5.3.3: "VERSION_NUMBER.FILENAME.EXT".
            Stage::Root => {
                want(Kind::Root, Some(self.trusted.root.header.version + 1), limits.root_bytes, None)
            }
            Stage::Timestamp => want(Kind::Timestamp, None, limits.timestamp_bytes, None),
            Stage::Snapshot => {
                let file = &self.trusted.timestamp.as_ref()?.content.snapshot;
                want(Kind::Snapshot, consistent.then_some(file.version), limits.snapshot_bytes, file.length)
            }
            Stage::Targets => {
                let file = self.trusted.snapshot.as_ref()?.content.targets.get("targets");
                let version = file.filter(|_| consistent).map(|file| file.version);
                want(Kind::Targets, version, limits.targets_bytes, file.and_then(|file| file.length))
            }
            Stage::Over => None,
        }
    }

    /// Takes the answer to the last want. A refusal ends the refresh; what was trusted until then stays
    /// trusted, and belongs into the store either way.
    pub fn take(&mut self, answer: Answer<'_>) -> Result<(), Refusal> {
        let taken = self.step(answer);
        if taken.is_err() {
            self.stage = Stage::Over;
        }
        taken
    }

    /// What is trusted by now.
    pub fn trusted(&self) -> &Trusted {
        &self.trusted
    }

    /// Ends it.
    pub fn into_trusted(self) -> Trusted {
        self.trusted
    }

    fn step(&mut self, answer: Answer<'_>) -> Result<(), Refusal> {
        let bytes = match (self.stage, answer) {
            (Stage::Root, Answer::Missing) => {
                // 5.3.3: "If this file is not available [...] go to step 5.3.10".
                self.trusted.check_root_fresh(self.time)?;
                self.stage = Stage::Timestamp;
                return Ok(());
            }
            (Stage::Over, _) => {
                return Err(Refusal::new(Reason::OutOfOrder, "refresh", "nothing was asked for"));
            }
            (_, Answer::Missing) => {
                let role = self.want().map_or_else(String::new, |want| want.path());
                return Err(Refusal::new(Reason::Unavailable, role, "the repository does not have it"));
            }
            (_, Answer::Bytes(bytes)) => bytes,
        };
        match self.stage {
            Stage::Root => self.root(bytes)?,
            Stage::Timestamp => {
                if let Change::To(next) = self.trusted.with_timestamp(bytes, &self.limits, self.time)? {
                    self.trusted = next;
                }
                self.skip_known()?;
            }
            Stage::Snapshot => {
                self.trusted = self.trusted.with_snapshot(bytes, &self.limits, self.time)?;
                self.skip_known()?;
                // The same document is not asked for twice, whatever went wrong.
                if self.stage == Stage::Snapshot {
                    return Err(Refusal::new(Reason::OutOfOrder, "snapshot", "taken, and not current"));
                }
            }
            Stage::Targets => {
                self.trusted = self.trusted.with_targets(bytes, &self.limits, self.time)?;
                self.stage = Stage::Over;
            }
            Stage::Over => {}
        }
        Ok(())
    }

    fn root(&mut self, bytes: &[u8]) -> Result<(), Refusal> {
        // 5.3.3 would go on with the root that was reached. Attack: a chain that keeps a hub busy, or stops
        // it short of the root that revoked a key; so nothing else is read before the chain's end.
        if self.roots >= self.limits.roots {
            let detail = format!("{} new roots in one session; the next one goes on", self.roots);
            return Err(Refusal::new(Reason::RootCap, "root", detail));
        }
        self.trusted = self.trusted.with_root(bytes, &self.limits)?;
        self.roots += 1;
        Ok(())
    }

    /// Goes on to the first document that is not here yet: bytes cost money.
    fn skip_known(&mut self) -> Result<(), Refusal> {
        self.trusted.current_timestamp(self.time)?;
        let has = |result: Result<(), Refusal>| match result {
            Ok(()) => Ok(true),
            Err(refusal) if refusal.reason == Reason::OutOfOrder => Ok(false),
            Err(refusal) => Err(refusal),
        };
        self.stage = if !has(self.trusted.current_snapshot(self.time).map(|_| ()))? {
            Stage::Snapshot
        } else if !has(self.trusted.current_targets(self.time).map(|_| ()))? {
            Stage::Targets
        } else {
            Stage::Over
        };
        Ok(())
    }
}
