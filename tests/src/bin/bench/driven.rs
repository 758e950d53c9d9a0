//! The hub in lock-step: two days of work by the minute, then cycles a second apart, one by one, each measured
//! by itself. A second hub without a journal goes beside it, which tells what recording costs the cycle.
//!
//! Hubs and home take turns anyway, so all sit on one processor: between two, where each happens to sit doubles
//! or halves what a cycle costs, for minutes at a time.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail, ensure};
use rustix::thread::{CpuSet, sched_getaffinity, sched_getcpu, sched_setaffinity};
use serde_json::Value;
use sunkeep_simulator::lockstep::{FromHub, Tick, ToHub};
use sunkeep_tests::house::MIDNIGHT;
use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader, Lines};
use tokio::net::TcpListener;
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::process::Command;

use crate::figures::{Budget, Figures, Spread};
use crate::home::Home;
use crate::memory;
use crate::process::{Hub, all_answer};

/// How long the hub may take to come, and over a cycle.
const PATIENCE: Duration = Duration::from_secs(30);
/// Cycles of the work before, a minute apart: two days, so that the model forecasts.
const BEFORE: u64 = 2 * 24 * 60;
/// Cycles that are measured, a second apart: half an hour, so that one slot begins.
const MEASURED: u64 = 1800;
/// Cycles of a block of the journal.
const BLOCK: usize = 60;
/// Slots that begin in the work before.
const SLOTS_BEFORE: u64 = BEFORE / 30;

/// A hub and the socket that drives it.
pub(crate) struct Driven {
    hub: Hub,
    home: Home,
    lines: Lines<BufReader<OwnedReadHalf>>,
    writer: OwnedWriteHalf,
    ticks: u64,
    uptime: Duration,
    /// Of the cycle's thread on a processor until the last measured cycle, ns.
    busy: u64,
}

/// What the cycles of a hub cost, one by one.
#[derive(Default)]
struct Cost {
    /// Time of the cycle's thread on a processor, µs.
    cpu: Vec<f64>,
    /// From the tick to the answer, µs.
    wall: Vec<f64>,
}

/// Runs a hub with a journal and one without, cycle by cycle in turn. The one without starts a thread every half
/// minute to look for one; spread over its cycles that is about a microsecond, by which recording looks cheaper.
pub(crate) async fn measure(program: &Path) -> anyhow::Result<Figures> {
    let _seat = Seat::take()?;
    let mut with = Driven::start(Command::new(program), Home::start(MIDNIGHT, false, true).await?).await?;
    let mut without =
        Driven::start(Command::new(program), Home::start(MIDNIGHT, false, false).await?).await?;
    let forecasts = with.work_before().await?;
    without.work_before().await?;
    let (threads, answers) = (with.hub.threads()?, with.home.answers());
    let (mut cost, mut cheaper) = (Cost::default(), Cost::default());
    for _ in 0..MEASURED {
        with.measured_cycle(&mut cost).await?;
        without.measured_cycle(&mut cheaper).await?;
    }
    let mut figures = Figures::default();
    add_costs(&mut figures, &cost, forecasts, written(&threads, &with.hub.threads()?));
    let what = "what recording adds to the cycle's thread, blocks included: mean a cycle";
    figures.add("recording_cpu", what, difference(&cost.cpu, &cheaper.cpu), "us");
    let answers = (with.home.answers() - answers) as f64 / MEASURED as f64;
    figures.add("answers", "answers of devices a cycle", answers, "");
    // One alone, for two would share the pages of their program.
    check(&without.end().await?.0)?;
    all_answer(&with.hub.view().await?)?;
    memory::add(&mut figures, &with.hub, "after two days of work", true)?;
    look_at_page(&mut figures, &with.hub).await?;
    check(&with.end().await?.0)?;
    Ok(figures)
}

/// A seat of this thread, and of the processes it starts, on one processor; given up when this is dropped.
struct Seat(CpuSet);

impl Seat {
    fn take() -> anyhow::Result<Self> {
        let allowed = sched_getaffinity(None).context("asking which processors may be used")?;
        let mut one = CpuSet::new();
        one.set(sched_getcpu());
        sched_setaffinity(None, &one).context("staying on one processor")?;
        Ok(Self(allowed))
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        // What could be narrowed can be widened again; if not, the rest is measured on one processor, too.
        let _ = sched_setaffinity(None, &self.0);
    }
}

