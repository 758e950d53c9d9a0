//! E and C10: power, bad blocks, full and failing disks, at every step of an update.

use std::io;
use std::path::Path;

use sunkeep_ota::digest::{Hashes, hex, sha256};
use sunkeep_ota::install::channel::{Event, Phase, Slot, Source};
use sunkeep_ota::limits::Limits;
use sunkeep_ota::reason::{Reason, Refusal};
use sunkeep_ota::release::{Chunks, Payload, Release};
use sunkeep_ota::store::disk::FileSystem;
use sunkeep_ota::store::{OpenError, Opened, Store};
use sunkeep_ota::tuf::document::Kind;
use sunkeep_ota::tuf::trusted::Trusted;

use crate::card::{Card, Fault, seeded};
use crate::repo::{Repo, now, refresh};

const FOLDER: &str = "/ota";
const OLD: u64 = 6;
const NEW: u64 = 7;

pub fn content(counter: u64) -> Vec<u8> {
    (0..1_000_u64).map(|byte| (byte * (counter + 3) % 251) as u8).collect()
}

pub fn release(counter: u64, payload: Payload) -> Release {
    let bytes = content(counter);
    Release {
        payload,
        channel: "load".into(),
        counter,
        hardware: Vec::new(),
        family: None,
        chemistry: None,
        device: None,
        min_app: None,
        shadow_only: false,
        safety: false,
        chunks: Chunks { size: 256, digests: Some(bytes.chunks(256).map(sha256).collect()) },
        length: bytes.len() as u64,
        sha256: Hashes::of(&bytes).sha256().unwrap(),
    }
}

pub fn open(card: &Card, repo: &Repo) -> Result<Opened<Card>, OpenError> {
    Store::open(card.clone(), Path::new(FOLDER), &repo.files["1.root.json"], &Limits::default(), 4_096)
}

/// Brings an update one cycle after the other to its end, from wherever a restart left it. `fetched` are the
/// chunks that came over the air and were acknowledged.
fn drive(
    store: &mut Store<Card>,
    repo: &Repo,
    counter: u64,
    fetched: &mut Vec<(u64, u32)>,
) -> Result<(), Refusal> {
    let (trusted, _) = store.state().trusted(&Limits::default())?;
    let (trusted, result) = refresh(trusted, &repo.files, now());
    store.commit_refresh(&trusted, result.as_ref().err())?;
    let release = release(counter, Payload::Model);
    store.keep_downloads(&[release.sha256])?;
    let digits = hex(&release.sha256);
    for _ in 0..10 {
        let channel = store.state().channel("load");
        let event = match channel.phase() {
            Phase::Rest => {
                let serving = channel.serving();
                let done =
                    matches!(serving, Source::Slot(slot) if channel.in_slot(slot).unwrap().sha256 == digits);
                if done {
                    return store.forget_download(&release.sha256);
                }
                let mut download = store.download(&release)?;
                for index in download.missing().collect::<Vec<_>>() {
                    assert!(!fetched.contains(&(counter, index)), "chunk {index} was fetched twice");
                    let bytes = content(counter).chunks(256).nth(index as usize).unwrap().to_vec();
                    store.put_chunk(&mut download, index, &bytes)?;
                    fetched.push((counter, index));
                }
                let bytes = store.assemble(&download)?;
                store.stage(&release, &bytes)?;
                continue;
            }
            Phase::Staged(_) => Event::Checked,
            Phase::Shadow(_) => Event::ShadowWon,
            Phase::Trial { starts: 0, .. } => Event::Started,
            Phase::Trial { .. } => Event::Healthy,
        };
        store.advance("load", &event)?;
    }
    panic!("the update does not come to its end");
}

/// A card whose hub serves the old release, and the repository with the new one.
fn prepared() -> (Card, Repo) {
    prepared_by(&[OLD])
}

/// The same after several updates, so that both slots are in use.
fn prepared_by(counters: &[u64]) -> (Card, Repo) {
    let mut repo = Repo::new();
    let card = Card::new();
    let mut store = open(&card, &repo).unwrap().store;
    for counter in counters {
        drive(&mut store, &repo, *counter, &mut Vec::new()).unwrap();
    }
    repo.release();
    (card, repo)
}

