//! `kill -9` while the journal writes: whatever it called committed is there afterwards.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test ends where it fails")]
#![expect(clippy::disallowed_methods, reason = "these tests wait for a thread or a process of their own")]

mod journal_home;

use std::io::{BufRead as _, BufReader};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use journal_home::{Home, PATIENCE, open, seed};
use rand::{RngExt as _, SeedableRng as _};
use rand_chacha::ChaCha8Rng;
use sunkeep::journal::{TimeRange, replay};
use sunkeep_models::time::Slot;

const KILLS: usize = 40;
const JOURNAL: &str = "SUNKEEP_TEST_JOURNAL";
const SEED: &str = "SUNKEEP_TEST_SEED";

/// The child: writes until it is killed, and tells each block that is on the disk.
#[test]
#[ignore = "the other test runs it, as a process to be killed"]
fn child_that_writes() {
    let Ok(path) = std::env::var(JOURNAL) else { return };
    let seed = std::env::var(SEED).unwrap().parse().unwrap();
    let (journal, mut recorder, recovered) = open(Path::new(&path));
    let mut home = Home::new(seed);
    if let Some(last) = recovered.last {
        home.restart(last.state);
    }
    let mut committed = journal.committed();
    println!("boot {}", recovered.boot);
    let mut random = ChaCha8Rng::seed_from_u64(seed);
    loop {
        for _ in 0..random.random_range(1..30) {
            home.cycle(&mut recorder, 1000);
        }
        recorder.slot(sunkeep::journal::SlotPoint {
            slot: Slot(recovered.boot.into()),
            tiers: [None; 4],
            total: Some(1.0),
            sun: None,
            shared: None,
        });
        recorder.end_block();
        // Now and then it runs ahead of the disk, so that several blocks share a transaction.
        if random.random_range(0..3) > 0 {
            assert!(journal.flush(PATIENCE));
        }
        if let Some(seq) = *committed.borrow_and_update() {
            println!("committed {seq}");
        }
    }
}

#[test]
fn no_committed_block_is_lost_to_kill_9() {
    let seed = seed();
    let mut random = ChaCha8Rng::seed_from_u64(seed);
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("journal.db");
    let mut promised = 0;
    for kill in 0..KILLS {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "child_that_writes", "--ignored", "--nocapture"])
            .env(JOURNAL, &path)
            .env(SEED, random.random_range(0..u64::MAX).to_string())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let output = child.stdout.take().unwrap();
        let lines =
            std::thread::spawn(move || BufReader::new(output).lines().map_while(Result::ok).collect());
        std::thread::sleep(Duration::from_millis(random.random_range(10..200)));
        child.kill().unwrap();
        child.wait().unwrap();
        let lines: Vec<String> = lines.join().unwrap();
        // A line that was cut off in the middle would promise a smaller number: never more.
        let told = lines.iter().filter_map(|line| line.split("committed ").nth(1)?.parse::<u64>().ok()).max();
        promised = promised.max(told.unwrap_or(0));

        let report = if path.exists() && promised > 0 {
            replay(&path, TimeRange::default()).expect("the journal opens after a kill")
        } else {
            continue;
        };
        assert!(report.is_clean(), "kill {kill}: {:?}", report.findings.first());
        assert_eq!(report.missing, 0, "kill {kill}: a block is missing between others");
        assert!(
            report.blocks >= promised,
            "kill {kill}: {promised} blocks promised, {} there",
            report.blocks
        );
    }
    assert!(promised > KILLS as u64, "the child hardly wrote: {promised} blocks");
    let (journal, recorder, recovered) = open(&path);
    assert!(recovered.boot as usize > KILLS / 2, "boots counted: {}", recovered.boot);
    assert!(recovered.set_aside.is_none());
    assert!(recovered.last.is_some());
    println!("{promised} blocks promised over {KILLS} kills, all there; boot {}", recovered.boot);
    drop(recorder);
    assert!(journal.close(PATIENCE));
}
