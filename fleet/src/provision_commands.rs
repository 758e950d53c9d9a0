//! The commands that make hubs and take them back.

use std::io::{IsTerminal as _, Write as _};
use std::path::PathBuf;

use anyhow::{Context as _, ensure};
use sunkeep_fleet::provision::{MOST_HUBS, Request, provision, revoke};

/// What to make.
#[derive(clap::Args)]
pub(crate) struct ProvisionArguments {
    /// Folder of the fleet: authority, certificates, inventory. It is made if it is not there.
    #[arg(long, value_name = "FOLDER")]
    fleet: PathBuf,
    /// The broker as hubs reach it.
    #[arg(long, value_name = "mqtts://HOST:PORT")]
    broker: String,
    /// How many hubs; they are named by the prefix and a number that goes on from the inventory.
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=i64::from(MOST_HUBS)))]
    count: u32,
    /// What their names begin with.
    #[arg(long, default_value = "site")]
    prefix: String,
    /// Names, one a line, instead of a count.
    #[arg(long, value_name = "FILE", conflicts_with_all = ["count", "prefix"])]
    names: Option<PathBuf>,
    /// The year at whose beginning their certificates run out.
    #[arg(long, default_value_t = 2036, value_parser = clap::value_parser!(i32).range(2027..=2100))]
    until_year: i32,
}

/// Whom to take back.
#[derive(clap::Args)]
pub(crate) struct RevokeArguments {
    /// Folder of the fleet.
    #[arg(long, value_name = "FOLDER")]
    fleet: PathBuf,
    /// Name of the hub.
    hub: String,
}

impl ProvisionArguments {
    pub(crate) fn run(&self) -> anyhow::Result<()> {
        let sites = self.sites()?;
        let (fleet, broker, until_year) = (self.fleet.clone(), self.broker.clone(), self.until_year);
        let all = sites.len();
        let shown = std::io::stderr().is_terminal();
        let inventory = provision(&Request { fleet, broker, sites, until_year }, |made| {
            if shown && (made % 100 == 0 || made == all) {
                // That nobody looks is no reason to stop.
                let _ = write!(
                    std::io::stderr(),
                    "\r{made} of {all} hubs{}",
                    if made == all { "\n" } else { "" }
                );
            }
        })?;
        let folder = self.fleet.display();
        println!(
            "{all} hubs made, {} in {folder}/inventory.csv. On each: sunkeep join {folder}/hubs/NAME.toml\n\
             {folder}/ca.key signs hubs: keep it locked away. The broker: mosquitto -c {folder}/mosquitto.conf",
            inventory.entries.len()
        );
        Ok(())
    }

    fn sites(&self) -> anyhow::Result<Vec<String>> {
        if let Some(file) = &self.names {
            let text =
                std::fs::read_to_string(file).with_context(|| format!("reading {}", file.display()))?;
            let names: Vec<String> =
                text.lines().map(str::trim).filter(|line| !line.is_empty()).map(Into::into).collect();
            let most = MOST_HUBS as usize;
            ensure!(
                (1..=most).contains(&names.len()),
                "{}: {} names, expected 1 to {most}",
                file.display(),
                names.len()
            );
            return Ok(names);
        }
        let inventory = sunkeep_fleet::provision::Inventory::open(&self.fleet)?;
        let number = |name: &str| name.strip_prefix(&*self.prefix)?.strip_prefix('-')?.parse::<u32>().ok();
        let last = inventory.entries.iter().filter_map(|entry| number(&entry.hub)).max().unwrap_or(0);
        Ok((1..=self.count).map(|place| format!("{}-{:04}", self.prefix, last + place)).collect())
    }
}

impl RevokeArguments {
    pub(crate) fn run(&self) -> anyhow::Result<()> {
        let list = revoke(&self.fleet, &self.hub)?;
        println!("{} is taken back; the broker reads {} when it starts", self.hub, list.display());
        Ok(())
    }
}
