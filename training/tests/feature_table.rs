//! A feature table on disk, and the fit to it: the same model as of rows in memory, whatever the number of
//! files and row groups; and what is wrong with a table is said with file, row group and reason.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test that cannot go on fails")]

mod common;

use std::path::Path;

use indicatif::ProgressBar;
use sunkeep_models::load_features::feature_hash;
use sunkeep_models::time::{Slot, Zone};
use sunkeep_training::backtest::Set;
use sunkeep_training::bundle::{Bundle, MOST_LISTED_SITES, ONNX_FILE, SITES_FILE, Summary};
use sunkeep_training::feature_table::{FACTS_FILE, Facts, FeatureTable, slot_folder, write};
use sunkeep_training::load_fit::fit_load;
use sunkeep_training::prior::{read_prior, site_digest};
use sunkeep_training::series_file::read_series;
use sunkeep_training::table::{Table, rows_before, tables_of};
use sunkeep_training::table_fit::{TableFit, fit_table};

use common::{home, write_parquet};

/// A slot of the year 2096, after all that was measured.
const LATER: Slot = Slot(2_222_222);
/// Issues of both homes: enough to fit, and quick.
const ISSUES: usize = 80;

/// What is done to the folder of a table.
type Change<'a> = &'a dyn Fn(&Path);

struct Made {
    folder: tempfile::TempDir,
    sites: Vec<String>,
    tables: Vec<Table>,
}

/// The table of two homes.
fn made() -> Made {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("homes.parquet");
    let mut measured = home("a", 30, 1800, 5);
    measured.extend(home("b", 30, 3600, 6));
    write_parquet(&file, &measured);
    let series = read_series(&file).unwrap().series;
    let sets = [Set { name: "homes".into(), zone: Zone::named("Europe/Paris").unwrap(), series }];
    let (sites, tables): (Vec<&str>, Vec<Table>) =
        tables_of(&sets, ISSUES, &ProgressBar::hidden()).sites.into_iter().unzip();
    let sites: Vec<String> = sites.into_iter().map(str::to_owned).collect();
    let rows = tables.iter().flat_map(|table| &table.by_slot).map(|rows| rows.targets.len() as u64).sum();
    let facts = Facts {
        feature_hash: feature_hash(),
        rows: Some(rows),
        seed: Some(17),
        versions: [("lake".into(), "3".into())].into(),
        ..Facts::default()
    };
    let named: Vec<(&str, &Table)> = sites.iter().map(String::as_str).zip(&tables).collect();
    write(&folder.path().join("table"), &named, &facts).unwrap();
    Made { folder, sites, tables }
}

impl Made {
    fn path(&self) -> std::path::PathBuf {
        self.folder.path().join("table")
    }

    fn fit(&self) -> Result<TableFit, String> {
        let table = FeatureTable::open(&self.path()).map_err(|error| error.to_string())?;
        fit_table(&table, &ProgressBar::hidden()).map_err(|error| error.to_string())
    }
}

#[test]
fn a_fit_to_the_table_is_the_fit_to_the_rows_bit_for_bit() {
    let made = made();
    let fit = made.fit().unwrap();
    let rows = rows_before(&made.tables.iter().collect::<Vec<_>>(), Slot(i64::MAX));
    let weights = fit_load(&rows, &ProgressBar::hidden()).unwrap();
    assert_eq!(fit.weights, weights);
    let sites: Vec<&str> = made.sites.iter().map(String::as_str).collect();
    let expected = Bundle::of(&weights, &rows, &sites, Vec::new()).unwrap();
    let (bundle, agreement) = fit.bundle().unwrap();
    assert_eq!(bundle.onnx, expected.onnx);
    assert!(agreement.rows > 5000 && agreement.largest < 1e-5, "{agreement:?}");
    let (found, mut training) = (&bundle.contract.training, expected.contract.training.clone());
    training.seed = Some(17);
    training.versions.insert("lake".into(), "3".into());
    assert_eq!(found, &training);
    assert_eq!(bundle.contract.golden, expected.contract.golden);
    assert_eq!(bundle.contract.typical_day, expected.contract.typical_day);
    // What was written is what a hub reads.
    bundle.write(made.folder.path()).unwrap();
    let read = read_prior(made.folder.path(), &["c"], LATER).unwrap();
    assert_eq!(read.contract(), &bundle.contract);
}

