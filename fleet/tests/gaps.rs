//! What the lake has not got is told by the numbers, whatever order files come in and however little memory there is.

#![allow(clippy::unwrap_used, clippy::panic, missing_docs, reason = "a test may fail by panicking")]

use std::collections::BTreeSet;
use std::process::Command;
use std::sync::Arc;

use arrow_array::{ArrayRef, Int64Array, RecordBatch, StringArray};
use parquet::arrow::ArrowWriter;
use rand::seq::SliceRandom as _;
use rand::{RngExt as _, SeedableRng as _};
use rand_chacha::ChaCha8Rng;
use sunkeep_fleet::gaps::{Count, Missing, Search};
use sunkeep_fleet::lake::Lake;

/// Hub and number of a record; how many it was merged from.
type Record = (usize, i64, Option<i64>);

fn write(lake: &Lake, name: &str, records: &[Record], version: u8) {
    let text = |prefix: &str| -> ArrayRef {
        Arc::new(StringArray::from_iter_values(records.iter().map(|record| format!("{prefix}{}", record.0))))
    };
    let mut columns = vec![
        ("hub", text("hub-")),
        ("store", text("store-")),
        ("sequence", Arc::new(Int64Array::from_iter_values(records.iter().map(|record| record.1))) as _),
    ];
    if version > 0 {
        let thinned: Int64Array = records.iter().map(|record| record.2).collect();
        columns.push(("thinned_of", Arc::new(thinned)));
    }
    let rows = RecordBatch::try_from_iter_with_nullable(
        columns.into_iter().map(|(name, column)| (name, column, name == "thinned_of")),
    );
    let rows = rows.unwrap();
    let mut draft = lake.draft(name).unwrap();
    let mut writer = ArrowWriter::try_new(draft.file(), rows.schema(), None).unwrap();
    writer.write(&rows).unwrap();
    writer.close().unwrap();
    draft.publish().unwrap();
}

fn all(lake: &Lake, most_held: usize) -> Vec<Missing> {
    let mut found = Vec::new();
    Search { most_held }.run(lake, |missing| found.push(missing)).unwrap();
    found.sort_by_key(|missing| (missing.hub.clone(), missing.count));
    found
}

#[test]
fn what_was_taken_out_is_what_is_missing_however_little_is_held() {
    for seed in 0..20 {
        let mut random = ChaCha8Rng::seed_from_u64(seed);
        let folder = tempfile::tempdir().unwrap();
        let lake = Lake::open(&folder.path().display().to_string()).unwrap();
        let (mut records, mut taken) = (Vec::new(), BTreeSet::new());
        for hub in 0..6 {
            for number in 1..=300 {
                // The newest and the first stay, so that all between them can be known.
                let stays = number == 1 || number == 300 || random.random_range(0..20) > 0;
                if stays {
                    records.push((hub, number, None));
                } else {
                    taken.insert((format!("hub-{hub}"), number));
                }
            }
        }
        records.extend_from_within(..200);
        records.shuffle(&mut random);
        for (place, part) in records.chunks(97).enumerate() {
            let version = u8::from(place % 2 == 0);
            write(&lake, &format!("telemetry/year=2026/part-{place}.parquet"), part, version);
        }
        let whole = all(&lake, 1_000_000);
        let told: BTreeSet<_> = whole
            .iter()
            .flat_map(|missing| missing.between.iter().cloned().flatten().map(|it| (missing.hub.clone(), it)))
            .collect();
        assert_eq!(told, taken, "seed {seed}");
        assert_eq!(all(&lake, 170), whole, "seed {seed}: in several passes");
    }
}

#[test]
fn thinned_records_stand_for_what_they_were_merged_from_and_events_are_counted_apart() {
    let folder = tempfile::tempdir().unwrap();
    let lake = Lake::open(&folder.path().display().to_string()).unwrap();
    write(&lake, "telemetry/a.parquet", &[(0, 30, Some(30)), (0, 60, Some(30)), (0, 61, Some(1))], 1);
    write(&lake, "telemetry/b.parquet", &[(1, 30, Some(20)), (1, 60, Some(29)), (1, 61, None)], 1);
    write(&lake, "events/a.parquet", &[(0, 1, None), (0, 4, None)], 0);
    let missing = |hub: &str, count, before, between: &[core::ops::RangeInclusive<i64>], newest| Missing {
        hub: hub.into(),
        store: hub.replace("hub", "store"),
        count,
        before,
        between: between.to_vec(),
        newest,
        scattered: false,
    };
    let expected = [
        missing("hub-0", Count::Events, None, &[2..=3], 4),
        missing("hub-1", Count::Minutes, Some(1..=10), &[31..=31], 61),
    ];
    assert_eq!(all(&lake, 1_000), expected);
    let said = |more: &[&str]| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_sunkeep-fleet"));
        let output = command.args(["gaps", "--lake"]).arg(folder.path()).args(more).output().unwrap();
        assert!(output.status.success(), "{output:?}");
        String::from_utf8(output.stdout).unwrap()
    };
    assert_eq!(said(&[]), "hub-1 store-1 minutes 31 31\nhub-0 store-0 events 2 3\n");
    assert_eq!(
        said(&["--from-the-first", "--hub", "hub-1"]),
        "hub-1 store-1 minutes 1 10\nhub-1 store-1 minutes 31 31\n"
    );
}

#[test]
fn a_hub_that_numbers_at_random_holds_no_more_than_its_share() {
    let folder = tempfile::tempdir().unwrap();
    let lake = Lake::open(&folder.path().display().to_string()).unwrap();
    let scattered: Vec<Record> = (0..30_000).map(|number| (0, 3 * number, None)).collect();
    write(&lake, "telemetry/a.parquet", &scattered, 0);
    write(&lake, "telemetry/b.parquet", &[(1, 1, None), (1, 3, None)], 0);
    let found = all(&lake, 25_000);
    assert_eq!(found.iter().map(|missing| missing.scattered).collect::<Vec<_>>(), [true, false]);
    assert!(found[0].between.len() <= 20_000, "{}", found[0].between.len());
    assert_eq!(found[1].between, [2..=2]);
}
