//! tract, as the hub has it, and onnxruntime with one thread: the factory load model, side by side, in rounds that
//! take turns, so that whatever slows the machine slows both.
//!
//! Both are timed by the processor time of the thread that calls. Both get the same file and the same rows, and
//! must give the same answers, or there is nothing to compare.

use std::io::{BufRead as _, BufReader, Write as _};
use std::path::Path;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

use anyhow::{Context as _, ensure};
use rustix::time::{ClockId, clock_gettime};
use serde_json::Value;
use sunkeep_models::factory::{LOAD_ONNX, LOAD_TOML};
use sunkeep_models::load_features::WIDTH;
use sunkeep_models::onnx::OnnxForecaster;
use sunkeep_models::time::HORIZON;

use crate::figures::{Figures, Spread};

/// Rounds, in which each does its work once.
const ROUNDS: usize = 21;
/// Inferences of a round.
const RUNS: u32 = 2000;
/// Loads of a round.
const LOADS: u32 = 20;
/// How far the answers may lie apart, over one plus their size.
const TOLERANCE: f32 = 1e-5;
/// The other runtime.
const PEER: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/peers/onnx_pace.py");

/// Times of a piece of work, round by round, µs each time.
#[derive(Default)]
struct Sides {
    tract: Vec<f64>,
    onnxruntime: Vec<f64>,
}

/// Measures both.
pub(crate) fn measure(python: &Path) -> anyhow::Result<Figures> {
    let tract = OnnxForecaster::load(LOAD_TOML, LOAD_ONNX)?;
    let rows = rows(&tract)?;
    let folder = tempfile::tempdir().context("making a folder")?;
    let mut peer = Peer::start(python, folder.path(), &rows)?;
    agree(&tract, &rows, &peer.ask("answers")?["answers"])?;
    let (mut run, mut bound, mut load) = (Sides::default(), Sides::default(), Sides::default());
    for round in 0..ROUNDS {
        let first = round % 2 == 0;
        let infer = || (0..RUNS).try_for_each(|_| tract.answer(&rows).map(drop));
        run.round(first, RUNS, || Ok(infer()?), || peer.work("run", RUNS))?;
        bound.round(first, RUNS, || Ok(infer()?), || peer.work("bound", RUNS))?;
        let build = || (0..LOADS).try_for_each(|_| OnnxForecaster::load(LOAD_TOML, LOAD_ONNX).map(drop));
        load.round(first, LOADS, || Ok(build()?), || peer.work("load", LOADS))?;
    }
    let mut figures = Figures::default();
    figures.add("file", "the model's file", LOAD_ONNX.len() as f64 / 1e3, "kB");
    let what = "inference of one forecast, tract over onnxruntime: median ratio";
    bound.add(
        &mut figures,
        ["inference_ratio", "inference_ratio_worst", "inference_tract", "inference_onnxruntime"],
        what,
    );
    let ratio = run.ratios().median();
    figures.add(
        "inference_ratio_python",
        "  ratio with inputs not bound, as a Python program calls it",
        ratio,
        "x",
    );
    let what = "loading, tract with contract and golden vectors over onnxruntime: median ratio";
    load.add(&mut figures, ["load_ratio", "load_ratio_worst", "load_tract", "load_onnxruntime"], what);
    peer.end()?;
    Ok(figures)
}

impl Sides {
    /// One round, in which tract works first, or the other.
    fn round(
        &mut self,
        tract_first: bool,
        times: u32,
        tract: impl Fn() -> anyhow::Result<()>,
        onnxruntime: impl FnOnce() -> anyhow::Result<u64>,
    ) -> anyhow::Result<()> {
        let each = |nanoseconds: u64| nanoseconds as f64 / 1e3 / f64::from(times);
        if tract_first {
            self.tract.push(each(timed(&tract)?));
        }
        self.onnxruntime.push(each(onnxruntime()?));
        if !tract_first {
            self.tract.push(each(timed(&tract)?));
        }
        Ok(())
    }

    fn ratios(&self) -> Spread {
        Spread::of(self.tract.iter().zip(&self.onnxruntime).map(|(tract, other)| tract / other))
    }

