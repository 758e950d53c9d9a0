//! Each input of the list of hostile and faulty inputs, as a test that bears its id, and the table of which
//! rows are covered. What an honest repository looks like is in `repo`.

mod coverage;
mod metadata;
mod parsing;
mod repo;
mod rotation;
mod searching;
mod time;
