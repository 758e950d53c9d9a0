//! What the store remembers, as one value that is replaced whole: trusted metadata, floors, channels, refused
//! hashes, reports. One file holds all of it, so that no power cut can tear a root from its floors or a slot
//! from its pointer; two copies are written in turn, each with a counter and a digest.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::digest::{hex, sha256};
use crate::install::channel::Channel;
use crate::limits::Limits;
use crate::reason::{Reason, Refusal};
use crate::tuf::document::Kind;
use crate::tuf::trusted::{Floors, Trusted};

/// The form of the file; another number is another form.
const FORMAT: &str = "sunkeep-ota-state 1";
/// Longest file, bytes: all documents at their caps and room for the rest.
pub(crate) const STATE_CAP: usize = 1 << 20;
/// Refused hashes that are remembered; the oldest makes room.
pub const REFUSED_CAP: usize = 64;
/// Channels there may be.
pub const CHANNEL_CAP: usize = 8;

/// A trusted document as received.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Documents {
    root: String,
    timestamp: Option<String>,
    snapshot: Option<String>,
    targets: Option<String>,
}

/// How often an input was refused for a reason.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Report {
    /// Times.
    pub count: u64,
    /// What it was the last time.
    pub last: String,
}

/// A hash that this hub does not take again.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RefusedHash {
    /// SHA-256 in digits.
    pub sha256: String,
    /// Why.
    pub reason: Reason,
}

/// All of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct HubState {
    pub(crate) counter: u64,
    documents: Documents,
    floors: Floors,
    /// By name.
    pub(crate) channels: BTreeMap<String, Channel>,
    pub(crate) refused: Vec<RefusedHash>,
    /// By reason: repeats raise a count.
    pub reports: BTreeMap<Reason, Report>,
}

impl HubState {
    /// The state of a hub that trusts a root and has nothing installed.
    pub(crate) fn begin(trusted: &Trusted) -> Self {
        let mut state = Self {
            counter: 0,
            documents: Documents::default(),
            floors: Floors::default(),
            channels: BTreeMap::new(),
            refused: Vec::new(),
            reports: BTreeMap::new(),
        };
        state.set_trusted(trusted);
        state
    }

    /// Takes over what is trusted.
    pub fn set_trusted(&mut self, trusted: &Trusted) {
        // Documents were read as JSON, so that they are UTF-8.
        let text = |kind| trusted.bytes(kind).map(|bytes| String::from_utf8_lossy(bytes).into_owned());
        self.documents = Documents {
            root: text(Kind::Root).unwrap_or_default(),
            timestamp: text(Kind::Timestamp),
            snapshot: text(Kind::Snapshot),
            targets: text(Kind::Targets),
        };
        self.floors = trusted.floors().clone();
    }

    /// What is trusted, verified anew; documents that do not verify are named and left out.
    pub fn trusted(&self, limits: &Limits) -> Result<(Trusted, Vec<Refusal>), Refusal> {
        let others: Vec<(Kind, &[u8])> = [
            (Kind::Timestamp, &self.documents.timestamp),
            (Kind::Snapshot, &self.documents.snapshot),
            (Kind::Targets, &self.documents.targets),
        ]
        .into_iter()
        .filter_map(|(kind, text)| text.as_ref().map(|text| (kind, text.as_bytes())))
        .collect();
        Trusted::restore(self.documents.root.as_bytes(), &others, self.floors.clone(), limits)
    }

    /// A channel; one of which nothing is known serves the factory's.
    pub fn channel(&self, name: &str) -> Channel {
        self.channels.get(name).cloned().unwrap_or_default()
    }

    /// Why a hash is not taken again, if so.
    pub fn refusal_of(&self, sha256: &str) -> Option<Reason> {
        self.refused.iter().find(|refused| refused.sha256 == sha256).map(|refused| refused.reason)
    }

    /// Remembers a hash not to be taken again.
    pub fn refuse_hash(&mut self, sha256: &str, reason: Reason) {
        if self.refusal_of(sha256).is_none() {
            if self.refused.len() >= REFUSED_CAP {
                self.refused.remove(0);
            }
            self.refused.push(RefusedHash { sha256: sha256.to_owned(), reason });
        }
    }

    /// Counts a refusal under its reason.
    pub fn report(&mut self, refusal: &Refusal) {
        let report = self.reports.entry(refusal.reason).or_insert(Report { count: 0, last: String::new() });
        report.count += 1;
        report.last = format!("{}: {}", refusal.subject, refusal.detail);
    }

    /// The file.
    pub(crate) fn to_bytes(&self) -> Result<Vec<u8>, Refusal> {
        let body = serde_json::to_string(self)
            .map_err(|error| Refusal::new(Reason::StorageFault, "state", error.to_string()))?;
        let bytes = format!("{FORMAT} {}\n{body}", hex(&sha256(body.as_bytes()))).into_bytes();
        if bytes.len() > STATE_CAP {
            let detail = format!("{} bytes, at most {STATE_CAP} allowed", bytes.len());
            return Err(Refusal::new(Reason::TooLong, "state", detail));
        }
        Ok(bytes)
    }

    /// Reads the file; what is wrong with it otherwise.
    pub(crate) fn from_bytes(bytes: &[u8]) -> Result<Self, String> {
        let text = str::from_utf8(bytes).map_err(|_| "not UTF-8")?;
        let (head, body) = text.split_once('\n').ok_or("no first line")?;
        let digest = head
            .strip_prefix(FORMAT)
            .ok_or_else(|| format!("begins {:?}, expected {FORMAT:?}", head.get(..40).unwrap_or(head)))?;
        if digest.trim_start() != hex(&sha256(body.as_bytes())) {
            return Err("its digest is not that of its content".to_owned());
        }
        serde_json::from_str(body).map_err(|error| error.to_string())
    }
}
