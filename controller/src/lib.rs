//! The hub shell.
