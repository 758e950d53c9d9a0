//! Compaction of a lake: whenever it is killed, every record is there; when it is done, each is there once.

#![allow(clippy::unwrap_used, clippy::panic, missing_docs, reason = "a test may fail by panicking")]

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;
use std::process::{Command, Output, Stdio};
use std::sync::Arc;
use std::time::Duration;

use arrow_array::cast::AsArray as _;
use arrow_array::types::Int64Type;
use arrow_array::{ArrayRef, Float32Array, Int64Array, RecordBatch, StringArray, TimestampMillisecondArray};
use arrow_schema::{DataType, Field, Schema, TimeUnit};
use object_store::memory::InMemory;
use parquet::arrow::ArrowWriter;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use rand::{RngExt as _, SeedableRng as _};
use rand_chacha::ChaCha8Rng;
use sunkeep_fleet::clock::{now_ms, rest, steady};
use sunkeep_fleet::lake::{Compaction, Lake};
use tempfile::TempDir;

/// Site, sequence, load: with the number of the site, all that tells records apart here.
type Record = (i64, i64, i64);

/// A file as a hub's version would have it: `of` 0 knows no load, 2 has a column of its own.
fn write(lake: &Lake, name: &str, version: u8, records: &[Record]) {
    let text = |prefix: &str| -> ArrayRef {
        Arc::new(StringArray::from_iter_values(records.iter().map(|record| format!("{prefix}{}", record.0))))
    };
    let number = |of: fn(&Record) -> i64| -> ArrayRef {
        Arc::new(Int64Array::from_iter_values(records.iter().map(of)))
    };
    let stamp = DataType::Timestamp(TimeUnit::Millisecond, Some("UTC".into()));
    let walls = records.iter().map(|record| (record.1 % 7 > 0).then_some(record.1 * 60_000));
    let mut columns: Vec<(Field, ArrayRef)> = vec![
        (Field::new("site", DataType::Utf8, false), text("site-")),
        (Field::new("hub", DataType::Utf8, false), text("hub-")),
        (Field::new("store", DataType::Utf8, false), text("store-")),
        (Field::new("boot", DataType::Int64, false), number(|_| 1)),
        (Field::new("sequence", DataType::Int64, false), number(|record| record.1)),
        (
            Field::new("wall", stamp, true),
            Arc::new(walls.collect::<TimestampMillisecondArray>().with_timezone("UTC")),
        ),
    ];
    if version > 0 {
        let loads = Float32Array::from_iter_values(records.iter().map(|record| record.2 as f32));
        columns.push((Field::new("load_w", DataType::Float32, true), Arc::new(loads)));
    }
    if version > 1 {
        columns.push((Field::new("humour", DataType::Int64, false), number(|record| record.2 * 2)));
    }
    let (fields, arrays): (Vec<Field>, Vec<ArrayRef>) = columns.into_iter().unzip();
    let rows = RecordBatch::try_new(Arc::new(Schema::new(fields)), arrays).unwrap();
    let mut draft = lake.draft(name).unwrap();
    let mut writer = ArrowWriter::try_new(draft.file(), rows.schema(), None).unwrap();
    writer.write(&rows).unwrap();
    writer.close().unwrap();
    draft.publish().unwrap();
}

/// How often each record is in a table, with its load, by folder; -1 where a file knows none.
fn read(lake: &Lake, table: &str) -> BTreeMap<(String, Record), u64> {
    let mut seen = BTreeMap::new();
    for file in lake.list(table).unwrap() {
        let folder = file.name.rsplit_once('/').unwrap().0;
        let reader = ParquetRecordBatchReaderBuilder::try_new(lake.read(&file.name).unwrap()).unwrap();
        for rows in reader.build().unwrap() {
            let rows = rows.unwrap();
            let site = rows.column_by_name("site").unwrap().as_string::<i32>();
            let sequence = rows.column_by_name("sequence").unwrap().as_primitive::<Int64Type>();
            for row in 0..rows.num_rows() {
                let load = rows.column_by_name("load_w").map(|loads| {
                    use arrow_array::Array as _;
                    let loads = loads.as_primitive::<arrow_array::types::Float32Type>();
                    if loads.is_null(row) { -1 } else { loads.value(row) as i64 }
                });
                let site = site.value(row).strip_prefix("site-").unwrap().parse().unwrap();
                let record = (site, sequence.value(row), load.unwrap_or(-1));
                *seen.entry((folder.to_owned(), record)).or_default() += 1;
            }
        }
    }
    seen
}

