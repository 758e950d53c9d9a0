//! The gate as an operator calls it: what is better is released, what is not is not, and what has seen the
//! held-back sites or days is refused.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test that cannot go on fails")]

mod common;

use std::path::Path;
use std::process::{Command, Output};

use sunkeep_models::contract::Contract;
use sunkeep_models::time::{Slot, Zone};
use sunkeep_training::backtest::Set;
use sunkeep_training::bundle::{Bundle, CONTRACT_FILE, ONNX_FILE};
use sunkeep_training::load_fit::{LoadWeights, fit_load};
use sunkeep_training::prior::read_prior;
use sunkeep_training::series_file::read_series;
use sunkeep_training::table::{SlotRows, rows_before, tables_of};

use common::{Row, home, write_parquet};

/// Homes that are held back, sixty days each.
const HELD_BACK: [&str; 6] = ["a", "b", "c", "d", "e", "f"];
/// Issues the models are fitted to.
const ISSUES: usize = 250;

/// Rows of a home a hundred days before the homes that are held back.
fn early(site: &'static str, seed: u64) -> Vec<Row> {
    let rows = home(site, 40, 1800, seed).into_iter();
    rows.map(|(time, site, watts)| (time - 100 * 86_400, site, watts)).collect()
}

struct Fleet {
    folder: tempfile::TempDir,
    rows: Vec<SlotRows>,
    weights: LoadWeights,
}

impl Fleet {
    /// The held-back homes in `homes.parquet`, and a model of other homes, of earlier days.
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let held_back: Vec<Row> =
            HELD_BACK.iter().zip(50..).flat_map(|(site, seed)| home(site, 60, 1800, seed)).collect();
        write_parquet(&folder.path().join("homes.parquet"), &held_back);
        let file = folder.path().join("early.parquet");
        write_parquet(&file, &[early("x", 1), early("y", 2)].concat());
        let series = read_series(&file).unwrap().series;
        let sets = [Set { name: "early".into(), zone: Zone::utc(), series }];
        let quiet = indicatif::ProgressBar::hidden();
        let made = tables_of(&sets, ISSUES, &quiet);
        let tables: Vec<_> = made.sites.iter().map(|(_, table)| table).collect();
        let rows = rows_before(&tables, Slot(i64::MAX));
        let weights = fit_load(&rows, &quiet).unwrap();
        Self { folder, rows, weights }
    }

    /// Writes the model, all of whose answers are multiplied.
    fn model(&self, name: &str, by: f64, sites: &[&str]) {
        let mut weights = self.weights.clone();
        for weights in weights.by_slot.iter_mut().flatten() {
            *weights *= by;
        }
        let bundle = Bundle::of(&weights, &self.rows, sites, Vec::new()).unwrap();
        bundle.write(&self.folder.path().join(name)).unwrap();
    }

    fn promote(&self, champion: &str, challenger: &str, more: &[&str]) -> Output {
        Command::new(env!("CARGO_BIN_EXE_sunkeep-train"))
            .args(["promote", "homes.parquet", "--out", "release", "--block-days", "1"])
            .args(["--champion", champion, "--challenger", challenger])
            .args(more)
            .current_dir(self.folder.path())
            .output()
            .unwrap()
    }

    /// What lies in the folder beside the models and the homes.
    fn left(&self) -> Vec<String> {
        let names = std::fs::read_dir(self.folder.path()).unwrap();
        let names = names.map(|entry| entry.unwrap().file_name().to_string_lossy().into_owned());
        names.filter(|name| name.contains("release")).collect()
    }
}

fn said(output: &Output) -> String {
    format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}

fn assert_says(output: &Output, code: i32, parts: &[&str]) {
    let said = said(output);
    assert_eq!(output.status.code(), Some(code), "{said}");
    assert!(parts.iter().all(|part| said.contains(part)), "{said} does not say {parts:?}");
}

/// Hubs a day old: to them the fleet's model matters. Older ones have learnt not to believe a bad one.
const YOUNG: [&str; 2] = ["--history-days", "1"];