#[test]
fn only_each_kth_row_is_taken_and_all_sites_and_days_are_known() {
    let made = made();
    let table = FeatureTable::open(&made.path()).unwrap();
    let all = table.slot(20, 1).unwrap();
    for every in [1, 2, 7, 1000] {
        let some = table.slot(20, every).unwrap();
        assert_eq!(some.matrix.targets.len(), all.matrix.targets.len().div_ceil(every));
        for (place, target) in some.matrix.targets.iter().enumerate() {
            assert_eq!(*target, all.matrix.targets[place * every], "each {every}, row {place}");
            assert_eq!(some.matrix.rows.row(place), all.matrix.rows.row(place * every));
        }
        assert_eq!((some.span, &some.sites), (all.span, &all.sites));
    }
    assert_eq!(all.sites.len(), 2);
}

#[test]
fn what_is_wrong_with_a_table_is_said() {
    let file = |slot| Path::new(&slot_folder(slot)).join("rows.parquet");
    let said = |change: &dyn Fn(&Path)| {
        let made = made();
        change(&made.path());
        made.fit().unwrap_err()
    };
    let facts = |path: &Path, from: &str, to: &str| {
        let text = std::fs::read_to_string(path.join(FACTS_FILE)).unwrap();
        assert!(text.contains(from), "{text}");
        std::fs::write(path.join(FACTS_FILE), text.replace(from, to)).unwrap();
    };
    let cases: [(Change<'_>, &[&str]); 7] = [
        (&|path| std::fs::remove_dir_all(path).unwrap(), &["features.toml", "No such file"]),
        (&|path| facts(path, &feature_hash(), "abc"), &["features.toml", "feature_hash is abc", "anew"]),
        (&|path| facts(path, "rows = ", "rows = 1"), &["its files hold", "a part is missing"]),
        (
            &|path| {
                facts(path, "rows = ", "was = ");
                std::fs::remove_dir_all(path.join(slot_folder(9))).unwrap();
            },
            &["slot 9 of the day has 0 rows", "60 are wanted"],
        ),
        (
            &|path| {
                let bytes = std::fs::read(path.join(file(31))).unwrap();
                std::fs::write(path.join(file(31)), &bytes[..bytes.len() / 2]).unwrap();
            },
            &["slot_of_day=31", "rows.parquet"],
        ),
        (
            // Rows of noon in the folder of midnight.
            &|path| {
                facts(path, "rows = ", "was = ");
                std::fs::copy(path.join(file(24)), path.join(file(0))).unwrap();
            },
            &["slot_of_day=00", "row group 0", "\"slot_of_day\" holds 24, expected 0"],
        ),
        (
            &|path| {
                facts(path, "rows = ", "was = ");
                write_parquet(&path.join(file(3)), &home("a", 30, 1800, 5));
            },
            &["slot_of_day=03", "row group 0", "no column \"slot_of_day\"", "load_w"],
        ),
    ];
    for (change, says) in cases {
        let said = said(change);
        assert!(says.iter().all(|part| said.contains(part)), "{said:?} does not say {says:?}");
    }
}

#[test]
fn the_sites_of_a_large_fleet_are_listed_beside_the_contract() {
    let made = made();
    let mut fit = made.fit().unwrap();
    let names: Vec<String> = (0..=MOST_LISTED_SITES).map(|site| format!("site {site}")).collect();
    fit.summary = Summary { sites: names.iter().map(|name| site_digest(name)).collect(), ..fit.summary };
    let (bundle, _) = fit.bundle().unwrap();
    let folder = made.folder.path().join("model");
    bundle.write(&folder).unwrap();
    let read = |site: &str| read_prior(&folder, &[site], LATER).map_err(|error| error.to_string());
    assert!(read("another").is_ok());
    assert!(read("site 700").unwrap_err().contains("fitted to a site called \"site 700\""));
    let listed = std::fs::read_to_string(folder.join(SITES_FILE)).unwrap();
    std::fs::write(folder.join(SITES_FILE), &listed[9..]).unwrap();
    let error = read("another").unwrap_err();
    assert!(error.contains("sites.txt has the SHA-256"), "{error}");
    std::fs::remove_file(folder.join(SITES_FILE)).unwrap();
    assert!(read("another").unwrap_err().contains("No such file"));
    assert!(folder.join(ONNX_FILE).is_file());
}
