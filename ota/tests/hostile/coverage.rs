//! Which rows of the list have a test, and why the others do not.

use std::collections::BTreeMap;
use std::path::Path;

/// All tests of this folder, as text: a test's name begins with the rows it covers.
const SOURCES: [&str; 5] = [
    include_str!("metadata.rs"),
    include_str!("parsing.rs"),
    include_str!("rotation.rs"),
    include_str!("searching.rs"),
    include_str!("time.rs"),
];

/// Rows that this crate cannot refuse, and who must.
const ELSEWHERE: &[(&str, &str)] = &[];

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
    for (row, test) in &rows {
        println!("{row}: {test}");
    }
    for (row, reason) in ELSEWHERE {
        println!("{row}: not here: {reason}");
    }
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
