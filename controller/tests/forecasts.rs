//! The forecasts of a running hub: made from the first hours on, learning, and going on after a restart as if
//! there had been none.
#![allow(clippy::unwrap_used, missing_docs, reason = "a test")]

#[path = "../core/tests/home/mod.rs"]
mod usual;

use std::sync::Arc;

use sunkeep::forecasts::{Demand, Forecasters, Job, Learnt, Made};
use sunkeep_core::Settings;
use sunkeep_core::evidence::History;
use sunkeep_core::settings::Tier;
use sunkeep_models::battery::ChargeBounds;
use sunkeep_models::pv::PvForecaster;
use sunkeep_models::pv::weather::{Weather, WeatherForecast, WeatherQuantity};
use sunkeep_models::quantity::{Seconds, StateOfCharge, Watts};
use sunkeep_models::sun::{Location, PvArray};
use sunkeep_models::time::{SLOTS_PER_DAY, Slot, Uptime, Zone};

/// Midnight in Nairobi, 1 March 2025.
const START: Slot = Slot(1_740_776_400 / 1800);

fn settings() -> Arc<Settings> {
    let loads = [Tier::Critical, Tier::Important].map(|tier| usual::load(tier.word(), tier, 60.0));
    Arc::new(usual::settings(loads.into()))
}

fn forecasters() -> Forecasters {
    let place = Location::new(-1.0, 34.9).unwrap();
    let array = PvArray::new(place, Watts(300.0), 10.0, 0.0).unwrap();
    Forecasters::load(Zone::named("Africa/Nairobi").unwrap(), PvForecaster { array: Some(array) })
}

/// A slot of a home with evenings, and with luck.
fn demand(slot: i64, tier: usize) -> f32 {
    let hour = (slot % SLOTS_PER_DAY as i64) as f64 / 2.0;
    let evening = 60.0 * (-((hour - 19.0) / 2.5).powi(2)).exp();
    // Anything between half and one and a half of the usual.
    let luck = 0.5 + (slot.wrapping_mul(7_919) + 104_729 * tier as i64).rem_euclid(997) as f64 / 996.0;
    ((12.0 + evening) * luck * [0.5, 1.0, 0.0][tier]) as f32
}

/// The panels' power: each day has its clouds, and each slot its luck.
fn sunlight(slot: i64) -> f32 {
    let day = SLOTS_PER_DAY as i64;
    let hour = (slot.rem_euclid(day)) as f64 / 2.0;
    let clouds = 0.4 + 0.6 * (slot.div_euclid(day) * 37 % 11) as f64 / 10.0;
    let luck = 0.8 + 0.2 * (slot.wrapping_mul(7_919)).rem_euclid(97) as f64 / 96.0;
    ((std::f64::consts::PI * (hour - 6.0) / 12.0).sin().max(0.0) * 250.0 * clouds * luck) as f32
}

/// Ends a slot of the history and has forecasts made for the next.
fn live(forecasters: &mut Forecasters, history: &mut History, slot: i64, learnt: Option<Learnt>) -> Made {
    live_with(forecasters, history, slot, learnt, true)
}

/// As [`live`]; the important tier may have been shed.
fn live_with(
    forecasters: &mut Forecasters,
    history: &mut History,
    slot: i64,
    learnt: Option<Learnt>,
    served: bool,
) -> Made {
    let ended = START.plus(slot);
    for (tier, tier_history) in history.tiers.iter_mut().enumerate() {
        tier_history.record(ended, Some(demand(slot, tier)).filter(|_| served || tier != 1));
    }
    let total = (0..3).map(|tier| demand(slot, tier)).sum();
    history.total.record(ended, Some(total).filter(|_| served));
    history.sun.record(ended, Some(sunlight(slot)));
    let half = StateOfCharge::clamped(0.5);
    forecasters.make(&Job {
        settings: settings(),
        issued: ended.plus(1),
        now: Uptime::from_seconds((slot.unsigned_abs() + 1) * 1800),
        into_slot: Seconds::ZERO,
        charge: ChargeBounds { low: half, best: half, high: half },
        sun_now: None,
        needs: sunkeep_core::care::Needs::default(),
        history: history.clone(),
        learnt,
        weather: Vec::new(),
    })
}

