//! The disk under the journal: full, read-only, bounded, damaged, taken away.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test ends where it fails")]
#![expect(clippy::disallowed_methods, reason = "these tests wait for a thread or a process of their own")]

mod journal_home;

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use journal_home::{Home, PATIENCE, open, seed, settings};
use rand::{RngExt as _, SeedableRng as _};
use rand_chacha::ChaCha8Rng;
use sunkeep::journal::{
    Journal, JournalError, JournalHealth, JournalOptions, LEAST_BYTES, LoadPoint, MinutePoint, SlotPoint,
    TimeRange, replay,
};
use sunkeep_core::disaggregate::SharedSlot;
use sunkeep_models::time::Slot;

/// A small file system of its own, gone with the test; `None` where this user may not mount.
struct SmallDisk(tempfile::TempDir);

impl SmallDisk {
    fn mount(options: &str) -> Option<Self> {
        let folder = tempfile::tempdir().unwrap();
        let mounted = Command::new("mount")
            .args(["-t", "tmpfs", "-o", options, "sunkeep-test"])
            .arg(folder.path())
            .output()
            .is_ok_and(|output| output.status.success());
        if !mounted {
            println!("skipped: this user may not mount a small file system");
        }
        mounted.then_some(Self(folder))
    }

    fn remount(&self, options: &str) {
        let status =
            Command::new("mount").args(["-o", &format!("remount,{options}")]).arg(self.0.path()).status();
        assert!(status.unwrap().success(), "remount {options}");
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("-l").arg(self.0.path()).status();
    }
}