/// What is served: the old or the new release, whole, or nothing of the slots.
fn served(store: &mut Store<Card>) -> Option<u64> {
    let bytes = store.serve("load").unwrap().bytes?;
    let known = [OLD, NEW].into_iter().find(|counter| content(*counter) == bytes);
    Some(known.expect("neither the old nor the new release"))
}

fn steps_of_an_update() -> usize {
    let (card, repo) = prepared();
    let mut store = open(&card, &repo).unwrap().store;
    card.arm(None);
    drive(&mut store, &repo, NEW, &mut Vec::new()).unwrap();
    assert_eq!(served(&mut store), Some(NEW));
    card.steps()
}

#[test]
fn c10_e01_e02_e03_e04_e05_e06_e07_e08_e09_e10_e11_e12_power_is_cut_at_every_step() {
    let mut chance = seeded();
    let (prepared, repo) = prepared_by(&[OLD - 1, OLD]);
    let steps = steps_of_an_update();
    println!("{steps} steps, 8 outcomes each");
    assert!(steps > 40);
    for cut in 1..=steps + 10 {
        for _ in 0..8 {
            let card = prepared.copy();
            let mut fetched = Vec::new();
            let mut store = open(&card, &repo).unwrap().store;
            let floors = store.state().trusted(&Limits::default()).unwrap().0.floors().clone();
            let mut acknowledged = store.state().clone();
            // The first steps are those of starting, the last ones come after the end.
            card.arm(Some(Fault::Cut(cut)));
            let cut_short = open(&card, &repo).map(|opened| {
                store = opened.store;
                let ended = drive(&mut store, &repo, NEW, &mut fetched);
                acknowledged = store.state().clone();
                ended
            });
            card.reboot(&mut chance);
            let opened = open(&card, &repo).expect("the store opens after any cut");
            assert_eq!(opened.damage, Vec::new(), "cut at {cut}: no copy is damaged");
            let mut store = opened.store;
            let (trusted, damage) = store.state().trusted(&Limits::default()).unwrap();
            assert!(damage.is_empty());
            // Floors never fall, and what was acknowledged is there.
            assert!(trusted.floors().timestamp >= floors.timestamp);
            assert!(trusted.floors().time.newest() >= floors.time.newest());
            let known = acknowledged.trusted(&Limits::default()).unwrap().0;
            assert!(trusted.floors().timestamp >= known.floors().timestamp, "cut at {cut}");
            assert!(store.state().channel("load").floor() >= acknowledged.channel("load").floor());
            // No slot is named that does not hold what it should.
            for slot in [Slot::A, Slot::B] {
                if store.state().channel("load").in_slot(slot).is_some() {
                    store.read_slot("load", slot).expect("a slot that is named is whole");
                }
            }
            // Exactly the old or the new one serves.
            let source = store.state().channel("load").serving();
            let before = served(&mut store).expect("a slot serves");
            let phase = store.state().channel("load").phase();
            assert!(
                before == OLD || matches!(phase, Phase::Trial { .. } | Phase::Rest),
                "{source:?} {phase:?}"
            );
            assert!(!card.files().iter().any(|file| file.contains(".part") && !file.contains("chunks")));
            // And it goes on to the end; `drive` holds that no chunk is fetched again.
            drive(&mut store, &repo, NEW, &mut fetched).unwrap();
            assert_eq!(served(&mut store), Some(NEW), "cut at {cut}: {cut_short:?}");
            assert!(card.files().iter().all(|file| !file.starts_with("/ota/chunks/")), "{:?}", card.files());
        }
    }
}

