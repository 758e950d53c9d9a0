//! `sunkeep-sim`: simulated homes for tests, demo and training.

mod cli;

fn main() -> anyhow::Result<()> {
    cli::run()
}
