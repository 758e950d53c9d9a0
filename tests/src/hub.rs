//! The hub's process: started, signalled, killed; its log, its page, and its other commands.

use core::time::Duration;
use std::ffi::OsStr;
use std::path::Path;
use std::process::{ExitStatus, Output, Stdio};
use std::sync::{Arc, Mutex, PoisonError};

use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;
use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::TcpStream;
use tokio::process::{Child, Command};

use crate::{pause, until};

/// Longest answer of the page that is read, bytes.
const LONGEST_ANSWER: u64 = 4 << 20;

/// A running hub; killed, and its log shown if the test failed, when this is dropped.
pub struct Hub {
    child: Child,
    pid: Pid,
    page: u16,
    log: Arc<Mutex<Vec<String>>>,
}

impl Hub {
    /// Starts `sunkeep run`.
    pub fn run(program: &str, config: &Path, page: u16) -> Self {
        Self::run_with(program, config, page, &[], &[])
    }

    /// Starts `sunkeep run` with more arguments and variables.
    pub fn run_with(
        program: &str,
        config: &Path,
        page: u16,
        arguments: &[&str],
        variables: &[(&str, &OsStr)],
    ) -> Self {
        let mut command = Command::new(program);
        command.arg("run").arg("--config").arg(config).args(arguments);
        command
            .env_remove("NOTIFY_SOCKET")
            .env("SUNKEEP_LOG", "info")
            .env("RUST_BACKTRACE", "0")
            .envs(variables.iter().copied());
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped()).kill_on_drop(true);
        let mut child = command.spawn().expect("starting the hub");
        let pid = child.id().and_then(|id| Pid::from_raw(id.cast_signed())).expect("a process number");
        let log = Arc::new(Mutex::new(Vec::new()));
        let mut lines = BufReader::new(child.stderr.take().expect("its log")).lines();
        let kept = Arc::clone(&log);
        tokio::spawn(async move {
            while let Ok(Some(line)) = lines.next_line().await {
                kept.lock().unwrap_or_else(PoisonError::into_inner).push(line);
            }
        });
        Self { child, pid, page, log }
    }

    /// Sends it a signal.
    pub fn signal(&self, signal: Signal) {
        kill_process(self.pid, signal).expect("a signal to the hub");
    }

    /// Kills it on the spot, as a power cut would.
    pub async fn kill(&mut self) {
        self.signal(Signal::KILL);
        self.ended(Duration::from_secs(5)).await;
    }

    /// Waits for its end.
    pub async fn ended(&mut self, within: Duration) -> ExitStatus {
        let ended = tokio::time::timeout(within, self.child.wait()).await;
        ended
            .unwrap_or_else(|_| panic!("the hub did not end within {} s", within.as_secs()))
            .expect("its end")
    }

    /// Lines of the log so far.
    pub fn log(&self) -> Vec<String> {
        self.log.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Lines of the log that hold all of these words.
    pub fn said(&self, words: &[&str]) -> usize {
        self.log().iter().filter(|line| words.iter().all(|word| line.contains(word))).count()
    }

    /// What the page shows now; `None` before the first cycle and while nobody answers.
    pub async fn view(&self) -> Option<Value> {
        let got = tokio::time::timeout(Duration::from_secs(5), get(self.page, "/api/view")).await;
        got.ok().flatten().and_then(|(status, body)| (status == 200).then_some(body))
    }

    /// What the page shows, as soon as it is so.
    pub async fn view_when(&self, what: &str, within: Duration, holds: impl Fn(&Value) -> bool) -> Value {
        let mut last = None;
        let start = crate::now();
        loop {
            if let Some(view) = self.view().await {
                if holds(&view) {
                    return view;
                }
                last = Some(view);
            }
            if start.elapsed() >= within {
                let last = last.map(|view| shortened(&view));
                panic!("waited {} s in vain: {what}; last seen: {last:?}", within.as_secs());
            }
            pause(Duration::from_millis(100)).await;
        }
    }

    /// Cycles since the start, as the page tells.
    pub async fn cycles(&self) -> u64 {
        let mut cycles = 0;
        until("the page tells its cycles", Duration::from_secs(15), async || {
            match self.view().await.and_then(|view| view["counts"]["cycles"].as_u64()) {
                Some(counted) => {
                    cycles = counted;
                    true
                }
                None => false,
            }
        })
        .await;
        cycles
    }
}

impl Drop for Hub {
    fn drop(&mut self) {
        if std::thread::panicking() {
            println!("--- log of the hub");
            self.log().iter().for_each(|line| println!("{line}"));
        }
    }
}

/// What of a view helps to understand a failure.
fn shortened(view: &Value) -> Value {
    let mut view = view.clone();
    for long in ["forecast", "past"] {
        view[long] = Value::Null;
    }
    view
}

/// Status and JSON of an answer of the page on this port; `None` where nobody answers, or not in JSON.
async fn get(port: u16, path: &str) -> Option<(u16, Value)> {
    let (status, body) = ask_page(port, path).await?;
    Some((status, serde_json::from_str(&body).ok()?))
}

/// Status and body of an answer of the page on this port; `None` where nobody answers.
pub async fn ask_page(port: u16, path: &str) -> Option<(u16, String)> {
    let mut stream = TcpStream::connect(("127.0.0.1", port)).await.ok()?;
    let request = format!("GET {path} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nConnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).await.ok()?;
    let mut answer = String::new();
    stream.take(LONGEST_ANSWER).read_to_string(&mut answer).await.ok()?;
    let (head, body) = answer.split_once("\r\n\r\n")?;
    Some((head.split(' ').nth(1)?.parse().ok()?, body.to_owned()))
}

/// Runs another command of the hub to its end, at most a minute.
pub async fn command(program: &str, arguments: &[&OsStr]) -> Output {
    let mut command = Command::new(program);
    command.args(arguments).stdin(Stdio::null()).kill_on_drop(true);
    let output = tokio::time::timeout(Duration::from_mins(1), command.output()).await;
    output.unwrap_or_else(|_| panic!("{arguments:?} did not end within a minute")).expect("its output")
}

/// Names of faults that the page shows.
pub fn faults(view: &Value) -> Vec<String> {
    let faults = view["faults"].as_array().into_iter().flatten();
    faults.filter_map(|fault| fault.as_str().map(str::to_owned)).collect()
}

/// Health of a device as the page shows it: whether it answers, and what is wrong.
pub fn device(view: &Value, name: &str) -> (Option<bool>, String) {
    let devices = view["devices"].as_array().into_iter().flatten();
    let mut found = devices.filter(|device| device["name"] == name);
    let device = found.next().unwrap_or_else(|| panic!("no device {name} in {}", view["devices"]));
    (device["answers"].as_bool(), device["why"].as_str().unwrap_or_default().to_owned())
}
