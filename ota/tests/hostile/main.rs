//! Each input of the list of hostile and faulty inputs, as a test that bears its id, and the table of which
//! rows are covered. What an honest repository looks like is in `repo`.

#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    unreachable_pub,
    reason = "all of this is test code, helpers too"
)]

mod card;
mod coverage;
mod installing;
mod metadata;
mod parsing;
mod repo;
mod rotation;
mod searching;
mod storage;
mod time;
mod transfer;
