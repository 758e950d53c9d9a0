//! What must hold of the features of load, and of every forecaster, whatever was measured.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test that cannot go on fails")]

use proptest::prelude::*;
use sunkeep_models::baseline::baselines;
use sunkeep_models::history::SlotHistory;
use sunkeep_models::load_features::{COLUMNS, LEAST_MEASURED, WIDTH, feature_hash, load_rows};
use sunkeep_models::time::{HORIZON, Slot, Zone};

/// 2025-03-20T00:00Z: with the days that follow, the start of daylight saving in Paris.
const START: Slot = Slot(968_928);

fn history(values: &[Option<f32>]) -> SlotHistory {
    let mut history = SlotHistory::new();
    for (place, watts) in values.iter().enumerate() {
        history.record(START.plus(place as i64), *watts);
    }
    history
}

fn column(name: &str) -> usize {
    COLUMNS.iter().position(|column| *column == name).unwrap()
}

/// Measurements of up to four weeks with gaps.
fn measured() -> impl Strategy<Value = Vec<Option<f32>>> {
    prop::collection::vec(prop::option::weighted(0.9, 0.0..5000.0_f32), 48..1400)
}

fn zones() -> impl Strategy<Value = Zone> {
    prop::sample::select(vec!["UTC", "Europe/Paris", "Asia/Kolkata", "America/La_Paz", "Africa/Nairobi"])
        .prop_map(|name| Zone::named(name).unwrap())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn nothing_measured_at_or_after_the_issue_is_seen(
        values in measured(), zone in zones(), back in 0..48_usize, other in 0.0..9000.0_f32,
    ) {
        let place = values.len() - back.min(values.len() - 1);
        let issued = START.plus(place as i64);
        let mut changed = values.clone();
        for value in &mut changed[place..] {
            *value = Some(other);
        }
        let (before, after) = (history(&values), history(&changed));
        prop_assert_eq!(load_rows(&before, issued, &zone), load_rows(&after, issued, &zone));
        for baseline in baselines() {
            prop_assert_eq!(
                baseline.forecast(&before, issued, &zone),
                baseline.forecast(&after, issued, &zone)
            );
        }
    }

    #[test]
    fn a_site_twice_as_large_has_the_same_rows_and_twice_the_forecast(
        values in measured(), zone in zones(),
    ) {
        let issued = START.plus(values.len() as i64);
        let large: Vec<_> = values.iter().map(|value| value.map(|watts| watts * 8.0)).collect();
        let (small, large) = (history(&values), history(&large));
        if let (Some(small), Some(large)) = (load_rows(&small, issued, &zone), load_rows(&large, issued, &zone)) {
            // A power of two scales floats exactly.
            prop_assert_eq!(small.level * 8.0, large.level);
            prop_assert_eq!(small.values, large.values);
        }
        for baseline in baselines() {
            if let Ok(forecast) = baseline.forecast(&small, issued, &zone) {
                let scaled: Vec<f32> = forecast.p90.iter().map(|watts| watts * 8.0).collect();
                prop_assert_eq!(scaled, baseline.forecast(&large, issued, &zone).unwrap().p90);
            }
        }
    }

    #[test]
    fn gaps_in_a_steady_load_are_not_read_as_zero(
        gaps in prop::collection::vec(prop::bool::weighted(0.4), 300..1400), zone in zones(),
    ) {
        let values: Vec<_> = gaps.iter().map(|gap| (!gap).then_some(250.0)).collect();
        let issued = START.plus(values.len() as i64);
        let history = history(&values);
        let rows = load_rows(&history, issued, &zone).unwrap();
        prop_assert!((rows.level - 250.0).abs() < 0.01);
        for row in rows.values.chunks_exact(WIDTH) {
            for name in &COLUMNS[1..9] {
                prop_assert!((row[column(name)] - 1.0).abs() < 1e-4, "{} is {}", name, row[column(name)]);
            }
            for name in ["last_day", "day_before_smooth", "week_before_smooth", "same_weekday_4w", "same_kind_of_day"] {
                prop_assert!((row[column(name)] - 1.0).abs() < 1e-4, "{} is {}", name, row[column(name)]);
            }
            prop_assert!(row[column("excess_24h")].abs() < 1e-4);
        }
        for baseline in baselines() {
            let forecast = baseline.forecast(&history, issued, &zone).unwrap();
            prop_assert!(forecast.p50.iter().all(|watts| (watts - 250.0).abs() < 0.01));
        }
    }

    #[test]
    fn rows_are_finite_numbers_at_every_slot_of_issue(
        values in prop::collection::vec(prop::option::weighted(0.5, prop_oneof![Just(0.0), Just(1e6), 0.0..10.0_f32]), 96..600),
        zone in zones(),
    ) {
        let issued = START.plus(values.len() as i64);
        if let Some(rows) = load_rows(&history(&values), issued, &zone) {
            prop_assert_eq!(rows.values.len(), HORIZON * WIDTH);
            prop_assert!(rows.values.iter().all(|value| value.is_finite()));
            prop_assert!(rows.level > 0.0);
        }
    }
}

