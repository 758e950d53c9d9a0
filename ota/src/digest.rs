//! Hashes of content in the forms that metadata states them, and the check of bytes against them.

use core::fmt::Write;

use sha2::{Digest, Sha256, Sha512};

use crate::reason::{Reason, Refusal};

/// SHA-256 of bytes.
pub fn sha256(bytes: &[u8]) -> [u8; 32] {
    Sha256::digest(bytes).into()
}

/// Lower-case hexadecimal digits.
pub fn hex(bytes: &[u8]) -> String {
    let mut digits = String::with_capacity(bytes.len() * 2);
    for byte in bytes {
        // Writing to a string cannot fail.
        let _ = write!(digits, "{byte:02x}");
    }
    digits
}

/// The `N` bytes that exactly `2 N` lower-case hexadecimal digits stand for.
pub fn from_hex<const N: usize>(digits: &str) -> Option<[u8; N]> {
    if digits.len() != 2 * N {
        return None;
    }
    let mut bytes = [0; N];
    for (byte, pair) in bytes.iter_mut().zip(digits.as_bytes().chunks_exact(2)) {
        *byte = byte_of(pair)?;
    }
    Some(bytes)
}

/// The byte that two lower-case hexadecimal digits stand for.
pub(crate) fn byte_of(pair: &[u8]) -> Option<u8> {
    let value = |digit: u8| match digit {
        b'0'..=b'9' => Some(digit - b'0'),
        b'a'..=b'f' => Some(digit - b'a' + 10),
        _ => None,
    };
    match pair {
        [high, low] => Some(value(*high)? << 4 | value(*low)?),
        _ => None,
    }
}

/// The hashes of one file; at least one is there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Hashes {
    sha256: Option<[u8; 32]>,
    sha512: Option<[u8; 64]>,
}

impl Hashes {
    /// The SHA-256 of bytes.
    pub fn of(bytes: &[u8]) -> Self {
        Self { sha256: Some(sha256(bytes)), sha512: None }
    }

    /// Reads them from digits; nothing where none is given or one is not in its canonical form.
    pub fn parse(sha256: Option<&str>, sha512: Option<&str>) -> Option<Self> {
        let sha256 = sha256.map(|digits| from_hex(digits).ok_or(())).transpose().ok()?;
        let sha512 = sha512.map(|digits| from_hex(digits).ok_or(())).transpose().ok()?;
        (sha256.is_some() || sha512.is_some()).then_some(Self { sha256, sha512 })
    }

    /// Whether bytes have all of these hashes.
    pub fn fit(&self, bytes: &[u8]) -> bool {
        self.sha256.is_none_or(|hash| hash == sha256(bytes))
            && self.sha512.is_none_or(|hash| hash[..] == Sha512::digest(bytes)[..])
    }

    /// The SHA-256, if it is stated.
    pub fn sha256(&self) -> Option<[u8; 32]> {
        self.sha256
    }

    /// Digits of the strongest hash stated, as names of consistent snapshots begin with.
    pub fn digits(&self) -> String {
        self.sha256.map_or_else(|| self.sha512.map_or_else(String::new, |hash| hex(&hash)), |hash| hex(&hash))
    }
}

/// What one document says about another.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MetaFile {
    /// Its version.
    pub version: u64,
    /// Its length in bytes, where stated.
    pub length: Option<u64>,
    /// Its hashes, where stated.
    pub hashes: Option<Hashes>,
}

impl MetaFile {
    /// Refuses bytes of another length or hash.
    pub(crate) fn check(&self, bytes: &[u8], subject: &str) -> Result<(), Refusal> {
        let refuse = |detail| Err(Refusal::new(Reason::MixAndMatch, subject, detail));
        if self.length.is_some_and(|length| bytes.len() as u64 != length) {
            return refuse("its length is not what the document above says");
        }
        if self.hashes.as_ref().is_some_and(|hashes| !hashes.fit(bytes)) {
            return refuse("its hash is not what the document above says");
        }
        Ok(())
    }
}
