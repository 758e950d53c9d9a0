//! The hub in lock-step: two days of work by the minute, then cycles a second apart, one by one, each measured
//! by itself. Once with its journal and once without, which tells what recording costs the cycle.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail, ensure};
use serde_json::Value;
use sunkeep_simulator::lockstep::{FromHub, Tick, ToHub};
use sunkeep_tests::house::MIDNIGHT;
use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader, Lines};
use tokio::net::TcpListener;
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};

use crate::figures::{Budget, Figures, Spread};
use crate::home::Home;
use crate::memory;
use crate::process::Hub;

/// How long the hub may take to come, and over a cycle.
const PATIENCE: Duration = Duration::from_secs(30);
/// Cycles of the work before, a minute apart: two days, so that the model forecasts.
const BEFORE: u64 = 2 * 24 * 60;
/// Cycles that are measured, a second apart: half an hour, so that one slot begins.
const MEASURED: u64 = 1800;
/// Slots that begin in the work before.
const SLOTS_BEFORE: u64 = BEFORE / 30;

/// A hub and the socket that drives it.
struct Driven {
    hub: Hub,
    lines: Lines<BufReader<OwnedReadHalf>>,
    writer: OwnedWriteHalf,
    ticks: u64,
    uptime: Duration,
}

/// What a run gave.
struct Run {
    /// Of the cycle's thread, cycle by cycle, µs.
    cpu: Vec<f64>,
    /// From the tick to the answer, cycle by cycle, µs.
    wall: Vec<f64>,
    /// Of each thread over the measured cycles, ns.
    threads: BTreeMap<String, u64>,
    /// Of the thread of forecasts over the work before, ns.
    forecasts: u64,
    answers: u64,
}

/// Runs the hub with and without a journal.
pub(crate) async fn measure(program: &Path) -> anyhow::Result<Figures> {
    let home = Home::start(MIDNIGHT, false, true).await?;
    let mut driven = Driven::start(program, &home).await?;
    let with = driven.work(&home).await?;
    let mut figures = figures(&with);
    memory::add(&mut figures, &driven.hub, "after two days of work", true)?;
    look_at_page(&mut figures, &mut driven).await?;
    let counts = driven.end().await?;
    let (onnx, cycles) = (&counts["onnx_forecasts"], &counts["cycles"]);
    ensure!(cycles.as_u64() == Some(BEFORE + MEASURED), "the hub counted {counts}");
    ensure!(onnx.as_u64() > Some(0), "the model made no forecast in two days: {counts}");

    let home = Home::start(MIDNIGHT, false, false).await?;
    let mut driven = Driven::start(program, &home).await?;
    let without = driven.work(&home).await?;
    driven.end().await?;
    let [with, without] = [&with.cpu, &without.cpu].map(|cpu| Spread::of(cpu.iter().copied()).mean());
    figures.add(
        "recording_cpu",
        "what recording adds to the cycle's thread: mean with less mean without",
        with - without,
        "us",
    );
    Ok(figures)
}

fn figures(run: &Run) -> Figures {
    let mut figures = Figures::default();
    let [cpu, wall] = [&run.cpu, &run.wall].map(|values| Spread::of(values.iter().copied()));
    figures.add("cycles", "cycles of eight devices, all over TCP", MEASURED as f64, "");
    let what = "processor time of a cycle, its reads and writes: median";
    figures.add_within("cycle_cpu_median", what, cpu.median(), "us", Budget::at_most(2000.0, 200.0));
    figures.add("cycle_cpu_mean", "  mean", cpu.mean(), "us");
    figures.add("cycle_cpu_p95", "  P95", cpu.quantile(0.95), "us");
    figures.add("cycle_cpu_p99", "  P99", cpu.quantile(0.99), "us");
    let a_cycle = |nanoseconds: u64| nanoseconds as f64 / 1e3 / MEASURED as f64;
    let journal = run.threads.get("journal").copied().unwrap_or(0);
    figures.add(
        "journal_cpu",
        "processor time of the journal's writer a cycle: mean",
        a_cycle(journal),
        "us",
    );
    let what = "processor time of forecasts and plan a slot: mean";
    figures.add("forecasts_cpu", what, run.forecasts as f64 / 1e6 / SLOTS_BEFORE as f64, "ms");
    figures.add(
        "cycle_wall_median",
        "a cycle from tick to answer, simulated devices included: median",
        wall.median(),
        "us",
    );
    figures.add("cycle_wall_p95", "  P95", wall.quantile(0.95), "us");
    figures.add("cycle_wall_p99", "  P99", wall.quantile(0.99), "us");
    figures.add("answers", "answers of devices a cycle", run.answers as f64 / MEASURED as f64, "");
    figures
}

