//! The command line that the suite tuf-conformance drives: the core of updates over plain HTTP, with trusted
//! metadata in a folder. For tests alone: a hub fetches through the controller and keeps its store.

mod http;
mod local;

use std::path::PathBuf;

use anyhow::{Context, bail};
use clap::{Parser, Subcommand};
use sunkeep_ota::limits::Limits;
use sunkeep_ota::time::{LowerBound, Utc};
use sunkeep_ota::tuf::name::TargetName;
use sunkeep_ota::tuf::refresh::{Answer, Refresh};
use sunkeep_ota::tuf::search::Search;
use sunkeep_ota::tuf::targets::Target;
use sunkeep_ota::tuf::trusted::Trusted;

use crate::local::Local;

#[derive(Parser)]
#[command(about)]
struct Arguments {
    /// Where trusted metadata is kept.
    #[arg(long)]
    metadata_dir: PathBuf,
    /// Where the repository's metadata is.
    #[arg(long)]
    metadata_url: Option<String>,
    /// A target to download; may be repeated.
    #[arg(long)]
    target_name: Vec<String>,
    /// Where the repository's targets are.
    #[arg(long)]
    target_base_url: Option<String>,
    /// Where downloaded targets are kept.
    #[arg(long)]
    target_dir: Option<PathBuf>,
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Trust a root.
    Init {
        /// Its file.
        root: PathBuf,
    },
    /// Update the top-level metadata.
    Refresh,
    /// Download targets.
    Download,
}

fn main() -> anyhow::Result<()> {
    let arguments = Arguments::parse();
    let local = Local::new(arguments.metadata_dir);
    if let Command::Init { root } = &arguments.command {
        return local.init(root);
    }
    let url = arguments.metadata_url.context("--metadata-url is missing")?;
    let time = now();
    let trusted = refresh(&local, &url, time)?;
    if matches!(arguments.command, Command::Refresh) {
        return Ok(());
    }
    let base = arguments.target_base_url.context("--target-base-url is missing")?;
    let folder = arguments.target_dir.context("--target-dir is missing")?;
    for name in arguments.target_name {
        let name = TargetName::parse(&name)?;
        let target = search(&trusted, &local, &url, time, &name)?;
        download(&trusted, &base, &folder, &name, &target)?;
    }
    Ok(())
}

/// Larger than a hub's: the suite holds repositories of software registries.
fn limits() -> Limits {
    let bytes = 2 << 20;
    Limits {
        timestamp_bytes: bytes,
        snapshot_bytes: bytes,
        targets_bytes: bytes,
        root_bytes: bytes,
        roots: 256,
        ..Limits::default()
    }
}

#[expect(clippy::disallowed_methods, reason = "the suite sets the clock of this process")]
fn now() -> LowerBound {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    LowerBound(Utc(since.map_or(0, |since| since.as_secs() as i64)))
}

fn refresh(local: &Local, url: &str, time: LowerBound) -> anyhow::Result<Trusted> {
    let mut refresh = Refresh::begin(local.load(&limits())?, limits(), time);
    while let Some(want) = refresh.want() {
        let found = http::get(&format!("{}/{}", url.trim_end_matches('/'), want.path()), want.cap)?;
        let taken = refresh.take(found.as_deref().map_or(Answer::Missing, Answer::Bytes));
        local.save(refresh.trusted())?;
        taken?;
    }
    Ok(refresh.into_trusted())
}

fn search(
    trusted: &Trusted,
    local: &Local,
    url: &str,
    time: LowerBound,
    name: &TargetName,
) -> anyhow::Result<Target> {
    let mut search = Search::begin(trusted, limits(), time, name.clone())?;
    while let Some(want) = search.want() {
        let kept = local.role(&want.role);
        if kept.is_some_and(|kept| search.take(Answer::Bytes(&kept)).is_ok()) {
            continue;
        }
        let found = http::get(&format!("{}/{}", url.trim_end_matches('/'), want.path()), want.cap)?;
        search.take(found.as_deref().map_or(Answer::Missing, Answer::Bytes))?;
        if let Some(bytes) = found {
            local.keep_role(&want.role, &bytes)?;
        }
    }
    Ok(search.target()?)
}

fn download(
    trusted: &Trusted,
    base: &str,
    folder: &std::path::Path,
    name: &TargetName,
    target: &Target,
) -> anyhow::Result<()> {
    let kept = folder.join(local::escaped(name.as_str()));
    if std::fs::read(&kept).is_ok_and(|bytes| target.check(&bytes, name.as_str()).is_ok()) {
        return Ok(());
    }
    let path = if trusted.consistent_snapshot() {
        let (parent, file) = name.as_str().rsplit_once('/').unwrap_or(("", name.as_str()));
        let slash = if parent.is_empty() { "" } else { "/" };
        format!("{parent}{slash}{}.{file}", target.hashes.digits())
    } else {
        name.to_string()
    };
    let Some(bytes) = http::get(&format!("{}/{path}", base.trim_end_matches('/')), target.length as usize)?
    else {
        bail!("{path} is not there");
    };
    target.check(&bytes, name.as_str())?;
    local::write(&kept, &bytes)
}
