//! From a home to the lake, everything real: a hub on real buses, a broker that wants certificates, ingest as processes.
//! Hub and ingest are killed without warning, a card is written anew, clocks are unknown. Every record that a journal holds is
//! in the lake, once.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test may fail by panicking")]

mod lake_side;

use std::collections::BTreeSet;
use std::path::Path;
use std::time::Duration;

use lake_side::{HUB, Identity, Ingest, Office, held, is_empty, joined, stored};
use rand::{RngExt as _, SeedableRng as _};
use rand_chacha::ChaCha8Rng;
use sunkeep_fleet::lake::{Compaction, Lake};
use sunkeep_tests::broker::Broker;
use sunkeep_tests::house::{MIDNIGHT, free_port, set};
use sunkeep_tests::hub::Hub;
use sunkeep_tests::ticks::Ticks;
use sunkeep_tests::{pause, until};

/// Starts of the hub.
const ROUNDS: u32 = 8;
/// The start before which the card is written anew.
const NEW_CARD: u32 = 4;
/// Minutes that go together.
const TOGETHER: i64 = 5;
/// How long anything may take on a busy machine.
const PATIENCE: Duration = Duration::from_mins(2);

#[test]
#[ignore = "the body of a process that the other test starts and kills"]
fn the_body_of_an_ingest() {
    lake_side::body();
}

/// Minutes and events that a journal knows to be acknowledged.
fn acknowledged(journal: &Path) -> [BTreeSet<Identity>; 2] {
    let held = held(journal, [0, 0]);
    let mut records = held.records.into_iter().zip(held.unsent);
    [(); 2].map(|()| {
        let (records, unsent) = records.next().unwrap();
        records.into_keys().filter(|identity| !unsent.contains(identity)).collect()
    })
}

#[tokio::test]
async fn every_record_is_in_the_lake_once_whoever_is_killed() {
    let seed = std::env::var("SUNKEEP_SEED").ok().and_then(|seed| seed.parse().ok());
    let seed = seed.unwrap_or_else(|| u64::from(std::process::id()));
    println!("seed {seed} (repeat with SUNKEEP_SEED={seed})");
    let mut random = ChaCha8Rng::seed_from_u64(seed);
    let folder = tempfile::tempdir().unwrap();
    let (fleet, lake, port) = (folder.path().join("fleet"), folder.path().join("lake"), free_port());
    std::fs::create_dir_all(&lake).unwrap();
    let broker = format!("mqtts://localhost:{port}");
    let (house, config) = joined(&fleet, &broker, 5, 0.6).await;
    let mut table: toml::Table = std::fs::read_to_string(&config).unwrap().parse().unwrap();
    set(&mut table, "uplink", "telemetry_minutes", TOGETHER);
    set(&mut table, "uplink", "waits_for_sun_hours", 0);
    let config = house.write(&table);
    let office = Office { fleet: fleet.clone(), lake: lake.clone(), broker, namespace: None };
    let _broker = Broker::of_fleet(&fleet, port).await;
    let mut ingests = ["one", "two"].map(|name| Ingest::start(&office, name));
    let ticks = Ticks::listen().await;
    let (address, journal) = (ticks.address(), house.journal());
    let mut lost_card = BTreeSet::new();
    let mut minutes = 0;
    for round in 0..ROUNDS {
        if round == NEW_CARD {
            // What was not acknowledged is lost with the card; of the events nobody knows which.
            [lost_card, _] = acknowledged(&journal);
            for end in ["", "-wal", "-shm"] {
                let _ = std::fs::remove_file(format!("{}{end}", journal.display()));
            }
        }
        let mut hub = Hub::run_with(HUB, &config, house.page(), &["--lockstep", &address], &[]);
        let mut driven = ticks.hub().await;
        // In every other start the time is learnt late.
        let blind = if round % 2 == 0 { 0 } else { random.random_range(5..20) };
        for cycle in 0..random.random_range(30..90_u64) {
            let unix = (cycle >= blind).then_some(MIDNIGHT + 60 * minutes);
            driven.cycle(Duration::from_secs(60 * cycle), unix).await;
            house.home().advance(Duration::from_mins(1));
            minutes += 1;
            if random.random_range(0..20) == 0 {
                pause(Duration::from_millis(random.random_range(0..400))).await;
            }
            if random.random_range(0..40) == 0 {
                let name = ["one", "two"][random.random_range(0..2)];
                let place = usize::from(name == "two");
                ingests[place].kill();
                ingests[place] = Ingest::start(&office, name);
            }
        }
        if round + 1 < ROUNDS {
            hub.kill().await;
            continue;
        }
        let all_but_a_few = |view: &serde_json::Value| {
            view["uplink"]["connected"] == true && view["uplink"]["waiting"].as_i64() < Some(TOGETHER)
        };
        hub.view_when("the broker has all", PATIENCE, all_but_a_few).await;
        // An orderly end writes down what was acknowledged.
        driven.stop().await;
        hub.ended(PATIENCE).await;
    }
    let [mut telemetry, events] = acknowledged(&journal);
    telemetry.extend(lost_card);
    println!("{minutes} minutes lived");
    all_is_there(&lake, [("telemetry", telemetry), ("events", events)], || drop(ingests)).await;
}

/// Waits until everything expected is in the lake; then, with the ingests gone, has it compacted and counts.
async fn all_is_there(lake: &Path, expected: [(&str, BTreeSet<Identity>); 2], end_ingests: impl FnOnce()) {
    for (table, expected) in &expected {
        assert!(!expected.is_empty(), "{table}");
        until(&format!("all {} records of {table} are in the lake", expected.len()), PATIENCE, async || {
            let stored = stored(lake, table);
            expected.iter().all(|identity| stored.contains_key(identity))
        })
        .await;
    }
    let stores: BTreeSet<_> = stored(lake, "telemetry").into_keys().map(|(store, ..)| store).collect();
    assert_eq!(stores.len(), 2, "the card that was written anew is a store of its own");
    assert!(is_empty(lake, "quarantine"));
    end_ingests();
    let compacted =
        Compaction::before(i64::MAX).run(&Lake::open(&lake.display().to_string()).unwrap()).unwrap();
    println!("compaction: {compacted:?}");
    for (table, expected) in &expected {
        let stored = stored(lake, table);
        println!("{table}: {} records, {} of them expected", stored.len(), expected.len());
        assert!(stored.values().all(|stored| stored.copies == 1), "{table}: a record is there twice");
        assert!(
            expected.iter().all(|identity| stored.contains_key(identity)),
            "{table}: compaction lost one"
        );
    }
}
