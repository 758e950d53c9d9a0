//! What an inventory knows of its sites comes into the lake as training reads it.
#![allow(clippy::unwrap_used, missing_docs, reason = "a test")]

use std::fs;
use std::path::Path;
use std::process::{Command, Output};

use arrow_array::cast::AsArray as _;
use arrow_array::types::Float64Type;
use arrow_array::{Array as _, RecordBatch};
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use sunkeep_fleet::sites::TABLE_FILE;
use sunkeep_models::lake;

fn fleet(folder: &Path, arguments: &str) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_sunkeep-fleet"));
    command.current_dir(folder).args(arguments.split_whitespace()).output().unwrap()
}

fn said(output: &Output) -> String {
    format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}

fn table(folder: &Path) -> RecordBatch {
    let file = fs::File::open(folder.join("lake").join(TABLE_FILE)).unwrap();
    let mut reader = ParquetRecordBatchReaderBuilder::try_new(file).unwrap().build().unwrap();
    let rows = reader.next().unwrap().unwrap();
    assert_eq!(rows.schema(), lake::sites());
    rows
}

fn texts(rows: &RecordBatch, column: &str) -> Vec<Option<String>> {
    rows.column_by_name(column).unwrap().as_string::<i32>().iter().map(|text| text.map(Into::into)).collect()
}

fn numbers(rows: &RecordBatch, column: &str) -> Vec<Option<f64>> {
    rows.column_by_name(column).unwrap().as_primitive::<Float64Type>().iter().collect()
}

const MAKE: &str = "provision --fleet f --broker mqtts://localhost:8883";

#[test]
fn what_is_told_of_sites_is_in_the_lake() {
    let folder = tempfile::tempdir().unwrap();
    let at = folder.path();
    let told = "site,latitude,longitude,place,zone,peak_w,azimuth_deg\n\
                kisumu-1,-0.0917,34.768,kisumu,,400,0\n# closed\nlima-1,-12.05,-77.04,,America/Lima,,\n";
    fs::write(at.join("told.csv"), told).unwrap();
    let output = fleet(at, &format!("{MAKE} --names told.csv --zone Africa/Nairobi --lake lake"));
    assert!(output.status.success(), "{}", said(&output));
    let rows = table(at);
    let some = |texts: &[&str]| texts.iter().map(|text| Some((*text).to_owned())).collect::<Vec<_>>();
    assert_eq!(texts(&rows, "site"), some(&["kisumu-1", "lima-1"]));
    assert_eq!(texts(&rows, "zone"), some(&["Africa/Nairobi", "America/Lima"]));
    assert_eq!(texts(&rows, "place"), [Some("kisumu".into()), None]);
    assert_eq!(numbers(&rows, "latitude"), [Some(-0.0917), Some(-12.05)]);
    assert_eq!(numbers(&rows, "peak_w"), [Some(400.0), None]);
    assert_eq!(numbers(&rows, "azimuth_deg"), [Some(0.0), None]);
    assert!(rows.column_by_name("tilt_deg").unwrap().is_null(0));

    // More sites, of which nothing is known; then somebody fills in what is missing.
    assert!(fleet(at, &format!("{MAKE} --count 2")).status.success());
    let output = fleet(at, "sites --fleet f --lake lake");
    assert!(!output.status.success(), "{}", said(&output));
    assert!(said(&output).contains("2 sites have no zone, the first is \"site-0001\""), "{}", said(&output));
    assert_eq!(table(at).num_rows(), 2, "the old table stays");
    let known = fs::read_to_string(at.join("f/sites.csv")).unwrap();
    assert!(known.contains("kisumu-1,Africa/Nairobi,-0.0917,34.768,kisumu,400,,0\n"), "{known}");
    let known = known.replace("site-0002,,,,", "site-0002,Asia/Dhaka,23.7,90.4,dhaka");
    fs::write(at.join("f/sites.csv"), known).unwrap();
    let output = fleet(at, "sites --fleet f --lake lake --zone UTC");
    assert!(said(&output).contains("4 sites, 1 without a position, 2 without a place"), "{}", said(&output));
    let rows = table(at);
    let zones = texts(&rows, "zone").into_iter().map(Option::unwrap).collect::<Vec<_>>();
    assert_eq!(zones, ["Africa/Nairobi", "America/Lima", "UTC", "Asia/Dhaka"]);
    // One that was taken back has records that stay, and so does its row.
    assert!(fleet(at, "revoke --fleet f lima-1").status.success());
    assert!(fleet(at, "sites --fleet f --lake lake --zone UTC").status.success());
    assert_eq!(table(at).num_rows(), 4);
    assert_eq!(fs::read_dir(at.join("lake/sites")).unwrap().count(), 1, "one file, written anew");
}

#[test]
fn what_cannot_be_is_refused_by_line_and_column() {
    let folder = tempfile::tempdir().unwrap();
    let at = folder.path();
    let rows = [
        ("site,zone\na,Nowhere/Land\n", "told.csv:2: zone: read \"Nowhere/Land\", expected no time zone"),
        ("site,latitude\na,1\nb,91\n", "told.csv:3: latitude: read \"91\", expected a number from -90 to 90"),
        ("site,latitude\na,NaN\n", "told.csv:2: latitude: read \"NaN\""),
        ("site,place\na,b/c\n", "told.csv:2: place: read \"b/c\", expected 1 to 64 letters"),
        ("site,colour\na,red\n", "told.csv:1: the head: read \"colour\""),
        ("site,zone\na,UTC\na,UTC\n", "told.csv:3: site: read \"a\", expected a name, each once"),
        ("site,zone\na\n", "told.csv:2: the line"),
        ("site,zone\noperator,UTC\n", "\"operator\" is no name for a hub"),
        ("", "0 names"),
    ];
    for (text, expected) in rows {
        fs::write(at.join("told.csv"), text).unwrap();
        let output = fleet(at, &format!("{MAKE} --names told.csv"));
        assert!(!output.status.success() && said(&output).contains(expected), "{text:?}: {}", said(&output));
        assert!(!at.join("f/inventory.csv").exists(), "nothing is made");
    }
    let output = fleet(at, &format!("{MAKE} --zone Nowhere"));
    assert!(said(&output).contains("no time zone is called \"Nowhere\""), "{}", said(&output));
}
