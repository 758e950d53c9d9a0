//! The hub in real time: a cycle a second, seven devices over TCP and one on a serial line, watched from outside.

use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context as _, ensure};
use serde_json::Value;
use sunkeep_tests::house::MIDNIGHT;
use tokio::process::Command;
use tokio::time::MissedTickBehavior;

use crate::cycles::{Cycle, Sample, whole_cycles};
use crate::figures::{Budget, Figures, Spread};
use crate::home::Home;
use crate::memory;
use crate::process::{Hub, all_answer};

/// How often the hub's thread is looked at.
const LOOK: Duration = Duration::from_millis(5);
/// How often the home moves on.
const STEP: Duration = Duration::from_millis(500);
/// Cycles that are not counted: connections are made, the models are loaded.
const FIRST: u64 = 3;

/// How often the hub is looked at until it has made them.
const LOOKS_AT_START: u32 = 40;

/// What was seen of the hub.
struct Watched {
    cycles: Vec<Cycle>,
    /// Of all threads, ns.
    busy: u64,
    /// Answers of devices.
    answers: u64,
    /// How often the cycle's thread went to sleep.
    sleeps: u64,
    seconds: f64,
}

/// Runs the hub for so many seconds.
pub(crate) async fn measure(program: &Path, seconds: u16) -> anyhow::Result<Figures> {
    let home = Home::start(MIDNIGHT, true, true).await?;
    let mut hub = Hub::start(Command::new(program), &home, None)?;
    let mut before = hub.view().await?;
    for _ in 0..LOOKS_AT_START {
        if cycles(&before) >= FIRST {
            break;
        }
        tokio::time::sleep(STEP).await;
        home.running.advance(STEP);
        before = hub.view().await?;
    }
    let watched = watch(&home, &hub, Duration::from_secs(seconds.into())).await?;
    let after = hub.view().await?;
    let counted = cycles(&after) - cycles(&before);
    let seen = watched.cycles.len() as u64;
    ensure!(
        // The first and the last are cut off, and one more may fall between looking and asking.
        seen <= counted && counted <= seen + 4,
        "the hub counted {counted} cycles and {seen} were seen from outside: this machine is too busy to tell \
         them apart"
    );
    all_answer(&after)?;
    let mut figures = figures(&watched);
    memory::add(&mut figures, &hub, &format!("after {seconds} s"), false)?;
    hub.stop(true).await?;
    Ok(figures)
}

fn cycles(view: &Value) -> u64 {
    view["counts"]["cycles"].as_u64().unwrap_or(0)
}

async fn watch(home: &Home, hub: &Hub, span: Duration) -> anyhow::Result<Watched> {
    let busy = || anyhow::Ok(hub.threads()?.values().sum::<u64>());
    let (busy_before, answers, sleeps) = (busy()?, home.answers(), hub.sleeps()?);
    let mut samples = Vec::new();
    let mut looks = tokio::time::interval(LOOK);
    looks.set_missed_tick_behavior(MissedTickBehavior::Skip);
    let began = Instant::now();
    let mut moved = Duration::ZERO;
    while began.elapsed() < span {
        looks.tick().await;
        let at = began.elapsed();
        samples.push(Sample { at, busy: hub.cycle_thread().context(hub.last_lines())? });
        if at >= moved + STEP {
            home.running.advance(STEP);
            moved += STEP;
        }
    }
    Ok(Watched {
        cycles: whole_cycles(&samples),
        busy: busy()?.saturating_sub(busy_before),
        answers: home.answers() - answers,
        sleeps: hub.sleeps()? - sleeps,
        seconds: began.elapsed().as_secs_f64(),
    })
}

fn figures(watched: &Watched) -> Figures {
    let mut figures = Figures::default();
    let cpu = Spread::of(watched.cycles.iter().map(|cycle| cycle.cpu));
    let wall = Spread::of(watched.cycles.iter().map(|cycle| cycle.wall));
    figures.add("cycles", "cycles of eight devices, one on a serial line", watched.cycles.len() as f64, "");
    let what = "processor time of a cycle, its reads and writes: median";
    figures.add_within("cycle_cpu_median", what, cpu.median(), "us", Budget::at_most(2000.0, 200.0));
    figures.add("cycle_cpu_p95", "  P95", cpu.quantile(0.95), "us");
    figures.add("cycle_cpu_p99", "  P99", cpu.quantile(0.99), "us");
    let what = "processor time of the whole process a second, all threads: mean";
    figures.add_within(
        "process_cpu",
        what,
        watched.busy as f64 / 1e3 / watched.seconds,
        "us",
        Budget::at_most(2000.0, 200.0),
    );
    figures.add(
        "cycle_wall_median",
        "a cycle from first work to last, waits for devices included: median",
        wall.median(),
        "ms",
    );
    figures.add("cycle_wall_p95", "  P95", wall.quantile(0.95), "ms");
    figures.add("cycle_wall_p99", "  P99", wall.quantile(0.99), "ms");
    let a_second = |count: u64| count as f64 / watched.seconds;
    figures.add("answers", "answers of devices a second", a_second(watched.answers), "");
    figures.add("sleeps", "wake-ups of the cycle's thread a second", a_second(watched.sleeps), "");
    figures
}
