//! The client's side of The Update Framework, specification 1.0.34, as pure functions: trusted state, bytes and
//! a lower bound of the time go in, a new trusted state or a refusal comes out. No file, no socket, no clock.

pub mod document;
pub mod name;
pub mod refresh;
pub mod roles;
pub mod search;
pub mod targets;
pub mod trusted;