/// Fails if the run was not what was to be measured.
fn check(counts: &Value) -> anyhow::Result<()> {
    let (onnx, cycles) = (&counts["onnx_forecasts"], &counts["cycles"]);
    ensure!(cycles.as_u64() == Some(BEFORE + MEASURED), "the hub counted {counts}");
    ensure!(onnx.as_u64() > Some(0), "the model made no forecast in two days: {counts}");
    Ok(())
}

/// Time of the journal's thread on a processor a cycle, µs.
fn written(before: &BTreeMap<String, u64>, after: &BTreeMap<String, u64>) -> f64 {
    let of = |threads: &BTreeMap<String, u64>| threads.get("journal").copied().unwrap_or(0);
    of(after).saturating_sub(of(before)) as f64 / 1e3 / MEASURED as f64
}

/// How much more the first costs. Minute by minute, for a block of the journal is a minute long and the cycle
/// that ends one costs more; the median of these means, for what disturbs the machine does so for a while.
fn difference(costs: &[f64], others: &[f64]) -> f64 {
    let minutes = costs.chunks_exact(BLOCK).zip(others.chunks_exact(BLOCK));
    let mean = |(costs, others): (&[f64], &[f64])| {
        costs.iter().zip(others).map(|(cost, other)| cost - other).sum::<f64>() / BLOCK as f64
    };
    Spread::of(minutes.map(mean)).median()
}

fn add_costs(figures: &mut Figures, cost: &Cost, forecasts: f64, written: f64) {
    let [cpu, wall] = [&cost.cpu, &cost.wall].map(|values| Spread::of(values.iter().copied()));
    figures.add("cycles", "cycles of eight devices, all over TCP", MEASURED as f64, "");
    let what = "processor time of a cycle, its reads and writes: median";
    figures.add_within("cycle_cpu_median", what, cpu.median(), "us", Budget::at_most(2000.0, 200.0));
    figures.add("cycle_cpu_mean", "  mean", cpu.mean(), "us");
    figures.add("cycle_cpu_p95", "  P95", cpu.quantile(0.95), "us");
    figures.add("cycle_cpu_p99", "  P99", cpu.quantile(0.99), "us");
    let what = "a cycle from tick to answer, simulated devices included: median";
    figures.add("cycle_wall_median", what, wall.median(), "us");
    figures.add("cycle_wall_p95", "  P95", wall.quantile(0.95), "us");
    figures.add("cycle_wall_p99", "  P99", wall.quantile(0.99), "us");
    figures.add("journal_cpu", "processor time of the journal's writer: mean a cycle", written, "us");
    figures.add("forecasts_cpu", "processor time of forecasts and plan: mean a slot", forecasts, "ms");
}

/// What somebody who looks at the page costs.
async fn look_at_page(figures: &mut Figures, hub: &Hub) -> anyhow::Result<()> {
    const LOOKS: u32 = 10;
    let before = hub.cycle_thread_at_rest().await?;
    for _ in 0..LOOKS {
        let page = hub.page("/").await;
        ensure!(page.is_some_and(|(status, _)| status == 200), "the page is not shown");
    }
    let cost = (hub.cycle_thread_at_rest().await? - before) as f64 / 1e6;
    figures.add("page_cpu", "processor time of a look at the page: mean", cost / f64::from(LOOKS), "ms");
    figures.add("rss_page", "resident memory (RSS) after ten looks at it", memory::resident(hub)?, "MB");
    Ok(())
}

