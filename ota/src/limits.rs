//! Every bound of what is read from outside, with the values a hub uses. Nothing here is negotiable by a
//! document.

/// Highest version of a document: below 2^31, so that no version, however signed, can reach a value that
/// some later count could not exceed.
pub const VERSION_CAP: u64 = i32::MAX as u64 - 1;

/// Bounds of documents and targets.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Longest root, bytes (W of step 5.3.3).
    pub root_bytes: usize,
    /// Longest timestamp, bytes (X of step 5.4.1).
    pub timestamp_bytes: usize,
    /// Longest snapshot, bytes (Y of step 5.5.1).
    pub snapshot_bytes: usize,
    /// Longest targets document, bytes (Z of step 5.6.1).
    pub targets_bytes: usize,
    /// New roots walked in one session (Y of step 5.3.3).
    pub roots: u32,
    /// Levels of nesting of a document.
    pub depth: usize,
    /// Values, counting keys, in one document.
    pub values: usize,
    /// Signatures of one document, and keys of one role.
    pub signatures: usize,
    /// Keys listed in one document.
    pub keys: usize,
    /// Roles one document delegates to.
    pub delegations: usize,
    /// Roles one search visits (step 5.6.7.1).
    pub visits: usize,
    /// Targets of one document, or documents of one snapshot.
    pub targets: usize,
    /// Longest target, bytes.
    pub target_bytes: u64,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            root_bytes: 64 << 10,
            timestamp_bytes: 16 << 10,
            snapshot_bytes: 64 << 10,
            targets_bytes: 128 << 10,
            roots: 32,
            depth: 16,
            values: 20_000,
            signatures: 32,
            keys: 64,
            delegations: 32,
            visits: 32,
            targets: 1_024,
            target_bytes: 64 << 20,
        }
    }
}
