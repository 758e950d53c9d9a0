//! python-tuf as an independent peer: it reads what we sign, we read what it signs, and of mutated repositories
//! nothing is taken here that it refuses.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    unreachable_pub,
    dead_code,
    reason = "a test"
)]

#[path = "hostile/repo.rs"]
mod repo;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;

use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use repo::{Files, MODEL, MODEL_BYTES, NOW, Repo, now, refresh, search};
use sunkeep_ota::limits::Limits;
use sunkeep_ota::release::{Payload, Release};
use sunkeep_ota::tuf::document::Kind;
use sunkeep_ota::tuf::trusted::Trusted;

/// Mutated repositories; `SUNKEEP_CASES` asks for others.
const CASES: usize = 400;

/// The interpreter with the packages of `tests/requirements.txt`, if it has python-tuf.
fn python() -> Option<PathBuf> {
    let above = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
    let python =
        std::env::var_os("SUNKEEP_PYTHON").map_or_else(|| above.join(".venv/bin/python"), PathBuf::from);
    let has = Command::new(&python).args(["-c", "import tuf"]).output();
    if has.is_ok_and(|has| has.status.success()) {
        return Some(python);
    }
    println!("skipped: {} has no python-tuf (tests/requirements.txt)", python.display());
    None
}

fn peer(python: &Path, arguments: &[&str]) -> String {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/peers/tuf_peer.py");
    let ran = Command::new(python).arg(script).args(arguments).output().unwrap();
    let said = String::from_utf8(ran.stdout).unwrap();
    assert!(ran.status.success(), "{said}{}", String::from_utf8_lossy(&ran.stderr));
    said
}

fn write(folder: &Path, files: &Files) {
    std::fs::create_dir_all(folder).unwrap();
    for (name, bytes) in files {
        std::fs::write(folder.join(name), bytes).unwrap();
    }
}

fn read(folder: &Path) -> Files {
    let entries = std::fs::read_dir(folder).unwrap().map(Result::unwrap);
    entries
        .map(|entry| (entry.file_name().into_string().unwrap(), std::fs::read(entry.path()).unwrap()))
        .collect()
}

#[test]
fn python_tuf_reads_what_we_sign() {
    let Some(python) = python() else { return };
    let mut repo = Repo::new();
    repo.role(Kind::Root).keys = vec![4, 5, 6];
    repo.role(Kind::Root).signers = vec![1, 2, 4, 5];
    repo.next_root();
    repo.delegate("targets", "pv", &["pv/*"], &[40], BTreeMap::new());
    repo.release();
    let folder = tempfile::tempdir().unwrap();
    write(folder.path(), &repo.files);
    let place = folder.path().to_str().unwrap();
    let root = folder.path().join("1.root.json");
    let said = peer(&python, &["read", place, root.to_str().unwrap(), &NOW.to_string(), MODEL]);
    assert_eq!(said, format!("versions 2 2 2 2\nlength {}\n", MODEL_BYTES.len()));
}

#[test]
fn we_read_what_python_tuf_signs() {
    let Some(python) = python() else { return };
    let folder = tempfile::tempdir().unwrap();
    peer(&python, &["write", folder.path().to_str().unwrap(), &NOW.to_string()]);
    let files = read(folder.path());
    let client = Trusted::begin(&files["1.root.json"], &Limits::default()).unwrap();
    let (client, result) = refresh(client, &files, now());
    result.unwrap();
    let versions =
        [Kind::Root, Kind::Timestamp, Kind::Snapshot, Kind::Targets].map(|kind| client.version(kind));
    assert_eq!(versions, [Some(2), Some(5), Some(4), Some(3)]);
    let target = search(&client, &files, "models/load-7", now()).1.unwrap();
    target.check(b"weights", "").unwrap();
    let release = Release::read(&target, "", &Limits::default()).unwrap();
    assert_eq!((release.payload, release.counter), (Payload::Model, 7));
    let (asked, found) = search(&client, &files, "pv/one", now());
    found.unwrap().check(b"pv", "").unwrap();
    assert_eq!(asked, ["pv"]);
}

/// A repository with some bytes of one document changed, cut, doubled or exchanged.
fn mutated(files: &Files, chance: &mut ChaCha8Rng) -> Files {
    let mut files = files.clone();
    let names = ["timestamp.json", "2.snapshot.json", "2.targets.json", "2.root.json"];
    let bytes = files.get_mut(names[chance.random_range(0..4)]).unwrap();
    for _ in 0..chance.random_range(1..3) {
        let at = chance.random_range(0..bytes.len());
        let end = (at + chance.random_range(1..20)).min(bytes.len());
        match chance.random_range(0..6) {
            0 => bytes[at] = chance.random(),
            1 => bytes[at] ^= 1 << chance.random_range(0..8),
            2 => drop(bytes.drain(at..end)),
            3 => {
                let part = bytes[at..end].to_vec();
                bytes.splice(at..at, part);
            }
            4 => {
                // A place between values, mostly: the meaning stays.
                let gap = bytes.iter().skip(at).position(|byte| *byte == b',').map_or(at, |far| at + far);
                bytes.insert(gap, b' ');
            }
            _ => bytes[at] = b"0123456789{}[]\":,"[chance.random_range(0..17)],
        }
    }
    files
}

#[test]
fn nothing_is_taken_that_python_tuf_refuses() {
    let Some(python) = python() else { return };
    let seed = std::env::var("SUNKEEP_SEED").ok().and_then(|seed| seed.parse().ok()).unwrap_or(20_261_121);
    let cases = std::env::var("SUNKEEP_CASES").ok().and_then(|cases| cases.parse().ok()).unwrap_or(CASES);
    println!("SUNKEEP_SEED={seed}, {cases} cases");
    let mut chance = ChaCha8Rng::seed_from_u64(seed);
    let mut repo = Repo::new();
    repo.next_root();
    repo.release();
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("1.root.json"), &repo.files["1.root.json"]).unwrap();
    let mut ours = BTreeMap::new();
    for case in 0..cases {
        let files = mutated(&repo.files, &mut chance);
        let name = format!("case-{case:05}");
        write(&folder.path().join(&name), &files);
        let client = Trusted::begin(&repo.files["1.root.json"], &Limits::default()).unwrap();
        ours.insert(name, refresh(client, &files, now()).1);
    }
    let said = peer(&python, &["verdicts", folder.path().to_str().unwrap(), &NOW.to_string()]);
    let mut stricter = BTreeMap::new();
    let (mut both_take, mut both_refuse) = (0, 0);
    for line in said.lines() {
        let (name, theirs) = line.split_once(' ').unwrap();
        match (&ours[name], theirs) {
            (Ok(()), "taken") => both_take += 1,
            (Ok(()), why) => panic!("{name} is taken here, and python-tuf says {why}"),
            (Err(refusal), "taken") => *stricter.entry(refusal.reason.code()).or_insert(0) += 1,
            (Err(_), _) => both_refuse += 1,
        }
    }
    println!("both take {both_take}, both refuse {both_refuse}, refused here alone: {stricter:?}");
    assert_eq!(said.lines().count(), cases);
    assert!(both_take > 0 && both_refuse > cases / 2);
}
