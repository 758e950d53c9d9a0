//! What Sunkeep costs a hub: cycle time, memory, size, inference against onnxruntime, simulated years a second.
//!
//! A stage for each, one after the other, so that none disturbs another. `tests/bench` builds what is measured
//! and calls this. Nothing here judges: a figure over its budget is shown as such and fails nothing; a stage
//! that could not run fails the command.
#![expect(clippy::disallowed_methods, reason = "a benchmark asks the clock")]

mod counts;
mod cycles;
mod driven;
mod figures;
mod home;
mod live;
mod memory;
mod plans;
mod process;
mod runtimes;
mod uplink;
mod years;

use std::io::Write as _;
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Context as _;
use clap::{Parser, ValueEnum};

use crate::figures::{Figures, Report};

/// Measures what Sunkeep costs a hub.
#[derive(Debug, Parser)]
#[command(name = "bench", max_term_width = 100)]
struct Arguments {
    /// The hub's program, built in the release profile.
    #[arg(long, value_name = "FILE")]
    sunkeep: PathBuf,
    /// A Python that has the packages of `tests/requirements.txt`.
    #[arg(long, value_name = "FILE")]
    python: PathBuf,
    /// Print JSON instead of a table.
    #[arg(long)]
    json: bool,
    /// How long the hub runs in real time, s.
    #[arg(long, default_value_t = 60, value_parser = clap::value_parser!(u16).range(5..=3600))]
    seconds: u16,
    /// Only these stages.
    #[arg(long, value_enum, value_delimiter = ',')]
    only: Vec<Stage>,
    /// Make so many plans, and nothing else: what the counts stage runs under valgrind.
    #[arg(long, value_name = "N", hide = true)]
    plans: Option<u16>,
}

/// What is measured together.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Stage {
    /// Size of the hub's program.
    Size,
    /// `sunkeep run` in real time, one of its buses a serial line.
    RealTime,
    /// `sunkeep run` in lock-step: two days of work, then cycles one by one; memory.
    Lockstep,
    /// `sunkeep run` in lock-step under valgrind, where that is installed: instructions, heap allocations.
    Counts,
    /// `sunkeep run` in lock-step with a broker, where Mosquitto is installed: bytes a day on the line.
    Uplink,
    /// tract and onnxruntime side by side.
    Inference,
    /// The decision core in process.
    Years,
}

fn main() -> anyhow::Result<ExitCode> {
    let arguments = Arguments::parse();
    if let Some(many) = arguments.plans {
        plans::make(many)?;
        return Ok(ExitCode::SUCCESS);
    }
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let mut report = Report::begin();
    for stage in Stage::value_variants() {
        if !arguments.only.is_empty() && !arguments.only.contains(stage) {
            continue;
        }
        let name = stage.to_possible_value().map(|value| value.get_name().to_owned()).unwrap_or_default();
        // That nobody listens is no reason to stop.
        let _ = writeln!(std::io::stderr(), "measuring {name} ...");
        let figures = match stage {
            Stage::Size => memory::size(&arguments.sunkeep),
            Stage::RealTime => runtime.block_on(live::measure(&arguments.sunkeep, arguments.seconds)),
            Stage::Lockstep => runtime.block_on(driven::measure(&arguments.sunkeep)),
            Stage::Counts if !counts::possible() => {
                report.leave_out(name, "valgrind is not installed");
                continue;
            }
            Stage::Counts => runtime.block_on(counts::measure(&arguments.sunkeep)),
            Stage::Uplink if !sunkeep_tests::broker::is_installed() => {
                report.leave_out(name, "mosquitto is not installed");
                continue;
            }
            Stage::Uplink => runtime.block_on(uplink::measure(&arguments.sunkeep)),
            Stage::Inference => runtimes::measure(&arguments.python),
            Stage::Years => years::measure(),
        };
        report.add(name, figures.map(Figures::into_vec));
    }
    report.end();
    let text = if arguments.json { serde_json::to_string_pretty(&report)? } else { report.table() };
    writeln!(std::io::stdout(), "{text}").context("cannot print the figures")?;
    Ok(if report.is_complete() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}
