//! Public keys, and signatures that count towards a role's threshold. Secret keys are in `sign`.

use std::collections::{BTreeMap, BTreeSet};

use ed25519_dalek::{Signature, VerifyingKey};

use crate::digest::from_hex;
use crate::fields::Fields;
use crate::json::Json;
use crate::limits::Limits;
use crate::reason::{Reason, Refusal};

/// Longest key id, bytes.
const KEYID_CAP: usize = 128;

/// A public key that a document lists.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PublicKey {
    /// ed25519, the only kind that hubs accept.
    Ed25519(VerifyingKey),
    /// ECDSA on P-256, which only the conformance client knows.
    #[cfg(feature = "conformance")]
    EcdsaP256(Box<p256::ecdsa::VerifyingKey>),
    /// Anything else: it may stand there, and never verifies anything.
    Unusable,
}

impl PublicKey {
    fn read(value: &Json, subject: &str) -> Result<Self, Refusal> {
        let fields = Fields::of(value, subject)?;
        let (kind, scheme) = (fields.text("keytype")?, fields.text("scheme")?);
        let public = fields.object("keyval")?.text("public")?;
        Ok(match (kind, scheme) {
            ("ed25519", "ed25519") => Self::ed25519(public),
            #[cfg(feature = "conformance")]
            ("ecdsa" | "ecdsa-sha2-nistp256", "ecdsa-sha2-nistp256") => Self::ecdsa(public),
            _ => Self::Unusable,
        })
    }

    #[cfg(feature = "conformance")]
    fn ecdsa(pem: &str) -> Self {
        use p256::pkcs8::DecodePublicKey;
        p256::ecdsa::VerifyingKey::from_public_key_pem(pem)
            .map_or(Self::Unusable, |key| Self::EcdsaP256(Box::new(key)))
    }

    fn ed25519(digits: &str) -> Self {
        from_hex(digits)
            .and_then(|bytes| VerifyingKey::from_bytes(&bytes).ok())
            // For a key of small order signatures can be made up without knowing any secret.
            .filter(|key| !key.is_weak())
            .map_or(Self::Unusable, Self::Ed25519)
    }

    /// Bytes by which two keys are the same key, whatever their ids.
    fn material(&self) -> Option<Vec<u8>> {
        match self {
            Self::Ed25519(key) => Some(key.as_bytes().to_vec()),
            #[cfg(feature = "conformance")]
            Self::EcdsaP256(key) => Some(key.to_sec1_point(true).as_bytes().to_vec()),
            Self::Unusable => None,
        }
    }

    fn verifies(&self, message: &[u8], digits: &str) -> bool {
        match self {
            // The strict check refuses small-order R and S + L, which the plain one lets pass: one
            // signature would have several forms.
            Self::Ed25519(key) => from_hex(digits)
                .is_some_and(|bytes| key.verify_strict(message, &Signature::from_bytes(&bytes)).is_ok()),
            #[cfg(feature = "conformance")]
            Self::EcdsaP256(key) => {
                use p256::ecdsa::signature::Verifier;
                let bytes: Option<Vec<u8>> =
                    digits.as_bytes().chunks(2).map(crate::digest::byte_of).collect();
                bytes
                    .and_then(|bytes| p256::ecdsa::DerSignature::try_from(bytes.as_slice()).ok())
                    .is_some_and(|signature| key.verify(message, &signature).is_ok())
            }
            Self::Unusable => false,
        }
    }
}

/// The keys a document lists, by id. Ids are names, nothing is derived from them.
pub(crate) type KeyList = BTreeMap<String, PublicKey>;

/// Reads `keys` of a root or of delegations.
pub(crate) fn read_keys(fields: &Fields<'_>, limits: &Limits) -> Result<KeyList, Refusal> {
    let keys = fields.map("keys", limits.keys)?;
    keys.members()
        .iter()
        .map(|(id, key)| Ok((checked_id(id, fields)?, PublicKey::read(key, fields.subject)?)))
        .collect()
}

fn checked_id(id: &str, fields: &Fields<'_>) -> Result<String, Refusal> {
    if id.is_empty() || id.len() > KEYID_CAP {
        return Err(fields.refuse(Reason::BadField, format!("a key id of {} bytes", id.len())));
    }
    Ok(id.to_owned())
}

/// One signature of a document.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Signed {
    pub(crate) keyid: String,
    pub(crate) digits: String,
}

/// Reads `signatures`.
pub(crate) fn read_signatures(fields: &Fields<'_>, limits: &Limits) -> Result<Vec<Signed>, Refusal> {
    let mut seen = BTreeSet::new();
    let mut signatures = Vec::new();
    for value in fields.list("signatures", limits.signatures)? {
        let one = Fields::of(value, fields.subject)?;
        let keyid = checked_id(one.text("keyid")?, fields)?;
        // 4.2.1: "The KEYID MUST be unique in the signatures array". Attack: one key plays a threshold.
        if !seen.insert(keyid.clone()) {
            return Err(fields.refuse(Reason::DupKeyid, format!("key {keyid} signs twice")));
        }
        signatures.push(Signed { keyid, digits: one.text("sig")?.to_owned() });
    }
    Ok(signatures)
}

/// Who may sign for a role, and how many must.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RoleKeys {
    keys: KeyList,
    threshold: usize,
}

impl RoleKeys {
    /// Reads `keyids` and `threshold` of a role, looking keys up in the list of its document.
    pub(crate) fn read(role: &Fields<'_>, keys: &KeyList, limits: &Limits) -> Result<Self, Refusal> {
        let threshold = role.integer("threshold").ok().and_then(|found| usize::try_from(found).ok());
        let threshold = threshold
            .filter(|threshold| *threshold > 0)
            .ok_or_else(|| role.refuse(Reason::BadThreshold, "a threshold is missing or below 1"))?;
        let mut chosen = KeyList::new();
        for id in role.texts("keyids", limits.signatures)? {
            // An id that is not listed is like a key that never signs.
            let key = keys.get(&id).cloned().unwrap_or(PublicKey::Unusable);
            chosen.insert(id, key);
        }
        Ok(Self { keys: chosen, threshold })
    }

    /// Refuses a message that is not signed by a threshold of these keys. Each **key** counts once, however
    /// many ids it goes by. Attack: one stolen key under two ids passes for two.
    pub(crate) fn check(&self, signatures: &[Signed], message: &[u8], subject: &str) -> Result<(), Refusal> {
        if self.threshold > self.keys.len() {
            let detail = format!("threshold {} of {} keys", self.threshold, self.keys.len());
            return Err(Refusal::new(Reason::BadThreshold, subject, detail));
        }
        let valid: BTreeSet<Vec<u8>> = signatures
            .iter()
            .filter_map(|signature| Some((self.keys.get(&signature.keyid)?, signature)))
            .filter(|(key, signature)| key.verifies(message, &signature.digits))
            .filter_map(|(key, _)| key.material())
            .collect();
        if valid.len() < self.threshold {
            let detail = format!("{} valid signatures by its keys, {} needed", valid.len(), self.threshold);
            return Err(Refusal::new(Reason::SigThreshold, subject, detail));
        }
        Ok(())
    }

    /// Whether a key of these is not among the others any more: it was taken out of service.
    pub(crate) fn lost_any_to(&self, newer: &Self) -> bool {
        let material =
            |keys: &KeyList| keys.values().filter_map(PublicKey::material).collect::<BTreeSet<_>>();
        !material(&self.keys).is_subset(&material(&newer.keys))
    }
}
