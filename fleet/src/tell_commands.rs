//! The commands that tell one hub something.

use core::time::Duration;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context as _, bail, ensure};
use sunkeep_fleet::clock::now_ms;
use sunkeep_fleet::ingest::{Broker, Tls};
use sunkeep_fleet::provision::OPERATOR;
use sunkeep_fleet::tell::{Became, Told, tell};
use sunkeep_models::wire::down::{Action, Command, Desired, MOST_DOCUMENT, Reported};
use sunkeep_models::wire::{Field, is_name};

/// Messages that the broker may send without an acknowledgement.
const IN_FLIGHT: u16 = 20;
/// What `desire` reads.
const DOCUMENT: &str = r#"The document: {"v": 1, "version": 7, "set": {"uplink.telemetry_minutes": 30}}. What it does not name is as the hub's own file has it"#;
/// Hours that a command may live: a month.
const LONGEST_LIFE: i64 = 31 * 24;

/// Which hub, and how it is reached.
#[derive(clap::Args)]
pub(crate) struct Way {
    /// Name of the hub.
    hub: String,
    /// Folder of the fleet: the certificate of `operator`.
    #[arg(long, value_name = "FOLDER")]
    fleet: PathBuf,
    /// The broker, MQTT 5: mqtt://HOST:PORT or mqtts://HOST:PORT.
    #[arg(long, value_name = "URL")]
    broker: String,
    /// How long to wait for the hub, s; the broker keeps what was sent for it.
    #[arg(long, default_value_t = 30, value_name = "SECONDS", value_parser = clap::value_parser!(u64).range(1..=86_400))]
    wait: u64,
}

#[derive(clap::Args)]
pub(crate) struct TellArguments {
    #[command(flatten)]
    way: Way,
    /// Hours after which it is not to be done any more.
    #[arg(long, default_value_t = 72, value_name = "HOURS", value_parser = clap::value_parser!(i64).range(1..=LONGEST_LIFE))]
    expires: i64,
    #[command(subcommand)]
    action: ActionArguments,
}

#[derive(clap::Subcommand)]
enum ActionArguments {
    /// Start the hub anew; once a day at most.
    Restart,
    /// Ask every device, the silent ones too, and say who answers.
    Probe,
    /// Keep a load on for a while, as far as nothing more vital has to give way.
    KeepOn {
        /// Its name in the hub's configuration.
        load: String,
        /// For how long.
        #[arg(long, default_value_t = 60, value_name = "MINUTES", value_parser = clap::value_parser!(u16).range(1..=240))]
        minutes: u16,
    },
    /// Let go of a load that was kept on so.
    Release {
        /// Its name.
        load: String,
    },
    /// Send records again; `gaps` says which are missing.
    Resend {
        /// The store they are of, 32 hexadecimal digits.
        #[arg(long, value_parser = store)]
        store: [u8; 16],
        /// Events; else minutes of telemetry.
        #[arg(long)]
        events: bool,
        /// First number.
        #[arg(long, value_name = "NUMBER", value_parser = clap::value_parser!(i64).range(1..))]
        from: i64,
        /// Last number.
        #[arg(long, value_name = "NUMBER", value_parser = clap::value_parser!(i64).range(1..))]
        upto: i64,
    },
}

#[derive(clap::Args)]
pub(crate) struct DesireArguments {
    #[command(flatten)]
    way: Way,
    #[arg(value_name = "FILE", help = DOCUMENT)]
    file: PathBuf,
}

