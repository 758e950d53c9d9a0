//! From a lake to the slot table and the feature table.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test that cannot go on fails")]

mod broken;
mod files;
mod slots;
