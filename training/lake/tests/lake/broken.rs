//! Lakes with something wrong: told by file, row group and reason, or masked and counted.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::files::{
    DAY, MINUTE, SLOT, START, columns, make, noise, records, request, slots, write_hour, write_lake,
    write_sites, write_table,
};
use arrow_array::{ArrayRef, Float64Array, StringArray};
use arrow_schema::{DataType, Field, Schema};
use sunkeep_models::lake;

/// A lake of one site in a fresh folder, and a second file in it that a test can spoil.
struct Spoilt {
    folder: tempfile::TempDir,
    file: PathBuf,
}

impl Spoilt {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let lake = folder.path().join("lake");
        write_lake(&lake, &records("a", START, 96, SLOT));
        let later = START + 10 * DAY;
        let mut more = records("a", later, 600, MINUTE);
        for record in &mut more {
            record.boot = 2;
        }
        let file = write_hour(&lake, later, "spoilt.parquet", &more);
        Self { folder, file }
    }

    fn lake(&self) -> PathBuf {
        self.folder.path().join("lake")
    }

    fn request(&self) -> sunkeep_lake::Request {
        request(&self.lake(), &self.folder.path().join("out"))
    }

    /// What is said of it.
    fn said(&self) -> String {
        let error = make(&self.request()).unwrap_err().to_string();
        assert!(!self.folder.path().join("out/features.toml").exists(), "and yet there is a table");
        error
    }

    /// Leaves the spoilt file out.
    fn without(&self) -> sunkeep_lake::FeaturesToml {
        make(&sunkeep_lake::Request { leave_out_broken: true, ..self.request() }).unwrap()
    }
}

fn assert_says(said: &str, parts: &[&str]) {
    for part in parts {
        assert!(said.contains(part), "{said:?} does not say {part:?}");
    }
}

#[test]
fn an_empty_lake_is_an_error_that_says_what_was_looked_for() {
    let folder = tempfile::tempdir().unwrap();
    let said = make(&request(folder.path(), &folder.path().join("out"))).unwrap_err().to_string();
    assert_says(&said, &["telemetry/ holds no Parquet file", "hour="]);
    let said = make(&request(&folder.path().join("nowhere"), folder.path())).unwrap_err().to_string();
    assert_says(&said, &["nowhere", "expected a folder"]);
    // Files without a row are as good as none.
    write_hour(folder.path(), START, "empty.parquet", &[]);
    let said = make(&request(folder.path(), &folder.path().join("out"))).unwrap_err().to_string();
    assert_says(&said, &["telemetry/ holds no Parquet file"]);
}

#[test]
fn a_truncated_file_is_named_and_does_not_vanish() {
    let spoilt = Spoilt::new();
    let bytes = fs::read(&spoilt.file).unwrap();
    for length in [0, 3, 7, bytes.len() / 2, bytes.len() - 1] {
        fs::write(&spoilt.file, &bytes[..length]).unwrap();
        assert_says(
            &spoilt.said(),
            &[
                "1 broken files",
                "day=11/hour=00/spoilt.parquet",
                "not a whole Parquet file",
                &length.to_string(),
            ],
        );
    }
    let report = spoilt.without();
    assert_eq!(report.counts.get("files_left_out"), 1);
    let (cause, case) = report.noted.iter().next().unwrap();
    assert_eq!(cause, "files_left_out");
    assert_says(case, &["spoilt.parquet", "not a whole Parquet file"]);
    assert_eq!(slots(&spoilt.folder.path().join("out")).len(), 96);
}

#[test]
fn a_bad_row_group_is_named_with_its_number() {
    let spoilt = Spoilt::new();
    let bytes = fs::read(&spoilt.file).unwrap();
    let metadata = parquet::file::metadata::ParquetMetaDataReader::new()
        .parse_and_finish(&fs::File::open(&spoilt.file).unwrap())
        .unwrap();
    assert_eq!(metadata.num_row_groups(), 6);
    for group in [0_usize, 4] {
        for column in ["load_w", "site", "uptime_ms"] {
            let chunk = metadata.row_group(group).columns();
            let chunk = chunk.iter().find(|chunk| chunk.column_path().string() == column).unwrap();
            let (start, length) = chunk.byte_range();
            let mut broken = bytes.clone();
            broken[start as usize..(start + length) as usize].fill(0xff);
            fs::write(&spoilt.file, broken).unwrap();
            let said = spoilt.said();
            assert_says(&said, &["spoilt.parquet", &format!("row group {group}"), "cannot be read"]);
        }
    }
}

