//! Nothing is lost on a bad link: a home lives for days with a line that is hardly ever up, and hub, ingest and broker are
//! killed, disks fill, clocks jump, a card is written anew. Every record that a journal holds is in the lake once.
//!
//! `tests/bad-link` is the long form; parameters are in `plan.rs`.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test may fail by panicking")]

#[path = "../lake_side/mod.rs"]
mod lake_side;
mod operator;
mod plan;
mod run;

use std::collections::BTreeMap;
use std::path::Path;

use sunkeep_fleet::lake::{Compaction, Lake};
use sunkeep_tests::{now, pause};

use lake_side::{Identity, Records, Stored, is_empty, stored};
use plan::Parameters;
use run::{PATIENCE, Run};

/// The tables, in the order of what was seen.
const TABLES: [&str; 2] = ["telemetry", "events"];

#[test]
#[ignore = "the body of a process that the other test starts and kills"]
fn the_body_of_an_ingest() {
    lake_side::body();
}

/// One run at a time: each takes what the machine has.
static ONE: tokio::sync::Mutex<()> = tokio::sync::Mutex::const_new(());

#[tokio::test]
async fn nothing_is_lost_on_a_bad_link() {
    live_through(Parameters::read()).await;
}

/// Nobody asks for anything again here, so whatever hub or ingest lost shows.
#[tokio::test]
async fn nothing_is_missing_where_the_broker_forgets_nothing() {
    let parameters = Parameters::read();
    live_through(Parameters { days: parameters.days.min(1), broker_kills: 0, forgets: 0, ..parameters })
        .await;
}

async fn live_through(parameters: Parameters) {
    let _one = ONE.lock().await;
    println!("seed {} (repeat with SUNKEEP_SEED={0}) {parameters:?}", parameters.seed);
    let began = now();
    let mut run = Run::begin(parameters).await;
    run.live().await;
    let (lived, speed) = (run.minutes, 60.0 * run.minutes as f64 / began.elapsed().as_secs_f64());
    println!("{lived} minutes lived at {speed:.0} times real speed");
    run.all_is_well().await;
    let seen = &run.seen;
    println!(
        "journals held {} minutes and {} events, {} of them alerts; {} went with the card unsent; {} were given up; the relay broke {} connections",
        seen.records[0].len(),
        seen.records[1].len(),
        seen.alerts.len(),
        seen.lost_with_card,
        seen.given_up,
        run.line.broken(),
    );
    println!("the operator asked {} times for {} records", run.operator.commands, run.operator.records);
    let lost = arrives(&run).await;
    for (table, lost) in TABLES.iter().zip(&lost) {
        if !lost.is_empty() {
            println!("{table}: {} records are not in the lake: {:?} …", lost.len(), lost.first());
        }
    }
    run.end_ingests();
    let lake = Lake::open(&run.office.lake.display().to_string()).unwrap();
    let compacted = Compaction::before(i64::MAX).run(&lake).unwrap();
    println!("compaction: {compacted:?}");
    let lost_alerts = run.seen.alerts.iter().filter(|alert| lost[1].contains(alert)).count();
    assert!(!run.seen.alerts.is_empty(), "no alert was raised");
    assert!(is_empty(&run.office.lake, "quarantine"));
    once(&run.office.lake, &run.seen.records);
    assert_eq!(run.seen.stores.len(), 2, "the card that was written anew is a store of its own");
    assert_eq!((lost[0].len(), lost[1].len(), lost_alerts), (0, 0, 0), "records are lost");
}

/// Waits until all that journals held is in the lake, as readers see it; what is not, once nothing comes any more.
async fn arrives(run: &Run) -> [Vec<Identity>; 2] {
    let began = now();
    loop {
        let missing = [0, 1].map(|place| missing(&run.office.lake, TABLES[place], &run.seen.records[place]));
        if missing.iter().all(Vec::is_empty) || began.elapsed() > PATIENCE / 6 {
            return missing;
        }
        pause(std::time::Duration::from_secs(1)).await;
    }
}

fn missing(lake: &Path, table: &str, expected: &Records) -> Vec<Identity> {
    let stored = stored(lake, table);
    expected.keys().filter(|identity| !stored.contains_key(*identity)).cloned().collect()
}

/// After compaction each record is there once, and says what the journal said.
fn once(lake: &Path, expected: &[Records; 2]) {
    for (table, expected) in TABLES.iter().zip(expected) {
        let stored: BTreeMap<Identity, Stored> = stored(lake, table);
        let twice: Vec<_> = stored.iter().filter(|(_, stored)| stored.copies > 1).collect();
        let timeless = twice.iter().filter(|(_, stored)| stored.timeless).count();
        println!(
            "{table}: {} records; {} of them twice, {timeless} of those without a wall time",
            stored.len(),
            twice.len()
        );
        assert_eq!(twice.len(), timeless, "{table}: {:?}", twice.iter().find(|(_, stored)| !stored.timeless));
        for (identity, says) in expected {
            if let Some(stored) = stored.get(identity) {
                assert_eq!(stored.says, std::slice::from_ref(says), "{table}: {identity:?}");
            }
        }
    }
}
