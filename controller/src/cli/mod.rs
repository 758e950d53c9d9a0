//! The command line of the hub; one file per command.

mod check;
mod explain;
mod join;
mod plan;
mod replay;
mod run;

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Parser, Subcommand};

use crate::config::ConfigError;

/// Keeps the lights on in a home without a grid: reads battery, panels and loads, forecasts, and sheds what
/// can wait before the battery is empty.
#[derive(Debug, Parser)]
#[command(name = "sunkeep", version, max_term_width = 100)]
pub struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Run the hub of a home until it is told to stop.
    Run(run::Run),
    /// Validate a configuration and ask every device once; a line for each, and what to try when one is silent.
    Check(check::Check),
    /// Decide everything again that a journal holds, and compare it bit for bit.
    Replay(replay::Replay),
    /// Say what the hub saw at a moment, what it chose, and what the next best would have cost.
    Explain(explain::Explain),
    /// Print what the coming 48 hours are expected to bring, and below which charge each tier will be shed.
    Plan(plan::Plan),
    /// Join a fleet with the file that its operator made for this hub.
    Join(join::Join),
}

/// Why a command failed.
#[derive(Debug, thiserror::Error)]
pub enum CliError {
    /// The configuration was refused.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// A bus or the board's lines cannot be driven as described.
    #[error(transparent)]
    Wiring(#[from] crate::buses::WiringError),
    /// The panels cannot stand where they are said to.
    #[error("[site] and [panels]: {0}")]
    Sun(#[from] sunkeep_models::sun::SunError),
    /// What drives the clock fell away.
    #[error(transparent)]
    Lockstep(#[from] crate::lockstep::LockstepError),
    /// The journal cannot be read.
    #[error(transparent)]
    Journal(#[from] crate::journal::JournalError),
    /// The system refused something that the hub cannot do without.
    #[error("{what}: {source}")]
    System {
        /// What was tried.
        what: String,
        /// What the system said.
        source: std::io::Error,
    },
}

/// What every command needs.
#[derive(Debug, clap::Args)]
struct ConfigFile {
    /// The configuration of the home
    #[arg(long, value_name = "FILE", default_value = "/etc/sunkeep/hub.toml")]
    config: PathBuf,
}

impl Arguments {
    /// Runs the command. 0: all is well; 1: the command ran and what it looked at is not in order; 2 comes
    /// from the parser of arguments.
    pub fn run(self) -> Result<ExitCode, CliError> {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .map_err(|source| CliError::System { what: "cannot start the runtime".into(), source })?;
        let outcome = runtime.block_on(async {
            match self.command {
                Command::Run(run) => run.run().await,
                Command::Check(check) => check.run().await,
                Command::Replay(replay) => replay.run(),
                Command::Explain(explain) => explain.run(),
                Command::Plan(plan) => plan.run(),
                Command::Join(join) => join.run(),
            }
        });
        // Tasks that wait on a dead bus end with the process.
        runtime.shutdown_background();
        outcome
    }
}
