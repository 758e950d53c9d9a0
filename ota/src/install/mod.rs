//! The course of an installation as pure logic: what is in which slot, what serves, what happens next. Running
//! models, measuring health and writing files belong elsewhere.

pub mod channel;
