//! `sunkeep-fleet` as a process.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};

use rustix::process::Signal;

use crate::{signal, wait_until};

pub struct Ingest {
    pub process: Child,
    log: PathBuf,
    out: PathBuf,
}

impl Ingest {
    pub fn start(folder: &Path, name: &str, broker: &str, more: &[&str]) -> Self {
        let (log, out) = (folder.join(format!("{name}.log")), folder.join(format!("{name}.out")));
        let process = Command::new(env!("CARGO_BIN_EXE_sunkeep-fleet"))
            .args(["ingest", "--broker", broker, "--name", name, "--lake"])
            .arg(folder.join("lake"))
            .args(more)
            .stdout(fs::File::create(&out).unwrap())
            .stderr(fs::File::create(&log).unwrap())
            .stdin(Stdio::null())
            .spawn();
        Self { process: process.unwrap(), log, out }
    }

    /// One that is subscribed already.
    pub fn subscribed(folder: &Path, name: &str, broker: &str, more: &[&str]) -> Self {
        let ingest = Self::start(folder, name, broker, more);
        wait_until("it is subscribed", || ingest.log().contains("subscribed"));
        ingest
    }

    pub fn log(&self) -> String {
        fs::read_to_string(&self.log).unwrap_or_default()
    }

    /// What it printed in the end, by its names.
    pub fn count(&self, name: &str) -> u64 {
        let text = fs::read_to_string(&self.out).unwrap_or_default();
        let parts = text.trim().split(", ").map(|part| part.split_once(' ').unwrap());
        let number = parts.into_iter().find(|(_, of)| *of == name).unwrap_or_else(|| panic!("{text:?}"));
        number.0.parse().unwrap()
    }

    /// Waits until it has ended by itself.
    pub fn ended(&mut self) -> ExitStatus {
        let mut status = None;
        wait_until("it ends", || {
            status = self.process.try_wait().unwrap();
            status.is_some()
        });
        status.unwrap()
    }

    pub fn kill(&mut self) {
        self.process.kill().unwrap();
        self.process.wait().unwrap();
    }

    /// Tells it to stop, and waits until it has.
    pub fn stop(&mut self) -> ExitStatus {
        signal(&self.process, Signal::TERM);
        self.ended()
    }
}

impl Drop for Ingest {
    fn drop(&mut self) {
        if std::thread::panicking() {
            println!("{}:\n{}", self.log.display(), self.log());
        }
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}
