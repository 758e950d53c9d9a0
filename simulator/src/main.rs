//! `sunkeep-sim`: simulated homes for tests, demo and training.

mod cli;

fn main() -> anyhow::Result<std::process::ExitCode> {
    cli::run()
}