#[test]
fn a_better_model_is_released_once_and_a_worse_one_is_not() {
    let fleet = Fleet::new();
    fleet.model("good", 1.0, &["x", "y"]);
    fleet.model("bad", 2.0, &["x", "y"]);
    let worse = fleet.promote("good", "bad", &YOUNG);
    assert_says(
        &worse,
        3,
        &["no: pinball: the difference is +", "expected below zero", "by sites", "seed 1"],
    );
    assert_eq!(fleet.left(), Vec::<String>::new());

    let better = fleet.promote("bad", "good", &YOUNG);
    assert_says(&better, 0, &["yes: ", "6 sites", "persistence", "worst tenth of sites", "the rule: "]);
    assert_eq!(fleet.left(), ["release"]);
    let release = fleet.folder.path().join("release");
    let text = std::fs::read_to_string(release.join(CONTRACT_FILE)).unwrap();
    let contract = Contract::parse(&text).unwrap();
    assert_eq!(contract.version, 2, "above the champion's");
    let [challenger, champion] = &contract.training.scores[..] else {
        panic!("{:?}", contract.training.scores)
    };
    assert_eq!((challenger.method.as_str(), champion.method.as_str()), ("challenger", "champion"));
    assert!(challenger.pinball < champion.pinball && (0.5..1.0).contains(&challenger.coverage));
    let same = std::fs::read(release.join(ONNX_FILE)).unwrap();
    assert!(same == std::fs::read(fleet.folder.path().join("good").join(ONNX_FILE)).unwrap());
    // It can serve, and be the next champion.
    read_prior(&release, &HELD_BACK, Slot(2_222_222)).unwrap();
    let card = std::fs::read_to_string(release.join("card.html")).unwrap();
    assert_eq!(card.matches("<svg").count(), 6, "calibration, two of errors, two examples, features");
    for part in ["Load model, version 2", "mean_28d", "2 sites", "seed 1", "not", "persistence"] {
        assert!(card.contains(part), "the card does not say {part:?}");
    }
    assert!(!card.contains("failed"), "a drawing failed");

    assert_says(&fleet.promote("bad", "good", &YOUNG), 1, &["release: exists"]);
}

#[test]
fn the_same_model_twice_is_a_no_for_hubs_of_any_age() {
    let fleet = Fleet::new();
    fleet.model("good", 1.0, &["x", "y"]);
    let twice = fleet.promote("good", "good", &[]);
    assert_says(&twice, 3, &["pinball, young hubs", "+0.00000 to +0.00000", "no: pinball"]);
    assert_eq!(fleet.left(), Vec::<String>::new());
}

#[test]
fn a_model_that_saw_what_is_held_back_is_refused() {
    let fleet = Fleet::new();
    fleet.model("good", 1.0, &["x", "y"]);
    fleet.model("saw", 1.0, &["x", "d"]);
    assert_says(&fleet.promote("good", "saw", &YOUNG), 1, &["saw", "fitted to a site called \"d\""]);
    let moved: Vec<Row> = home("x", 60, 1800, 3);
    write_parquet(&fleet.folder.path().join("late.parquet"), &moved);
    let train = |arguments: &[&str]| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_sunkeep-train"));
        let output = command.args(arguments).current_dir(fleet.folder.path()).output().unwrap();
        assert!(output.status.success(), "{}", said(&output));
        said(&output)
    };
    train(&["table", "late.parquet", "--issues", "150", "--out", "late-table"]);
    train(&["fit", "--features", "late-table", "--out", "late"]);
    let refused = fleet.promote("late", "good", &YOUNG);
    assert_says(
        &refused,
        1,
        &["late", "fitted to data up to 2025-04-29", "the first scored day is 2025-04-18"],
    );
    // The same home until the day before the first that is scored may be compared.
    train(&["table", "late.parquet", "--issues", "150", "--until", "2025-04-18", "--out", "until"]);
    let fitted = train(&["fit", "--features", "until", "--out", "until-model", "--model-version", "7"]);
    assert!(fitted.contains("2025-03-02 to 2025-04-17"), "{fitted}");
    let contract = Path::new("until-model").join(CONTRACT_FILE);
    let text = std::fs::read_to_string(fleet.folder.path().join(contract)).unwrap();
    assert!(text.contains("version = 7") && text.contains("\"sunkeep-train table\""), "{text}");
    assert!(matches!(fleet.promote("until-model", "good", &YOUNG).status.code(), Some(0 | 3)));
}
