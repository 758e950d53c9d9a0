//! The operator's side of a fleet of hubs.
//!
//! | module | what belongs there |
//! |---|---|
//! | [`clock`] | the machine's clock, asked nowhere else |
//! | [`down`] | what is left for hubs at the broker: retained messages, each acknowledged |
//! | [`gaps`] | which records of a hub never came: numbers that are missing in the lake |
//! | [`ingest`] | from the broker into the lake: judged, without repeats, acknowledged once it is durable |
//! | [`key_file`] | signing keys as files: made, read, and refused where others could read them |
//! | [`provision`] | hubs join: authority, certificates, the broker's rules, inventory |
//! | [`lake`] | a lake that is written and compacted, in a folder or an object store |
//! | [`sites`] | what is known of the sites, and the lake's table of them |
//! | [`root`] | the root that a fleet's hubs trust: which keys sign what |
//! | [`tell`] | a command or settings for one hub, and what it answers |
//! | [`weather`] | the weather of places: read, kept in the lake, told to hubs |
//!
//! What does not belong here: how documents are verified (that is `sunkeep-ota`), and what is inside a model.

pub mod clock;
pub mod down;
pub mod gaps;
pub mod ingest;
pub mod key_file;
pub mod lake;
pub mod provision;
pub mod root;
pub mod sites;
pub mod tell;
pub mod weather;
