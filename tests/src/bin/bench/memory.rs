//! Size of the hub's program and memory of its process.

use std::path::Path;

use anyhow::Context as _;

use crate::figures::{Budget, Figures};
use crate::process::Hub;

/// Bytes of a megabyte, as storage is sold.
const MEGABYTE: f64 = 1e6;
/// Bytes of `/proc`'s kB.
const KILO: f64 = 1024.0;

/// Name of the section in which a program that was not stripped holds its symbols.
const SYMBOLS: &[u8] = b"\0.symtab\0";

/// Size of the program.
pub(crate) fn size(program: &Path) -> anyhow::Result<Figures> {
    let bytes = std::fs::read(program).with_context(|| format!("reading {}", program.display()))?;
    let held = bytes.windows(SYMBOLS.len()).any(|name| name == SYMBOLS);
    anyhow::ensure!(!held, "{} still holds symbols: build it with --release", program.display());
    let mut figures = Figures::default();
    let budget = Budget::at_most(22.0, 14.0);
    figures.add_within("binary", "stripped program", bytes.len() as f64 / MEGABYTE, "MB", budget);
    Ok(figures)
}

/// Memory of a hub after some work; held against the budget where it is as much of it as the budget speaks of.
pub(crate) fn add(figures: &mut Figures, hub: &Hub, after: &str, budgeted: bool) -> anyhow::Result<()> {
    let what = format!("resident memory (RSS) {after}");
    if budgeted {
        figures.add_within("rss", what, resident(hub)?, "MB", Budget::at_most(24.0, 16.0));
    } else {
        figures.add("rss", what, resident(hub)?, "MB");
    }
    figures.add("rss_anonymous", "  of it heap and stacks", megabytes(hub.status("RssAnon")?), "MB");
    figures.add(
        "rss_file",
        "  of it pages of files: program, libraries",
        megabytes(hub.status("RssFile")?),
        "MB",
    );
    figures.add("pss", "  proportional share (PSS)", megabytes(hub.maps("Pss")?), "MB");
    figures.add("rss_peak", "  peak until then", megabytes(hub.status("VmHWM")?), "MB");
    Ok(())
}

/// Resident memory now, MB.
pub(crate) fn resident(hub: &Hub) -> anyhow::Result<f64> {
    Ok(megabytes(hub.status("VmRSS")?))
}

fn megabytes(kilobytes: u64) -> f64 {
    kilobytes as f64 * KILO / MEGABYTE
}
