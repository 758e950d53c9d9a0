//! The hub of a home; see `sunkeep --help`.

use std::process::ExitCode;

use clap::Parser as _;

fn main() -> anyhow::Result<ExitCode> {
    sunkeep::log::start();
    Ok(sunkeep::cli::Arguments::parse().run()?)
}
