//! What a cycle costs in counts, which no load of the machine changes: instructions and blocks of the heap, by
//! valgrind. Two runs of different length in lock-step for each tool; the difference is the cycles between them.

use std::path::Path;
use std::time::Duration;

use anyhow::Context as _;
use sunkeep_tests::house::MIDNIGHT;
use tokio::process::Command;

use crate::driven::Driven;
use crate::figures::Figures;
use crate::home::Home;

/// Cycles of the shorter run: connections are made, the models loaded.
const FEW: u64 = 300;
/// Cycles of the longer run; no slot begins in it but the first.
const MANY: u64 = 900;

/// Plans of the shorter run, and of the longer one.
const PLANS: (u16, u16) = (2, 18);

/// A tool of valgrind, and how it tells what it counted.
struct Tool {
    arguments: [&'static str; 3],
    read: fn(&str) -> Option<Vec<f64>>,
}

/// Counts instructions.
const CACHEGRIND: Tool = Tool {
    arguments: ["--tool=cachegrind", "--cache-sim=no", "--cachegrind-out-file=/dev/null"],
    read: instructions,
};
/// Counts what is taken from the heap.
const DHAT: Tool =
    Tool { arguments: ["--tool=dhat", "--mode=heap", "--dhat-out-file=/dev/null"], read: heap };

/// Whether there is a valgrind here.
pub(crate) fn possible() -> bool {
    std::process::Command::new("valgrind")
        .arg("--version")
        .output()
        .is_ok_and(|output| output.status.success())
}

/// Counts.
pub(crate) async fn measure(program: &Path) -> anyhow::Result<Figures> {
    let mut figures = Figures::default();
    let instructions = a_cycle(program, &CACHEGRIND).await?;
    let what = "instructions of a cycle, all threads, without the system's: mean";
    figures.add("instructions", what, instructions[0], "");
    let heap = a_cycle(program, &DHAT).await?;
    figures.add("heap_blocks", "heap allocations of a cycle, all threads: mean", heap[0], "");
    figures.add("heap_bytes", "  bytes", heap[1], "");
    let instructions = a_plan(&CACHEGRIND).await?;
    figures.add("plan_instructions", "instructions of a plan, without forecasts: mean", instructions[0], "");
    let heap = a_plan(&DHAT).await?;
    figures.add("plan_heap_blocks", "  heap allocations", heap[0], "");
    figures.add("plan_heap_bytes", "  bytes, of which the most are given back at once", heap[1], "");
    Ok(figures)
}

/// What a tool counts in a plan: this program makes them, and nothing else.
async fn a_plan(tool: &Tool) -> anyhow::Result<Vec<f64>> {
    let program = std::env::current_exe().context("finding this program")?;
    let run = async |plans: u16| -> anyhow::Result<Vec<f64>> {
        // Arguments that the command line wants, and no plan needs.
        let plans = ["--sunkeep", "-", "--python", "-", "--plans", &plans.to_string()].map(str::to_owned);
        let output = Command::new("valgrind").args(tool.arguments).arg(&program).args(plans).output().await?;
        let log = String::from_utf8_lossy(&output.stderr);
        anyhow::ensure!(output.status.success(), "no plans were made: {log}");
        (tool.read)(&log).with_context(|| format!("valgrind's figures, in:\n{log}"))
    };
    let (few, many) = (run(PLANS.0).await?, run(PLANS.1).await?);
    let plans = f64::from(PLANS.1 - PLANS.0);
    Ok(many.iter().zip(&few).map(|(many, few)| (many - few) / plans).collect())
}

/// What a tool counts in a cycle.
async fn a_cycle(program: &Path, tool: &Tool) -> anyhow::Result<Vec<f64>> {
    let (few, many) = (run(program, tool, FEW).await?, run(program, tool, MANY).await?);
    Ok(many.iter().zip(&few).map(|(many, few)| (many - few) / (MANY - FEW) as f64).collect())
}

async fn run(program: &Path, tool: &Tool, cycles: u64) -> anyhow::Result<Vec<f64>> {
    let mut command = Command::new("valgrind");
    command.args(tool.arguments).arg(program);
    let mut driven = Driven::start(command, Home::start(MIDNIGHT, false, true).await?).await?;
    for _ in 0..cycles {
        driven.cycle(Duration::from_secs(1)).await?;
    }
    let (_, log) = driven.end().await?;
    (tool.read)(&log).with_context(|| format!("valgrind's figures, in:\n{log}"))
}

/// Reads `==7== I   refs:      1,234`; older versions have more blanks.
fn instructions(log: &str) -> Option<Vec<f64>> {
    let mut lines = log.lines().filter(|line| line.starts_with("=="));
    let line = lines.find(|line| line.split_whitespace().skip(1).take(2).eq(["I", "refs:"]))?;
    Some(vec![number(line.rsplit_once(' ')?.1)?])
}

/// Reads `==7== Total:     1,234 bytes in 56 blocks`: blocks, bytes.
fn heap(log: &str) -> Option<Vec<f64>> {
    let line = log.lines().find_map(|line| Some(line.split_once("== Total:")?.1.trim()))?;
    let (bytes, blocks) = line.strip_suffix(" blocks")?.split_once(" bytes in ")?;
    Some(vec![number(blocks)?, number(bytes)?])
}

fn number(text: &str) -> Option<f64> {
    text.replace(',', "").parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn valgrinds_figures_are_read() {
        let log = "INFO I refs: 5\n==7== I   refs:      7,890,123\n==7== \n==7== Total:     1,234 bytes in 56 blocks\n\
                   ==7== At t-gmax: 9 bytes in 1 blocks\n";
        assert_eq!(instructions(log), Some(vec![7_890_123.0]));
        assert_eq!(heap(log), Some(vec![56.0, 1234.0]));
        assert_eq!((instructions("==7== refs: 9"), heap("==7== Total: 9 bytes")), (None, None));
    }
}