impl Driven {
    /// Starts the hub with this command and waits for its hello.
    pub(crate) async fn start(command: Command, home: Home) -> anyhow::Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").await.context("listening for the hub")?;
        let address = listener.local_addr()?.to_string();
        let hub = Hub::start(command, &home, Some(&address))?;
        let accepted = tokio::time::timeout(PATIENCE, listener.accept()).await;
        let (stream, _) =
            accepted.with_context(|| format!("no hub; its log ends:\n{}", hub.last_lines()))??;
        stream.set_nodelay(true)?;
        let (reader, writer) = stream.into_split();
        let lines = BufReader::new(reader).lines();
        let mut driven = Self { hub, home, lines, writer, ticks: 0, uptime: Duration::ZERO, busy: 0 };
        match driven.hear().await? {
            FromHub::Hello(_) => Ok(driven),
            other => bail!("the hub said {other:?}, expected hello"),
        }
    }

    /// The work before; what forecasts and plan cost in it, ms of a processor a slot.
    async fn work_before(&mut self) -> anyhow::Result<f64> {
        let step = Duration::from_mins(1);
        let forecasts = |hub: &Hub| anyhow::Ok(hub.threads()?.get("forecasts").copied().unwrap_or(0));
        // The first cycle waits for the models to be loaded.
        self.cycle(step).await?;
        let loaded = forecasts(&self.hub)?;
        for _ in 1..BEFORE {
            self.cycle(step).await?;
        }
        self.busy = self.hub.cycle_thread_at_rest().await?;
        Ok((forecasts(&self.hub)? - loaded) as f64 / 1e6 / SLOTS_BEFORE as f64)
    }

    /// A cycle a second after the last.
    async fn measured_cycle(&mut self, cost: &mut Cost) -> anyhow::Result<()> {
        cost.wall.push(self.cycle(Duration::from_secs(1)).await?.as_secs_f64() * 1e6);
        let busy = self.hub.cycle_thread_at_rest().await?;
        cost.cpu.push((busy - self.busy) as f64 / 1e3);
        self.busy = busy;
        Ok(())
    }

    /// One cycle, after which the home moves on; how long the hub took.
    pub(crate) async fn cycle(&mut self, step: Duration) -> anyhow::Result<Duration> {
        self.ticks += 1;
        let n = self.ticks;
        let unix = Some(self.home.running.unix());
        let tick = Tick { n, uptime_ms: self.uptime.as_millis() as u64, unix };
        let began = Instant::now();
        self.say(&ToHub::Tick(tick)).await?;
        let heard = self.hear().await?;
        let took = began.elapsed();
        ensure!(heard == FromHub::Done { n }, "the hub said {heard:?}, expected done with tick {n}");
        self.home.running.advance(step);
        self.uptime += step;
        Ok(took)
    }

    /// What the hub shows to programs.
    pub(crate) async fn view(&mut self) -> anyhow::Result<Value> {
        self.hub.view().await
    }

    /// Ends the run; what the hub counted, and its log.
    pub(crate) async fn end(mut self) -> anyhow::Result<(Value, String)> {
        self.say(&ToHub::Stop {}).await?;
        let summary = match self.hear().await? {
            FromHub::Summary(summary) => summary,
            other => bail!("the hub said {other:?}, expected its summary"),
        };
        self.hub.stop(false).await?;
        let log = std::fs::read_to_string(self.home.log()).context("reading the hub's log")?;
        Ok((summary["counts"].clone(), log))
    }

    async fn say(&mut self, message: &ToHub) -> anyhow::Result<()> {
        let mut line = serde_json::to_vec(message)?;
        line.push(b'\n');
        self.writer.write_all(&line).await.with_context(|| self.hub.last_lines())
    }

    async fn hear(&mut self) -> anyhow::Result<FromHub> {
        let line = tokio::time::timeout(PATIENCE, self.lines.next_line()).await;
        let line =
            line.with_context(|| format!("no answer; the hub's log ends:\n{}", self.hub.last_lines()))??;
        let line =
            line.with_context(|| format!("the hub has gone; its log ends:\n{}", self.hub.last_lines()))?;
        serde_json::from_str(&line).with_context(|| format!("the hub said {line:?}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_cycle_that_ends_a_block_counts_and_a_disturbed_minute_does_not() {
        let others = vec![100.0; 5 * BLOCK];
        let mut costs = vec![110.0; 5 * BLOCK];
        costs.iter_mut().skip(BLOCK - 1).step_by(BLOCK).for_each(|cost| *cost += 600.0);
        costs[BLOCK..2 * BLOCK].iter_mut().for_each(|cost| *cost += 1000.0);
        assert_eq!(difference(&costs, &others), 20.0);
    }
}
