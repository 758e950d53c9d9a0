//! Series of simulated homes as Parquet.
#![cfg(feature = "series")]

use parquet::file::reader::{FileReader, SerializedFileReader};
use parquet::record::RowAccessor;
use sunkeep_simulator::series::{SeriesSpec, write};

#[test]
fn homes_differ_and_the_same_seed_gives_the_same_file() {
    println!("seed 21");
    let dir = tempfile::tempdir().expect("a folder");
    let spec = SeriesSpec { homes: 2, days: 8, seed: 21, start_unix: 1_704_067_200 };
    let (one, other) = (dir.path().join("one.parquet"), dir.path().join("other.parquet"));
    let mut done = Vec::new();
    write(spec, &one, |number| done.push(number)).expect("a file");
    write(spec, &other, |_| {}).expect("a file");
    assert_eq!(done, [1, 2]);
    assert_eq!(std::fs::read(&one).expect("one"), std::fs::read(&other).expect("other"));

    let file = SerializedFileReader::new(std::fs::File::open(&one).expect("the file")).expect("Parquet");
    let names: Vec<_> = file
        .metadata()
        .file_metadata()
        .schema_descr()
        .columns()
        .iter()
        .map(|it| it.name().to_owned())
        .collect();
    assert_eq!(names, ["timestamp", "site", "load_w", "pv_w"]);
    let mut means = [0.0; 2];
    for (place, row) in file.get_row_iter(None).expect("rows").enumerate() {
        let row = row.expect("a row");
        let (home, slot) = (place / (8 * 48), place % (8 * 48));
        assert_eq!(
            row.get_timestamp_micros(0).expect("a time"),
            (1_704_067_200 + slot as i64 * 1800) * 1_000_000
        );
        assert_eq!(row.get_string(1).expect("a site"), &format!("simulated-{}", 21 + home));
        let load = f64::from(row.get_float(2).expect("a load"));
        assert!((0.0..3000.0).contains(&load) && row.get_float(3).expect("sun") >= 0.0);
        means[home] += load / (8.0 * 48.0);
    }
    assert!(means.iter().all(|mean| (10.0..200.0).contains(mean)) && means[0] != means[1], "{means:?}");
}