#[test]
fn e13_a_card_that_lies_about_syncing() {
    let mut chance = seeded();
    let (prepared, repo) = prepared();
    let (mut lost, mut whole, mut torn) = (0, 0, 0);
    for cut in 1..=steps_of_an_update() {
        for _ in 0..10 {
            let card = prepared.copy();
            let mut store = open(&card, &repo).unwrap().store;
            card.lie();
            card.arm(Some(Fault::Cut(cut)));
            let _ = drive(&mut store, &repo, NEW, &mut Vec::new());
            card.reboot(&mut chance);
            let factory = &repo.files["1.root.json"];
            let mut store = match open(&card, &repo) {
                Ok(opened) => opened.store,
                // Both copies were torn: an error with a way out, never a new hub in silence.
                Err(OpenError::BothCopiesBad { .. }) => {
                    let begun = Store::start_over(
                        card.clone(),
                        Path::new(FOLDER),
                        factory,
                        &Limits::default(),
                        4_096,
                    );
                    let begun = begun.unwrap();
                    assert_eq!(begun.damage[0].reason, Reason::StorageFault);
                    lost += 1;
                    begun.store
                }
                Err(OpenError::Refused(refusal)) => panic!("{refusal}"),
            };
            // Whatever is left, nothing torn is ever served.
            whole += usize::from(served(&mut store).is_some());
            let known = store.state().refusal_of(&hex(&release(NEW, Payload::Model).sha256));
            assert_eq!(known, None, "the content is not to blame");
            // A torn candidate is found before it acts, and staged anew.
            if let Err(refusal) = drive(&mut store, &repo, NEW, &mut Vec::new()) {
                assert_eq!(refusal.reason, Reason::StorageFault, "{refusal}");
                torn += 1;
                drive(&mut store, &repo, NEW, &mut Vec::new()).unwrap();
            }
            assert_eq!(served(&mut store), Some(NEW));
        }
    }
    println!("{lost} stores lost, {whole} served at once, {torn} candidates torn");
    assert!(lost > 0 && whole > 0 && torn > 0);
}

#[test]
fn e14_e15_full_and_failing_disks_at_every_step() {
    let (prepared, repo) = prepared();
    let steps = steps_of_an_update();
    for (kind, reason) in
        [(io::ErrorKind::StorageFull, Reason::DiskFull), (io::ErrorKind::Other, Reason::StorageFault)]
    {
        for step in 1..=steps {
            for fault in [Fault::Once(step, kind), Fault::From(step, kind)] {
                let card = prepared.copy();
                let mut fetched = Vec::new();
                let mut store = open(&card, &repo).unwrap().store;
                card.arm(Some(fault));
                let refusal = drive(&mut store, &repo, NEW, &mut fetched).expect_err("a step failed");
                assert_eq!(refusal.reason, reason, "{fault:?}: {refusal}");
                if matches!(fault, Fault::Once(..)) {
                    // On a full disk rubbish would stay in the way.
                    assert!(!card.files().iter().any(|file| file.contains(".part")), "{:?}", card.files());
                }
                served(&mut store).expect("a slot serves");
                // There is room again: the same process goes on, and so does a new one.
                card.arm(None);
                drive(&mut store, &repo, NEW, &mut fetched).unwrap();
                assert_eq!(served(&mut store), Some(NEW));
                drop(store);
                assert_eq!(served(&mut open(&card, &repo).unwrap().store), Some(NEW));
            }
        }
    }
    // The reserve is not touched, however a download began.
    let card = prepared.copy();
    let mut store = open(&card, &repo).unwrap().store;
    let release = release(NEW, Payload::Model);
    let mut download = store.download(&release).unwrap();
    card.set_free(4_096 + 100);
    let refusal = store.put_chunk(&mut download, 0, &content(NEW)[..256]).expect_err("the reserve was used");
    assert_eq!(refusal.reason, Reason::DiskFull);
    store.forget_download(&release.sha256).unwrap();
    for free in [4_096 + 100, 4_096, 0] {
        card.set_free(free);
        let refusal = drive(&mut store, &repo, NEW, &mut Vec::new()).expect_err("the reserve was used");
        assert_eq!(refusal.reason, Reason::DiskFull);
        assert_eq!(served(&mut store), Some(OLD));
    }
}

/// A hub that serves the new release, with the old one in the other slot.
fn updated() -> (Card, Repo) {
    let (card, repo) = prepared();
    let mut store = open(&card, &repo).unwrap().store;
    drive(&mut store, &repo, NEW, &mut Vec::new()).unwrap();
    (card, repo)
}

