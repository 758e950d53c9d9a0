//! `sunkeep-sim hub`: the hub's own command line, so that the demo needs no second binary.

use std::ffi::OsString;
use std::process::ExitCode;

use clap::Parser as _;

/// What the hub is told.
#[derive(clap::Args)]
pub(super) struct Arguments {
    /// Arguments of `sunkeep`.
    #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
    arguments: Vec<OsString>,
}

/// Runs the command as `sunkeep` would.
pub(super) fn run(arguments: Arguments) -> anyhow::Result<ExitCode> {
    sunkeep::log::start();
    let line = std::iter::once(OsString::from("sunkeep")).chain(arguments.arguments);
    Ok(sunkeep::cli::Arguments::parse_from(line).run()?)
}
