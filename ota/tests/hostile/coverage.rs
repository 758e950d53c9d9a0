//! Which rows of the list have a test, and why the others do not.

use std::collections::BTreeMap;
use std::path::Path;

/// All tests of this folder, as text: a test's name begins with the rows it covers.
const SOURCES: [&str; 8] = [
    include_str!("installing.rs"),
    include_str!("metadata.rs"),
    include_str!("parsing.rs"),
    include_str!("rotation.rs"),
    include_str!("searching.rs"),
    include_str!("storage.rs"),
    include_str!("time.rs"),
    include_str!("transfer.rs"),
];

/// Rows that this crate cannot refuse, and who must.
const ELSEWHERE: &[(&str, &str)] = &[
    ("C08", "there is no time service: time comes from signed metadata"),
    ("D07", "transport: which chunks were asked for is known there"),
    ("D10", "transport: size of packets"),
    ("D11", "transport: budget of time and bytes of a session"),
    ("D13", "transport: monthly budget; the reserve for safety is signed in `Release::safety`"),
    ("D14", "transport: back-off and abort; an answer `Missing` is refused as unavailable"),
    ("D15", "transport: deltas"),
    ("D16", "transport: deltas; the result is staged like any content, by its hash"),
    ("D17", "transport: decompression; what comes out is held to the signed length"),
    ("D18", "transport: topics"),
    ("D19", "transport: trust is in signatures alone, which A holds"),
    ("D20", "transport: a folder is read by this same client, which A15 and D02 hold"),
    ("E18", "a limit: no counter outside the card; the operator sees it by the floors a hub reports"),
    ("F01", "the hub reads the model; its reason comes in as Event::Refused"),
    ("F02", "as F01"),
    ("F03", "as F01"),
    ("F04", "as F01"),
    ("F05", "as F01"),
    ("F06", "as F01"),
    ("F07", "as F01"),
    ("F08", "as F01"),
    ("F09", "as F01"),
    ("F10", "as F01"),
    ("F11", "as F01"),
    ("F12", "as F01"),
    ("F13", "as F01"),
    ("F14", "as F01"),
    ("F15", "as F01"),
    ("F22", "as F01; texts of refusals are cut and cleaned here"),
    ("G02", "fleet: deadlines of a rollout"),
    ("G03", "fleet: shares of a rollout"),
    ("G04", "fleet: reports of hubs"),
    ("G07", "fleet: abort of a rollout"),
    ("G08", "fleet: audit log"),
];

fn covered() -> BTreeMap<String, String> {
    let mut rows = BTreeMap::new();
    for line in SOURCES.iter().flat_map(|source| source.lines()) {
        let Some(name) = line.strip_prefix("fn ").and_then(|rest| rest.strip_suffix("() {")) else {
            continue;
        };
        for part in name.split('_') {
            let (letter, digits) = part.split_at(part.len().min(1));
            if digits.len() != 2 || !digits.bytes().all(|digit| digit.is_ascii_digit()) {
                break;
            }
            rows.insert(format!("{}{digits}", letter.to_ascii_uppercase()), name.to_owned());
        }
    }
    rows
}

#[test]
fn every_row_has_a_test_or_a_reason() {
    let rows = covered();
    for (row, reason) in ELSEWHERE {
        assert!(!rows.contains_key(*row), "{row} has a test and a reason to have none: {reason}");
    }
    check_table(&rows);
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared/ota/hostile.md");
    let Ok(list) = std::fs::read_to_string(&file) else {
        println!("skipped: no ../shared/ota");
        return;
    };
    let missing: Vec<&str> = list
        .lines()
        .filter_map(|line| line.strip_prefix("| ")?.split(' ').next())
        .filter(|id| id.len() >= 3 && id[1..3].bytes().all(|digit| digit.is_ascii_digit()))
        .filter(|id| !rows.contains_key(&id[..3]) && !ELSEWHERE.iter().any(|(row, _)| row == &&id[..3]))
        .collect();
    assert!(missing.is_empty(), "neither test nor reason: {missing:?}");
}

/// `ota/HOSTILE.md` says the same; `SUNKEEP_WRITE=1` writes it anew.
fn check_table(rows: &BTreeMap<String, String>) {
    let tests = rows.iter().map(|(row, test)| (row.as_str(), format!("`{test}`")));
    let elsewhere = ELSEWHERE.iter().map(|(row, reason)| (*row, format!("not here: {reason}")));
    let sorted: BTreeMap<&str, String> = tests.chain(elsewhere).collect();
    let mut table = String::from(
        "# Hostile and faulty inputs, and the test of each\n\nWritten by `tests/hostile/coverage.rs` (`SUNKEEP_WRITE=1`).\n\n\
         | id | test |\n|---|---|\n",
    );
    for (row, test) in sorted {
        table.push_str(&format!("| {row} | {test} |\n"));
    }
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("HOSTILE.md");
    if std::env::var_os("SUNKEEP_WRITE").is_some() {
        std::fs::write(&file, &table).unwrap();
    }
    let found = std::fs::read_to_string(&file).unwrap_or_default();
    assert_eq!(found, table, "{} is out of date: SUNKEEP_WRITE=1 writes it", file.display());
}