#[test]
fn e15_e16_slots_that_cannot_be_read() {
    let (card, repo) = updated();
    let mut store = open(&card, &repo).unwrap().store;
    assert_eq!(store.state().channel("load").serving(), Source::Slot(Slot::B));
    card.make_unreadable(Some("/ota/slot-load-b"));
    assert_eq!(served(&mut store), Some(OLD));
    assert_eq!(store.state().reports[&Reason::StorageFault].count, 1);
    card.make_unreadable(None);
    card.corrupt("/ota/slot-load-a", |bytes| bytes[7] ^= 1);
    let last = store.serve("load").unwrap();
    assert_eq!((last.source, last.bytes), (Source::Factory, None));
    assert_eq!(last.damage[0].reason, Reason::StorageFault);
    assert_eq!(store.state().reports[&Reason::NoModel].count, 1);
    // The next release is taken as ever.
    drop(store);
    let mut store = open(&card, &repo).unwrap().store;
    drive(&mut store, &repo, NEW + 1, &mut Vec::new()).unwrap();
    // A disk that takes no writes any more still serves what can be read.
    let (card, repo) = updated();
    let mut store = open(&card, &repo).unwrap().store;
    card.corrupt("/ota/slot-load-b", Vec::clear);
    card.arm(Some(Fault::From(1, io::ErrorKind::ReadOnlyFilesystem)));
    assert_eq!(served(&mut store), Some(OLD));
}

#[test]
fn e17_copies_of_the_state_that_are_torn_zero_or_too_new() {
    type Damage = fn(&mut Vec<u8>);
    let (intact, repo) = updated();
    let damages: [(&str, Damage); 6] = [
        ("cut", |bytes| bytes.truncate(bytes.len() / 2)),
        ("empty", Vec::clear),
        ("zero", |bytes| bytes.fill(0)),
        ("one bit", |bytes| *bytes.last_mut().unwrap() ^= 1),
        ("one digit, still JSON", |bytes| {
            let at = bytes.windows(10).position(|part| part == b"\"counter\":").unwrap();
            let end = bytes[at..].iter().position(|byte| *byte == b',').unwrap();
            bytes[at + end - 1] ^= 1;
        }),
        ("newer", |bytes| bytes["sunkeep-ota-state ".len()] = b'9'),
    ];
    let newest = open(&intact, &repo).unwrap().store.state().clone();
    for (name, damage) in damages {
        for copy in ["/ota/state.a", "/ota/state.b"] {
            let card = intact.copy();
            card.corrupt(copy, damage);
            let opened = open(&card, &repo).unwrap();
            assert_eq!(opened.damage.len(), 1, "{name} {copy}");
            assert_eq!(opened.damage[0].reason, Reason::StorageFault);
            let mut store = opened.store;
            // The other copy is at most one step behind, and floors are those it holds.
            let floors = |state: &sunkeep_ota::store::state::HubState| {
                state.trusted(&Limits::default()).unwrap().0.floors().clone()
            };
            assert_eq!(floors(store.state()), floors(&newest));
            drive(&mut store, &repo, NEW, &mut Vec::new()).unwrap();
            assert_eq!(served(&mut store), Some(NEW));
        }
        let card = intact.copy();
        card.corrupt("/ota/state.a", damage);
        card.corrupt("/ota/state.b", damage);
        let error = open(&card, &repo).expect_err("a broken state was taken for a new hub");
        assert!(matches!(&error, OpenError::BothCopiesBad { damage, .. } if damage.len() == 2), "{error}");
    }
    // A state whose documents do not verify any more: they are fetched again, the floors hold.
    let mut other = Repo::new();
    other.role(Kind::Root).keys = vec![7, 8, 9];
    let trusted: Trusted = repo.client();
    let state = open(&intact, &repo).unwrap().store.state().clone();
    assert_eq!(state.trusted(&Limits::default()).unwrap().0, trusted);
}

