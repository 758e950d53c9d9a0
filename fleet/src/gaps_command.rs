//! `sunkeep-fleet gaps`: which records never came, as a person or a program reads it.

use std::io::Write as _;

use anyhow::Context as _;
use sunkeep_fleet::gaps::{Missing, Search};
use sunkeep_fleet::lake::Lake;

#[derive(clap::Args)]
pub(crate) struct GapsArguments {
    /// The lake: a folder, or the URL of an object store.
    #[arg(long, value_name = "FOLDER|URL")]
    lake: String,
    /// Of this hub only.
    #[arg(long, value_name = "NAME")]
    hub: Option<String>,
    /// Tell also what is missing before the first record of a store: old ones may have been removed.
    #[arg(long)]
    from_the_first: bool,
}

impl GapsArguments {
    /// A line for each run of numbers: hub, store, minutes or events, first and last number.
    pub(crate) fn run(&self) -> anyhow::Result<()> {
        let lake = Lake::open(&self.lake)?;
        let mut out = std::io::stdout().lock();
        let mut said = Ok(());
        let (mut runs, mut records) = (0_u64, 0_u64);
        Search::default().run(&lake, |missing| {
            if self.hub.as_ref().is_some_and(|hub| *hub != missing.hub) {
                return;
            }
            let Missing { hub, store, count, before, between, scattered, .. } = missing;
            let before = before.filter(|_| self.from_the_first);
            for range in before.into_iter().chain(between) {
                let (first, last) = (range.start(), range.end());
                runs += 1;
                records += last.abs_diff(*first).saturating_add(1);
                let line = writeln!(out, "{hub} {store} {} {first} {last}", count.word());
                said = std::mem::replace(&mut said, Ok(())).and(line);
            }
            if scattered {
                eprintln!("{hub} {store}: its {} are numbered at random", count.word());
            }
        })?;
        said.context("cannot print what is missing")?;
        eprintln!("{records} records are missing, in {runs} runs of numbers");
        Ok(())
    }
}
