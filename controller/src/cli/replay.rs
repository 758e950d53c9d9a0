//! `sunkeep replay`: decides everything again that a journal holds, and compares.

use std::path::PathBuf;
use std::process::ExitCode;

use super::CliError;
use crate::journal::{Changes, ReplayReport, TimeRange, replay};
use crate::language::{Clock, Language, reason};

/// Decide everything again that a journal holds, and compare it bit for bit.
#[derive(Debug, clap::Args)]
pub(super) struct Replay {
    /// The journal of a hub; it may be running
    #[arg(long, value_name = "FILE", default_value = "/var/lib/sunkeep/journal.sqlite")]
    journal: PathBuf,
    /// Not before this moment, seconds since 1970
    #[arg(long, value_name = "UNIX")]
    from: Option<i64>,
    /// Before this moment, seconds since 1970
    #[arg(long, value_name = "UNIX")]
    until: Option<i64>,
    /// List every load that was switched, with the reason
    #[arg(long)]
    changes: bool,
}

impl Replay {
    pub(super) fn run(self) -> Result<ExitCode, CliError> {
        let range = TimeRange { from: self.from, until: self.until };
        if self.changes {
            list(Changes::open(&self.journal, range)?)?;
        }
        let report = replay(&self.journal, range)?;
        tell(&report);
        Ok(if report.is_clean() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
    }
}

fn list(changes: Changes) -> Result<(), CliError> {
    for change in changes {
        let change = change?;
        let at = change.unix.map_or_else(
            || format!("boot {} + {:.0} s", change.boot, change.at.0 as f64 / 1000.0),
            |unix| unix.to_string(),
        );
        let clock = Clock { unix: change.unix, utc_offset: 0 };
        println!("{at}  {}", reason(Language::English, &change.label, change.on, change.because, clock));
    }
    Ok(())
}

fn tell(report: &ReplayReport) {
    let ReplayReport { blocks, cycles, decisions, mismatches, unreadable, missing, .. } = report;
    println!("{blocks} blocks, {cycles} cycles decided again, {decisions} of them switched something");
    println!(
        "{mismatches} mismatches, {unreadable} blocks that cannot be read, {missing} given up while the disk was full"
    );
    for finding in &report.findings {
        println!("block {}: {:?}", finding.seq, finding.what);
    }
}
