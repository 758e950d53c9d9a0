//! The hub's process, and what the system counts of it in `/proc`.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::process::Stdio;
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail, ensure};
use rustix::process::{Pid, Signal, kill_process};
use tokio::process::{Child, Command};

use crate::home::{DEVICES, Home};

/// How long the hub may take to show its page, and to end.
const PATIENCE: Duration = Duration::from_secs(20);
/// Lines of its log that are shown when something went wrong.
const LAST_LINES: usize = 8;

/// A running `sunkeep run`; killed when this is dropped.
pub(crate) struct Hub {
    child: Child,
    pid: u32,
    page: u16,
    log: PathBuf,
}

/// Fails if the page shows a device that does not answer: what is read of it then costs nothing.
pub(crate) fn all_answer(view: &serde_json::Value) -> anyhow::Result<()> {
    let devices = view["devices"].as_array().map(Vec::as_slice).unwrap_or_default();
    let answer = devices.iter().filter(|device| device["answers"] == true).count();
    ensure!(answer == DEVICES, "{answer} devices answer, expected {DEVICES}: {}", view["devices"]);
    Ok(())
}

impl Hub {
    /// Starts the hub of a home with this command, in real time or in step with whoever listens at `lockstep`.
    pub(crate) fn start(mut command: Command, home: &Home, lockstep: Option<&str>) -> anyhow::Result<Self> {
        let log = home.log();
        let file = std::fs::File::create(&log).with_context(|| format!("making {}", log.display()))?;
        command.arg("run").arg("--config").arg(&home.config);
        command.args(lockstep.into_iter().flat_map(|address| ["--lockstep", address]));
        command.env_remove("NOTIFY_SOCKET").env_remove("SUNKEEP_LOG");
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(file).kill_on_drop(true);
        let child = command.spawn().with_context(|| format!("starting {:?}", command.as_std()))?;
        let pid = child.id().context("the hub ended at once")?;
        Ok(Self { child, pid, page: home.page, log })
    }

    /// What the page shows, as soon as it shows it.
    pub(crate) async fn view(&mut self) -> anyhow::Result<serde_json::Value> {
        let began = Instant::now();
        loop {
            if let Some((200, body)) = self.page("/api/view").await {
                return serde_json::from_str(&body).context("reading the view of the hub's page");
            }
            if let Some(status) = self.child.try_wait()? {
                bail!("the hub has ended ({status}); its log ends:\n{}", self.last_lines());
            }
            if began.elapsed() > PATIENCE {
                bail!("no page within {} s; the hub's log ends:\n{}", PATIENCE.as_secs(), self.last_lines());
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    }

    /// Status and body of a page, if it comes.
    pub(crate) async fn page(&self, path: &str) -> Option<(u16, String)> {
        let asked = sunkeep_tests::hub::ask_page(self.page, path);
        tokio::time::timeout(Duration::from_secs(5), asked).await.ok().flatten()
    }

    /// Tells it to stop, where it does not by itself, and waits for its end.
    pub(crate) async fn stop(mut self, told: bool) -> anyhow::Result<()> {
        if told && let Some(pid) = Pid::from_raw(self.pid.cast_signed()) {
            kill_process(pid, Signal::TERM).context("telling the hub to stop")?;
        }
        let ended = tokio::time::timeout(PATIENCE, self.child.wait()).await;
        let status =
            ended.with_context(|| format!("the hub did not end within {} s", PATIENCE.as_secs()))??;
        if !status.success() {
            bail!("the hub ended with {status}; its log ends:\n{}", self.last_lines());
        }
        Ok(())
    }

    /// The end of its log.
    pub(crate) fn last_lines(&self) -> String {
        let text = std::fs::read_to_string(&self.log).unwrap_or_default();
        let lines: Vec<&str> = text.lines().collect();
        lines[lines.len().saturating_sub(LAST_LINES)..].join("\n")
    }

    /// Time on a processor of the thread that runs the cycle, and the buses and the page between cycles, ns.
    /// Exact while that thread sleeps.
    pub(crate) fn cycle_thread(&self) -> anyhow::Result<u64> {
        self.on_processor(self.pid)
    }

    /// The same once the thread sleeps; waits for that.
    pub(crate) async fn cycle_thread_at_rest(&self) -> anyhow::Result<u64> {
        let mut last = self.cycle_thread()?;
        // A hub that never rests would be found out by its figures; this only must not wait for ever.
        for _ in 0..1000 {
            tokio::time::sleep(Duration::from_millis(1)).await;
            let now = self.cycle_thread()?;
            if now == last {
                break;
            }
            last = now;
        }
        Ok(last)
    }

    /// Time on a processor of all threads, by name, ns. Threads that have ended are not in it.
    pub(crate) fn threads(&self) -> anyhow::Result<BTreeMap<String, u64>> {
        let mut threads = BTreeMap::new();
        for entry in
            std::fs::read_dir(format!("/proc/{}/task", self.pid)).context("listing the hub's threads")?
        {
            let tid: u32 = entry?.file_name().to_string_lossy().parse().context("the number of a thread")?;
            // One that has ended in the meantime is not there.
            let Ok(name) = std::fs::read_to_string(format!("/proc/{}/task/{tid}/comm", self.pid)) else {
                continue;
            };
            *threads.entry(name.trim().to_owned()).or_default() += self.on_processor(tid).unwrap_or(0);
        }
        Ok(threads)
    }

    /// How often the thread of the cycle has gone to sleep.
    pub(crate) fn sleeps(&self) -> anyhow::Result<u64> {
        self.status("voluntary_ctxt_switches")
    }

    /// A number of `/proc/PID/status`.
    pub(crate) fn status(&self, field: &str) -> anyhow::Result<u64> {
        self.field("status", field)
    }

    /// A number of `/proc/PID/smaps_rollup`.
    pub(crate) fn maps(&self, field: &str) -> anyhow::Result<u64> {
        self.field("smaps_rollup", field)
    }

    fn field(&self, file: &str, field: &str) -> anyhow::Result<u64> {
        let path = format!("/proc/{}/{file}", self.pid);
        let text = std::fs::read_to_string(&path).with_context(|| format!("reading {path}"))?;
        let value = text.lines().find_map(|line| line.strip_prefix(field)?.strip_prefix(':'));
        let number = value.and_then(|value| value.split_whitespace().next()?.parse().ok());
        number.with_context(|| format!("{path}: no number {field}"))
    }

    fn on_processor(&self, tid: u32) -> anyhow::Result<u64> {
        let path = format!("/proc/{}/task/{tid}/schedstat", self.pid);
        let text = std::fs::read_to_string(&path).with_context(|| format!("reading {path}"))?;
        let first = text.split(' ').next().and_then(|number| number.parse().ok());
        first.with_context(|| format!("{path}: read {text:?}, expected nanoseconds first"))
    }
}
