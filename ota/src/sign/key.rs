//! Secret keys in memory.

use std::fmt;

use ed25519_dalek::{Signer, SigningKey};

use crate::digest::{hex, sha256};
use crate::json::{Json, canonical};
use crate::reason::Refusal;
use crate::sign::documents::{object, text};

/// A key that signs. Its secret is wiped from memory when it is dropped, and never printed.
#[derive(Clone)]
pub struct SecretKey(SigningKey);

impl fmt::Debug for SecretKey {
    fn fmt(&self, to: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(to, "SecretKey({})", self.id())
    }
}

impl SecretKey {
    /// The key of 32 secret bytes, which must come from a source of randomness fit for keys.
    pub fn from_seed(seed: &[u8; 32]) -> Self {
        Self(SigningKey::from_bytes(seed))
    }

    /// The public half as documents list it.
    pub fn public(&self) -> Json {
        object([
            ("keytype", text("ed25519")),
            ("scheme", text("ed25519")),
            ("keyval", object([("public", text(hex(self.0.verifying_key().as_bytes())))])),
        ])
    }

    /// Its id: SHA-256 of the canonical form of the public half (4.2.2).
    pub fn id(&self) -> String {
        // A key holds no numbers, so that its canonical form always exists.
        canonical(&self.public(), "key").map_or_else(|_| String::new(), |bytes| hex(&sha256(&bytes)))
    }

    /// Signs the canonical form of a signed part; the signature in digits.
    pub fn sign(&self, signed: &Json) -> Result<String, Refusal> {
        Ok(hex(&self.0.sign(&canonical(signed, "document to sign")?).to_bytes()))
    }
}
