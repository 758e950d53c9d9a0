//! Signing keys as files. `NAME` holds the secret and is its owner's alone; `NAME.pub` holds the public half,
//! as documents list it, and may be sent around.
//!
//! The secret stands there unencrypted, as 64 hexadecimal digits: keep it on a machine or a stick that is
//! locked away, and the root's keys off line.

use std::fs::{File, OpenOptions};
use std::io::{Read as _, Write as _};
use std::os::unix::fs::{OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

use sunkeep_ota::digest::{from_hex, hex, sha256};
use sunkeep_ota::json::{Json, canonical, parse};
use sunkeep_ota::limits::Limits;
use sunkeep_ota::reason::Refusal;
use sunkeep_ota::sign::key::SecretKey;

/// Longest key file that is read, bytes.
const MOST_BYTES: u64 = 4096;

/// A key that cannot be made or read.
#[derive(Debug, thiserror::Error)]
pub enum KeyError {
    /// The file system refused.
    #[error("{path}: {doing}: {source}")]
    File {
        /// Which file.
        path: PathBuf,
        /// What was tried.
        doing: &'static str,
        /// What the system said.
        source: std::io::Error,
    },
    /// The system gave no random bytes.
    #[error("the system gives no random bytes: {0}")]
    Randomness(getrandom::Error),
    /// Others may read the secret.
    #[error("{path}: its mode is {mode:o}, so others may read the secret; expected 600: chmod 600 {path}")]
    Exposed {
        /// Which file.
        path: PathBuf,
        /// Its permissions.
        mode: u32,
    },
    /// The file holds no key.
    #[error("{path}: read {read}, expected {expected}")]
    NoKey {
        /// Which file.
        path: PathBuf,
        /// What was found; never the secret.
        read: String,
        /// What a key file holds.
        expected: &'static str,
    },
    /// The public half is no proper JSON.
    #[error("{path}: {source}")]
    Public {
        /// Which file.
        path: PathBuf,
        /// What was wrong with it.
        source: Refusal,
    },
}

/// The public half of a key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PublicKey {
    /// Its id: SHA-256 of the canonical form.
    pub id: String,
    /// As documents list it.
    pub listed: Json,
}

/// Makes a key with the system's randomness and writes it to `path` and `path.pub`. Neither may exist yet.
pub fn create(path: &Path) -> Result<PublicKey, KeyError> {
    let mut seed = [0; 32];
    getrandom::fill(&mut seed).map_err(KeyError::Randomness)?;
    let key = SecretKey::from_seed(&seed);
    let public =
        canonical(&key.public(), "key").map_err(|source| KeyError::Public { path: path.into(), source })?;
    write_new(path, 0o600, format!("{}\n", hex(&seed)).as_bytes())?;
    write_new(&public_path(path), 0o644, &public)?;
    Ok(PublicKey { id: key.id(), listed: key.public() })
}

/// Reads a secret key; refuses one that others may read.
pub fn read_secret(path: &Path) -> Result<SecretKey, KeyError> {
    let file = File::open(path).map_err(failed(path, "opening it"))?;
    let mode = file.metadata().map_err(failed(path, "looking at it"))?.permissions().mode() & 0o777;
    if mode & 0o077 != 0 {
        return Err(KeyError::Exposed { path: path.into(), mode });
    }
    let text = read_bounded(file, path)?;
    let seed = std::str::from_utf8(&text).ok().and_then(|text| from_hex::<32>(text.trim_end()));
    seed.map(|seed| SecretKey::from_seed(&seed)).ok_or_else(|| KeyError::NoKey {
        path: path.into(),
        read: format!("{} bytes that are something else", text.len()),
        expected: "64 hexadecimal digits, as `sunkeep-fleet key` writes them",
    })
}

/// Reads the public half of a key.
pub fn read_public(path: &Path) -> Result<PublicKey, KeyError> {
    let refused = |source| KeyError::Public { path: path.into(), source };
    let file = File::open(path).map_err(failed(path, "opening it"))?;
    let listed = parse(&read_bounded(file, path)?, "key", &Limits::default()).map_err(refused)?;
    let Json::Object(members) = &listed else {
        let read = "no JSON object".into();
        return Err(KeyError::NoKey { path: path.into(), read, expected: "a public key (NAME.pub)" });
    };
    if members.get("keytype") != Some(&Json::Text("ed25519".into())) {
        let read = format!("keytype {:?}", members.get("keytype"));
        return Err(KeyError::NoKey { path: path.into(), read, expected: "an ed25519 key (NAME.pub)" });
    }
    let id = hex(&sha256(&canonical(&listed, "key").map_err(refused)?));
    Ok(PublicKey { id, listed })
}

fn public_path(path: &Path) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(".pub");
    name.into()
}

fn failed(path: &Path, doing: &'static str) -> impl Fn(std::io::Error) -> KeyError {
    move |source| KeyError::File { path: path.into(), doing, source }
}

fn write_new(path: &Path, mode: u32, bytes: &[u8]) -> Result<(), KeyError> {
    let file = OpenOptions::new().write(true).create_new(true).mode(mode).open(path);
    let mut file = file.map_err(failed(path, "making it"))?;
    file.write_all(bytes).and_then(|()| file.sync_all()).map_err(failed(path, "writing it"))
}

fn read_bounded(file: File, path: &Path) -> Result<Vec<u8>, KeyError> {
    let mut bytes = Vec::new();
    file.take(MOST_BYTES).read_to_end(&mut bytes).map_err(failed(path, "reading it"))?;
    Ok(bytes)
}
