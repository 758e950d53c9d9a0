//! The command line: keys are made for their owner alone, and the root it signs is one that hubs take.
#![allow(clippy::unwrap_used, missing_docs, reason = "a test")]

use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::{Command, Output};

use sunkeep_ota::limits::Limits;
use sunkeep_ota::tuf::document::Kind;
use sunkeep_ota::tuf::trusted::Trusted;

fn fleet(folder: &Path, arguments: &str) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_sunkeep-fleet"));
    command.current_dir(folder).args(arguments.split_whitespace()).output().unwrap()
}

fn said(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

/// A folder with five keys.
fn keys() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    for name in ["root-a", "root-b", "targets", "snapshot", "timestamp"] {
        let output = fleet(folder.path(), &format!("key {name}"));
        assert!(output.status.success(), "{}", said(&output));
        let mode = std::fs::metadata(folder.path().join(name)).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
    }
    folder
}

const ONLINE: &str = "--targets-key targets.pub --snapshot-key snapshot.pub --timestamp-key timestamp.pub";

#[test]
fn a_root_of_two_keys_is_one_that_hubs_take() {
    let folder = keys();
    let arguments = format!("root --root-key root-a --root-key root-b --root-threshold 2 {ONLINE}");
    let output = fleet(folder.path(), &arguments);
    assert!(output.status.success(), "{}", said(&output));
    let bytes = std::fs::read(folder.path().join("1.root.json")).unwrap();
    let trusted = Trusted::begin(&bytes, &Limits::default()).unwrap();
    assert_eq!(trusted.version(Kind::Root), Some(1));
    let text = String::from_utf8(bytes.clone()).unwrap();
    for name in ["root-a", "root-b", "targets", "snapshot", "timestamp"] {
        let secret = std::fs::read_to_string(folder.path().join(name)).unwrap();
        assert!(!text.contains(secret.trim()), "the secret of {name} is in the root");
    }
    // One bit less and no hub takes it.
    let place = text.find("\"threshold\":2").unwrap();
    let mut broken = bytes;
    broken[place + 12] = b'1';
    assert!(Trusted::begin(&broken, &Limits::default()).is_err());

    let again = fleet(folder.path(), &arguments);
    assert!(!again.status.success() && said(&again).contains("making 1.root.json"), "{}", said(&again));
}

#[test]
fn what_cannot_be_is_refused_and_says_why() {
    let folder = keys();
    let exists = fleet(folder.path(), "key targets");
    assert!(!exists.status.success() && said(&exists).contains("making it"), "{}", said(&exists));

    let rows = [
        ("--root-key root-a --root-threshold 2", "root: threshold 2 of 1 keys"),
        ("--root-key root-a --root-threshold 0", "root: threshold 0 of 1 keys"),
        ("--root-key targets.pub", "others may read the secret"),
        ("--root-key nobody", "nobody: opening it"),
    ];
    for (root, expected) in rows {
        let output = fleet(folder.path(), &format!("root {root} {ONLINE}"));
        assert!(!output.status.success() && said(&output).contains(expected), "{root}: {}", said(&output));
        assert!(!folder.path().join("1.root.json").exists());
    }
    let swapped = ONLINE.replace("snapshot.pub", "snapshot");
    let output = fleet(folder.path(), &format!("root --root-key root-a {swapped}"));
    assert!(!output.status.success(), "a secret where a public half belongs");
    let secret = std::fs::read_to_string(folder.path().join("snapshot")).unwrap();
    assert!(!said(&output).contains(secret.trim()), "and it is not printed: {}", said(&output));
}
