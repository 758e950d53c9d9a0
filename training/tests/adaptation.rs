//! A hub with a fleet model that is broken, with one of other homes, and with none.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test that cannot go on fails")]

mod common;

use std::sync::Arc;

use indicatif::ProgressBar;
use ndarray::Array1;
use sunkeep_models::adaptation::aggregation::pinball;
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
    assert_eq!(name, "profiles in place of the model");
    assert!(weight < 0.5, "{weights:?}");
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

/// A model of another home, whose answers are changed: quantile by quantile, factor and addition.
fn changed(fleet: &Set, factor: f64, addition: f64) -> Arc<OnnxForecaster> {
    let rows = rows_of(fleet);
    let mut weights = fit_load(&rows, &ProgressBar::hidden()).unwrap();
    for weights in weights.by_slot.iter_mut().flatten() {
        weights.mapv_inplace(|weight| weight * factor);
        weights[0] += addition;
    }
    Arc::new(Bundle::of(&weights, &rows, &["fleet"], Vec::new()).unwrap().load().unwrap())
}

/// Mean pinball loss of the first day of the forecast of each midnight, W, of a hub whose model is replaced on a
/// day; and of persistence.
fn losses(
    series: &SlotSeries,
    model: Option<&Arc<OnnxForecaster>>,
    replaced: Option<(i64, &Arc<OnnxForecaster>)>,
) -> Vec<[f64; 2]> {
    let zone = Zone::utc();
    let mut hub = AdaptiveForecaster::new(model.cloned(), Adaptation::default());
    let (mut history, mut days) = (SlotHistory::new(), Vec::new());
    for (place, watts) in series.values.iter().enumerate() {
        let slot = series.first.plus(place as i64);
        hub.learn(&history, slot, &zone);
        if place % SLOTS_PER_DAY == 0 {
            if let Some((day, model)) = replaced
                && day == (place / SLOTS_PER_DAY) as i64
            {
                hub = AdaptiveForecaster::new(Some(Arc::clone(model)), hub.state().clone());
            }
            let methods: [&dyn Forecaster; 2] = [&hub, &Persistence];
            days.push(methods.map(|method| {
                let Ok(forecast) = method.forecast(&history, slot, &zone) else { return 0.0 };
                let lead = |lead: i64| {
                    let truth = series.get(slot.plus(lead))?;
                    Some(f64::from(pinball(&forecast.at(slot.plus(lead))?, truth)))
                };
                let known: Vec<f64> = (0..SLOTS_PER_DAY as i64).filter_map(lead).collect();
                known.iter().sum::<f64>() / known.len().max(1) as f64
            }));
        }
        history.record(slot, *watts);
    }
    days
}

fn mean(days: &[[f64; 2]], of: std::ops::Range<usize>, method: usize) -> f64 {
    let count = of.len() as f64;
    days[of].iter().map(|day| day[method]).sum::<f64>() / count
}

#[test]
fn a_model_that_went_bad_is_dropped_in_three_days_and_taken_back_when_it_recovers() {
    let site = series("a", 75, 21).series.remove(0).slots();
    let fleet = series("fleet", 50, 5);
    let good = changed(&fleet, 1.0, 0.0);
    let without = losses(&site, None, None);
    let with = losses(&site, Some(&good), None);
    println!(
        "days 43 to 60: without a model {:.2} W, with a good one {:.2} W",
        mean(&without, 43..60, 0),
        mean(&with, 43..60, 0)
    );
    for (what, factor, addition) in
        [("ten times too high", 10.0, 0.0), ("constant", 0.0, 1.5), ("nothing", 0.0, 0.0)]
    {
        let bad = changed(&fleet, factor, addition);
        let hub = losses(&site, Some(&good), Some((40, &bad)));
        let [at_once, soon, later] =
            [40..43, 43..50, 50..75].map(|days| mean(&hub, days.clone(), 0) / mean(&without, days, 0));
        println!(
            "{what}: {at_once:.3} of the loss without a model on days 40 to 43, {soon:.3} to 50, {later:.3} after"
        );
        assert!(soon < 1.1 && later < 1.05, "{what}: {soon}, {later}");
        // What cannot be is not believed for a day.
        assert!(what == "constant" || at_once < 1.2, "{what}: {at_once}");
    }
}

#[test]
fn habits_that_change_at_once_are_followed() {
    let home = series("a", 90, 21).series.remove(0).slots();
    let model = changed(&series("fleet", 50, 5), 1.0, 0.0);
    let lived = |change: &dyn Fn(i64, f32) -> f32| {
        let mut site = home.clone();
        for (place, watts) in site.values.iter_mut().enumerate() {
            *watts = watts.map(|watts| change((place / SLOTS_PER_DAY) as i64, watts));
        }
        losses(&site, Some(&model), None)
    };
    let usual = lived(&|_, watts| watts);
    // A fridge that draws 150 W all day from day 40 on.
    let fridge = lived(&|day, watts| watts + if day >= 40 { 150.0 } else { 0.0 });
    // Nobody is at home from day 40 to 52.
    let holidays = lived(&|day, watts| if (40..52).contains(&day) { 0.2 * watts } else { watts });
    for (what, days, spans) in
        [("fridge", &fridge, [42..47, 47..70, 70..89]), ("holidays", &holidays, [42..52, 54..70, 70..89])]
    {
        for span in spans {
            let [ours, persistence] = [0, 1].map(|method| mean(days, span.clone(), method));
            let before = mean(&usual, span.clone(), 0);
            println!(
                "{what}, days {span:?}: {ours:.2} W, persistence {persistence:.2} W, without the change {before:.2} W"
            );
            let most = if span.start < 47 { 1.1 } else { 0.97 };
            assert!(ours < most * persistence, "{what}, {span:?}: {ours} W, persistence {persistence} W");
            // What the last four weeks were like is an input: it takes as long until nothing is left of it.
            let settled = span.start < 70 || ours < 1.15 * before;
            assert!(settled, "{what}, {span:?}: {ours} W, {before} W without the change");
        }
    }
}