    fn add(&self, figures: &mut Figures, names: [&'static str; 4], what: &str) {
        let ratios = self.ratios();
        figures.add(names[0], what, ratios.median(), "x");
        figures.add(names[1], "  worst round", ratios.quantile(1.0), "x");
        figures.add(names[2], "  tract", Spread::of(self.tract.iter().copied()).median(), "us");
        figures.add(names[3], "  onnxruntime", Spread::of(self.onnxruntime.iter().copied()).median(), "us");
    }
}

/// A batch of the rows that the model's contract speaks of, over and over.
fn rows(tract: &OnnxForecaster) -> anyhow::Result<Vec<f32>> {
    let golden = &tract.contract().golden;
    let rows: Vec<f32> = golden.iter().cycle().take(HORIZON).flat_map(|golden| golden.row.clone()).collect();
    ensure!(rows.len() == HORIZON * WIDTH, "{} values, expected {HORIZON} rows of {WIDTH}", rows.len());
    Ok(rows)
}

fn agree(tract: &OnnxForecaster, rows: &[f32], other: &Value) -> anyhow::Result<()> {
    let other: Vec<f32> = serde_json::from_value(other.clone()).context("the answers of onnxruntime")?;
    let answers: Vec<f32> = tract.answer(rows)?.into_iter().flatten().collect();
    ensure!(answers.len() == other.len(), "{} answers and {}", answers.len(), other.len());
    for (place, (one, two)) in answers.iter().zip(&other).enumerate() {
        // Written so that NaN fails.
        let near = (one - two).abs() <= TOLERANCE * (1.0 + one.abs());
        ensure!(near, "answer {place} is {one} by tract and {two} by onnxruntime");
    }
    Ok(())
}

/// Time of this thread on a processor, ns.
fn timed(work: impl FnOnce() -> anyhow::Result<()>) -> anyhow::Result<u64> {
    let before = clock_gettime(ClockId::ThreadCPUTime);
    work()?;
    let after = clock_gettime(ClockId::ThreadCPUTime);
    Ok(((after.tv_sec - before.tv_sec) * 1_000_000_000 + after.tv_nsec - before.tv_nsec) as u64)
}

/// onnxruntime in a process of its own.
struct Peer {
    child: Child,
    says: ChildStdin,
    hears: BufReader<ChildStdout>,
}

impl Peer {
    fn start(python: &Path, folder: &Path, rows: &[f32]) -> anyhow::Result<Self> {
        let [model, values] = ["load.onnx", "rows.f32"].map(|name| folder.join(name));
        std::fs::write(&model, LOAD_ONNX).context("writing the model")?;
        let bytes: Vec<u8> = rows.iter().flat_map(|value| value.to_le_bytes()).collect();
        std::fs::write(&values, bytes).context("writing the rows")?;
        let mut command = Command::new(python);
        command.arg(PEER).args([model, values]).stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = command.spawn().with_context(|| format!("starting {}", python.display()))?;
        let says = child.stdin.take().context("its input")?;
        let hears = BufReader::new(child.stdout.take().context("its output")?);
        Ok(Self { child, says, hears })
    }

    fn ask(&mut self, what: &str) -> anyhow::Result<Value> {
        writeln!(self.says, "{what}").with_context(|| format!("telling onnxruntime: {what}"))?;
        let mut line = String::new();
        self.hears.read_line(&mut line).context("hearing onnxruntime")?;
        serde_json::from_str(&line).with_context(|| format!("onnxruntime said {line:?} to {what:?}"))
    }

    /// How long it was on a processor for this work, ns.
    fn work(&mut self, what: &str, times: u32) -> anyhow::Result<u64> {
        let answer = self.ask(&format!("{what} {times}"))?;
        answer["ns"].as_u64().with_context(|| format!("onnxruntime said {answer}, expected ns"))
    }

    fn end(self) -> anyhow::Result<()> {
        let Self { mut child, says, hears } = self;
        // The end of its input ends it.
        drop((says, hears));
        let status = child.wait().context("waiting for onnxruntime to end")?;
        ensure!(status.success(), "onnxruntime ended with {status}");
        Ok(())
    }
}
