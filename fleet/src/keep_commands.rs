//! The commands that take something out of a lake.

use std::collections::BTreeSet;
use std::path::PathBuf;

use anyhow::ensure;
use sunkeep_fleet::clock::now_ms;
use sunkeep_fleet::lake::{BY_HOUR, Erasure, Lake, prune};
use sunkeep_fleet::provision::{forget, hubs_of};
use sunkeep_models::wire::is_name;

const DAY_MS: i64 = 86_400_000;

#[derive(clap::Args)]
pub(crate) struct PruneArguments {
    /// The lake: a folder, or the URL of an object store.
    #[arg(long, value_name = "FOLDER|URL")]
    lake: String,
    /// Hours that ended more days ago go.
    #[arg(long, value_name = "DAYS", value_parser = clap::value_parser!(u32).range(1..=36_500))]
    keep_days: u32,
    /// A table that is pruned; repeat it for each.
    #[arg(long = "table", required = true, value_name = "TABLE", value_parser = BY_HOUR)]
    tables: Vec<String>,
    /// Only say what would go.
    #[arg(long)]
    dry_run: bool,
}

#[derive(clap::Args)]
pub(crate) struct EraseArguments {
    /// Name of the site.
    site: String,
    /// The lake: a folder, or the URL of an object store.
    #[arg(long, value_name = "FOLDER|URL")]
    lake: String,
    /// Folder of the fleet, from which it goes, too: keys, what is known of it, its name in the inventory.
    #[arg(long, value_name = "FOLDER")]
    fleet: Option<PathBuf>,
    /// Only say what would go.
    #[arg(long)]
    dry_run: bool,
}

impl PruneArguments {
    pub(crate) fn run(&self) -> anyhow::Result<()> {
        let lake = Lake::open(&self.lake)?;
        let before = now_ms() - i64::from(self.keep_days) * DAY_MS;
        let verb = if self.dry_run { "would go" } else { "are gone" };
        for table in &self.tables {
            let done = prune(&lake, table, before, self.dry_run)?;
            println!(
                "{table}: {} files with {} bytes {verb}, {} stay; {} are in no folder of an hour and stay",
                done.files, done.bytes, done.kept, done.unplaced
            );
        }
        Ok(())
    }
}

impl EraseArguments {
    pub(crate) fn run(&self) -> anyhow::Result<()> {
        super::lake_commands::log_to_stderr();
        let site = self.site.as_str();
        ensure!(is_name(site), "{site:?} is no name of a site; expected 1 to 64 letters, digits, _, - or .");
        let lake = Lake::open(&self.lake)?;
        let hubs = self.fleet.as_ref().map(|fleet| hubs_of(fleet, site)).transpose()?.unwrap_or_default();
        let done = Erasure { site, hubs, dry_run: self.dry_run }.run(&lake, now_ms())?;
        let verb = if self.dry_run { "would go" } else { "are gone" };
        let rows: Vec<String> = done.rows.iter().map(|(table, rows)| format!("{rows} of {table}")).collect();
        let rows = if rows.is_empty() { "none".into() } else { rows.join(", ") };
        println!(
            "{site}: rows that {verb}: {rows}; files: {} rewritten, {} removed; {} drafts removed",
            done.rewritten, done.removed, done.drafts
        );
        for reason in &done.left {
            eprintln!("may still hold rows of {site}: {reason}");
        }
        let left = done.left.len();
        ensure!(left == 0, "{left} files were left as they are (see above); the inventory was not touched");
        self.forget(&done.hubs)
    }

    fn forget(&self, hubs: &BTreeSet<String>) -> anyhow::Result<()> {
        let names = hubs.iter().map(String::as_str).collect::<Vec<_>>().join(", ");
        match &self.fleet {
            Some(_) if self.dry_run => {
                println!("its hubs would be taken back and their keys removed: {names}");
            }
            Some(fleet) => {
                for path in forget(fleet, &self.site)? {
                    println!("{path}: it is gone from there");
                }
                println!("the broker reads {}/ca.crl when it starts", fleet.display());
            }
            None => println!("no --fleet: the inventory and the keys of its hubs are as they were: {names}"),
        }
        println!(
            "not touched: what the broker keeps, what hubs hold, tables and models that training has made"
        );
        Ok(())
    }
}