#[test]
fn missing_columns_and_wrong_types_are_named() {
    let spoilt = Spoilt::new();
    let mut all = records("a", START + 10 * DAY, 10, SLOT);
    for record in &mut all {
        record.boot = 2;
    }
    let schema = lake::telemetry();
    let rewrite = |change: &dyn Fn(&mut Vec<Field>, &mut Vec<ArrayRef>)| {
        let mut fields: Vec<Field> = schema.fields().iter().map(|field| field.as_ref().clone()).collect();
        let mut columns = columns(&all);
        change(&mut fields, &mut columns);
        write_table(&spoilt.file, &Arc::new(Schema::new(fields)), columns);
    };
    let place = |name: &str| schema.index_of(name).unwrap();
    for name in ["load_w", "boot", "wall", "site"] {
        rewrite(&|fields, columns| {
            fields.remove(place(name));
            columns.remove(place(name));
        });
        assert_says(&spoilt.said(), &["spoilt.parquet", &format!("no column {name:?}"), "it has"]);
    }
    for name in ["load_w", "throttled", "boot", "wall"] {
        rewrite(&|fields, columns| {
            fields[place(name)] = Field::new(name, DataType::Utf8, true);
            columns[place(name)] = Arc::new(StringArray::from(vec!["many"; 10]));
        });
        assert_says(&spoilt.said(), &["spoilt.parquet", &format!("column {name:?} holds Utf8, expected")]);
    }
    // What an older or newer ingest writes is read: a column less, one more, a wider type.
    rewrite(&|fields, columns| {
        fields[place("load_w")] = Field::new("load_w", DataType::Float64, true);
        columns[place("load_w")] = Arc::new(Float64Array::from(vec![125.0; 10]));
        fields.push(Field::new("door_open", DataType::Utf8, true));
        columns.push(Arc::new(StringArray::from(vec!["yes"; 10])));
        for name in ["irradiance_w_m2", "ambient_c", "background_on", "throttled"] {
            let place = fields.iter().position(|field| field.name() == name).unwrap();
            fields.remove(place);
            columns.remove(place);
        }
    });
    make(&spoilt.request()).unwrap();
    let rows = slots(&spoilt.folder.path().join("out"));
    assert_eq!(rows.last().unwrap().load(), Some(125.0));
}

#[test]
fn records_without_part_of_their_identity_are_left_out_and_counted() {
    let spoilt = Spoilt::new();
    let all = records("a", START + 10 * DAY, 10, SLOT);
    let schema = lake::telemetry();
    let fields: Vec<Field> =
        schema.fields().iter().map(|field| field.as_ref().clone().with_nullable(true)).collect();
    let mut columns = columns(&all);
    let names = |missing: usize| (0..10).map(|row| (row != missing).then_some("a")).collect::<StringArray>();
    columns[schema.index_of("site").unwrap()] = Arc::new(names(3));
    columns[schema.index_of("hub").unwrap()] = Arc::new(names(7));
    write_table(&spoilt.file, &Arc::new(Schema::new(fields)), columns);
    let report = make(&spoilt.request()).unwrap();
    assert_eq!((report.counts.get("rows_nameless"), report.counts.get("records")), (2, 96 + 8));
}

#[test]
fn a_folder_that_lies_about_its_hour_is_counted_and_believed_to_lie() {
    let folder = tempfile::tempdir().unwrap();
    let lake = folder.path().join("lake");
    let all = records("a", START, 48, SLOT);
    write_hour(&lake, START + 77 * DAY, "moved.parquet", &all);
    write_sites(&lake, &[("a", "UTC")]);
    let out = folder.path().join("out");
    let report = make(&request(&lake, &out)).unwrap();
    assert_eq!(report.counts.get("row_groups_misfiled"), 1);
    assert_says(report.noted.iter().next().unwrap().1, &["moved.parquet", "row group 0"]);
    assert_eq!(slots(&out)[0].slot, START / SLOT, "the rows say when they were, not the folder");
    let path = lake.join("telemetry/somewhere/x.parquet");
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::rename(lake.join("telemetry").join(lake::hour_folder(START + 77 * DAY)).join("moved.parquet"), path)
        .unwrap();
    let again = sunkeep_lake::Request { restart: true, ..request(&lake, &out) };
    assert_eq!(make(&again).unwrap().counts.get("row_groups_misfiled"), 1);
}

#[test]
fn impossible_values_are_masked_and_counted_by_cause() {
    let folder = tempfile::tempdir().unwrap();
    let (lake, out) = (folder.path().join("lake"), folder.path().join("out"));
    let mut all = records("a", START, 12, SLOT);
    all[1].load = Some(-1.0);
    all[2].load = Some(2e6);
    all[3].load = Some(f32::NAN);
    all[4].load = Some(f32::INFINITY);
    all[5].pv = Some(-20.0);
    all[6].load = Some(-0.0);
    all[7].span = 0;
    all[8].span = -5;
    all[9].span = SLOT + 1;
    all[10].pv = None;
    write_lake(&lake, &all);
    let report = make(&request(&lake, &out)).unwrap();
    let count = |cause: &str| report.counts.get(cause);
    assert_eq!((count("load_negative"), count("load_absurd")), (1, 3));
    assert_eq!((count("pv_negative"), count("pv_missing"), count("unusable_interval")), (1, 1, 3));
    let loads: Vec<bool> = slots(&out).iter().map(|row| row.load().is_some()).collect();
    let known = [true, false, false, false, false, true, true, false, false, false, true, true];
    assert_eq!(loads, known);
    assert_eq!(slots(&out)[6].load(), Some(0.0), "a negative zero is zero");
    let records = count("slots_load_measured") + count("slots_load_too_little_measured");
    assert_eq!(records, 12);
}