#[test]
fn a_site_that_uses_nothing_still_has_rows() {
    let rows = load_rows(&history(&[Some(0.0); 200]), START.plus(200), &Zone::utc()).unwrap();
    assert!(rows.values.iter().all(|value| value.is_finite()) && rows.level > 0.0);
}

#[test]
fn less_than_a_day_of_measurements_has_no_rows() {
    let issued = START.plus(60);
    let mut values = vec![None; 60];
    values[..LEAST_MEASURED - 1].fill(Some(100.0));
    assert_eq!(load_rows(&history(&values), issued, &Zone::utc()), None);
    values[LEAST_MEASURED] = Some(100.0);
    assert!(load_rows(&history(&values), issued, &Zone::utc()).is_some());
}

#[test]
fn a_week_without_measurements_has_no_rows() {
    let values = vec![Some(100.0); 480];
    assert!(load_rows(&history(&values), START.plus(480 + 48 * 9), &Zone::utc()).is_none());
}

#[test]
fn a_week_without_evenings_is_not_a_week_of_little_use() {
    // 100 W by day, 900 W from 18:00; the evenings of the last week were shed and so not measured.
    let values: Vec<_> = (0..28 * 48)
        .map(|place| match (place / 48, place % 48) {
            (21.., 36..) => None,
            (_, 36..) => Some(900.0),
            _ => Some(100.0),
        })
        .collect();
    let rows = load_rows(&history(&values), START.plus(28 * 48), &Zone::utc()).unwrap();
    assert!((rows.level - 300.0).abs() < 0.01, "level {}", rows.level);
    let evening = &rows.values[40 * WIDTH..][..WIDTH];
    assert!((evening[column("mean_7d")] - 3.0).abs() < 1e-4);
    assert!((evening[column("last_day")] - 3.0).abs() < 1e-4);
    assert_eq!(evening[column("last_day_missing")], 1.0);
    assert_eq!(evening[column("share_missing_28d")], 0.25);
}

#[test]
fn profiles_follow_the_clock_on_the_wall_through_daylight_saving() {
    // Lamps from 19:00 to 20:00 Paris time, ten days before and five after the clock changed.
    let zone = Zone::named("Europe/Paris").unwrap();
    let lit = |slot: Slot| matches!(zone.local(slot.start()).slot_of_day(), 38 | 39);
    let values: Vec<_> =
        (0..15 * 48).map(|place| Some(if lit(START.plus(place)) { 960.0 } else { 0.0 })).collect();
    let issued = START.plus(15 * 48 - 7);
    let rows = load_rows(&history(&values[..15 * 48 - 7]), issued, &zone).unwrap();
    for (lead, row) in rows.values.chunks_exact(WIDTH).enumerate() {
        let expected = if lit(issued.plus(lead as i64)) { 24.0 } else { 0.0 };
        for name in ["mean_28d", "median_14d", "last_day", "same_weekday_4w"] {
            assert!((row[column(name)] - expected).abs() < 0.2, "{name} is {} at {lead}", row[column(name)]);
        }
    }
}

#[test]
fn the_last_hours_count_and_fade() {
    let mut values = vec![Some(100.0); 20 * 48];
    values[20 * 48 - 4..].fill(Some(500.0));
    let rows = load_rows(&history(&values), START.plus(20 * 48), &Zone::utc()).unwrap();
    let fading: Vec<f32> =
        rows.values.chunks_exact(WIDTH).map(|row| row[column("excess_1h_fading")]).collect();
    assert!(fading[0] > 3.0, "{}", fading[0]);
    assert!(fading.windows(2).all(|pair| pair[0] > pair[1]));
    assert!(fading[47] < 0.1 * fading[0]);
}

#[test]
fn the_hash_is_of_what_the_columns_mean() {
    // Whoever changes a column raises DEFINITION or renames it, and trains the factory model anew.
    assert_eq!(feature_hash().len(), 64);
    let names: std::collections::BTreeSet<&str> = COLUMNS.into_iter().collect();
    assert_eq!(names.len(), WIDTH, "two columns have one name");
}
