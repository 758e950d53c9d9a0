//! The fitted weights, tract and onnxruntime answer alike: on made-up homes, and on every row by which measured ones
//! are scored, where they are at hand.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test that cannot go on fails")]

mod common;

use std::path::{Path, PathBuf};
use std::process::Command;

use indicatif::ProgressBar;
use sunkeep_models::factory::{LOAD_ONNX, load_model};
use sunkeep_models::load_features::{WIDTH, load_rows};
use sunkeep_models::onnx::OnnxForecaster;
use sunkeep_models::time::{HORIZON, Slot, Zone};
use sunkeep_training::backtest::{Set, first_scored, history_before, midnight, parts};
use sunkeep_training::bundle::{AGREEMENT, Bundle, BundleError, ONNX_FILE};
use sunkeep_training::load_fit::{LoadWeights, fit_load};
use sunkeep_training::series::Series;
use sunkeep_training::series_file::read_series;
use sunkeep_training::table::{SlotRows, rows_before, tables};

use common::{home, write_parquet};

/// What onnxruntime may differ by, over one plus the size of an answer.
const TOLERANCE: &str = "1e-5";

struct Fitted {
    folder: tempfile::TempDir,
    sets: Vec<Set>,
    rows: Vec<SlotRows>,
    weights: LoadWeights,
    bundle: Bundle,
}

fn fitted() -> Fitted {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("homes.parquet");
    let mut measured = home("a", 45, 1800, 5);
    measured.extend(home("b", 45, 3600, 6));
    write_parquet(&file, &measured);
    let series = read_series(&file).unwrap().series;
    let sets = vec![Set { name: "homes".into(), zone: Zone::named("Europe/Paris").unwrap(), series }];
    let progress = ProgressBar::hidden();
    let (sites, tables) = tables(&sets, &progress);
    let rows = rows_before(&tables.iter().collect::<Vec<_>>(), Slot(i64::MAX));
    let weights = fit_load(&rows, &progress).unwrap();
    let bundle = Bundle::of(&weights, &rows, &sites, Vec::new()).unwrap();
    Fitted { folder, sets, rows, weights, bundle }
}

#[test]
fn tract_answers_as_the_fitted_weights_and_a_lie_is_found() {
    let fitted = fitted();
    let agreement = fitted.bundle.check_agreement(&fitted.weights, &fitted.rows).unwrap();
    let rows: usize = fitted.rows.iter().map(|rows| rows.targets.len()).sum();
    assert_eq!(agreement.rows, rows);
    assert!(agreement.largest > 0.0, "32-bit floats round somewhere");
    let mut other = fitted.weights.clone();
    other.by_slot[31][2][7] += 0.01;
    let error = fitted.bundle.check_agreement(&other, &fitted.rows).unwrap_err();
    assert!(matches!(error, BundleError::Disagreement { slot: 31, .. }), "{error}");
}

#[test]
fn onnxruntime_answers_as_tract_on_a_fitted_model() {
    let fitted = fitted();
    fitted.bundle.write(fitted.folder.path()).unwrap();
    let rows: Vec<f32> = fitted.rows.iter().flat_map(|rows| rows.features.clone()).collect();
    let (batches, _) = rows.as_chunks::<{ HORIZON * WIDTH }>();
    let batches: Vec<&[f32]> = batches.iter().map(<[f32; HORIZON * WIDTH]>::as_slice).collect();
    agree_with_onnxruntime(&fitted.folder.path().join(ONNX_FILE), &fitted.bundle.load().unwrap(), &batches);
}

#[test]
fn onnxruntime_answers_as_tract_on_the_factory_model() {
    let fitted = fitted();
    let file = fitted.folder.path().join("factory.onnx");
    std::fs::write(&file, LOAD_ONNX).unwrap();
    let set = &fitted.sets[0];
    let issues: Vec<Vec<f32>> = set
        .series
        .iter()
        .map(sunkeep_training::series::Series::slots)
        .flat_map(|series| {
            (0..300).map(move |place| {
                let issued = series.first.plus(96 + 7 * place);
                (history_before(&series, issued), issued)
            })
        })
        .filter_map(|(history, issued)| Some(load_rows(&history, issued, &set.zone)?.values))
        .collect();
    let batches: Vec<&[f32]> = issues.iter().map(Vec::as_slice).collect();
    agree_with_onnxruntime(&file, &load_model().unwrap(), &batches);
}

