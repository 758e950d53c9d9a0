//! `sunkeep-train` as a person calls it.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test that cannot go on fails")]

mod common;

use std::path::Path;
use std::process::{Command, Output};

use sunkeep_models::forecast::Forecaster;
use sunkeep_models::onnx::OnnxForecaster;
use sunkeep_models::time::{Slot, Zone};
use sunkeep_training::backtest::history_before;
use sunkeep_training::series_file::read_series;

use common::{START, home, panels, write_column, write_parquet};

fn sunkeep_train(arguments: &[&str], folder: &Path) -> Output {
    Command::new(env!("CARGO_BIN_EXE_sunkeep-train")).args(arguments).current_dir(folder).output().unwrap()
}

fn said(output: &Output) -> String {
    format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}

#[test]
fn training_writes_the_same_model_twice_and_a_hub_can_use_it() {
    let folder = tempfile::tempdir().unwrap();
    write_parquet(&folder.path().join("home.parquet"), &home("a", 60, 1800, 21));
    write_parquet(&folder.path().join("other.parquet"), &home("b", 60, 900, 22));
    let train = |out: &str| {
        let output = sunkeep_train(
            &[
                "load",
                "--data",
                "home.parquet",
                "other.parquet",
                "--timezone",
                "Europe/Paris",
                "UTC",
                "--out",
                out,
            ],
            folder.path(),
        );
        assert!(output.status.success(), "{}", said(&output));
        said(&output)
    };
    let output = train("one");
    for part in ["linfa and tract agree on", "persistence", "similar day", "same-slot profile", "other"] {
        assert!(output.contains(part), "{output:?} does not say {part:?}");
    }
    train("two");
    for file in ["load.onnx", "model.toml"] {
        let read = |out: &str| std::fs::read(folder.path().join(out).join(file)).unwrap();
        assert!(read("one") == read("two"), "{file} differs between two runs");
    }
    let toml = std::fs::read_to_string(folder.path().join("one/model.toml")).unwrap();
    let onnx = std::fs::read(folder.path().join("one/load.onnx")).unwrap();
    let model = OnnxForecaster::load(&toml, &onnx).unwrap();
    assert_eq!(model.contract().training.sites, 2);
    assert_eq!(model.contract().training.first_day, "2025-03-02");
    let series = read_series(&folder.path().join("home.parquet")).unwrap().series.remove(0).slots();
    // Evenings are known: 18:00 to 23:00 UTC.
    let issued = Slot::of(START + 50 * 86_400);
    let forecast =
        model.forecast(&history_before(&series, issued), issued, &Zone::named("Europe/Paris").unwrap());
    let forecast = forecast.unwrap();
    assert!(forecast.p50[40] > 2.0 * forecast.p50[6], "{:?}", forecast.p50);
}

#[test]
fn a_backtest_writes_forecasts_of_whole_days_in_order() {
    let folder = tempfile::tempdir().unwrap();
    let mut rows = home("a", 50, 3600, 31);
    rows.extend(home("b", 50, 900, 32));
    write_parquet(&folder.path().join("homes.parquet"), &rows);
    let output = sunkeep_train(
        &["backtest", "load", "homes.parquet", "--timezone", "Africa/Nairobi", "--out", "forecasts.csv"],
        folder.path(),
    );
    assert!(output.status.success(), "{}", said(&output));
    let mut csv = csv::Reader::from_path(folder.path().join("forecasts.csv")).unwrap();
    assert_eq!(csv.headers().unwrap(), &["site", "issued_at", "timestamp", "p10", "p50", "p90", "mean"][..]);
    let mut steps = std::collections::BTreeMap::<String, usize>::new();
    for row in csv.records() {
        let row = row.unwrap();
        assert!(row[1].ends_with("T21:00:00Z"), "{} is not midnight in Nairobi", &row[1]);
        let [p10, p50, p90] = [3, 4, 5].map(|place| row[place].parse::<f32>().unwrap());
        assert!(0.0 <= p10 && p10 <= p50 && p50 <= p90 && p90.is_finite());
        *steps.entry(row[0].to_owned()).or_default() += 1;
    }
    // 51 local days with measurements, the first and the last whole enough or not: ten or eleven tested.
    let days = [steps["a"] / 24, steps["b"] / 96];
    assert!(days.iter().all(|days| (10..=11).contains(days)), "{steps:?}");
    assert!(steps["a"].is_multiple_of(24) && steps["b"].is_multiple_of(96), "{steps:?}");
}

