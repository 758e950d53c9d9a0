//! What the signed `custom` of a target says about whom it is for, and whether that is this hub. Fields as in
//! Uptane: hardware and a release counter stand in the signed part.

use crate::digest::from_hex;
use crate::fields::Fields;
use crate::json::Json;
use crate::limits::Limits;
use crate::reason::{Reason, Refusal};
use crate::tuf::targets::Target;

/// The member of `custom` that is read.
const MEMBER: &str = "sunkeep";
/// Most hardware ids of one release.
const HARDWARE_CAP: usize = 32;
/// Smallest and largest chunk, bytes.
const CHUNK_BYTES: std::ops::RangeInclusive<i64> = 256..=65_536;
/// Chunks of a target that lists none, bytes.
const PLAIN_CHUNK_BYTES: u32 = 4_096;

/// What a target is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Payload {
    /// A model bundle: shadowed, then on trial.
    Model,
    /// Signed configuration: on trial at once.
    Config,
    /// The hub's own software: on trial at once.
    Software,
}

/// How a transfer is cut up.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Chunks {
    /// Bytes of each chunk but the last.
    pub size: u32,
    /// SHA-256 of each, where signed; else only the whole is checked.
    pub digests: Option<Vec<[u8; 32]>>,
}

/// A target as a release for hubs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Release {
    /// What it is.
    pub payload: Payload,
    /// The slots it goes to, such as `load`.
    pub channel: String,
    /// Counts up with every release of the channel; old content comes back as a higher one.
    pub counter: u64,
    /// Hardware it is for; empty for all.
    pub hardware: Vec<String>,
    /// Model family it is for.
    pub family: Option<String>,
    /// Battery chemistry it is for.
    pub chemistry: Option<String>,
    /// The one hub it is for.
    pub device: Option<String>,
    /// Least version of the controller.
    pub min_app: Option<(u32, u32, u32)>,
    /// May run in shadow and never act.
    pub shadow_only: bool,
    /// May use the reserve of the byte budget.
    pub safety: bool,
    /// How it is transferred.
    pub chunks: Chunks,
    /// Bytes.
    pub length: u64,
    /// SHA-256.
    pub sha256: [u8; 32],
}

/// This hub, as releases address it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Device {
    /// Its id.
    pub id: String,
    /// Its hardware id.
    pub hardware: String,
    /// Its model family.
    pub family: String,
    /// The chemistry of its battery.
    pub chemistry: String,
    /// Version of the running controller.
    pub app: (u32, u32, u32),
}

impl Release {
    /// Reads the signed `custom` of a target.
    pub fn read(target: &Target, subject: &str, limits: &Limits) -> Result<Self, Refusal> {
        let Some(custom) = &target.custom else {
            return Err(Refusal::new(Reason::BadField, subject, "`custom` is missing"));
        };
        let fields = Fields::of(custom, subject)?.object(MEMBER)?;
        let Some(sha256) = target.hashes.sha256() else {
            return Err(fields.refuse(Reason::BadHash, "a release needs a sha256"));
        };
        let text = |name| fields.get(name).map(|_| fields.text(name).map(str::to_owned)).transpose();
        let flag = |name| fields.get(name).map_or(Ok(false), |_| fields.bool(name));
        let hardware = fields.get("hardware").map(|_| fields.texts("hardware", HARDWARE_CAP));
        Ok(Self {
            payload: payload(&fields)?,
            channel: channel(&fields)?,
            counter: fields.version("release")?,
            hardware: hardware.transpose()?.unwrap_or_default(),
            family: text("family")?,
            chemistry: text("chemistry")?,
            device: text("device")?,
            min_app: fields.get("min_app").map(|_| version(&fields)).transpose()?,
            shadow_only: flag("shadow_only")?,
            safety: flag("safety")?,
            chunks: chunks(&fields, target.length, limits)?,
            length: target.length,
            sha256,
        })
    }