#[test]
fn a_tier_that_is_shed_for_days_leaves_the_others_their_forecasts_and_the_home_its_plan() {
    let (mut running, mut history) = (forecasters(), History::default());
    for slot in 0..40 {
        live(&mut running, &mut history, slot, None);
    }
    for slot in 40..40 + 4 * SLOTS_PER_DAY as i64 {
        let made = live_with(&mut running, &mut history, slot, None, false);
        let forecasts = made.forecasts.unwrap();
        assert!(forecasts.load.p50.iter().all(|watts| watts.is_finite()), "slot {slot}");
        assert!(!forecasts.outlook.plan.slots.is_empty(), "slot {slot}");
    }
}

#[test]
fn without_anything_known_of_the_critical_tier_there_is_no_plan() {
    let half = StateOfCharge::clamped(0.5);
    let mut history = History::default();
    history.tiers[1].record(START, Some(50.0));
    history.sun.record(START, Some(50.0));
    let job = Job {
        settings: settings(),
        issued: START.plus(1),
        now: Uptime::from_seconds(1800),
        into_slot: Seconds::ZERO,
        charge: ChargeBounds { low: half, best: half, high: half },
        sun_now: None,
        needs: sunkeep_core::care::Needs::default(),
        history,
        learnt: None,
        weather: Vec::new(),
    };
    assert!(forecasters().make(&job).forecasts.is_err());
}

#[test]
fn a_restart_loses_nothing_that_was_learnt() {
    let (mut running, mut history) = (forecasters(), History::default());
    let day = SLOTS_PER_DAY as i64;
    let mut kept = None;
    for slot in 0..9 * day + 20 {
        let made = live(&mut running, &mut history, slot, None);
        if let Some(learnt) = made.learnt {
            assert_eq!((slot + 1) % day, 0, "written down when a local day begins");
            assert!(learnt.values().all(|data| data.len() < 1 << 20));
            kept = Some(learnt);
        }
    }
    // The history comes back from the journal slot by slot, what was learnt once a day; the rest is learnt
    // again. A journal that is found late brings it along with a job.
    let (slot, kept, past) = (9 * day + 20, kept.unwrap(), history.clone());
    let expected = live(&mut running, &mut history, slot, None).forecasts.unwrap();
    let mut restored = forecasters();
    restored.restore(&kept);
    let again = Some(kept.clone());
    for (mut forecasters, learnt) in [(restored, None), (forecasters(), Some(kept))] {
        let found = live(&mut forecasters, &mut past.clone(), slot, learnt).forecasts.unwrap();
        assert_eq!((&found.load, found.skill), (&expected.load, expected.skill));
        assert_eq!((&found.sun, found.sun_skill), (&expected.sun, expected.sun_skill));
        assert_eq!(found.outlook.plan, expected.outlook.plan);
    }
    assert!(expected.skill.unwrap() > 0.0, "{:?}", expected.skill);
    assert!(expected.sun_skill.unwrap() > 0.0, "{:?}", expected.sun_skill);

    // Where the journal has lost all but four days, what was learnt before is still known.
    let mut short = History::default();
    let all = [(&mut short.total, &past.total), (&mut short.sun, &past.sun)];
    for (kept, whole) in short.tiers.iter_mut().zip(&past.tiers).chain(all) {
        for (at, mean) in whole.iter().filter(|(at, _)| at.since(START) >= 5 * day) {
            kept.record(at, mean);
        }
    }
    let skills = |learnt| {
        let found = live(&mut forecasters(), &mut short.clone(), slot, learnt).forecasts.unwrap();
        (found.skill, found.sun_skill)
    };
    let (load, sun) = skills(again);
    assert_eq!(load, expected.skill);
    // That of the sun has learnt once more since, from what is left.
    assert!((sun.unwrap() - expected.sun_skill.unwrap()).abs() < 0.02, "{sun:?}, {:?}", expected.sun_skill);
    let (load, sun) = skills(None);
    assert_ne!(load, expected.skill);
    assert!(sun.is_none_or(|sun| (sun - expected.sun_skill.unwrap()).abs() > 0.02), "{sun:?}");
}

