//! Files that are no load series, each refused with its name and the reason; values that are no power,
//! masked and counted.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test that cannot go on fails")]

mod common;

use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use parquet::data_type::Int64Type;
use parquet::file::writer::SerializedFileWriter;
use parquet::schema::parser::parse_message_type;
use proptest::prelude::*;
use sunkeep_training::series_file::{Masked, read_column, read_series};

use common::{START, home, write_parquet};

fn folder() -> (tempfile::TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("home.parquet");
    (folder, file)
}

fn refused(file: &Path, says: &[&str]) {
    let error = read_series(file).unwrap_err().to_string();
    for part in says.iter().chain([&"home.parquet"]) {
        assert!(error.contains(part), "{error:?} does not say {part:?}");
    }
}

#[test]
fn a_file_that_is_not_there() {
    let (_folder, file) = folder();
    refused(&file, &["No such file"]);
}

#[test]
fn files_that_are_no_parquet_or_end_too_early() {
    let (_folder, file) = folder();
    std::fs::write(&file, "timestamp,site,load_w\n").unwrap();
    refused(&file, &["not a whole Parquet file"]);
    write_parquet(&file, &home("a", 30, 1800, 1));
    let whole = std::fs::read(&file).unwrap();
    for length in [0, 4, whole.len() / 2, whole.len() - 1] {
        std::fs::write(&file, &whole[..length]).unwrap();
        refused(&file, &["not a whole Parquet file"]);
    }
}

#[test]
fn a_file_without_rows() {
    let (_folder, file) = folder();
    write_parquet(&file, &[]);
    refused(&file, &["no rows"]);
}

#[test]
fn columns_that_are_missing_or_hold_something_else() {
    let (_folder, file) = folder();
    let write = |schema: &str| {
        let schema = Arc::new(parse_message_type(schema).unwrap());
        let columns = schema.get_fields().len();
        let mut writer =
            SerializedFileWriter::new(File::create(&file).unwrap(), schema, Arc::default()).unwrap();
        let mut group = writer.next_row_group().unwrap();
        for _ in 0..columns {
            let mut column = group.next_column().unwrap().unwrap();
            column.typed::<Int64Type>().write_batch(&[START, START + 1800], None, None).unwrap();
            column.close().unwrap();
        }
        group.close().unwrap();
        writer.close().unwrap();
    };
    write("message m { REQUIRED INT64 time; REQUIRED INT64 watts; }");
    refused(&file, &["no column \"timestamp\"", "time, watts"]);
    write("message m { REQUIRED INT64 timestamp; }");
    refused(&file, &["\"timestamp\" holds INT64", "expected a timestamp"]);
    write("message m { REQUIRED INT64 timestamp (TIMESTAMP(MILLIS,true)); REQUIRED INT64 site; }");
    refused(&file, &["\"site\" holds INT64", "expected text"]);
}

#[test]
fn steps_that_are_no_steps() {
    let (_folder, file) = folder();
    for step in [30, 700, 12_600, 86_400 * 2] {
        let rows: Vec<_> = (0..50).map(|place| (START + place * step, "a", Some(1.0))).collect();
        write_parquet(&file, &rows);
        refused(&file, &["\"a\"", &format!("steps of {step} s"), "a part of 1800 s"]);
    }
    let rows: Vec<_> = (0..50).map(|place| (START + 60 + place * 1800, "a", Some(1.0))).collect();
    write_parquet(&file, &rows);
    refused(&file, &["no multiple"]);
    let mut rows: Vec<_> = (0..50).map(|place| (START + place * 900, "a", Some(1.0))).collect();
    rows.push((START + 900 * 3_000_000, "a", Some(1.0)));
    write_parquet(&file, &rows);
    refused(&file, &["at most 2000000"]);
}

#[test]
fn values_that_are_no_power_are_masked_and_counted() {
    let (_folder, file) = folder();
    let values = [Some(5.0), None, Some(f64::NAN), Some(-3.0), Some(2e6), Some(f64::INFINITY), Some(0.0)];
    let mut rows: Vec<_> =
        values.iter().enumerate().map(|(place, watts)| (START + place as i64 * 1800, "a", *watts)).collect();
    rows.push((START, "a", Some(9.0)));
    write_parquet(&file, &rows);
    let read = read_series(&file).unwrap();
    assert_eq!(read.masked, Masked { missing: 2, negative: 1, absurd: 2, repeated: 1 });
    assert_eq!(read.series[0].values, [Some(5.0), None, None, None, None, None, Some(0.0)]);
}

#[test]
fn steps_of_minutes_and_hours_and_hours_from_half_past() {
    let (_folder, file) = folder();
    for (step, offset) in [(60, 0), (300, 0), (600, 0), (7200, 0), (10_800, 0), (3600, 1800)] {
        let rows: Vec<_> = (0..50).map(|place| (START + offset + place * step, "a", Some(1.0))).collect();
        write_parquet(&file, &rows);
        let series = read_series(&file).unwrap().series.remove(0);
        assert_eq!((series.step, series.first, series.values.len()), (step, START + offset, 50));
    }
}

#[test]
fn another_column_is_read_by_its_name_and_a_missing_one_is_named() {
    let (_folder, file) = folder();
    write_parquet(&file, &home("a", 5, 1800, 1));
    assert_eq!(read_column(&file, "load_w").unwrap(), read_series(&file).unwrap());
    let error = read_column(&file, "tv_w").unwrap_err().to_string();
    assert!(error.contains("no column \"tv_w\"") && error.contains("load_w"), "{error}");
}

#[test]
fn sites_are_told_apart_and_gaps_are_kept() {
    let (_folder, file) = folder();
    let mut rows = home("b", 5, 1800, 1);
    rows.extend(home("a", 5, 3600, 2));
    rows.retain(|row| row.0 != START + 7200);
    write_parquet(&file, &rows);
    let read = read_series(&file).unwrap();
    let [a, b] = &read.series[..] else { panic!("{} sites", read.series.len()) };
    assert_eq!((a.site.as_str(), a.step, a.values.len()), ("a", 3600, 120));
    assert_eq!((b.site.as_str(), b.step, b.values.len()), ("b", 1800, 240));
    assert_eq!((a.at(START + 7200), b.at(START + 7200)), (None, None));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn spoiled_files_are_read_or_refused_without_harm(
        spoiled in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..6),
    ) {
        let (_folder, file) = folder();
        write_parquet(&file, &home("a", 3, 1800, 1));
        let mut bytes = std::fs::read(&file).unwrap();
        for (place, byte) in spoiled {
            let place = place.index(bytes.len());
            bytes[place] = byte;
        }
        std::fs::write(&file, bytes).unwrap();
        let _ = read_series(&file);
    }
}