#[test]
fn linfa_tract_and_onnxruntime_answer_alike_on_every_scored_row_of_measured_homes() {
    let data = repository().join("../shared/data/load");
    if !data.is_dir() {
        println!("skipped: no ../shared/data");
        return;
    }
    let files = [
        ("el_espino", "America/La_Paz"),
        ("emhass_home", "Europe/Paris"),
        ("citylearn_homes", "America/Los_Angeles"),
    ];
    let sets = files.map(|(name, zone)| {
        let series = read_series(&data.join(name).with_extension("parquet")).unwrap().series;
        Set { name: name.into(), zone: Zone::named(zone).unwrap(), series }
    });
    let single = |set: &Set, series: &Series| Set { series: vec![series.clone()], ..set.clone() };
    let sites: Vec<Set> =
        sets.iter().flat_map(|set| set.series.iter().map(|series| single(set, series))).collect();
    let folder = tempfile::tempdir().unwrap();
    let mut scored = 0;
    for part in parts(&sets, &ProgressBar::hidden()).unwrap() {
        let weights = fit_load(&part.others, &ProgressBar::hidden()).unwrap();
        let bundle = Bundle::of(&weights, &part.others, &[], Vec::new()).unwrap();
        bundle.write(folder.path()).unwrap();
        let tract = bundle.load().unwrap();
        let batches: Vec<Vec<f32>> = part.sites.iter().flat_map(|site| scored_rows(&sites[*site])).collect();
        let batches: Vec<&[f32]> = batches.iter().map(Vec::as_slice).collect();
        scored += part.sites.len();
        let mut largest: f64 = 0.0;
        for batch in &batches {
            for (row, found) in batch.chunks_exact(WIDTH).zip(tract.answer(batch).unwrap()) {
                for (expected, found) in weights.answer(row).into_iter().zip(found) {
                    let apart = (f64::from(found) - expected).abs() / (1.0 + expected.abs());
                    assert!(apart <= AGREEMENT, "{expected} fitted, {found} of tract: {row:?}");
                    largest = largest.max(apart);
                }
            }
        }
        println!(
            "{} sites, {} rows: linfa and tract {largest:.1e}",
            part.sites.len(),
            HORIZON * batches.len()
        );
        agree_with_onnxruntime(&folder.path().join(ONNX_FILE), &tract, &batches);
    }
    assert_eq!(scored, sites.iter().len(), "every site is scored by one model");
}

/// The inputs of a site's forecasts, one from each midnight of its scored days.
fn scored_rows(site: &Set) -> Vec<Vec<f32>> {
    let series = site.series[0].slots();
    let first = site.zone.local(first_scored(std::slice::from_ref(site)).unwrap().start()).day;
    let last = site.zone.local(series.first.plus(series.values.len() as i64).start()).day;
    (first..last)
        .map(|day| Slot::of(midnight(&site.zone, day)))
        .filter_map(|issued| Some(load_rows(&history_before(&series, issued), issued, &site.zone)?.values))
        .collect()
}

fn agree_with_onnxruntime(model: &Path, tract: &OnnxForecaster, batches: &[&[f32]]) {
    assert!(batches.len() >= 50, "{} batches", batches.len());
    let bytes = |values: &[f32]| values.iter().flat_map(|value| value.to_le_bytes()).collect::<Vec<u8>>();
    let answers: Vec<f32> = batches.iter().flat_map(|batch| tract.answer(batch).unwrap()).flatten().collect();
    let (rows_file, answers_file) = (model.with_extension("rows"), model.with_extension("answers"));
    std::fs::write(&rows_file, bytes(&batches.concat())).unwrap();
    std::fs::write(&answers_file, bytes(&answers)).unwrap();
    let ran = Command::new(python())
        .arg(repository().join("tests/peers/onnx_agreement.py"))
        .args([model, &rows_file, &answers_file])
        .arg(TOLERANCE)
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&ran.stdout);
    assert!(ran.status.success(), "{said}{}", String::from_utf8_lossy(&ran.stderr));
    println!("onnxruntime and tract: {}", said.trim());
    assert!(said.contains(&format!("\"batches\": {}", batches.len())), "{said}");
}

fn repository() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().to_owned()
}

/// The interpreter that has the packages of `tests/requirements.txt`.
fn python() -> PathBuf {
    let python = std::env::var_os("SUNKEEP_PYTHON")
        .map_or_else(|| repository().join(".venv/bin/python"), PathBuf::from);
    assert!(
        python.is_file(),
        "{} is missing. Make it with: python3 -m venv .venv && .venv/bin/pip install -r tests/requirements.txt \
         (or name another interpreter in SUNKEEP_PYTHON)",
        python.display()
    );
    python
}