#[test]
fn a_backtest_of_the_sun_writes_whole_days_with_dark_nights_and_prints_its_rivals() {
    let folder = tempfile::tempdir().unwrap();
    let mut rows = panels("a", 60, 1800, 51);
    rows.extend(panels("b", 60, 1800, 52));
    write_column(&folder.path().join("roofs.parquet"), "roof_w", &rows);
    let arguments = ["backtest", "pv", "roofs.parquet", "--timezone", "UTC", "--out", "f.csv"];
    let refused = sunkeep_train(&arguments, folder.path());
    assert!(!refused.status.success());
    assert!(
        said(&refused).contains("roofs.parquet") && said(&refused).contains("pv_w"),
        "{}",
        said(&refused)
    );

    let output = sunkeep_train(&[&arguments[..], &["--column", "roof_w"]].concat(), folder.path());
    assert!(output.status.success(), "{}", said(&output));
    let nmae = |method: &str| -> f64 {
        let text = said(&output);
        let row = text.lines().find(|line| line.contains(method)).unwrap_or_else(|| panic!("{text}"));
        row[row.find(method).unwrap() + method.len()..].split_whitespace().next().unwrap().parse().unwrap()
    };
    let (ours, yesterday) = (nmae("adaptive PV"), nmae("persistence"));
    assert!(0.0 < ours && ours < 0.95 * yesterday, "ours {ours}, yesterday {yesterday}");

    let mut csv = csv::Reader::from_path(folder.path().join("f.csv")).unwrap();
    assert_eq!(csv.headers().unwrap(), &["site", "issued_at", "timestamp", "p10", "p50", "p90", "mean"][..]);
    let (mut steps, mut noons) = (std::collections::BTreeMap::<String, usize>::new(), 0);
    for row in csv.records() {
        let row = row.unwrap();
        let [p10, p50, p90] = [3, 4, 5].map(|place| row[place].parse::<f32>().unwrap());
        assert!(0.0 <= p10 && p10 <= p50 && p50 <= p90 && p90 < 1200.0, "{row:?}");
        let hour: u32 = row[2][11..13].parse().unwrap();
        assert!((5..=18).contains(&hour) || p90 == 0.0, "the night is dark: {row:?}");
        noons += usize::from(hour == 12 && p50 > 100.0);
        *steps.entry(row[0].to_owned()).or_default() += 1;
    }
    // A fifth of 60 days, of which the first and the last may be too dull to count as measured.
    assert!(["a", "b"].iter().all(|site| steps[*site] % 48 == 0), "{steps:?}");
    assert!(["a", "b"].iter().all(|site| (11..=13).contains(&(steps[*site] / 48))), "{steps:?}");
    assert!(noons >= 40, "{noons} slots about noon");
}

#[test]
fn a_prior_that_saw_the_site_or_the_future_is_refused_and_another_is_used() {
    let folder = tempfile::tempdir().unwrap();
    let early = |site, days, seed| -> Vec<_> {
        home(site, days, 1800, seed)
            .into_iter()
            .map(|(time, site, watts)| (time - 50 * 86_400, site, watts))
            .collect()
    };
    write_parquet(&folder.path().join("scored.parquet"), &home("scored", 40, 1800, 41));
    write_parquet(&folder.path().join("early.parquet"), &early("b", 40, 42));
    write_parquet(&folder.path().join("same.parquet"), &early("scored", 40, 43));
    write_parquet(&folder.path().join("late.parquet"), &home("c", 40, 1800, 44));
    for name in ["early", "same", "late"] {
        let output =
            sunkeep_train(&["load", "--data", &format!("{name}.parquet"), "--out", name], folder.path());
        assert!(output.status.success(), "{}", said(&output));
    }
    let score = |prior: &str, days: &str| {
        let arguments = [
            "backtest",
            "load",
            "scored.parquet",
            "--out",
            "f.csv",
            "--prior",
            prior,
            "--history-days",
            days,
        ];
        sunkeep_train(&arguments, folder.path())
    };
    for days in ["0", "3"] {
        let output = score("early", days);
        assert!(output.status.success(), "{}", said(&output));
    }
    for (prior, says) in [
        ("same", ["\"scored\"", "which is to be scored"]),
        ("late", ["2025-04-09", "first scored day"]),
        ("none", ["none", "No such file"]),
    ] {
        let output = score(prior, "3");
        assert!(!output.status.success());
        assert!(says.iter().all(|part| said(&output).contains(part)), "{}", said(&output));
    }
}

#[test]
fn what_cannot_be_done_is_said_with_the_file_and_the_reason() {
    let folder = tempfile::tempdir().unwrap();
    write_parquet(&folder.path().join("short.parquet"), &home("a", 5, 1800, 1));
    let cases: [(&[&str], &[&str]); 5] = [
        (&["load", "--data", "none.parquet", "--out", "o"], &["none.parquet", "No such file"]),
        (&["load", "--data", "short.parquet", "--out", "o"], &["short", "\"a\"", "5 days", "20 are wanted"]),
        (
            &["load", "--data", "short.parquet", "--timezone", "Mars/Olympus", "--out", "o"],
            &["Mars/Olympus", "Africa/Nairobi"],
        ),
        (
            &["load", "--data", "short.parquet", "--timezone", "UTC", "UTC", "--out", "o"],
            &["2 time zones for 1 files"],
        ),
        (
            &["backtest", "load", "short.parquet", "--timezone", "UTC", "--out", "o/p/q.csv"],
            &["short", "20 are wanted"],
        ),
    ];
    for (arguments, says) in cases {
        let output = sunkeep_train(arguments, folder.path());
        let said = said(&output);
        assert!(!output.status.success(), "{said}");
        assert!(says.iter().all(|part| said.contains(part)), "{said:?} does not say {says:?}");
    }
    assert!(!folder.path().join("o").exists(), "a failed run left something behind");
}
