//! Verified, crash-safe installation of what comes over the air: models, configuration and the hub's software.
//!
//! | module | what belongs there |
//! |---|---|
//! | [`reason`] | the closed list of reason codes, and the refusal that carries one |
//! | [`limits`] | every bound of what is read from outside |
//! | [`json`], `fields` | strict JSON, its canonical form, typed access |
//! | [`digest`], [`key`], [`time`] | hashes, public keys and thresholds, moments and the lower bound of the time |
//! | [`tuf`] | the client of The Update Framework as pure functions: documents, trusted state, refresh, search |
//! | [`release`] | whom a target is for: hardware, release counter, chunks |
//! | [`install`] | the course of an installation as pure logic: slots, shadow, trial, confirmation, return |
//! | [`store`] | what is kept on the card, and how it survives power cuts; the seam to the disk |
//! | `sign` | keys and signing, for operators and tests (feature `sign`) |
//!
//! What does not belong here: any transport (bytes are handed in), any clock (a lower bound of the time is
//! handed in), and what is inside a model.

pub mod digest;
mod fields;
pub mod install;
pub mod json;
pub mod key;
pub mod limits;
pub mod reason;
pub mod release;
#[cfg(feature = "sign")]
pub mod sign;
pub mod store;
pub mod time;
pub mod tuf;
