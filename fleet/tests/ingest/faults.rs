//! Whoever is killed or lost: every message that the broker has acknowledged is in the lake, and readers see each
//! record once.

use std::collections::BTreeSet;
use std::time::Duration;

use rand::{RngExt as _, SeedableRng as _};
use rand_chacha::ChaCha8Rng;
use sunkeep_models::lake::TELEMETRY;
use tempfile::TempDir;

use crate::broker::Mosquitto;
use crate::hubs::{minutes, packed, topic};
use crate::process::Ingest;
use crate::rows::{Identity, files, identities, identity, rows};
use crate::{now_ms, rest, wait_until};

pub const QUICK: [&str; 6] = ["--flush-seconds", "1", "--flush-rows", "600", "--in-flight", "40"];

/// Messages of some hubs, so many minutes each, and whom they are of.
pub fn messages(hubs: core::ops::Range<u32>, each: i64) -> (Vec<(String, Vec<u8>)>, BTreeSet<Identity>) {
    let (mut sent, mut records) = (Vec::new(), BTreeSet::new());
    let end = now_ms();
    for part in 0..each {
        for hub in hubs.clone() {
            let telemetry = minutes(hub, 1, part * 30..part * 30 + 30, Some(end - (each - part) * 1_800_000));
            let store = format!("{:032x}", u128::from_be_bytes(telemetry.from.store));
            let known = telemetry
                .stamps
                .iter()
                .map(|stamp| (telemetry.from.hub.clone(), store.clone(), 1, stamp.sequence));
            records.extend(known);
            sent.push((topic(hub, "telemetry"), packed(telemetry)));
        }
    }
    (sent, records)
}

pub fn is_there(lake: &std::path::Path, records: &BTreeSet<Identity>) -> bool {
    identities(lake, TELEMETRY).len() >= records.len()
}

/// All are there, and whoever takes each identity once has the content of it.
fn check(lake: &std::path::Path, records: &BTreeSet<Identity>) -> usize {
    let seen = identities(lake, TELEMETRY);
    let missing: Vec<_> = records.iter().filter(|record| !seen.contains_key(*record)).take(3).collect();
    assert!(missing.is_empty(), "missing, among others: {missing:?}");
    assert_eq!(seen.len(), records.len(), "nothing is there that nobody has sent");
    let mut contents = std::collections::BTreeMap::new();
    let all = rows(lake, TELEMETRY);
    for (_, row) in &all {
        let known = contents.entry(identity(row)).or_insert(row);
        assert_eq!(*known, row, "a repeat is the same");
    }
    all.len() - records.len()
}

#[test]
fn an_ingest_that_is_killed_loses_nothing() {
    let seed = now_ms() as u64;
    println!("seed {seed}");
    let mut chance = ChaCha8Rng::seed_from_u64(seed);
    let Some(broker) = Mosquitto::start("") else { return };
    let folder = TempDir::new().unwrap();
    let lake = folder.path().join("lake");
    let (sent, records) = messages(1..9, 60);
    let mut ingest = Ingest::subscribed(folder.path(), "one", &broker.url(), &QUICK);
    std::thread::scope(|scope| {
        let publishing = scope.spawn(|| {
            for some in sent.chunks(20) {
                broker.publish("hubs", some);
                rest(Duration::from_millis(100));
            }
        });
        let mut kills = 0;
        while !publishing.is_finished() || kills < 8 {
            rest(Duration::from_millis(chance.random_range(50..700)));
            ingest.kill();
            kills += 1;
            ingest = Ingest::start(folder.path(), "one", &broker.url(), &QUICK);
        }
        println!("killed {kills} times");
    });
    wait_until("all is filed", || is_there(&lake, &records));
    assert!(ingest.stop().success(), "{}", ingest.log());
    println!("{} records, {} repeats in files", records.len(), check(&lake, &records));
}

