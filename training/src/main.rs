//! `sunkeep-train`: trains, compares and backtests the forecast models of a hub; see `sunkeep-train --help`.

mod cli;

use std::process::ExitCode;

use clap::Parser as _;

fn main() -> anyhow::Result<ExitCode> {
    cli::Command::parse().run()
}
