//! What all signed documents have in common: the envelope with its signatures, and the header of the signed
//! part. What the roles say beyond that is in `roles` and `targets`.

use crate::fields::Fields;
use crate::json::{Json, canonical, parse};
use crate::key::{RoleKeys, Signed, read_signatures};
use crate::limits::Limits;
use crate::reason::{Reason, Refusal};
use crate::time::{LowerBound, Utc};

/// The kinds of documents.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    /// Which keys sign what.
    Root,
    /// Which snapshot is the newest.
    Timestamp,
    /// Which versions of targets documents belong together.
    Snapshot,
    /// Which targets there are, and who else may say so.
    Targets,
}

impl Kind {
    /// The name in `_type` and in file names.
    pub fn name(self) -> &'static str {
        match self {
            Self::Root => "root",
            Self::Timestamp => "timestamp",
            Self::Snapshot => "snapshot",
            Self::Targets => "targets",
        }
    }

    /// The reason when one of these has expired.
    fn expired(self) -> Reason {
        match self {
            Self::Root | Self::Timestamp => Reason::FreezeSuspected,
            Self::Snapshot => Reason::ExpiredSnapshot,
            Self::Targets => Reason::ExpiredTargets,
        }
    }

    fn byte_cap(self, limits: &Limits) -> usize {
        match self {
            Self::Root => limits.root_bytes,
            Self::Timestamp => limits.timestamp_bytes,
            Self::Snapshot => limits.snapshot_bytes,
            Self::Targets => limits.targets_bytes,
        }
    }
}

/// What every signed part begins with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Header {
    /// Counts up with each release of the document.
    pub version: u64,
    /// From this moment on it says nothing any more.
    pub expires: Utc,
    /// When it was signed, where it says so (our own field `issued`, as Uptane has time from signed
    /// statements): a lower bound of the time for hubs without a clock.
    pub issued: Option<Utc>,
}

/// A document that has been verified, with the very bytes it came in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Verified<T> {
    /// Its header.
    pub header: Header,
    /// What it says.
    pub content: T,
    /// As received: hashes are over these.
    pub bytes: Vec<u8>,
}

impl<T> Verified<T> {
    /// Refuses a document that expired before the time.
    pub(crate) fn check_fresh(&self, kind: Kind, subject: &str, time: LowerBound) -> Result<(), Refusal> {
        if self.header.expires > time.0 {
            return Ok(());
        }
        let detail = format!("expired at {}, and it is {} or later", self.header.expires, time.0);
        Err(Refusal::new(kind.expired(), subject, detail))
    }
}

/// A document of which nothing is trusted yet but that it is well-formed JSON within bounds.
#[derive(Debug)]
pub(crate) struct Unverified {
    kind: Kind,
    subject: String,
    signatures: Vec<Signed>,
    signed: Json,
    message: Vec<u8>,
}

impl Unverified {
    /// Reads a document of a kind; `subject` names it in refusals.
    pub(crate) fn read(bytes: &[u8], kind: Kind, subject: &str, limits: &Limits) -> Result<Self, Refusal> {
        // 5.3.3, 5.4.1, 5.5.1, 5.6.1: "up to some number of bytes". Attack: endless data.
        let cap = kind.byte_cap(limits);
        if bytes.len() > cap {
            let detail = format!("{} bytes, at most {cap} allowed", bytes.len());
            return Err(Refusal::new(Reason::TooLong, subject, detail));
        }
        let whole = parse(bytes, subject, limits)?;
        let fields = Fields::of(&whole, subject)?;
        let signatures = read_signatures(&fields, limits)?;
        let signed = fields.object("signed")?;
        if signed.get("version") == Some(&Json::OtherNumber) {
            // It has no canonical form either, but this says better what is wrong.
            signed.version("version")?;
        }
        let signed = Json::Object(signed.members().clone());
        let message = canonical(&signed, subject)?;
        Ok(Self { kind, subject: subject.to_owned(), signatures, signed, message })
    }

    /// Refuses unless a threshold of a role's keys signed it.
    pub(crate) fn check_signed(&self, keys: &RoleKeys) -> Result<(), Refusal> {
        keys.check(&self.signatures, &self.message, &self.subject)
    }

    /// Reads what it says: only after its signatures were checked, or, for a root, before those by its own
    /// keys are.
    pub(crate) fn content<T>(
        &self,
        bytes: &[u8],
        read: impl FnOnce(&Fields<'_>) -> Result<T, Refusal>,
    ) -> Result<Verified<T>, Refusal> {
        let fields = Fields::of(&self.signed, &self.subject)?;
        let header = self.header(&fields)?;
        Ok(Verified { header, content: read(&fields)?, bytes: bytes.to_vec() })
    }

    fn header(&self, fields: &Fields<'_>) -> Result<Header, Refusal> {
        // 4.3 to 4.6, `_type`. Attack: a document signed by the right key for another role.
        let found = fields.text("_type").unwrap_or("nothing");
        if found != self.kind.name() {
            let detail = format!("`_type` is {found:?}, expected {:?}", self.kind.name());
            return Err(fields.refuse(Reason::BadType, detail));
        }
        let spec = fields.text("spec_version").unwrap_or("nothing");
        if !is_first_major(spec) {
            let detail = format!("`spec_version` is {spec:?}, expected 1.x.y");
            return Err(fields.refuse(Reason::SpecVersion, detail));
        }
        let expires = fields.moment("expires")?;
        let issued = fields.get("issued").map(|_| fields.moment("issued")).transpose()?;
        if issued.is_some_and(|issued| issued >= expires) {
            return Err(fields.refuse(Reason::BadExpires, "`issued` is not before `expires`"));
        }
        Ok(Header { version: fields.version("version")?, expires, issued })
    }
}

/// Whether a version is 1.x or 1.x.y.
fn is_first_major(spec: &str) -> bool {
    let parts: Vec<&str> = spec.split('.').collect();
    let number = |part: &&str| !part.is_empty() && part.len() < 6 && part.bytes().all(|b| b.is_ascii_digit());
    matches!(parts.len(), 2 | 3) && parts[0] == "1" && parts.iter().all(number)
}
