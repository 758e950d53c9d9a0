//! The operator's side of a fleet of hubs.
//!
//! | module | what belongs there |
//! |---|---|
//! | [`key_file`] | signing keys as files: made, read, and refused where others could read them |
//! | [`provision`] | hubs join: authority, certificates, the broker's rules, inventory |
//! | [`root`] | the root that a fleet's hubs trust: which keys sign what |
//!
//! What does not belong here: how documents are verified (that is `sunkeep-ota`), and what is inside a model.

pub mod key_file;
pub mod provision;
pub mod root;