#[test]
fn there_are_forecasts_by_the_model_from_the_first_evening_on() {
    let (mut running, mut history) = (forecasters(), History::default());
    let made: Vec<_> = (0..40).map(|slot| live(&mut running, &mut history, slot, None)).collect();
    let first = made.iter().position(|made| made.forecasts.is_ok()).unwrap();
    println!("the first forecast came after {} slots", first + 1);
    assert!(first < 4, "{first}");
    let evening = made.last().unwrap();
    assert_eq!(evening.forecasts.as_ref().unwrap().load_by, "adaptive");
    let of: Vec<_> = evening.onnx.iter().map(|(of, _)| *of).collect();
    assert_eq!(of, [Demand::Of(Tier::Critical), Demand::Of(Tier::Important), Demand::Total], "no idle tier");
}

#[test]
fn what_cannot_be_read_back_is_left_out() {
    let mut running = forecasters();
    let broken = [
        ("critical", vec![1, 2, 3]),
        ("total", vec![0; 500_000]),
        ("nobody", vec![]),
        ("sun", vec![0xff; 4000]),
    ];
    running.restore(&broken.map(|(name, data)| (name.to_owned(), data)).into());
    let mut history = History::default();
    for slot in 0..60 {
        live(&mut running, &mut history, slot, None);
    }
    assert!(live(&mut running, &mut history, 60, None).forecasts.is_ok());
}

#[test]
fn an_unsound_memory_of_the_sun_costs_only_that() {
    let (mut running, mut history) = (forecasters(), History::default());
    let mut kept = None;
    for slot in 0..9 * SLOTS_PER_DAY as i64 {
        kept = live(&mut running, &mut history, slot, None).learnt.or(kept);
    }
    let mut kept = kept.unwrap();
    assert_eq!(kept.keys().collect::<Vec<_>>(), ["convenience", "critical", "important", "sun", "total"]);
    // The learnt of a home is as far as the sun goes in the journal for a few kilobytes.
    assert!(kept["sun"].len() < 16_000, "{} bytes", kept["sun"].len());
    kept.get_mut("sun").unwrap().truncate(100);
    let slot = 9 * SLOTS_PER_DAY as i64;
    let expected = live(&mut running, &mut history.clone(), slot, None).forecasts.unwrap();
    let mut short = History::default();
    for (at, mean) in history.sun.iter().filter(|(at, _)| at.since(START) >= slot - 60) {
        short.sun.record(at, mean);
    }
    history.sun = short.sun;
    let mut restored = forecasters();
    restored.restore(&kept);
    let found = live(&mut restored, &mut history, slot, None).forecasts.unwrap();
    assert_eq!((&found.load, found.skill), (&expected.load, expected.skill));
    assert_eq!(found.sun_skill, None);
    assert!(found.sun.p50.iter().any(|watts| *watts > 20.0), "{:?}", found.sun);
}

#[test]
fn what_was_foretold_of_the_weather_outlives_a_start() {
    let (mut running, mut history) = (forecasters(), History::default());
    let clouds = |first: Slot| WeatherForecast {
        issued: first.start(),
        quantity: WeatherQuantity::CloudCover,
        first,
        values: vec![Some(0.5); 48],
    };
    let mut kept = None;
    for slot in 0..3 * SLOTS_PER_DAY as i64 {
        let half = StateOfCharge::clamped(0.5);
        let ended = START.plus(slot);
        history.sun.record(ended, Some(sunlight(slot)));
        history.total.record(ended, Some(60.0));
        let made = running.make(&Job {
            settings: settings(),
            issued: ended.plus(1),
            now: Uptime::from_seconds((slot.unsigned_abs() + 1) * 1800),
            into_slot: Seconds::ZERO,
            charge: ChargeBounds { low: half, best: half, high: half },
            sun_now: None,
            needs: sunkeep_core::care::Needs::default(),
            history: history.clone(),
            learnt: None,
            weather: (slot % 12 == 0).then(|| clouds(ended.plus(1))).into_iter().collect(),
        });
        kept = made.learnt.or(kept);
    }
    let kept = kept.expect("handed out at midnight");
    let weather: Weather = postcard::from_bytes(&kept["weather"]).unwrap();
    let mut expected = Weather::default();
    // The last midnight is that at the end of the third day.
    (0..3 * 4).for_each(|issue| expected.add(clouds(START.plus(12 * issue + 1))));
    assert!(weather == expected, "{weather:?}");
    let mut again = forecasters();
    again.restore(&kept);
    let made = live(&mut again, &mut history, 3 * SLOTS_PER_DAY as i64, None);
    assert!(made.forecasts.is_ok());
}
