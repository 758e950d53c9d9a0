//! What must hold of the adaptive load forecast, whatever was measured.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test that cannot go on fails")]

use std::sync::{Arc, LazyLock};

use proptest::prelude::*;
use sunkeep_models::adaptation::{Adaptation, AdaptiveForecaster};
use sunkeep_models::factory::load_model;
use sunkeep_models::forecast::{Forecast, Forecaster};
use sunkeep_models::history::SlotHistory;
use sunkeep_models::onnx::OnnxForecaster;
use sunkeep_models::time::{HORIZON, Slot, Zone};

static MODEL: LazyLock<Arc<OnnxForecaster>> = LazyLock::new(|| Arc::new(load_model().unwrap()));

/// 2025-03-20T00:00Z: with the days that follow, the start of daylight saving in Paris.
const START: Slot = Slot(968_928);

fn hub() -> AdaptiveForecaster {
    AdaptiveForecaster::new(Some(Arc::clone(&MODEL)), Adaptation::default())
}

/// Noise in 0..1 that is the same on every machine.
fn noise(seed: u64) -> f32 {
    let mut value = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15);
    value = (value ^ (value >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    value = (value ^ (value >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    (value ^ (value >> 31)) as f32 / u64::MAX as f32
}

/// A home with evenings and single gaps.
fn home(place: i64) -> Option<f32> {
    let evening = if (36..46).contains(&(place % 48)) { 220.0 } else { 60.0 };
    (noise(place as u64 + 77) > 0.02).then(|| evening * (0.6 + 0.8 * noise(place as u64)))
}

/// Lives through so many slots, with the hub and without.
fn lived(
    hub: &mut AdaptiveForecaster,
    slots: i64,
    zone: &Zone,
    watts: impl Fn(i64) -> Option<f32>,
) -> SlotHistory {
    let mut history = SlotHistory::new();
    for place in 0..slots {
        history.record(START.plus(place), watts(place));
        hub.learn(&history, START.plus(place + 1), zone);
    }
    history
}

fn is_a_forecast(forecast: &Forecast) -> bool {
    let three = (0..HORIZON).map(|lead| [forecast.p10[lead], forecast.p50[lead], forecast.p90[lead]]);
    three.into_iter().all(|[p10, p50, p90]| 0.0 <= p10 && p10 <= p50 && p50 <= p90 && p90.is_finite())
}

fn zones() -> impl Strategy<Value = Zone> {
    prop::sample::select(vec![
        "UTC",
        "Europe/Paris",
        "Asia/Kathmandu",
        "America/La_Paz",
        "Australia/Lord_Howe",
    ])
    .prop_map(|name| Zone::named(name).unwrap())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(12))]

    #[test]
    fn whatever_was_measured_it_forecasts_and_its_weights_are_shares(
        values in prop::collection::vec(
            prop::option::weighted(0.8, prop_oneof![Just(0.0), Just(1e6), 0.0..3000.0_f32]), 100..500,
        ),
        zone in zones(),
    ) {
        let mut hub = hub();
        let history = lived(&mut hub, values.len() as i64, &zone, |place| values[place as usize]);
        let forecast = hub.forecast(&history, START.plus(values.len() as i64), &zone).unwrap();
        prop_assert!(is_a_forecast(&forecast));
        for slot in [0, 30] {
            let weights = hub.weights(slot);
            prop_assert!(weights.iter().all(|(_, weight)| (0.0..=1.0).contains(weight)));
            prop_assert!((weights.iter().map(|(_, weight)| weight).sum::<f64>() - 1.0).abs() < 1e-9);
        }
        prop_assert!(hub.state().clone().checked().is_ok());
    }

    #[test]
    fn nothing_measured_at_or_after_the_issue_is_used(back in 1..60_i64, other in 0.0..9000.0_f32) {
        let zone = Zone::named("Europe/Paris").unwrap();
        let slots = 12 * 48;
        let mut hub = hub();
        let history = lived(&mut hub, slots - back, &zone, home);
        let mut future = history.clone();
        for place in slots - back..slots {
            future.record(START.plus(place), Some(other));
        }
        let issued = START.plus(slots - back);
        let expected = hub.forecast(&history, issued, &zone);
        prop_assert_eq!(&hub.forecast(&future, issued, &zone), &expected);
        hub.learn(&future, issued, &zone);
        prop_assert_eq!(&hub.forecast(&history, issued, &zone), &expected);
    }
}

#[test]
fn a_replay_of_the_history_gives_the_state_that_was_lived_to() {
    let zone = Zone::named("Europe/Paris").unwrap();
    let mut online = hub();
    let history = lived(&mut online, 25 * 48 + 7, &zone, home);
    let mut replayed = hub();
    replayed.learn(&history, history.end(), &zone);
    assert!(online.state() == replayed.state(), "lived and replayed states differ");
    // Once more changes nothing.
    replayed.learn(&history, history.end(), &zone);
    assert!(online.state() == replayed.state());
}

#[test]
fn a_stored_state_goes_on_where_it_stopped_and_has_always_the_same_size() {
    let zone = Zone::utc();
    let mut online = hub();
    let mut history = lived(&mut online, 10 * 48, &zone, home);
    let stored = postcard::to_stdvec(online.state()).unwrap();
    let state: Adaptation = postcard::from_bytes(&stored).unwrap();
    let mut resumed = AdaptiveForecaster::new(Some(Arc::clone(&MODEL)), state.checked().unwrap());
    for place in 10 * 48..45 * 48 {
        history.record(START.plus(place), home(place));
        online.learn(&history, START.plus(place + 1), &zone);
    }
    // The other was off until then, within what a history keeps.
    let mut other = history.clone();
    resumed.learn(&history, START.plus(20 * 48), &zone);
    for place in 20 * 48..45 * 48 {
        other.record(START.plus(place), home(place));
        resumed.learn(&other, START.plus(place + 1), &zone);
    }
    let size = postcard::to_stdvec(online.state()).unwrap().len();
    assert!(size.abs_diff(stored.len()) < 16, "{} bytes after 10 days, {size} after 45", stored.len());
    assert!((400_000..460_000).contains(&size), "{size} bytes");
    let issued = START.plus(45 * 48);
    assert!(is_a_forecast(&resumed.forecast(&history, issued, &zone).unwrap()));
}

#[test]
fn a_spoiled_state_is_refused() {
    let whole = postcard::to_stdvec(&Adaptation::default()).unwrap();
    let mut spoiled = whole.clone();
    let middle = whole.len() / 2;
    spoiled[middle..middle + 8].fill(0xff);
    let read = postcard::from_bytes::<Adaptation>(&spoiled).ok().and_then(|state| state.checked().ok());
    assert!(read.is_none());
    assert!(postcard::from_bytes::<Adaptation>(&whole[..whole.len() - 3]).is_err());
}

#[test]
fn a_clock_set_back_or_ahead_does_not_stop_it() {
    let zone = Zone::utc();
    let mut hub = hub();
    let mut history = lived(&mut hub, 5 * 48, &zone, home);
    // A year ahead for a day, then back.
    for (first, slots) in [(START.plus(365 * 48), 48), (START.plus(5 * 48), 6 * 48)] {
        for place in 0..slots {
            history.record(first.plus(place), home(place));
            hub.learn(&history, first.plus(place + 1), &zone);
        }
    }
    assert_eq!(hub.state().learnt_until(), Some(START.plus(11 * 48 + 1)));
    assert!(is_a_forecast(&hub.forecast(&history, START.plus(11 * 48), &zone).unwrap()));
}

#[test]
fn skill_is_known_after_days_and_positive_on_a_noisy_home() {
    let mut hub = hub();
    lived(&mut hub, 3 * 48, &Zone::utc(), home);
    assert_eq!(hub.skill(), None);
    lived(&mut hub, 30 * 48, &Zone::utc(), home);
    assert!(hub.skill().unwrap() > 0.1, "{:?}", hub.skill());
}

#[test]
fn from_the_first_hour_there_is_a_forecast_with_evenings() {
    // Switched on at noon: what it saw is 60 W; the fleet's homes use more in the evening.
    let mut history = SlotHistory::new();
    for place in 24..28 {
        history.record(START.plus(place), Some(60.0));
        if place >= 25 {
            let forecast = hub().forecast(&history, START.plus(place + 1), &Zone::utc()).unwrap();
            assert!(is_a_forecast(&forecast));
            let mean = |slots: core::ops::Range<i64>| -> f32 {
                let slots: Vec<f32> = slots.filter_map(|slot| forecast.mean_at(START.plus(slot))).collect();
                slots.iter().sum::<f32>() / slots.len() as f32
            };
            assert!(mean(38..44) > 1.1 * mean(50..58), "evening {}, night {}", mean(38..44), mean(50..58));
        }
    }
}