impl TellArguments {
    pub(crate) fn run(self) -> anyhow::Result<ExitCode> {
        let expires = now_ms() / 1000 + 3600 * self.expires;
        let action = match self.action {
            ActionArguments::Restart => Action::Restart,
            ActionArguments::Probe => Action::Probe,
            ActionArguments::KeepOn { load, minutes } => Action::KeepOn { load, minutes },
            ActionArguments::Release { load } => Action::Release { load },
            ActionArguments::Resend { store, events, from, upto } => {
                ensure!(
                    from <= upto,
                    "--from {from} --upto {upto}: expected the first number, then the last"
                );
                Action::Resend { store, telemetry: !events, from, upto }
            }
        };
        let command = Command { id: random_name()?, expires, action };
        let left = u32::try_from(3600 * self.expires).unwrap_or(u32::MAX);
        match self.way.tell(&Told::Command(command, left))? {
            Became::Done(beside) => {
                println!("{}: done", self.way.hub);
                for (name, value) in &beside {
                    println!("  {name}: {}", said(value));
                }
                Ok(ExitCode::SUCCESS)
            }
            Became::Begun => {
                println!("{}: begun; the answer comes with the hub's messages", self.way.hub);
                Ok(ExitCode::SUCCESS)
            }
            Became::Refused(why) => bail!("{}: refused: {why}", self.way.hub),
            Became::Waits | Became::Reported(_) => Ok(self.way.waits()),
        }
    }
}

impl DesireArguments {
    pub(crate) fn run(self) -> anyhow::Result<ExitCode> {
        let (desired, bytes) = read(&self.file)?;
        match self.way.tell(&Told::Desired(desired, bytes.into()))? {
            Became::Reported(Reported { state, reasons, in_force, version, .. }) => {
                println!("{}: version {version}: {state}; in force: {in_force}", self.way.hub);
                for reason in &reasons {
                    let key = reason.key.as_ref().map_or_else(String::new, |key| format!("{key}: "));
                    println!("  {key}{}", reason.why);
                }
                ensure!(!matches!(&*state, "refused" | "reverted"), "it does not hold");
                Ok(ExitCode::SUCCESS)
            }
            _ => Ok(self.way.waits()),
        }
    }
}

impl Way {
    fn tell(&self, told: &Told) -> anyhow::Result<Became> {
        ensure!(
            is_name(&self.hub),
            "{:?} is no name of a hub; expected letters, digits, _, - or .",
            self.hub
        );
        let file = |name: String| Some(self.fleet.join(name));
        let tls = if self.broker.starts_with("mqtts:") {
            let own = |end: &str| file(format!("{OPERATOR}.{end}"));
            Tls { ca: file("ca.pem".into()), certificate: own("pem"), key: own("key") }
        } else {
            Tls::default()
        };
        // A name of its own for each run: two of them must not throw each other out.
        let name = format!("{OPERATOR}-tell-{}", std::process::id());
        let broker = Broker::new(&self.broker, &name, OPERATOR, IN_FLIGHT, &tls)?;
        Ok(tell(&broker, &self.hub, told, Duration::from_secs(self.wait))?)
    }

    /// The hub has said nothing: the exit code is 3.
    fn waits(&self) -> ExitCode {
        println!("{}: the broker has it; the hub has not answered within {} s", self.hub, self.wait);
        ExitCode::from(3)
    }
}

fn read(file: &Path) -> anyhow::Result<(Desired, Vec<u8>)> {
    let reading = || format!("reading {}", file.display());
    let length = std::fs::metadata(file).with_context(reading)?.len();
    ensure!(
        length <= MOST_DOCUMENT as u64,
        "{}: {length} bytes; expected {MOST_DOCUMENT} at most",
        file.display()
    );
    let bytes = std::fs::read(file).with_context(reading)?;
    let desired =
        Desired::read(&bytes).with_context(|| format!("{}: a hub would refuse it", file.display()))?;
    Ok((desired, bytes))
}

fn said(value: &Field) -> String {
    match value {
        Field::Text(text) => text.clone(),
        Field::Number(number) => number.to_string(),
        Field::Flag(flag) => flag.to_string(),
    }
}

fn store(text: &str) -> Result<[u8; 16], String> {
    let parsed = u128::from_str_radix(text, 16).ok().filter(|_| text.len() == 32);
    parsed.map(u128::to_be_bytes).ok_or_else(|| "expected 32 hexadecimal digits".into())
}

/// A name that no other command has.
fn random_name() -> anyhow::Result<String> {
    let mut bytes = [0; 8];
    getrandom::fill(&mut bytes).context("chance from the system")?;
    Ok(format!("{:016x}", u64::from_be_bytes(bytes)))
}
