//! The programs on the fleet's side, as an operator runs them: Mosquitto, and `sunkeep-fleet`.

use core::time::Duration;
use std::ffi::OsStr;
use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::Stdio;

use anyhow::{Context as _, bail, ensure};
use tokio::net::TcpStream;
use tokio::process::{Child, Command};

use crate::cli::tell;

/// How long the broker may take to listen.
const LISTENS_WITHIN: Duration = Duration::from_secs(10);
/// Lines of a log that are shown when a program ended.
const SHOWN: usize = 12;

/// Where Mosquitto is, if anywhere. Debian's folder for it is not on everybody's path.
pub(super) fn mosquitto() -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let folders = std::env::split_paths(&path).chain([PathBuf::from("/usr/sbin"), "/usr/local/sbin".into()]);
    folders.map(|folder| folder.join("mosquitto")).find(|file| file.is_file())
}

/// Where `sunkeep-fleet` is: beside this program. It is built where cargo runs this and it is not there.
pub(super) async fn sunkeep_fleet() -> anyhow::Result<PathBuf> {
    let own = std::env::current_exe().context("cannot find this program")?;
    let folder = own.parent().unwrap_or(Path::new("."));
    let program = folder.join("sunkeep-fleet");
    let Some(cargo) = std::env::var_os("CARGO") else {
        let shown = program.display();
        ensure!(program.is_file(), "{shown} is missing; expected it from: cargo build -p sunkeep-fleet");
        return Ok(program);
    };
    if !program.is_file() {
        tell("building sunkeep-fleet, once: some minutes");
    }
    // The profile of a folder; a development build lies in `debug`.
    let profile = folder.file_name().and_then(OsStr::to_str).unwrap_or("debug").replace("debug", "dev");
    let mut build = Command::new(cargo);
    build.args([
        "build",
        "--quiet",
        "--package",
        "sunkeep-fleet",
        "--bin",
        "sunkeep-fleet",
        "--profile",
        &profile,
    ]);
    build.arg("--manifest-path").arg(concat!(env!("CARGO_MANIFEST_DIR"), "/../Cargo.toml"));
    if let Some(target) = folder.parent() {
        build.arg("--target-dir").arg(target);
    }
    let built = build.stdin(Stdio::null()).status().await.context("cannot start cargo")?;
    ensure!(built.success(), "cargo could not build sunkeep-fleet (see above)");
    Ok(program)
}

/// Runs a program to its end, which must be a good one.
pub(super) async fn run(program: &Path, arguments: &[&OsStr]) -> anyhow::Result<()> {
    let shown = program.display();
    let mut command = Command::new(program);
    command.args(arguments).stdin(Stdio::null()).kill_on_drop(true);
    let output = command.output().await.with_context(|| format!("cannot start {shown}"))?;
    let said =
        [output.stdout, output.stderr].map(|said| String::from_utf8_lossy(&said).into_owned()).concat();
    ensure!(output.status.success(), "{shown} {arguments:?}: {}\n{said}", output.status);
    Ok(())
}

/// A program beside this one, killed when this is dropped.
pub(super) struct Beside {
    name: &'static str,
    child: Child,
    log: PathBuf,
}

impl Beside {
    /// Starts it; what it says goes into a file.
    pub(super) fn start(
        name: &'static str,
        program: &Path,
        arguments: &[&OsStr],
        folder: &Path,
    ) -> anyhow::Result<Self> {
        let log = folder.join(format!("{name}.log"));
        let file = File::create(&log).with_context(|| format!("cannot write {}", log.display()))?;
        let other = file.try_clone().with_context(|| format!("cannot write {}", log.display()))?;
        let mut command = Command::new(program);
        command.args(arguments).stdin(Stdio::null()).stdout(file).stderr(other);
        let child = command.kill_on_drop(true).process_group(0).spawn();
        let child = child.with_context(|| format!("cannot start {}", program.display()))?;
        Ok(Self { name, child, log })
    }

    /// Returns when somebody listens there.
    pub(super) async fn listens(&mut self, port: u16) -> anyhow::Result<()> {
        let tries = async {
            let mut clock = tokio::time::interval(Duration::from_millis(50));
            while TcpStream::connect(("127.0.0.1", port)).await.is_err() {
                clock.tick().await;
            }
        };
        tokio::select! {
            () = tries => Ok(()),
            ended = self.ended() => Err(ended),
            () = super::pause(LISTENS_WITHIN) => bail!("{}: nobody listens on port {port}", self.name),
        }
    }

    /// Returns when it has ended, with its last lines: it should not have.
    pub(super) async fn ended(&mut self) -> anyhow::Error {
        let status =
            self.child.wait().await.map_or_else(|error| error.to_string(), |status| status.to_string());
        let log = std::fs::read_to_string(&self.log).unwrap_or_default();
        let lines: Vec<_> = log.lines().collect();
        let last = lines[lines.len().saturating_sub(SHOWN)..].join("\n");
        anyhow::anyhow!("{}: {status}; its last lines:\n{last}", self.name)
    }

    /// Tells it to end and waits; kills it when it takes longer than `patience`.
    pub(super) async fn leave(mut self, patience: Duration) {
        if let Some(id) = self.child.id().and_then(|id| rustix::process::Pid::from_raw(id as i32)) {
            // It may have ended by itself in the meantime.
            let _ = rustix::process::kill_process(id, rustix::process::Signal::TERM);
        }
        if tokio::time::timeout(patience, self.child.wait()).await.is_err() {
            let _ = self.child.kill().await;
        }
    }
}