    /// Refuses what is not for this hub, or older than the counter that was last taken in its channel.
    pub fn check(&self, hub: &Device, floor: u64) -> Result<(), Refusal> {
        let refuse = |reason, detail: String| {
            Err(Refusal::new(reason, format!("release {} of {}", self.counter, self.channel), detail))
        };
        // Attack: what was signed for one hub is sent to another.
        if let Some(device) = self.device.as_ref().filter(|device| **device != hub.id) {
            return refuse(Reason::WrongDevice, format!("for hub {device:?}, this is {:?}", hub.id));
        }
        if !self.hardware.is_empty() && !self.hardware.contains(&hub.hardware) {
            return refuse(Reason::WrongHw, format!("for {:?}, this is {:?}", self.hardware, hub.hardware));
        }
        for (meant, is) in [(&self.family, &hub.family), (&self.chemistry, &hub.chemistry)] {
            if let Some(meant) = meant.as_ref().filter(|meant| *meant != is) {
                return refuse(Reason::WrongHw, format!("for {meant:?}, this is {is:?}"));
            }
        }
        // Attack: an old release under fresh metadata, by who holds the targets key of one role only.
        if self.counter < floor {
            return refuse(Reason::RollbackRelease, format!("release {floor} was taken before"));
        }
        if let Some(least) = self.min_app.filter(|least| *least > hub.app) {
            return refuse(Reason::NeedsApp, format!("needs controller {least:?}, this is {:?}", hub.app));
        }
        Ok(())
    }
}

fn payload(fields: &Fields<'_>) -> Result<Payload, Refusal> {
    match fields.text("payload")? {
        "model" => Ok(Payload::Model),
        "config" => Ok(Payload::Config),
        "software" => Ok(Payload::Software),
        other => Err(fields.refuse(Reason::BadField, format!("`payload` is {other:?}"))),
    }
}

/// Channels become names of files: lower-case letters only.
fn channel(fields: &Fields<'_>) -> Result<String, Refusal> {
    let channel = fields.text("channel")?;
    if !is_channel(channel) {
        return Err(fields.refuse(Reason::BadField, format!("`channel` is {channel:?}")));
    }
    Ok(channel.to_owned())
}

/// Whether a channel may be called so.
pub(crate) fn is_channel(name: &str) -> bool {
    (1..=16).contains(&name.len()) && name.bytes().all(|letter| letter.is_ascii_lowercase())
}

fn version(fields: &Fields<'_>) -> Result<(u32, u32, u32), Refusal> {
    let text = fields.text("min_app")?;
    let mut parts = text.split('.').map(|part| part.parse::<u32>().ok());
    match (parts.next(), parts.next(), parts.next(), parts.next()) {
        (Some(Some(major)), Some(Some(minor)), Some(Some(patch)), None) => Ok((major, minor, patch)),
        _ => Err(fields.refuse(Reason::BadField, format!("`min_app` is {text:?}, expected 1.2.3"))),
    }
}

fn chunks(fields: &Fields<'_>, length: u64, limits: &Limits) -> Result<Chunks, Refusal> {
    let Some(value) = fields.get("chunks") else {
        return Ok(Chunks { size: PLAIN_CHUNK_BYTES, digests: None });
    };
    let chunks = Fields::of(value, fields.subject)?;
    let size = chunks.integer("size")?;
    if !CHUNK_BYTES.contains(&size) {
        return Err(fields.refuse(Reason::BadField, format!("chunks of {size} bytes")));
    }
    let count = length.div_ceil(size as u64) as usize;
    let bad = || fields.refuse(Reason::BadHash, format!("`chunks` does not hold {count} sha256 in digits"));
    let listed = match chunks.get("sha256") {
        Some(Json::List(list)) if list.len() == count && count <= limits.values => list,
        _ => return Err(bad()),
    };
    let digest = |item: &Json| match item {
        Json::Text(digits) => from_hex(digits).ok_or_else(bad),
        _ => Err(bad()),
    };
    let digests = listed.iter().map(digest).collect::<Result<_, _>>()?;
    Ok(Chunks { size: size as u32, digests: Some(digests) })
}
