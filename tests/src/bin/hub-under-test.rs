//! The hub as a process that tests start, stop, hang and kill: the command line of `sunkeep`, nothing else.

use std::process::ExitCode;

use clap::Parser as _;

fn main() -> anyhow::Result<ExitCode> {
    sunkeep::log::start();
    Ok(sunkeep::cli::Arguments::parse().run()?)
}
