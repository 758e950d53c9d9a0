//! The lake: from the records that hubs sent, in Parquet files, to slots and to the rows models are fitted
//! to. The schema of the lake is `sunkeep_models::lake`; the format of the tables is in `training/lake/LAKE.md`.
//!
//! ```text
//!   files ──check──► rows of each pass (some sites) ──query──► slots ──the hub's own features──► 48 files
//!                         each pass is recorded when it is done, and not done again
//! ```
//!
//! - `source`: where the lake lies, and which files it has.
//! - `check`: what a file promises before anything is read, and which row group broke a promise. `inputs`: which
//!   files are read.
//! - `session`: the engine, here or on a cluster, with its bounds.
//! - `query`: the questions, as SQL; the same on both.
//! - `reading`: a table of the lake, file after file. `census`: the records of each site. `sweep`: the lake parted by passes. `pass`: the slots of one.
//! - `facts`: what is known of the sites.
//! - `slots`: from sums to means, and what is no evidence.
//! - `features`: from slots to rows, through the code of the hub.
//! - `parquet_file`: writing tables so that they are whole or not there.
//! - `plan`: what is to be done, what was done, and the report.
//! - `run`: all of it in order. `command`: its command line.
//!
//! Nothing here fits a model.

mod census;
mod check;
pub mod command;
mod error;
mod facts;
mod features;
mod inputs;
mod parquet_file;
mod pass;
mod plan;
mod query;
mod reading;
mod run;
mod session;
mod slots;
mod source;
mod sweep;

pub use check::{FileFacts, check_files};
pub use error::LakeError;
pub use features::{FEATURES_FILE, features_schema, slot_folder};
pub use parquet_file::TableWriter;
pub use plan::{Counts, FEATURES_TOML, FeaturesToml, Noted, SLOTS_FILE, Span, Versions};
pub use run::{Request, make_features};
pub use slots::{Slots, slots_schema};
pub use source::{Lake, LakeFile};