fn until(what: &str, mut holds: impl FnMut() -> bool) {
    let start = Instant::now();
    while !holds() {
        assert!(start.elapsed() < PATIENCE, "waited too long: {what}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

fn is_failing(journal: &Journal) -> bool {
    matches!(*journal.health().borrow(), JournalHealth::Failing { .. })
}

fn bytes_on_disk(path: &Path) -> u64 {
    let size = |end: &str| std::fs::metadata(format!("{}{end}", path.display())).map_or(0, |data| data.len());
    size("") + size("-wal")
}

/// Writes blocks of a minute until told to stop.
fn minutes(home: &mut Home, recorder: &mut sunkeep::journal::Recorder, count: usize) -> u64 {
    let mut newest = 0;
    for _ in 0..count {
        for _ in 0..20 {
            newest = home.cycle(recorder, 3000).0.unwrap_or(newest);
        }
    }
    recorder.end_block().unwrap_or(newest)
}

#[test]
fn a_full_disk_is_told_once_and_nothing_is_lost_when_there_is_room_again() {
    let seed = seed();
    let Some(disk) = SmallDisk::mount("size=2m") else { return };
    let path = disk.path("journal.db");
    let (journal, mut recorder, _) = open(&path);
    let mut home = Home::new(seed);
    minutes(&mut home, &mut recorder, 5);
    assert!(journal.flush(PATIENCE));
    let before = *journal.committed().borrow();

    let mut health = journal.health();
    health.mark_unchanged();
    fill(&disk.path("filler"));
    minutes(&mut home, &mut recorder, 5);
    until("the full disk is noticed", || is_failing(&journal));
    assert!(health.has_changed().unwrap());
    let told = health.borrow_and_update().clone();
    let JournalHealth::Failing { reason } = told else { panic!("{told:?}") };
    assert!(reason.contains("full"), "{reason}");

    // The cycle goes on at its own pace, and the trouble is not told again.
    let start = Instant::now();
    let newest = minutes(&mut home, &mut recorder, 60);
    assert!(start.elapsed() < Duration::from_secs(20), "the cycle waited for the disk");
    assert!(!journal.flush(Duration::from_secs(4)), "nothing more fits");
    assert!(!health.has_changed().unwrap(), "told twice");
    let committed = *journal.committed().borrow();
    assert!(committed < Some(newest) && committed >= before);

    std::fs::remove_file(disk.path("filler")).unwrap();
    until("it works again", || !is_failing(&journal));
    assert_eq!(*health.borrow_and_update(), JournalHealth::Working);
    assert!(journal.flush(PATIENCE));
    assert_eq!(*journal.committed().borrow(), Some(newest));
    assert_eq!((journal.dropped(), journal.waiting()), (0, 0));
    drop(recorder);
    assert!(journal.close(PATIENCE));
    let report = replay(&path, TimeRange::default()).unwrap();
    assert!(report.is_clean(), "{:?}", report.findings.first());
    assert_eq!((report.blocks, report.missing), (newest, 0));
}

/// Leaves not a byte on the disk of this file.
fn fill(path: &Path) {
    use std::io::Write as _;
    let mut file = std::fs::File::create(path).unwrap();
    let mut size = 64 << 10;
    while size > 0 {
        if file.write_all(&vec![7; size]).is_err() {
            size /= 2;
        }
    }
}

#[test]
fn what_waits_is_bounded_and_the_oldest_goes_first() {
    let seed = seed();
    let Some(disk) = SmallDisk::mount("size=2m") else { return };
    let path = disk.path("journal.db");
    let options = JournalOptions { kept_bytes: 20_000, ..JournalOptions::default() };
    let (journal, mut recorder, _) = Journal::open(&path, options).unwrap();
    journal.keep_settings(&settings(), "");
    let mut home = Home::new(seed);
    minutes(&mut home, &mut recorder, 1);
    assert!(journal.flush(PATIENCE));
    fill(&disk.path("filler"));
    let newest = minutes(&mut home, &mut recorder, 200);
    until("the full disk is noticed", || is_failing(&journal));
    let dropped = journal.dropped();
    assert!(dropped > 50, "{dropped}");
    std::fs::remove_file(disk.path("filler")).unwrap();
    until("it works again", || !is_failing(&journal));
    assert!(journal.flush(PATIENCE));
    drop(recorder);
    assert!(journal.close(PATIENCE));
    let report = replay(&path, TimeRange::default()).unwrap();
    assert!(report.is_clean(), "{:?}", report.findings.first());
    assert_eq!(report.missing, dropped);
    assert_eq!(report.blocks + report.missing, newest);
}

#[test]
fn a_read_only_folder_gives_a_clear_error() {
    seed();
    let Some(disk) = SmallDisk::mount("size=2m,ro") else { return };
    let error = Journal::open(&disk.path("journal.db"), JournalOptions::default()).unwrap_err();
    let told = error.to_string();
    assert!(told.contains("Read-only") && told.contains("journal.db") && told.contains("expected"), "{told}");
}

#[test]
fn a_disk_that_is_full_at_the_start_does_not_hide_what_was_known() {
    let seed = seed();
    let Some(disk) = SmallDisk::mount("size=2m") else { return };
    starts_without_the_disk(
        seed,
        &disk,
        || fill(&disk.path("filler")),
        || {
            std::fs::remove_file(disk.path("filler")).unwrap();
        },
    );
}

#[test]
fn a_disk_that_is_read_only_at_the_start_does_not_hide_what_was_known() {
    let seed = seed();
    let Some(disk) = SmallDisk::mount("size=2m") else { return };
    starts_without_the_disk(seed, &disk, || disk.remount("ro"), || disk.remount("rw"));
}

/// Starts after a power cut, so with a log that was not carried over, on a disk that takes nothing.
fn starts_without_the_disk(seed: u64, disk: &SmallDisk, take: impl Fn(), give_back: impl Fn()) {
    let path = disk.path("journal.db");
    let first = disk.path("first.db");
    let (journal, mut recorder, _) = open(&first);
    let mut home = Home::new(seed);
    let before = minutes(&mut home, &mut recorder, 2);
    assert!(journal.flush(PATIENCE));
    for end in ["", "-wal"] {
        let name = |path: &Path| format!("{}{end}", path.display());
        std::fs::copy(name(&first), name(&path)).unwrap();
    }
    drop(recorder);
    assert!(journal.close(PATIENCE));

    take();
    let (journal, mut recorder, recovered) = Journal::open(&path, JournalOptions::default()).unwrap();
    assert!(is_failing(&journal));
    assert_eq!(recovered.last.expect("the state is known").state, home.state);
    assert_eq!((recovered.boot, recovered.set_aside), (2, None));
    journal.keep_settings(&settings(), "");
    home.restart(home.state.clone());
    let newest = minutes(&mut home, &mut recorder, 2);
    give_back();
    until("it works", || !is_failing(&journal));
    assert!(journal.flush(PATIENCE));
    assert_eq!(*journal.committed().borrow(), Some(newest));
    drop(recorder);
    assert!(journal.close(PATIENCE));
    let report = replay(&path, TimeRange::default()).unwrap();
    assert!(report.is_clean() && newest > before, "{:?}", report.findings.first());
    assert_eq!((report.blocks, report.missing), (newest, 0));
}

#[test]
fn the_file_stays_below_its_bound() {
    let seed = seed();
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("journal.db");
    let options = JournalOptions { max_bytes: LEAST_BYTES, ..JournalOptions::default() };
    let (journal, mut recorder, _) = Journal::open(&path, options).unwrap();
    let mut home = Home::new(seed);
    let mut largest = 0;
    let mut newest = 0;
    for minute in 0..2500 {
        for _ in 0..20 {
            newest = home.cycle(&mut recorder, 3000).0.unwrap_or(newest);
        }
        recorder.minute(MinutePoint {
            charge: [0.4, 0.5, 0.6],
            volts: Some(13.1),
            amps: Some(1.0),
            watts: Some(13.1),
            celsius: None,
            sun: Some(100.0),
            load: Some(50.0),
            loads: vec![LoadPoint { on: true, watts: Some(10.0) }; 6],
            ..MinutePoint::empty(recorder.stamp(&home.image))
        });
        if minute % 500 == 499 {
            // A reader beside the writer: it sees a whole journal, and does not make the log grow.
            journal.keep_settings(&settings(), "");
            assert!(journal.flush(PATIENCE));
            let report = replay(&path, TimeRange::default()).unwrap();
            assert!(report.is_clean(), "minute {minute}: {:?}", report.findings.first());
        }
        if minute % 10 == 0 {
            assert!(journal.flush(PATIENCE));
            largest = largest.max(bytes_on_disk(&path));
            assert!(largest <= options.max_bytes, "minute {minute}: {largest} bytes");
        }
    }
    newest = recorder.end_block().unwrap_or(newest);
    drop(recorder);
    assert!(journal.close(PATIENCE));
    let report = replay(&path, TimeRange::default()).unwrap();
    assert!(report.is_clean(), "{:?}", report.findings.first());
    assert!(report.blocks < newest && report.blocks > 200, "{} of {newest} blocks are kept", report.blocks);
    println!("largest: {largest} bytes, {} of {newest} blocks kept", report.blocks);
    assert!(largest > options.max_bytes / 3, "the bound was never near: {largest}");
}

#[test]
fn a_damaged_file_is_set_aside_and_at_most_two_are_kept() {
    let seed = seed();
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("journal.db");
    let mut random = ChaCha8Rng::seed_from_u64(seed);
    let mut stores = Vec::new();
    for round in 0..4 {
        let (journal, mut recorder, recovered) = open(&path);
        assert_eq!(recovered.set_aside.is_some(), round > 0, "round {round}");
        if let Some(aside) = &recovered.set_aside {
            assert_eq!(aside.path, folder.path().join("journal.db.damaged-1"));
            assert!(!aside.reason.is_empty());
        }
        assert_eq!((recovered.boot, &recovered.last), (1, &None));
        assert!(!stores.contains(&recovered.store));
        stores.push(recovered.store);
        let mut home = Home::new(round);
        minutes(&mut home, &mut recorder, 3);
        drop(recorder);
        assert!(journal.close(PATIENCE));
        let mut bytes = std::fs::read(&path).unwrap();
        let length = if round == 1 { bytes.len() } else { 4096 };
        bytes[..length].iter_mut().for_each(|byte| *byte = random.random_range(0..=255));
        std::fs::write(&path, bytes).unwrap();
    }
    let mut names: Vec<_> = std::fs::read_dir(folder.path())
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .filter(|name| name.contains("damaged") && !name.contains("-wal"))
        .collect();
    names.sort();
    assert_eq!(names, ["journal.db.damaged-1", "journal.db.damaged-2"]);
}

#[test]
fn a_file_that_is_damaged_while_the_hub_runs_is_begun_anew() {
    let seed = seed();
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("journal.db");
    let options = JournalOptions { max_bytes: LEAST_BYTES, ..JournalOptions::default() };
    let (journal, mut recorder, recovered) = Journal::open(&path, options).unwrap();
    journal.keep_settings(&settings(), "");
    let mut home = Home::new(seed);
    minutes(&mut home, &mut recorder, 300);
    assert!(journal.flush(PATIENCE));
    // What a failing card does: the pages of the file turn to noise under the open database. They are read
    // again when room is made.
    let length = std::fs::metadata(&path).unwrap().len() as usize;
    let file = std::fs::OpenOptions::new().write(true).open(&path).unwrap();
    std::os::unix::fs::FileExt::write_all_at(&file, &vec![0xA5; length - 512], 512).unwrap();
    until("a new journal is begun", || {
        minutes(&mut home, &mut recorder, 30);
        journal.flush(Duration::from_secs(1));
        journal.store() != recovered.store
    });
    minutes(&mut home, &mut recorder, 1);
    assert!(journal.flush(PATIENCE));
    drop(recorder);
    assert!(journal.close(PATIENCE));
    assert!(folder.path().join("journal.db.damaged-1").exists());
    let report = replay(&path, TimeRange::default()).unwrap();
    assert!(report.is_clean(), "{:?}", report.findings.first());
    assert!(report.blocks > 0);
}

#[test]
fn a_file_that_is_deleted_under_the_hub_takes_no_promise() {
    let seed = seed();
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("journal.db");
    let away = folder.path().join("away.db");
    let (journal, mut recorder, _) = open(&path);
    let mut home = Home::new(seed);
    minutes(&mut home, &mut recorder, 2);
    assert!(journal.flush(PATIENCE));
    let before = *journal.committed().borrow();
    std::fs::rename(&path, &away).unwrap();
    let newest = minutes(&mut home, &mut recorder, 2);
    until("it is noticed", || is_failing(&journal));
    assert!(!journal.flush(Duration::from_millis(500)));
    assert_eq!(*journal.committed().borrow(), before);
    assert!(!path.exists(), "no journal is made while the hub's own is away");
    std::fs::rename(&away, &path).unwrap();
    assert!(journal.flush(PATIENCE));
    assert_eq!(*journal.committed().borrow(), Some(newest));
    drop(recorder);
    assert!(journal.close(PATIENCE));
    assert_eq!(replay(&path, TimeRange::default()).unwrap().blocks, newest);
}

#[test]
fn a_file_that_is_replaced_under_the_hub_is_left_alone() {
    let seed = seed();
    let folder = tempfile::tempdir().unwrap();
    let (path, other) = (folder.path().join("journal.db"), folder.path().join("other.db"));
    let (journal, recorder, _) = open(&other);
    drop(recorder);
    assert!(journal.close(PATIENCE));
    let foreign = std::fs::read(&other).unwrap();

    let (journal, mut recorder, _) = open(&path);
    let mut home = Home::new(seed);
    minutes(&mut home, &mut recorder, 2);
    assert!(journal.flush(PATIENCE));
    let before = *journal.committed().borrow();
    let kept = folder.path().join("kept.db");
    std::fs::hard_link(&path, &kept).unwrap();
    std::fs::rename(&other, &path).unwrap();
    let newest = minutes(&mut home, &mut recorder, 2);
    until("it is noticed", || is_failing(&journal));
    let JournalHealth::Failing { reason } = journal.health().borrow().clone() else { panic!("works again") };
    assert!(reason.contains("put in its place"), "{reason}");
    assert!(!journal.flush(Duration::from_millis(500)));
    assert_eq!(*journal.committed().borrow(), before);
    assert_eq!(std::fs::read(&path).unwrap(), foreign, "the other file is as it was");
    std::fs::rename(&kept, &path).unwrap();
    assert!(journal.flush(PATIENCE));
    assert_eq!(*journal.committed().borrow(), Some(newest));
    drop(recorder);
    assert!(journal.close(PATIENCE));
}

#[test]
fn what_is_no_journal_or_in_use_is_left_alone() {
    seed();
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("other.db");
    rusqlite::Connection::open(&path).unwrap().execute_batch("CREATE TABLE photos(id)").unwrap();
    let error = Journal::open(&path, JournalOptions::default()).unwrap_err();
    assert!(matches!(error, JournalError::NotAJournal { .. }), "{error}");
    assert!(path.exists());

    let path = folder.path().join("journal.db");
    let (journal, recorder, _) = open(&path);
    let error = Journal::open(&path, JournalOptions::default()).unwrap_err();
    assert!(matches!(error, JournalError::InUse { .. }), "{error}");
    drop(recorder);
    assert!(journal.close(PATIENCE));
    rusqlite::Connection::open(&path).unwrap().pragma_update(None, "user_version", 99).unwrap();
    let error = Journal::open(&path, JournalOptions::default()).unwrap_err();
    assert!(error.to_string().contains("layout 99"), "{error}");

    let small = JournalOptions { max_bytes: 1000, ..JournalOptions::default() };
    assert!(matches!(Journal::open(&path, small), Err(JournalError::TooSmall { given: 1000, .. })));
    let missing = folder.path().join("no/such/folder/journal.db");
    let error = Journal::open(&missing, JournalOptions::default()).unwrap_err();
    assert!(error.to_string().contains("expected a folder"), "{error}");
}

#[test]
fn time_that_is_learnt_late_stamps_what_came_before() {
    let seed = seed();
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("journal.db");
    let rows = |sql: &str| -> i64 {
        rusqlite::Connection::open(&path).unwrap().query_row(sql, [], |row| row.get(0)).unwrap()
    };
    let mut home = Home::new(seed);
    for boot in 0..2 {
        let (journal, mut recorder, recovered) = open(&path);
        if let Some(last) = recovered.last {
            home.restart(last.state);
        }
        // The time is known 300 s after the start; the first boot ends before.
        for cycle in 0..if boot == 0 { 90 } else { 600 } {
            home.cycle(&mut recorder, 1000);
            if cycle % 60 == 59 {
                recorder.minute(MinutePoint::empty(recorder.stamp(&home.image)));
            }
        }
        drop(recorder);
        assert!(journal.close(PATIENCE));
    }
    for table in ["block", "minute"] {
        let unknown =
            |boot| rows(&format!("SELECT count(*) FROM {table} WHERE boot = {boot} AND unix IS NULL"));
        assert_eq!(unknown(2), 0, "{table}");
        assert!(unknown(1) > 0, "{table}: nobody learnt the time in the first boot");
    }
    let spread = rows("SELECT max(abs(unix - last / 1000 - 1790000000)) FROM block WHERE boot = 2");
    assert!(spread <= 20, "{spread}");
}

#[test]
fn slots_counters_minutes_and_what_was_learnt_come_back() {
    let seed = seed();
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("journal.db");
    let (journal, mut recorder, _) = open(&path);
    let mut home = Home::new(seed);
    let point = |slot: i64| SlotPoint {
        slot: Slot(slot),
        tiers: [Some(slot as f32), None, Some(0.5), None],
        total: Some(1.5),
        sun: None,
        shared: Some(SharedSlot {
            slot: Slot(slot),
            on: 0b011,
            watts: 12.5,
            metered: [Some(1.5), None, Some(0.0)],
        }),
    };
    for slot in 0..2000_i64 {
        recorder.slot(point(1_000_000 + slot));
        if slot % 100 == 99 {
            assert!(journal.flush(PATIENCE));
        }
    }
    recorder.slot(SlotPoint { sun: Some(3.0), ..point(1_001_999) });
    recorder.counter("water", u64::MAX / 2);
    recorder.counter("water", 17);
    recorder.counter("energy", 3);
    recorder.learnt("total", vec![1; 300_000]);
    recorder.learnt("total", vec![2; 400_000]);
    recorder.learnt("critical", vec![3]);
    recorder.learnt("far too much", vec![4; 2 << 20]);
    minutes(&mut home, &mut recorder, 1);
    drop(recorder);
    assert!(journal.close(PATIENCE));
    let (journal, recorder, recovered) = open(&path);
    assert_eq!(recovered.slots.len(), 40 * 48);
    let newest = SlotPoint { sun: Some(3.0), ..point(1_001_999) };
    assert_eq!(recovered.slots.last(), Some(&newest));
    assert_eq!(recovered.slots[0], point(1_002_000 - 40 * 48));
    assert_eq!(
        recovered.counters.into_iter().collect::<Vec<_>>(),
        [("energy".into(), 3), ("water".into(), 17)]
    );
    let learnt = [("critical".to_owned(), vec![3]), ("total".to_owned(), vec![2; 400_000])];
    assert_eq!(recovered.learnt, learnt.into());
    assert_eq!(recovered.unreadable, 0);
    drop(recorder);
    assert!(journal.close(PATIENCE));
}