/// What somebody who looks at the page costs.
async fn look_at_page(figures: &mut Figures, driven: &mut Driven) -> anyhow::Result<()> {
    const LOOKS: u32 = 10;
    let before = driven.hub.cycle_thread_at_rest().await?;
    for _ in 0..LOOKS {
        let page = driven.hub.page("/").await;
        ensure!(page.is_some_and(|(status, _)| status == 200), "the page is not shown");
    }
    let cost = (driven.hub.cycle_thread_at_rest().await? - before) as f64 / 1e6;
    figures.add("page_cpu", "processor time of a look at the page: mean", cost / f64::from(LOOKS), "ms");
    figures.add(
        "rss_page",
        "resident memory (RSS) after ten looks at it",
        memory::resident(&driven.hub)?,
        "MB",
    );
    Ok(())
}

impl Driven {
    async fn start(program: &Path, home: &Home) -> anyhow::Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").await.context("listening for the hub")?;
        let address = listener.local_addr()?.to_string();
        let hub = Hub::start(program, home, Some(&address))?;
        let accepted = tokio::time::timeout(PATIENCE, listener.accept()).await;
        let (stream, _) =
            accepted.with_context(|| format!("no hub; its log ends:\n{}", hub.last_lines()))??;
        stream.set_nodelay(true)?;
        let (reader, writer) = stream.into_split();
        let lines = BufReader::new(reader).lines();
        let mut driven = Self { hub, lines, writer, ticks: 0, uptime: Duration::ZERO };
        match driven.hear().await? {
            FromHub::Hello(_) => Ok(driven),
            other => bail!("the hub said {other:?}, expected hello"),
        }
    }

    /// The work before, and the measured cycles.
    async fn work(&mut self, home: &Home) -> anyhow::Result<Run> {
        let forecasts = |threads: &BTreeMap<String, u64>| threads.get("forecasts").copied().unwrap_or(0);
        // The first cycle waits for the models to be loaded.
        self.cycle(home, Duration::from_mins(1)).await?;
        let loaded = forecasts(&self.hub.threads()?);
        for _ in 1..BEFORE {
            self.cycle(home, Duration::from_mins(1)).await?;
        }
        let mut busy = self.hub.cycle_thread_at_rest().await?;
        let (before, answers) = (self.hub.threads()?, home.answers());
        let (mut cpu, mut wall) = (Vec::new(), Vec::new());
        for _ in 0..MEASURED {
            let took = self.cycle(home, Duration::from_secs(1)).await?;
            let now = self.hub.cycle_thread_at_rest().await?;
            wall.push(took.as_secs_f64() * 1e6);
            cpu.push((now - busy) as f64 / 1e3);
            busy = now;
        }
        let mut threads = self.hub.threads()?;
        for (name, busy) in &mut threads {
            *busy -= before.get(name).copied().unwrap_or(0).min(*busy);
        }
        let forecasts = forecasts(&before) - loaded;
        Ok(Run { cpu, wall, threads, forecasts, answers: home.answers() - answers })
    }

    /// One cycle, after which the home moves on; how long the hub took.
    async fn cycle(&mut self, home: &Home, step: Duration) -> anyhow::Result<Duration> {
        self.ticks += 1;
        let n = self.ticks;
        let tick = Tick { n, uptime_ms: self.uptime.as_millis() as u64, unix: home.running.unix() };
        let began = Instant::now();
        self.say(&ToHub::Tick(tick)).await?;
        let heard = self.hear().await?;
        let took = began.elapsed();
        ensure!(heard == FromHub::Done { n }, "the hub said {heard:?}, expected done with tick {n}");
        home.running.advance(step);
        self.uptime += step;
        Ok(took)
    }

    /// Ends the run; what the hub counted.
    async fn end(mut self) -> anyhow::Result<Value> {
        self.say(&ToHub::Stop {}).await?;
        let summary = match self.hear().await? {
            FromHub::Summary(summary) => summary,
            other => bail!("the hub said {other:?}, expected its summary"),
        };
        self.hub.stop(false).await?;
        Ok(summary["counts"].clone())
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