#[test]
fn two_share_the_load_and_one_is_killed() {
    let Some(broker) = Mosquitto::start("") else { return };
    let folder = TempDir::new().unwrap();
    let lake = folder.path().join("lake");
    let (sent, records) = messages(1..9, 40);
    let mut one = Ingest::subscribed(folder.path(), "one", &broker.url(), &QUICK);
    let mut two = Ingest::subscribed(folder.path(), "two", &broker.url(), &QUICK);
    broker.publish("hubs", &sent[..120]);
    wait_until("both have filed something", || one.log().contains("filed") && two.log().contains("filed"));
    one.kill();
    broker.publish("hubs", &sent[120..240]);
    let mut again = Ingest::subscribed(folder.path(), "one", &broker.url(), &QUICK);
    broker.publish("hubs", &sent[240..]);
    wait_until("all is filed", || is_there(&lake, &records));
    assert!(two.stop().success() && again.stop().success());
    check(&lake, &records);
    let (shares, all) = ([again.count("messages"), two.count("messages")], sent.len() as u64);
    assert!(shares.iter().all(|share| *share >= all / 5), "{shares:?} of {all}");
    assert!(shares.iter().sum::<u64>() <= all, "each message goes to one of them: {shares:?} of {all}");
}

#[test]
fn a_broker_that_goes_away_comes_back() {
    let Some(mut broker) = Mosquitto::start("PERSIST") else { return };
    let folder = TempDir::new().unwrap();
    let lake = folder.path().join("lake");
    let (sent, records) = messages(1..5, 40);
    let patient = ["--flush-seconds", "3", "--in-flight", "40"];
    let mut ingest = Ingest::subscribed(folder.path(), "one", &broker.url(), &patient);
    for some in sent.chunks(40) {
        broker.publish("hubs", some);
        // What came by this connection is held, and acknowledged on none.
        broker.stop();
        broker.run();
    }
    wait_until("all is filed", || is_there(&lake, &records));
    assert!(ingest.stop().success(), "{}", ingest.log());
    check(&lake, &records);
    assert!(ingest.count("connections") >= 4, "{}", ingest.log());
}

#[test]
fn what_cannot_be_written_is_not_acknowledged() {
    let Some(broker) = Mosquitto::start("") else { return };
    let folder = TempDir::new().unwrap();
    let lake = folder.path().join("lake");
    std::fs::create_dir(&lake).unwrap();
    // No folder can be made where a file is.
    std::fs::write(lake.join("telemetry"), "in the way").unwrap();
    let (sent, records) = messages(1..3, 5);
    let mut ingest = Ingest::subscribed(folder.path(), "one", &broker.url(), &QUICK);
    broker.publish("hubs", &sent);
    wait_until("it says so", || ingest.log().contains("nothing of it is acknowledged"));
    assert_eq!(ingest.stop().code(), Some(1));
    assert!(ingest.log().contains("the broker keeps them"), "{}", ingest.log());
    assert_eq!((ingest.count("acknowledged"), ingest.count("records")), (0, 0));
    std::fs::remove_file(lake.join("telemetry")).unwrap();
    let mut ingest = Ingest::start(folder.path(), "one", &broker.url(), &QUICK);
    wait_until("all is filed", || is_there(&lake, &records));
    assert!(ingest.stop().success());
    assert_eq!(check(&lake, &records), 0);
    assert!(files(&lake, TELEMETRY).len() >= 2);
}

/// Mosquitto 2.0 closes the older connection without a word.
#[test]
fn two_of_one_name_are_told_so() {
    let Some(broker) = Mosquitto::start("") else { return };
    let folder = TempDir::new().unwrap();
    let other = TempDir::new().unwrap();
    let one = Ingest::subscribed(folder.path(), "same", &broker.url(), &QUICK);
    let two = Ingest::start(other.path(), "same", &broker.url(), &QUICK);
    wait_until("one of them says so", || {
        [&one, &two].iter().any(|one| one.log().contains("--name of its own"))
    });
    let lost = || one.log().matches("no connection").count() + two.log().matches("no connection").count();
    let before = lost();
    rest(Duration::from_secs(3));
    assert!(lost() - before <= 3, "they give way for longer and longer: {}", one.log());
}
