//! A hub with a fleet model that is broken, with one of other homes, and with none.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test that cannot go on fails")]

mod common;

use std::sync::Arc;

use indicatif::ProgressBar;
use ndarray::Array1;
use sunkeep_models::adaptation::{Adaptation, AdaptiveForecaster};
use sunkeep_models::baseline::Persistence;
use sunkeep_models::forecast::Forecaster;
use sunkeep_models::history::SlotHistory;
use sunkeep_models::load_features::WIDTH;
use sunkeep_models::onnx::OnnxForecaster;
use sunkeep_models::time::{SLOTS_PER_DAY, Slot, Zone};
use sunkeep_training::backtest::Set;
use sunkeep_training::bundle::Bundle;
use sunkeep_training::load_fit::{LoadWeights, fit_load};
use sunkeep_training::prior::untrained;
use sunkeep_training::series::SlotSeries;
use sunkeep_training::series_file::read_series;
use sunkeep_training::table::{SlotRows, rows_before, tables};

use common::{home, write_parquet};

fn series(site: &'static str, days: i64, seed: u64) -> Set {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("home.parquet");
    write_parquet(&file, &home(site, days, 1800, seed));
    Set { name: site.into(), zone: Zone::utc(), series: read_series(&file).unwrap().series }
}

fn rows_of(set: &Set) -> Vec<SlotRows> {
    let (_, tables) = tables(std::slice::from_ref(set), &ProgressBar::hidden());
    rows_before(&tables.iter().collect::<Vec<_>>(), Slot(i64::MAX))
}

/// A model that says twenty times the level, whatever it is asked.
fn broken() -> OnnxForecaster {
    let constant = |value: f64| {
        let mut weights = Array1::zeros(WIDTH);
        weights[0] = value;
        weights
    };
    let weights = LoadWeights {
        by_slot: vec![[constant(19.0), constant(20.0), constant(21.0)]; SLOTS_PER_DAY],
        rows: 0,
    };
    Bundle::of(&weights, &rows_of(&series("x", 30, 9)), &["x"], Vec::new()).unwrap().load().unwrap()
}

/// Mean absolute errors of the days from `first` on, of the hub and of persistence; and the hub.
fn lived(model: OnnxForecaster, series: &SlotSeries, first: i64) -> ([f32; 2], AdaptiveForecaster) {
    let zone = Zone::utc();
    let mut hub = AdaptiveForecaster::new(Some(Arc::new(model)), Adaptation::default());
    let mut history = SlotHistory::new();
    let mut errors = [0.0; 2];
    for (place, watts) in series.values.iter().enumerate() {
        let slot = series.first.plus(place as i64);
        hub.learn(&history, slot, &zone);
        if slot.0 % 48 == 0 && place as i64 >= first * 48 {
            let methods: [&dyn Forecaster; 2] = [&hub, &Persistence];
            for (error, method) in errors.iter_mut().zip(methods) {
                let forecast = method.forecast(&history, slot, &zone).unwrap();
                for lead in 0..48_usize {
                    if let Some(truth) = series.get(slot.plus(lead as i64)) {
                        *error += (truth - forecast.p50[lead]).abs();
                    }
                }
            }
        }
        history.record(slot, *watts);
    }
    (errors, hub)
}

#[test]
fn a_broken_fleet_model_loses_its_weight_and_the_hub_falls_back_by_itself() {
    let site = series("a", 90, 21).series.remove(0).slots();
    let (errors, hub) = lived(broken(), &site, 15);
    let weights = hub.weights(0);
    let (name, weight) = weights[0];
    assert_eq!(name, "fleet model");
    assert!(weight < 0.01, "{weights:?}");
    assert!(errors[0] < errors[1], "hub {}, persistence {}", errors[0], errors[1]);
    // The first days are all but forgotten.
    assert!(hub.skill().unwrap() > 0.0, "{:?}", hub.skill());
    // No worse than with a sound model by more than a tenth.
    let (sound, _) = lived(untrained().unwrap(), &site, 15);
    assert!(errors[0] < 1.1 * sound[0], "broken {}, sound {}", errors[0], sound[0]);
}

#[test]
fn the_first_evening_is_better_than_the_flat_mean() {
    let fleet = series("b", 50, 5);
    let rows = rows_of(&fleet);
    let weights = fit_load(&rows, &ProgressBar::hidden()).unwrap();
    let model = Arc::new(Bundle::of(&weights, &rows, &["b"], Vec::new()).unwrap().load().unwrap());
    let zone = Zone::utc();
    let site = series("a", 20, 77).series.remove(0).slots();
    let (mut ours, mut flat) = (0.0, 0.0);
    for day in 1..19 {
        // Switched on at 12:00, asked at 16:00, before any evening was seen.
        let issued = site.first.plus(day * 48 + 32);
        let mut history = SlotHistory::new();
        for slot in (issued.0 - 8..issued.0).map(Slot) {
            history.record(slot, site.get(slot));
        }
        let seen: Vec<f32> = history.iter().filter_map(|(_, watts)| watts).collect();
        if seen.len() < 4 {
            continue;
        }
        let mean = seen.iter().sum::<f32>() / seen.len() as f32;
        let mut hub = AdaptiveForecaster::new(Some(Arc::clone(&model)), Adaptation::default());
        hub.learn(&history, issued, &zone);
        let forecast = hub.forecast(&history, issued, &zone).unwrap();
        for lead in 0..32_usize {
            if let Some(truth) = site.get(issued.plus(lead as i64)) {
                ours += (truth - forecast.p50[lead]).abs();
                flat += (truth - mean).abs();
            }
        }
    }
    assert!(ours < 0.7 * flat, "ours {ours}, flat mean {flat}");
}
