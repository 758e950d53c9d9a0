//! The lake of a simulated fleet: its files, and what goes wrong in it.
#![cfg(feature = "series")]
#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, File};
use std::path::{Path, PathBuf};

use arrow_array::{Array, Int64Array, RecordBatch, StringArray, TimestampMillisecondArray};
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use sunkeep_models::lake;
use sunkeep_simulator::lake::{Faults, LakeSpec, write};

const START: i64 = 1_704_067_200;
const HOUR_MS: i64 = 3_600_000;

fn spec(faults: Faults) -> LakeSpec {
    LakeSpec { sites: 3, days: 12, seed: 5, homes: 2, step_minutes: 30, start_unix: START, faults }
}

/// All files below a folder, by path.
fn files(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() { found.extend(files(&path)) } else { found.push(path) }
    }
    found.sort();
    found
}

fn batches(file: &Path) -> Vec<RecordBatch> {
    let reader = ParquetRecordBatchReaderBuilder::try_new(File::open(file).unwrap()).unwrap().build();
    reader.unwrap().map(Result::unwrap).collect()
}

fn column<'a, T: 'static>(batch: &'a RecordBatch, name: &str) -> &'a T {
    batch.column_by_name(name).unwrap().as_any().downcast_ref().unwrap()
}

/// What is read of a record again: uptime, its wall time, the hour of its folder, times that it came.
type Seen = (i64, Option<i64>, i64, u32);

/// The records of a lake, by store, boot and sequence.
fn records(folder: &Path) -> BTreeMap<(String, i64, i64), Seen> {
    let mut all: BTreeMap<(String, i64, i64), Seen> = BTreeMap::new();
    for file in files(&folder.join(lake::TELEMETRY)) {
        let hour = lake::hour_of_folder(file.to_str().unwrap()).unwrap();
        for batch in batches(&file) {
            assert_eq!(batch.schema().fields(), lake::telemetry().fields());
            let stores = column::<StringArray>(&batch, "store");
            let number = |name: &str| column::<Int64Array>(&batch, name);
            let (boots, sequences, uptimes) = (number("boot"), number("sequence"), number("uptime_ms"));
            let walls = column::<TimestampMillisecondArray>(&batch, "wall");
            for row in 0..batch.num_rows() {
                let name = (stores.value(row).to_owned(), boots.value(row), sequences.value(row));
                let wall = (!walls.is_null(row)).then(|| walls.value(row));
                let seen = all.entry(name).or_insert((uptimes.value(row), wall, hour, 0));
                assert_eq!((seen.0, seen.1), (uptimes.value(row), wall), "a repeat is the same again");
                seen.3 += 1;
            }
        }
    }
    all
}

#[test]
fn a_faultless_lake_is_whole_filed_by_hour_and_the_same_for_the_same_seed() {
    let folder = tempfile::tempdir().unwrap();
    let (one, other) = (folder.path().join("one"), folder.path().join("other"));
    let mut days = Vec::new();
    write(&spec(Faults::default()), &one, |day| days.push(day)).unwrap();
    write(&spec(Faults::default()), &other, |_| {}).unwrap();
    assert_eq!(days, (1..=12).collect::<Vec<_>>());
    let (mine, others) = (files(&one), files(&other));
    assert_eq!(mine.len(), 12 * 24 + 2, "a file for each hour, the sites and the weather");
    for (mine, other) in mine.iter().zip(&others) {
        assert!(fs::read(mine).unwrap() == fs::read(other).unwrap(), "{} differs", mine.display());
    }
    let records = records(&one);
    assert_eq!(records.len(), 3 * 12 * 48);
    for (name, (_, wall, hour, times)) in &records {
        let wall = wall.unwrap();
        assert!(*times == 1 && (*hour..hour + HOUR_MS).contains(&wall), "{name:?} ended at {wall}");
    }
    let ends: BTreeSet<i64> = records.values().map(|seen| seen.1.unwrap()).collect();
    assert_eq!(ends.len(), 12 * 48);
}

#[test]
fn faults_come_in_their_shares_and_corrections_tell_the_boots_without_a_clock() {
    let folder = tempfile::tempdir().unwrap();
    let faults = Faults { duplicates: 0.1, clockless: 0.5, gaps: 0.2, jumps: 0.3 };
    write(&spec(faults), folder.path(), |_| {}).unwrap();
    let records = records(folder.path());
    let missing = 3 * 12 * 48 - records.len();
    assert!(missing > 0 && missing.is_multiple_of(48), "{missing} records are missing, expected whole days");
    let repeated = records.values().filter(|seen| seen.3 == 2).count();
    assert!((records.len() / 20..records.len() / 5).contains(&repeated), "{repeated} came twice");
    let leapt = records.values().filter(|seen| seen.1.is_some_and(|wall| wall >= seen.2 + HOUR_MS)).count();
    assert!(leapt > 0, "no clock leapt");
    let mut corrected = BTreeMap::new();
    for batch in batches(&folder.path().join("corrections/corrections.parquet")) {
        let (stores, boots) = (column::<StringArray>(&batch, "store"), column::<Int64Array>(&batch, "boot"));
        let walls = column::<TimestampMillisecondArray>(&batch, "boot_wall");
        for row in 0..batch.num_rows() {
            corrected.insert((stores.value(row).to_owned(), boots.value(row)), walls.value(row));
        }
    }
    let clockless: Vec<_> = records.iter().filter(|(_, seen)| seen.1.is_none()).collect();
    assert!(!clockless.is_empty(), "every clock was known");
    for ((store, boot, _), (uptime, _, hour, times)) in clockless {
        let end = corrected[&(store.clone(), *boot)] + uptime;
        assert!(*times > 0 && (*hour..hour + HOUR_MS).contains(&end), "placed at {end}");
    }
}
