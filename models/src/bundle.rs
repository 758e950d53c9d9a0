//! What a hub is given to join a fleet: one file of TOML that `sunkeep-fleet provision` writes and `sunkeep join` reads.
//! It holds the hub's secret key.

use serde::{Deserialize, Serialize};

/// Longest bundle, bytes.
pub const MOST_BYTES: u64 = 64 << 10;

/// A bundle.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Bundle {
    /// The broker, `mqtts://HOST:PORT`.
    pub broker: String,
    /// Name of the site.
    pub site: String,
    /// Name of the hub.
    pub hub: String,
    /// Certificates of those who may sign the broker's, PEM.
    pub ca: String,
    /// The hub's own certificate, PEM.
    pub certificate: String,
    /// Its secret key, PEM.
    pub key: String,
}
