//! What was signed before, so that nothing is signed that hubs would have to refuse, or that would split them:
//! one version with two contents, an expiry that goes backward or too far ahead.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::digest::{hex, sha256};
use crate::json::Json;
use crate::json::canonical;
use crate::reason::{Reason, Refusal};
use crate::sign::documents::envelope;
use crate::sign::key::SecretKey;
use crate::time::Utc;

/// The last document of a role.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Last {
    version: i64,
    expires: Utc,
    sha256: String,
}

/// The last documents of all roles.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Ledger {
    last: BTreeMap<String, Last>,
}

impl Ledger {
    /// Signs a document of a role, and notes it. `longest` is the farthest that its expiry may lie after its
    /// issue, s.
    pub fn sign(
        &mut self,
        role: &str,
        signed: &Json,
        longest: i64,
        keys: &[&SecretKey],
    ) -> Result<Vec<u8>, Refusal> {
        let fields = crate::fields::Fields::of(signed, role)?;
        let (issued, expires) = (fields.moment("issued")?, fields.moment("expires")?);
        let version = fields.version("version")? as i64;
        let digest = hex(&sha256(&canonical(signed, role)?));
        if let Some(last) = self.last.get(role) {
            if version < last.version || (version == last.version && digest != last.sha256) {
                let detail =
                    format!("version {version} with other content; {} was signed before", last.version);
                return Err(Refusal::new(Reason::SameVersion, role, detail));
            }
            // The clock of whoever signs may be wrong.
            if expires < last.expires {
                let detail = format!("expires at {expires}, the last one at {}", last.expires);
                return Err(Refusal::new(Reason::ExpiryRange, role, detail));
            }
        }
        if expires <= issued || expires.0 - issued.0 > longest {
            let detail = format!("expires at {expires}, issued at {issued}, at most {longest} s allowed");
            return Err(Refusal::new(Reason::ExpiryRange, role, detail));
        }
        let bytes = envelope(signed, keys)?;
        self.last.insert(role.to_owned(), Last { version, expires, sha256: digest });
        Ok(bytes)
    }
}
