//! The load model against the baselines on measured homes, where they are at hand.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test that cannot go on fails")]

use std::path::Path;

use indicatif::ProgressBar;
use sunkeep_models::baseline::Persistence;
use sunkeep_models::factory::load_model;
use sunkeep_models::forecast::Forecaster;
use sunkeep_models::history::SlotHistory;
use sunkeep_models::time::{HORIZON, Slot, Zone};
use sunkeep_training::backtest::{Options, Set, backtest, backtest_pv};
use sunkeep_training::series_file::{PV_COLUMN, read_column, read_series};

#[test]
fn the_adaptive_forecast_beats_baselines_and_boosted_trees_on_a_measured_home() {
    let data = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared/data");
    if !data.is_dir() {
        println!("skipped: no ../shared/data");
        return;
    }
    let series = read_series(&data.join("load/emhass_home.parquet")).unwrap().series;
    let set = Set { name: "emhass_home".into(), zone: Zone::named("Europe/Paris").unwrap(), series };
    let found = backtest(&[set], &Options::default(), &ProgressBar::hidden()).unwrap();
    let score = |method: &str| found.scores.iter().find(|score| score.method == method).unwrap().score;
    let model = score("adaptive");
    for baseline in ["persistence", "similar day", "same-slot profile"] {
        assert!(model.nmae < 0.95 * score(baseline).nmae, "{baseline}: {model:?}");
        assert!(model.pinball < score(baseline).pinball, "{baseline}: {model:?}");
    }
    // What a gradient-boosted tree reached on the same days.
    assert!(model.nmae < 0.418 && model.pinball < 0.134, "{model:?}");
    assert!((0.77..0.83).contains(&model.coverage), "{model:?}");
    // The energy of a day, which yesterday foretells well.
    assert!(model.daily < 0.165, "{model:?}");
}

#[test]
fn the_sun_is_forecast_better_than_by_baselines_on_a_measured_home() {
    let data = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared/data");
    if !data.is_dir() {
        println!("skipped: no ../shared/data");
        return;
    }
    let series = read_column(&data.join("load/emhass_home.parquet"), PV_COLUMN).unwrap().series;
    let set = Set { name: "emhass_home".into(), zone: Zone::named("Europe/Paris").unwrap(), series };
    let found = backtest_pv(&[set], &Options::default(), &ProgressBar::hidden()).unwrap();
    let score = |method: &str| found.scores.iter().find(|score| score.method == method).unwrap().score;
    let ours = score("adaptive PV");
    for baseline in ["persistence", "similar day", "same-slot profile", "same slot"] {
        assert!(ours.nmae < 0.93 * score(baseline).nmae, "{baseline}: {ours:?}");
        assert!(ours.pinball < 0.93 * score(baseline).pinball, "{baseline}: {ours:?}");
    }
}

#[test]
fn a_young_hub_is_not_worse_off_with_the_factory_model_than_with_persistence() {
    let data = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared/data");
    if !data.is_dir() {
        println!("skipped: no ../shared/data");
        return;
    }
    let model = load_model().unwrap();
    for (file, zone) in [("el_espino", "America/La_Paz"), ("emhass_home", "Europe/Paris")] {
        let zone = Zone::named(zone).unwrap();
        let series =
            read_series(&data.join(format!("load/{file}.parquet"))).unwrap().series.remove(0).slots();
        for days in [2, 4, 8] {
            let mut errors = [0.0; 2];
            // Issues at all times of the day, from weeks all over the series.
            for issue in 0..100 {
                let issued =
                    series.first.plus(48 * 30 + issue * (series.values.len() as i64 - 48 * 33) / 100);
                let mut history = SlotHistory::new();
                for slot in (issued.0 - 48 * days..issued.0).map(Slot) {
                    history.record(slot, series.get(slot));
                }
                let methods: [&dyn Forecaster; 2] = [&model, &Persistence];
                let forecasts = methods.map(|method| method.forecast(&history, issued, &zone));
                let [Ok(model), Ok(persistence)] = forecasts else { continue };
                for lead in 0..HORIZON {
                    let Some(truth) = series.get(issued.plus(lead as i64)) else { continue };
                    errors[0] += (truth - model.p50[lead]).abs();
                    errors[1] += (truth - persistence.p50[lead]).abs();
                }
            }
            println!("{file}, {days} days: {:.3} of the error of persistence", errors[0] / errors[1]);
            assert!(errors[0] < errors[1], "{file} with {days} days of history: {errors:?}");
        }
    }
}
