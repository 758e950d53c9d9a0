//! Trains forecast models offline.
fn main() {}
