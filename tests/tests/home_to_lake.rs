//! From a home to the lake, everything real: a hub on real buses, a broker that wants certificates, ingest as processes.
//! Hub and ingest are killed without warning, a card is written anew, clocks are unknown. Every record that a journal holds is
//! in the lake, once.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test may fail by panicking")]

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

use arrow_array::cast::AsArray as _;
use arrow_array::types::Int64Type;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use rand::{RngExt as _, SeedableRng as _};
use rand_chacha::ChaCha8Rng;
use sunkeep::journal::Lane;
use sunkeep::journal::outbox::Outbox;
use sunkeep_fleet::ingest::{self, Broker as Address, Counts, Settings, Tls};
use sunkeep_fleet::lake::{Compaction, Lake};
use sunkeep_fleet::provision::{Request, provision};
use sunkeep_tests::broker::Broker;
use sunkeep_tests::house::{House, MIDNIGHT, free_port, set};
use sunkeep_tests::hub::{Hub, command};
use sunkeep_tests::ticks::Ticks;
use sunkeep_tests::{pause, until};

/// The hub's program.
const HUB: &str = env!("CARGO_BIN_EXE_hub-under-test");
/// Starts of the hub.
const ROUNDS: u32 = 8;
/// The start before which the card is written anew.
const NEW_CARD: u32 = 4;
/// Minutes that go together.
const TOGETHER: i64 = 5;
/// How long anything may take on a busy machine.
const PATIENCE: Duration = Duration::from_mins(2);

/// Store, boot, sequence.
type Identity = (String, i64, i64);

/// An ingest, killed when it is dropped.
struct Ingest(Child);

impl Ingest {
    fn start(fleet: &Path, lake: &Path, port: u16, name: &str) -> Self {
        let mut command = Command::new(std::env::current_exe().unwrap());
        command.args(["--exact", "the_body_of_an_ingest", "--ignored", "--nocapture"]);
        command.env("FLEET", fleet).env("LAKE", lake).env("PORT", port.to_string()).env("NAME", name);
        Self(command.stdout(Stdio::null()).spawn().unwrap())
    }
}

impl Drop for Ingest {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[test]
#[ignore = "the body of a process that the other test starts and kills"]
fn the_body_of_an_ingest() {
    let Ok(fleet) = std::env::var("FLEET").map(PathBuf::from) else { return };
    let of = |name: &str| std::env::var(name).unwrap();
    let file = |name: &str| Some(fleet.join(name));
    let tls = Tls { ca: file("ca.pem"), certificate: file("ingest.pem"), key: file("ingest.key") };
    let address = format!("mqtts://localhost:{}", of("PORT"));
    let settings = Settings {
        broker: Address::new(&address, &of("NAME"), "ingest", 200, &tls).unwrap(),
        lake: Lake::open(&of("LAKE")).unwrap(),
        flush_every: Duration::from_secs(1),
        flush_rows: 300,
    };
    ingest::run(settings, &Arc::new(Counts::default())).unwrap();
}

/// How often each record is in a table.
fn stored(lake: &Path, table: &str) -> BTreeMap<Identity, u32> {
    let mut seen = BTreeMap::new();
    let mut open = vec![lake.join(table)];
    while let Some(folder) = open.pop() {
        for entry in std::fs::read_dir(folder).into_iter().flatten() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                open.push(path);
                continue;
            }
            if path.extension() != Some(OsStr::new("parquet")) {
                continue;
            }
            let file = std::fs::File::open(&path).unwrap();
            for batch in ParquetRecordBatchReaderBuilder::try_new(file).unwrap().build().unwrap() {
                let batch = batch.unwrap();
                let number =
                    |name: &str| batch.column_by_name(name).unwrap().as_primitive::<Int64Type>().clone();
                let store = batch.column_by_name("store").unwrap().as_string::<i32>().clone();
                let (boot, sequence) = (number("boot"), number("sequence"));
                for row in 0..batch.num_rows() {
                    let identity = (store.value(row).to_owned(), boot.value(row), sequence.value(row));
                    *seen.entry(identity).or_default() += 1;
                }
            }
        }
    }
    seen
}

/// What a journal holds that was acknowledged: minutes, and events.
fn held(journal: &Path) -> [BTreeSet<Identity>; 2] {
    let outbox = Outbox::open(journal).unwrap();
    let store = outbox.store().to_string();
    let identity = |boot: u32, number: i64| (store.clone(), i64::from(boot), number);
    let sent = outbox.sent(Lane::Telemetry).unwrap();
    let minutes = outbox.minutes(0, 1_000_000).unwrap();
    let minutes = minutes.iter().filter(|(number, _)| *number <= sent);
    let minutes = minutes.map(|(number, minute)| identity(minute.stamp.boot, *number)).collect();
    let events = Lane::ALL[..3].iter().flat_map(|lane| {
        let sent = outbox.sent(*lane).unwrap();
        outbox.events(*lane, 0, 1_000_000).unwrap().into_iter().filter(move |(number, _)| *number <= sent)
    });
    let events = events.map(|(number, event)| identity(event.stamp.boot, number)).collect();
    [minutes, events]
}

/// A home whose hub has joined the fleet.
async fn joined(fleet: &Path, port: u16) -> (House, PathBuf) {
    let request = Request {
        fleet: fleet.into(),
        broker: format!("mqtts://localhost:{port}"),
        sites: vec!["home".into()],
        until_year: 2036,
    };
    provision(&request, |_| ()).unwrap();
    let house = House::standing_still(5, 0.6, |folder| {
        sunkeep_simulator::home::HomeOptions::usual(folder).over_tcp()
    })
    .await;
    let config = house.write(&house.table());
    let bundle = fleet.join("hubs/home.toml");
    let arguments = [OsStr::new("join"), bundle.as_os_str(), OsStr::new("--config"), config.as_os_str()];
    assert!(command(HUB, &arguments).await.status.success());
    let mut table: toml::Table = std::fs::read_to_string(&config).unwrap().parse().unwrap();
    set(&mut table, "uplink", "telemetry_minutes", TOGETHER);
    set(&mut table, "uplink", "waits_for_sun_hours", 0);
    let config = house.write(&table);
    (house, config)
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
    let (house, config) = joined(&fleet, port).await;
    let _broker = Broker::of_fleet(&fleet, port).await;
    let mut ingests = ["one", "two"].map(|name| Ingest::start(&fleet, &lake, port, name));
    let ticks = Ticks::listen().await;
    let (address, journal) = (ticks.address(), house.journal());
    let mut lost_card = BTreeSet::new();
    let mut minutes = 0;
    for round in 0..ROUNDS {
        if round == NEW_CARD {
            // What was not acknowledged is lost with the card; of the events nobody knows which.
            [lost_card, _] = held(&journal);
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
                ingests[place].0.kill().unwrap();
                ingests[place].0.wait().unwrap();
                ingests[place] = Ingest::start(&fleet, &lake, port, name);
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
    let [mut telemetry, events] = held(&journal);
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
    assert!(stored(lake, "quarantine").is_empty());
    end_ingests();
    let compacted =
        Compaction::before(i64::MAX).run(&Lake::open(&lake.display().to_string()).unwrap()).unwrap();
    println!("compaction: {compacted:?}");
    for (table, expected) in &expected {
        let stored = stored(lake, table);
        println!("{table}: {} records, {} of them expected", stored.len(), expected.len());
        assert!(stored.values().all(|count| *count == 1), "{table}: a record is there twice");
        assert!(
            expected.iter().all(|identity| stored.contains_key(identity)),
            "{table}: compaction lost one"
        );
    }
}
