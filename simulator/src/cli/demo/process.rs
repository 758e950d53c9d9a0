//! The hub as a process of its own: this same program, started again as `hub`.

use core::time::Duration;
use std::collections::VecDeque;
use std::net::SocketAddr;
use std::path::Path;
use std::process::Stdio;
use std::sync::{Arc, Mutex, PoisonError};

use anyhow::{Context as _, anyhow};
use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, BufReader};
use tokio::process::{Child, ChildStderr, Command};
use tokio::task::JoinHandle;

/// Lines of its log that are kept.
const KEPT: usize = 20;
/// Longest line that is kept whole, bytes.
const LONGEST: u64 = 4096;

/// A running hub; it is killed when this is dropped.
pub(super) struct HubProcess {
    child: Child,
    log: Arc<Mutex<VecDeque<String>>>,
    reader: Option<JoinHandle<()>>,
}

impl HubProcess {
    /// Starts the hub of this configuration, in step with whoever listens there. Ctrl-C at the terminal is
    /// for the demo alone: it tells the hub to end.
    pub(super) fn start(config: &Path, lockstep: SocketAddr) -> anyhow::Result<Self> {
        let program = std::env::current_exe().context("cannot find this program to start the hub with")?;
        let mut command = Command::new(&program);
        command.args(["hub", "run", "--config"]).arg(config).arg("--lockstep").arg(lockstep.to_string());
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped());
        let mut child = command
            .kill_on_drop(true)
            .process_group(0)
            .spawn()
            .with_context(|| format!("cannot start the hub as {} hub", program.display()))?;
        let log = Arc::new(Mutex::new(VecDeque::new()));
        let reader = child.stderr.take().map(|stderr| tokio::spawn(keep(stderr, Arc::clone(&log))));
        Ok(Self { child, log, reader })
    }

    /// Returns when the process has ended.
    pub(super) async fn ended(&mut self) {
        // A process that cannot be waited for is not there.
        let _ = self.child.wait().await;
    }

    /// Waits for the hub to end, having told it to if `told`; kills it when it takes longer than `patience`.
    pub(super) async fn leave(&mut self, told: bool, patience: Duration) -> anyhow::Result<()> {
        if told && let Some(id) = self.child.id().and_then(|id| rustix::process::Pid::from_raw(id as i32)) {
            // It may have ended by itself in the meantime.
            let _ = rustix::process::kill_process(id, rustix::process::Signal::TERM);
        }
        match tokio::time::timeout(patience, self.child.wait()).await {
            Ok(status) => {
                let status = status.context("cannot wait for the hub to end")?;
                // A hub that was still starting ends by the signal, one that lost its clock with an error.
                if told || status.success() { Ok(()) } else { Err(self.died(&status.to_string()).await) }
            }
            Err(_) => {
                self.child.kill().await.context("cannot kill the hub")?;
                Err(self
                    .died(&format!("it did not end within {} s and was killed", patience.as_secs()))
                    .await)
            }
        }
    }

    /// Why a run fell out of step: how the hub ended, if it did within `patience`, and its last lines.
    pub(super) async fn failed(&mut self, patience: Duration) -> anyhow::Error {
        let state = match tokio::time::timeout(patience, self.child.wait()).await {
            Ok(Ok(status)) => status.to_string(),
            Ok(Err(error)) => error.to_string(),
            Err(_) => "still running".into(),
        };
        let error = self.died(&state).await;
        // It may have ended just now.
        let _ = self.child.kill().await;
        error
    }

    async fn died(&mut self, state: &str) -> anyhow::Error {
        if let Some(reader) = self.reader.take() {
            // All of its log is in once the pipe is closed; a grandchild could hold that open.
            let _ = tokio::time::timeout(Duration::from_secs(1), reader).await;
        }
        let log = self.log.lock().unwrap_or_else(PoisonError::into_inner);
        let lines: Vec<_> = log.iter().map(String::as_str).collect();
        anyhow!("the hub: {state}; its last lines:\n{}", lines.join("\n"))
    }
}

/// Keeps the last lines of the log.
async fn keep(stderr: ChildStderr, log: Arc<Mutex<VecDeque<String>>>) {
    let mut reader = BufReader::new(stderr);
    loop {
        let mut line = Vec::new();
        match (&mut reader).take(LONGEST).read_until(b'\n', &mut line).await {
            Ok(1..) => {}
            Ok(0) | Err(_) => return,
        }
        let mut log = log.lock().unwrap_or_else(PoisonError::into_inner);
        if log.len() == KEPT {
            log.pop_front();
        }
        log.push_back(String::from_utf8_lossy(&line).trim_end().to_owned());
    }
}
