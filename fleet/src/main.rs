//! `sunkeep-fleet`: the operator's command line.

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::{SystemTime, UNIX_EPOCH};

use anyhow::{Context as _, ensure};
use clap::{Parser, Subcommand};
use sunkeep_fleet::key_file::{PublicKey, create, read_public, read_secret};
use sunkeep_fleet::root::{Role, Roles, first};
use sunkeep_ota::sign::documents::Stamp;
use sunkeep_ota::time::Utc;

const DAY: i64 = 86_400;

mod gaps_command;
mod keep_commands;
mod lake_commands;
mod provision_commands;
mod tell_commands;
mod weather_commands;

/// For operators of a fleet of hubs: keys, the root that hubs trust, hubs that join, and the lake of what hubs send.
#[derive(Parser)]
#[command(name = "sunkeep-fleet", version, max_term_width = 100)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Make a signing key: FILE with the secret, FILE.pub with the public half.
    Key {
        /// Where the secret goes; it must not exist.
        file: PathBuf,
    },
    /// Sign the first root of a fleet, which hubs are given when they are set up.
    Root(RootArguments),
    /// Make hubs: certificates and keys, what the broker needs, an inventory.
    Provision(provision_commands::ProvisionArguments),
    /// Write the lake's table of sites from a fleet's inventory.
    Sites(provision_commands::SitesArguments),
    /// Take a hub's certificate back.
    Revoke(provision_commands::RevokeArguments),
    /// Tell a hub to do something once, and hear what it answers.
    Tell(tell_commands::TellArguments),
    /// Tell a hub the settings it is to have besides those of its file.
    Desire(tell_commands::DesireArguments),
    /// Take what hubs publish from the broker into the lake, until SIGTERM or SIGINT.
    Ingest(lake_commands::IngestArguments),
    /// The weather of places: into the lake, and from there to hubs.
    #[command(subcommand)]
    Weather(weather_commands::WeatherCommand),
    /// Put the files of each hour of a lake together, without repeats.
    Compact(lake_commands::CompactArguments),
    /// Say which records of which hubs never came, a line for each run of numbers.
    Gaps(gaps_command::GapsArguments),
    /// Remove what is older than so many days from tables of a lake.
    Prune(keep_commands::PruneArguments),
    /// Erase a site: from every table of a lake, and from the fleet's folder.
    Erase(keep_commands::EraseArguments),
}

#[derive(clap::Args)]
struct RootArguments {
    /// A secret key of the root; repeat it for each. All of them sign.
    #[arg(long, required = true, value_name = "FILE")]
    root_key: Vec<PathBuf>,
    /// How many of the root's keys must sign the next root.
    #[arg(long, default_value_t = 1)]
    root_threshold: u64,
    /// The public half of a key that says which targets there are; repeat it for each.
    #[arg(long, required = true, value_name = "FILE.pub")]
    targets_key: Vec<PathBuf>,
    /// How many of them must sign.
    #[arg(long, default_value_t = 1)]
    targets_threshold: u64,
    /// The public half of the key that says which documents belong together.
    #[arg(long, value_name = "FILE.pub")]
    snapshot_key: PathBuf,
    /// The public half of the key that says which snapshot is the newest.
    #[arg(long, value_name = "FILE.pub")]
    timestamp_key: PathBuf,
    /// Days until the root expires.
    #[arg(long, default_value_t = 365, value_parser = clap::value_parser!(i64).range(1..=3650))]
    days: i64,
    /// Where the root goes; it must not exist.
    #[arg(long, default_value = "1.root.json", value_name = "FILE")]
    out: PathBuf,
}

fn main() -> ExitCode {
    match run(Arguments::parse().command) {
        Ok(code) => code,
        Err(error) => {
            eprintln!("sunkeep-fleet: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(command: Command) -> anyhow::Result<ExitCode> {
    match command {
        Command::Tell(arguments) => return arguments.run(),
        Command::Desire(arguments) => return arguments.run(),
        Command::Key { file } => {
            let key = create(&file)?;
            println!("key {} in {}; keep it locked away", key.id, file.display());
            Ok(())
        }
        Command::Root(arguments) => sign_root(&arguments),
        Command::Provision(arguments) => arguments.run(),
        Command::Sites(arguments) => arguments.run(),
        Command::Revoke(arguments) => arguments.run(),
        Command::Ingest(arguments) => Ok(arguments.run()?),
        Command::Gaps(arguments) => arguments.run(),
        Command::Weather(command) => command.run(),
        Command::Prune(arguments) => arguments.run(),
        Command::Erase(arguments) => arguments.run(),
        Command::Compact(arguments) => {
            let left = arguments.run()?;
            ensure!(left == 0, "{left} folders were left as they are (see above)");
            Ok(())
        }
    }
    .map(|()| ExitCode::SUCCESS)
}

fn sign_root(arguments: &RootArguments) -> anyhow::Result<()> {
    let signers: Vec<_> =
        arguments.root_key.iter().map(|file| read_secret(file)).collect::<Result<_, _>>()?;
    let keys = signers.iter().map(|key| PublicKey { id: key.id(), listed: key.public() }).collect();
    let read = |files: &[PathBuf]| files.iter().map(|file| read_public(file)).collect::<Result<Vec<_>, _>>();
    let one = |file: &Path| read_public(file).map(|key| Role { keys: vec![key], threshold: 1 });
    let roles = Roles {
        root: Role { keys, threshold: arguments.root_threshold },
        targets: Role { keys: read(&arguments.targets_key)?, threshold: arguments.targets_threshold },
        snapshot: one(&arguments.snapshot_key)?,
        timestamp: one(&arguments.timestamp_key)?,
    };
    for (name, role) in [("root", &roles.root), ("targets", &roles.targets)] {
        let (wanted, keys) = (role.threshold, role.keys.len());
        ensure!((1..=keys as u64).contains(&wanted), "{name}: threshold {wanted} of {keys} keys");
    }
    let issued = now()?;
    let stamp = Stamp { version: 1, issued: Utc(issued), expires: Utc(issued + arguments.days * DAY) };
    let bytes = first(&roles, stamp, &signers).context("a hub would refuse this root")?;
    let out = &arguments.out;
    let file = std::fs::OpenOptions::new().write(true).create_new(true).open(out);
    let mut file = file.with_context(|| format!("making {}", out.display()))?;
    file.write_all(&bytes)
        .and_then(|()| file.sync_all())
        .with_context(|| format!("writing {}", out.display()))?;
    println!("{}: root 1, {} bytes, expires {}", out.display(), bytes.len(), stamp.expires);
    Ok(())
}

#[expect(
    clippy::disallowed_methods,
    reason = "an operator's machine has a clock, and a signature needs its time"
)]
fn now() -> anyhow::Result<i64> {
    let since =
        SystemTime::now().duration_since(UNIX_EPOCH).context("this machine's clock is before 1970")?;
    Ok(i64::try_from(since.as_secs())?)
}
