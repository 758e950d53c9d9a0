//! The commands that make hubs and take them back.

use std::io::{IsTerminal as _, Write as _};
use std::path::{Path, PathBuf};

use anyhow::ensure;
use sunkeep_fleet::lake::Lake;
use sunkeep_fleet::provision::{MOST_HUBS, Request, provision, revoke};
use sunkeep_fleet::sites::{Site, Sites, TABLE_FILE, publish, read_list, zone};

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
    /// Names, one a line, instead of a count; or a table with the head
    /// `site,zone,latitude,longitude,place,peak_w,tilt_deg,azimuth_deg`, or some of these.
    #[arg(long, value_name = "FILE", conflicts_with_all = ["count", "prefix"])]
    names: Option<PathBuf>,
    /// The time zone of all sites whose zone is not told, as in Africa/Nairobi.
    #[arg(long, value_name = "ZONE", value_parser = zone)]
    zone: Option<String>,
    /// A lake whose table of sites is written, too.
    #[arg(long, value_name = "FOLDER|URL")]
    lake: Option<String>,
    /// The year at whose beginning their certificates run out.
    #[arg(long, default_value_t = 2036, value_parser = clap::value_parser!(i32).range(2027..=2100))]
    until_year: i32,
}

/// Which sites go where.
#[derive(clap::Args)]
pub(crate) struct SitesArguments {
    /// Folder of the fleet, with inventory.csv and sites.csv.
    #[arg(long, value_name = "FOLDER")]
    fleet: PathBuf,
    /// The lake: a folder, or the URL of an object store.
    #[arg(long, value_name = "FOLDER|URL")]
    lake: String,
    /// The time zone of all sites whose zone sites.csv does not tell.
    #[arg(long, value_name = "ZONE", value_parser = zone)]
    zone: Option<String>,
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
        let told = self.sites()?;
        let sites: Vec<String> = told.iter().map(|site| site.site.clone()).collect();
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
        let mut known = Sites::open(&self.fleet)?;
        known.add(told);
        known.write()?;
        match &self.lake {
            Some(lake) => bring(&self.fleet, lake, self.zone.as_deref()),
            None => Ok(()),
        }
    }

    fn sites(&self) -> anyhow::Result<Vec<Site>> {
        let mut sites = self.listed()?;
        for site in &mut sites {
            site.zone = site.zone.take().or_else(|| self.zone.clone());
        }
        Ok(sites)
    }

    fn listed(&self) -> anyhow::Result<Vec<Site>> {
        if let Some(file) = &self.names {
            let names = read_list(file)?;
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
        let named = |place| format!("{}-{:04}", self.prefix, last + place);
        Ok((1..=self.count).map(|place| Site { site: named(place), ..Site::default() }).collect())
    }
}

impl SitesArguments {
    pub(crate) fn run(&self) -> anyhow::Result<()> {
        bring(&self.fleet, &self.lake, self.zone.as_deref())
    }
}

/// Writes the lake's table of sites.
fn bring(fleet: &Path, lake: &str, zone: Option<&str>) -> anyhow::Result<()> {
    let done = publish(fleet, &Lake::open(lake)?, zone)?;
    println!(
        "{lake}/{TABLE_FILE}: {} sites, {} without a position, {} without a place whose weather they have",
        done.sites, done.without_position, done.without_place
    );
    for name in done.beside {
        eprintln!("{lake}/{name} is there, too: training refuses sites of which two rows differ");
    }
    Ok(())
}

impl RevokeArguments {
    pub(crate) fn run(&self) -> anyhow::Result<()> {
        let list = revoke(&self.fleet, &self.hub)?;
        println!("{} is taken back; the broker reads {} when it starts", self.hub, list.display());
        Ok(())
    }
}
