//! What the baselines forecast on series whose next days are known.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test that cannot go on fails")]

use sunkeep_models::baseline::{Persistence, SameSlotProfile, SimilarDay, baselines};
use sunkeep_models::forecast::{ForecastError, Forecaster};
use sunkeep_models::history::SlotHistory;
use sunkeep_models::time::{HORIZON, Slot, Zone};

/// A Thursday, 2026-01-01T00:00Z.
const START: Slot = Slot(981_792);

fn history(days: i64, watts: impl Fn(i64, i64) -> f32) -> (SlotHistory, Slot) {
    let mut history = SlotHistory::new();
    for place in 0..days * 48 {
        history.record(START.plus(place), Some(watts(place / 48, place % 48)));
    }
    (history, START.plus(days * 48))
}

#[test]
fn persistence_repeats_the_newest_day() {
    let (history, issued) = history(10, |day, slot| (day * 100 + slot) as f32);
    let forecast = Persistence.forecast(&history, issued, &Zone::utc()).unwrap();
    for lead in 0..HORIZON {
        assert_eq!(forecast.p50[lead], (900 + lead % 48) as f32);
    }
    // Every day was 100 W above the one before, and 200 W above the one before that.
    assert_eq!(forecast.p90[10], 910.0 + 100.0);
    assert!((forecast.p90[48 + 10] - (910.0 + 200.0)).abs() < 2.0, "{}", forecast.p90[58]);
}

#[test]
fn similar_day_knows_the_weekday() {
    // Washing on Saturdays. Of the Thursday that ends before the issue nothing was measured.
    let (history, thursday) =
        history(28, |day, slot| if day % 7 == 2 && slot == 20 { 2000.0 } else { 100.0 });
    let forecast = SimilarDay.forecast(&history, thursday.plus(48), &Zone::utc()).unwrap();
    assert_eq!(forecast.p50[20], 100.0, "Friday");
    assert_eq!(forecast.p50[48 + 20], 2000.0, "Saturday");
    let forecast = SimilarDay.forecast(&history, thursday, &Zone::utc()).unwrap();
    assert!(forecast.p50.iter().all(|watts| *watts == 100.0), "Thursday and Friday");
}

#[test]
fn the_profile_is_the_mean_day_and_its_band_holds_the_days() {
    let (history, issued) = history(28, |day, _| 100.0 + (day % 4 * 10) as f32);
    let forecast = SameSlotProfile.forecast(&history, issued, &Zone::utc()).unwrap();
    assert!(forecast.p50.iter().all(|watts| (watts - 115.0).abs() < 0.01));
    assert!(forecast.p10.iter().all(|watts| (watts - 100.0).abs() < 0.01));
    assert!(forecast.p90.iter().all(|watts| (watts - 130.0).abs() < 0.01));
}

#[test]
fn half_a_day_is_enough_and_its_band_is_wide() {
    let (history, _) = history(1, |_, _| 80.0);
    for baseline in baselines() {
        let name = baseline.name();
        let early = baseline.forecast(&history, START.plus(23), &Zone::utc());
        assert!(
            matches!(early, Err(ForecastError::TooLittleHistory { measured: 23, .. })),
            "{name}: {early:?}"
        );
        let forecast = baseline.forecast(&history, START.plus(24), &Zone::utc()).unwrap();
        assert!(forecast.p50.iter().all(|watts| *watts == 80.0), "{name}");
        assert!(forecast.p10.iter().all(|watts| *watts == 0.0), "{name}: {:?}", forecast.p10);
        assert!(forecast.p90.iter().all(|watts| *watts == 160.0), "{name}: {:?}", forecast.p90);
    }
}