fn hour(number: i64) -> String {
    format!("telemetry/year=2026/month=01/day=02/hour={number:02}")
}

/// So many hours of so many files, in which every record is about twice; and the records.
fn filled(lake: &Lake, seed: u64, hours: i64, files: i64, rows: i64) -> BTreeSet<(String, Record)> {
    let mut chance = ChaCha8Rng::seed_from_u64(seed);
    let mut records = BTreeSet::new();
    for number in 0..hours {
        for file in 0..files {
            let some: Vec<Record> = (0..rows)
                .map(|_| {
                    let (site, sequence) =
                        (chance.random_range(0..5), chance.random_range(0..files * rows / 10));
                    (site, sequence, site * 1000 + sequence % 1000)
                })
                .collect();
            write(lake, &format!("{}/part-{file}.parquet", hour(number)), 1, &some);
            records.extend(some.into_iter().map(|record| (hour(number), record)));
        }
    }
    records
}

fn compact(folder: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_sunkeep-fleet"));
    command.args(["compact", "--older-than", "0", "--lake"]).arg(folder);
    command.stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

fn said(output: &Output) -> String {
    format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}

#[test]
fn compaction_that_is_killed_loses_nothing() {
    let seed = now_ms() as u64;
    println!("seed {seed}");
    let mut chance = ChaCha8Rng::seed_from_u64(seed);
    let folder = TempDir::new().unwrap();
    let lake = Lake::open(folder.path().to_str().unwrap()).unwrap();
    let begun = steady();
    let records = filled(&lake, seed, 12, 12, 200);
    // How long a run takes of which nobody disturbs.
    let other = TempDir::new().unwrap();
    filled(&Lake::open(other.path().to_str().unwrap()).unwrap(), seed, 12, 12, 200);
    println!("filled in {:?}", begun.elapsed());
    rest(Duration::from_millis(5));
    let begun = steady();
    let output = compact(other.path()).output().unwrap();
    assert!(output.status.success(), "{}", said(&output));
    let whole = begun.elapsed();
    let (mut kills, mut finished, mut halves) = (0, false, 0);
    for _ in 0..40 {
        let mut process = compact(folder.path()).spawn().unwrap();
        rest(whole.mul_f64(chance.random_range(0.0..0.4)));
        finished |= process.try_wait().unwrap().is_some();
        process.kill().unwrap();
        process.wait().unwrap();
        kills += 1;
        let seen = read(&lake, "telemetry");
        assert!(seen.keys().eq(records.iter()), "after {kills} kills");
        // Old and new side by side: killed between.
        halves += u64::from((0..12).any(|number| {
            let names: Vec<String> =
                lake.list(&hour(number)).unwrap().into_iter().map(|file| file.name).collect();
            names.iter().any(|name| name.contains("compact"))
                && names.iter().any(|name| name.contains("part"))
        }));
        if finished {
            break;
        }
    }
    println!("{kills} kills of a run of {whole:?}; {halves} times old and new lay side by side");
    let output = compact(folder.path()).output().unwrap();
    assert!(output.status.success(), "{}", said(&output));
    let seen = read(&lake, "telemetry");
    assert!(seen.keys().eq(records.iter()) && seen.values().all(|times| *times == 1));
    assert_eq!(lake.list("telemetry").unwrap().len(), 12);
    let drafts = Command::new("find").arg(folder.path()).args(["-name", "*.half"]).output().unwrap();
    assert_eq!(said(&drafts), "", "drafts of those who were killed are gone");
    // Nothing is left to do.
    assert!(said(&compact(folder.path()).output().unwrap()).starts_with("0 folders"));
}

/// What a kill leaves behind between any two steps is what these begin with.
#[test]
fn whatever_a_kill_leaves_is_put_right() {
    let folder = TempDir::new().unwrap();
    let lake = Lake::open(folder.path().to_str().unwrap()).unwrap();
    let some =
        |range: std::ops::Range<i64>| range.map(|sequence| (1, sequence, sequence)).collect::<Vec<Record>>();
    // The new file is there, and one of two old ones is gone.
    write(&lake, &format!("{}/compact-1-2-0.parquet", hour(0)), 1, &some(0..100));
    write(&lake, &format!("{}/part-7.parquet", hour(0)), 1, &some(50..100));
    // A draft, not a Parquet file at all.
    fs::write(folder.path().join(hour(0)).join(".draft-x.half"), "PAR1").unwrap();
    rest(Duration::from_millis(5));
    let done = Compaction::before(now_ms()).run(&lake).unwrap();
    assert_eq!((done.folders, done.files, done.made), (1, 2, 1));
    assert_eq!((done.rows, done.repeats, done.drafts), (100, 50, 1));
    assert!(read(&lake, "telemetry").values().all(|times| *times == 1));
}

#[test]
fn versions_go_together_and_contents_do_not() {
    let folder = TempDir::new().unwrap();
    let lake = Lake::open(folder.path().to_str().unwrap()).unwrap();
    for (version, sequence) in [(0, 0), (1, 10), (2, 20)] {
        write(
            &lake,
            &format!("{}/part-{version}.parquet", hour(0)),
            version,
            &[(1, sequence, 5), (2, sequence, 6)],
        );
    }
    // The same record with another load: nobody knows which is true, so both stay.
    write(&lake, &format!("{}/part-3.parquet", hour(0)), 2, &[(1, 20, 7), (1, 20, 5)]);
    rest(Duration::from_millis(5));
    let done = Compaction::before(now_ms()).run(&lake).unwrap();
    assert_eq!((done.made, done.rows, done.repeats), (1, 7, 1), "{done:?}");
    let seen: Vec<Record> = read(&lake, "telemetry").into_keys().map(|(_, record)| record).collect();
    assert_eq!(seen, [(1, 0, -1), (1, 10, 5), (1, 20, 5), (1, 20, 7), (2, 0, -1), (2, 10, 6), (2, 20, 6)]);
}

#[test]
fn a_file_that_cannot_be_read_stays_and_is_named() {
    let folder = TempDir::new().unwrap();
    let lake = Lake::open(folder.path().to_str().unwrap()).unwrap();
    let records = filled(&lake, 3, 2, 3, 50);
    let spoiled = folder.path().join(hour(0)).join("part-1.parquet");
    let mut bytes = fs::read(&spoiled).unwrap();
    bytes.truncate(bytes.len() / 2);
    fs::write(&spoiled, &bytes).unwrap();
    rest(Duration::from_millis(5));
    let output = compact(folder.path()).output().unwrap();
    assert_eq!(output.status.code(), Some(1));
    assert!(said(&output).contains(&format!("{}/part-1.parquet", hour(0))), "{}", said(&output));
    assert_eq!(fs::read(&spoiled).unwrap(), bytes);
    assert_eq!(lake.list(&hour(0)).unwrap().len(), 3);
    fs::remove_file(&spoiled).unwrap();
    assert_eq!(lake.list(&hour(1)).unwrap().len(), 1);
    let of_hour_1 =
        |seen: &BTreeSet<(String, Record)>| seen.iter().filter(|(name, _)| *name == hour(1)).count();
    assert_eq!(of_hour_1(&read(&lake, "telemetry").into_keys().collect()), of_hour_1(&records));
}

/// More identities than are held at a time, in a store that is no folder.
#[test]
fn a_large_hour_of_a_store_becomes_several_files() {
    let lake = Lake::in_store(Arc::new(InMemory::new()), "some/lake".into()).unwrap();
    let records = filled(&lake, 4, 1, 8, 500);
    rest(Duration::from_millis(5));
    let compaction = Compaction { most_held: 1000, ..Compaction::before(now_ms()) };
    let done = compaction.run(&lake).unwrap();
    assert_eq!((done.made, done.files, done.rows as usize), (4, 8, records.len()));
    assert_eq!(done.rows + done.repeats, 4000);
    let seen = read(&lake, "telemetry");
    assert!(seen.keys().eq(records.iter()) && seen.values().all(|times| *times == 1));
    rest(Duration::from_millis(5));
    let again = Compaction { most_held: 1000, ..Compaction::before(now_ms()) }.run(&lake).unwrap();
    assert_eq!((again.folders, again.files), (0, 0), "what one run has made is left alone");
}