fn real(folder: &Path) -> Result<Opened<FileSystem>, OpenError> {
    let repo = Repo::new();
    Store::open(FileSystem, folder, &repo.files["1.root.json"], &Limits::default(), 0)
}

#[test]
fn e19_links_pipes_and_folders_in_place_of_files() {
    use std::os::unix::fs::symlink;
    let temporary = tempfile::tempdir().unwrap();
    let folder = temporary.path().join("ota");
    let victim = temporary.path().join("victim");
    std::fs::write(&victim, "untouched").unwrap();
    let mut store = real(&folder).unwrap().store;
    let release = release(NEW, Payload::Model);
    let slot = folder.join("slot-load-a");
    let part = folder.join("slot-load-a.part");
    // A folder where the temporary file belongs.
    std::fs::create_dir(&part).unwrap();
    assert_eq!(store.stage(&release, &content(NEW)).unwrap_err().reason, Reason::BadFile);
    std::fs::remove_dir(&part).unwrap();
    // A link there goes, and what it pointed to stays.
    symlink(&victim, &part).unwrap();
    store.stage(&release, &content(NEW)).unwrap();
    assert_eq!(std::fs::read_to_string(&victim).unwrap(), "untouched");
    assert_eq!(store.read_slot("load", Slot::A).unwrap(), content(NEW));
    // A link, a pipe, a folder in place of the slot: not read, and nothing hangs.
    for place in [0, 1, 2] {
        std::fs::remove_file(&slot).unwrap();
        match place {
            0 => symlink(&victim, &slot).unwrap(),
            1 => rustix::fs::mknodat(
                rustix::fs::CWD,
                &slot,
                rustix::fs::FileType::Fifo,
                rustix::fs::Mode::RWXU,
                0,
            )
            .unwrap(),
            _ => std::fs::create_dir(&slot).unwrap(),
        }
        assert_eq!(store.read_slot("load", Slot::A).unwrap_err().reason, Reason::BadFile, "{place}");
    }
    // The same for the lock.
    drop(store);
    std::fs::remove_file(folder.join("lock")).unwrap();
    symlink(&victim, folder.join("lock")).unwrap();
    let Err(OpenError::Refused(refusal)) = real(&folder) else { panic!("a link was locked") };
    assert_eq!(refusal.reason, Reason::BadFile);
}

#[test]
fn e20_two_writers() {
    let temporary = tempfile::tempdir().unwrap();
    let folder = temporary.path().join("ota");
    let first = real(&folder).unwrap();
    let Err(OpenError::Refused(refusal)) = real(&folder) else { panic!("two writers") };
    assert_eq!(refusal.reason, Reason::Locked);
    drop(first);
    real(&folder).unwrap();
}

#[test]
fn a_real_folder_holds_an_update_over_restarts() {
    let temporary = tempfile::tempdir().unwrap();
    let folder = temporary.path().join("ota");
    let release = release(NEW, Payload::Config);
    let mut store = real(&folder).unwrap().store;
    let mut download = store.download(&release).unwrap();
    for index in [2, 0] {
        let bytes = content(NEW).chunks(256).nth(index).unwrap().to_vec();
        store.put_chunk(&mut download, index as u32, &bytes).unwrap();
    }
    drop(store);
    store = real(&folder).unwrap().store;
    download = store.download(&release).unwrap();
    assert_eq!(download.missing().collect::<Vec<_>>(), [1, 3]);
    for index in [1, 3] {
        let bytes = content(NEW).chunks(256).nth(index).unwrap().to_vec();
        store.put_chunk(&mut download, index as u32, &bytes).unwrap();
    }
    let bytes = store.assemble(&download).unwrap();
    store.stage(&release, &bytes).unwrap();
    store.advance("load", &Event::Checked).unwrap();
    drop(store);
    store = real(&folder).unwrap().store;
    let served = store.serve("load").unwrap();
    assert_eq!((served.source, served.bytes), (Source::Slot(Slot::A), Some(content(NEW))));
    store.forget_download(&release.sha256).unwrap();
    assert!(!folder.join("chunks").join(hex(&release.sha256)).exists());
}