#[test]
fn absurd_uptimes_and_times_put_nothing_into_a_slot_and_spoil_no_other_record() {
    let folder = tempfile::tempdir().unwrap();
    let (lake, out) = (folder.path().join("lake"), folder.path().join("out"));
    let mut all = records("a", START, 12, SLOT);
    for (place, uptime) in [i64::MIN, i64::MAX, -1, i64::MAX - START, 200 * 366 * DAY].into_iter().enumerate()
    {
        all[2 * place].uptime = uptime;
    }
    let mut late = records("b", START, 2, SLOT);
    late[0].wall = Some(i64::MAX);
    late[1].wall = Some(i64::MIN);
    // Within what is plausible, but for its end.
    let mut last = records("c", lake::PLAUSIBLE_WALL_MS.end - 2 * SLOT, 2, SLOT);
    last[1].wall = None;
    write_hour(&lake, START, "part.parquet", &[all, late, last].concat());
    write_sites(&lake, &[("a", "UTC"), ("b", "UTC"), ("c", "UTC")]);
    let report = make(&request(&lake, &out)).unwrap();
    assert_eq!((report.counts.get("unusable_interval"), report.counts.get("untimed")), (5, 8));
    assert_eq!(report.counts.get("stamp_implausible"), 2);
    let slots: Vec<(String, i64)> = slots(&out).into_iter().map(|row| (row.site, row.slot)).collect();
    let mut expected: Vec<(String, i64)> =
        [1, 3, 5, 7, 9, 10, 11].map(|place| ("a".to_owned(), START / SLOT + place)).into();
    expected.push(("c".into(), lake::PLAUSIBLE_WALL_MS.end / SLOT - 2));
    assert_eq!(slots, expected);
}

#[test]
fn a_file_with_any_byte_spoilt_is_read_or_refused_and_nothing_panics() {
    let spoilt = Spoilt::new();
    let bytes = fs::read(&spoilt.file).unwrap();
    let mut refused = 0;
    for round in 0..24_u64 {
        let mut broken = bytes.clone();
        for flip in 0..=round % 4 {
            let draw = noise(round * 7 + flip);
            broken[(draw * bytes.len() as f64) as usize] ^= 1 << (round % 8);
        }
        fs::write(&spoilt.file, broken).unwrap();
        let request = sunkeep_lake::Request { restart: true, ..spoilt.request() };
        if let Err(error) = make(&request) {
            assert_says(&error.to_string(), &["spoilt.parquet"]);
            refused += 1;
        }
    }
    assert!(refused > 2, "{refused} of 24 were refused, so nothing was tried");
}

#[test]
fn sites_that_nobody_knows_or_that_contradict_themselves_are_named() {
    let folder = tempfile::tempdir().unwrap();
    let (lake, out) = (folder.path().join("lake"), folder.path().join("out"));
    let all = [records("a", START, 480, SLOT), records("b", START, 480, SLOT)].concat();
    write_lake(&lake, &all);
    write_sites(&lake, &[("a", "UTC")]);
    let report = make(&request(&lake, &out)).unwrap();
    assert_eq!((report.counts.get("sites_without_zone"), report.sites), (1, 1));
    assert_eq!(report.noted.iter().next(), Some(("sites_without_zone", "b")));
    write_sites(&lake, &[("a", "UTC"), ("b", "Mars/Olympus")]);
    let again = sunkeep_lake::Request { restart: true, ..request(&lake, &out) };
    assert_says(
        &make(&again).unwrap_err().to_string(),
        &["site \"b\"", "Mars/Olympus", "expected an IANA name"],
    );
    write_sites(&lake, &[("a", "UTC"), ("b", "UTC"), ("b", "Asia/Tokyo")]);
    assert_says(&make(&again).unwrap_err().to_string(), &["site \"b\"", "several rows"]);
    fs::remove_dir_all(lake.join("sites")).unwrap();
    assert_says(&make(&again).unwrap_err().to_string(), &["sites/ holds no Parquet file"]);
}

#[test]
fn tables_of_another_lake_are_not_taken_for_this_one() {
    let folder = tempfile::tempdir().unwrap();
    let (lake, out) = (folder.path().join("lake"), folder.path().join("out"));
    write_lake(&lake, &records("a", START, 96, SLOT));
    make(&request(&lake, &out)).unwrap();
    assert!(slots(&out).len() == 96 && make(&request(&lake, &out)).is_ok(), "the same again is up to date");
    write_lake(&lake, &records("a", START, 144, SLOT));
    assert_says(&make(&request(&lake, &out)).unwrap_err().to_string(), &["another state", "--restart"]);
    let again = sunkeep_lake::Request { restart: true, ..request(&lake, &out) };
    make(&again).unwrap();
    assert_eq!(slots(&out).len(), 144);
    let small = sunkeep_lake::Request { memory: 1 << 20, ..request(&lake, Path::new("unused")) };
    assert_says(&make(&small).unwrap_err().to_string(), &["--memory-limit", "at least"]);
}
