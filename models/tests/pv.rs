//! What must hold of the adaptive PV forecast, on arrays whose truth is known.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test that cannot go on fails")]

use proptest::prelude::*;
use sunkeep_models::baseline::Persistence;
use sunkeep_models::forecast::{Forecast, Forecaster};
use sunkeep_models::history::SlotHistory;
use sunkeep_models::pv::adaptive::{AdaptivePv, PvAdaptation};
use sunkeep_models::pv::weather::{Weather, WeatherForecast, WeatherQuantity};
use sunkeep_models::quantity::Watts;
use sunkeep_models::sun::{Location, PvArray};
use sunkeep_models::time::{HORIZON, Slot, Zone};

/// 2025-02-01T00:00Z.
const START: Slot = Slot(966_624);
const DAY: i64 = 48;

fn hub() -> AdaptivePv {
    AdaptivePv::new(None, PvAdaptation::default())
}

/// Noise in 0..1 that is the same on every machine.
fn noise(seed: u64) -> f64 {
    let mut value = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15);
    value = (value ^ (value >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    value = (value ^ (value >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    (value ^ (value >> 31)) as f64 / u64::MAX as f64
}

/// An array in Nairobi, where a slot of UTC is three hours before the sun's, or in Lyon.
fn array(place: (f64, f64)) -> PvArray {
    PvArray::new(Location::new(place.0, place.1).unwrap(), Watts(1500.0), 15.0, 180.0).unwrap()
}

const NAIROBI: (f64, f64) = (-1.2864, 36.8172);
const LYON: (f64, f64) = (45.76, 4.84);

/// Clear-sky index of a day whose weather lasts: half of yesterday's, half new.
fn weather(day: i64) -> f64 {
    (0..6).map(|back| noise((day - back + 900) as u64) / f64::from(1 << back)).sum::<f64>() / 2.0
}

/// Lives through so many days of a series of power by slot.
fn lived(hub: &mut AdaptivePv, days: i64, zone: &Zone, power: impl Fn(Slot) -> Option<f64>) -> SlotHistory {
    let mut history = SlotHistory::new();
    for slot in (0..days * DAY).map(|place| START.plus(place)) {
        history.record(slot, power(slot).map(|watts| watts as f32));
        hub.learn(&history, slot.plus(1), zone);
    }
    history
}

/// Power under the weather of the day.
fn clouded(array: PvArray) -> impl Fn(Slot) -> Option<f64> {
    move |slot| Some(array.clear_sky_mean(slot, None).0 * weather(slot.since(START).div_euclid(DAY)))
}

fn is_a_forecast(forecast: &Forecast) -> bool {
    (0..HORIZON as i64).all(|lead| {
        let three = forecast.at(forecast.issued.plus(lead)).unwrap();
        three.iter().all(|watts| watts.is_finite()) && 0.0 <= three[0] && three.is_sorted()
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(12))]

    #[test]
    fn whatever_was_measured_it_forecasts_and_its_weights_are_shares(
        days in 1..9_i64,
        seed in 0..1000_u64,
        gaps in 0.0..1.0_f64,
        most in prop::sample::select(vec![0.0, 1.0, 3e3, 1e6]),
    ) {
        let mut hub = hub();
        let history = lived(&mut hub, days, &Zone::utc(), |slot| {
            let chance = noise(seed ^ (slot.0 as u64) << 12);
            (chance >= gaps).then_some(most * noise(seed + slot.0 as u64))
        });
        let issued = START.plus(days * DAY);
        if let Ok(forecast) = hub.forecast(&history, issued, &Zone::utc()) {
            prop_assert!(is_a_forecast(&forecast));
        }
        for slot in [0, 13, 47] {
            let weights = hub.weights(slot);
            prop_assert!(weights.iter().all(|(_, weight)| (0.0..=1.0).contains(weight)));
            prop_assert!((weights.iter().map(|(_, weight)| weight).sum::<f64>() - 1.0).abs() < 1e-9);
        }
        prop_assert!(hub.state().clone().checked().is_ok());
    }

    #[test]
    fn nothing_measured_at_or_after_the_issue_is_used(back in 1..60_i64, other in 0.0..9000.0_f32) {
        let zone = Zone::named("Europe/Paris").unwrap();
        let mut hub = hub();
        let history = lived(&mut hub, 10, &zone, clouded(array(LYON)));
        let issued = START.plus(10 * DAY - back);
        let mut past = SlotHistory::new();
        let mut future = SlotHistory::new();
        for (slot, watts) in history.iter() {
            future.record(slot, if slot < issued { watts } else { Some(other) });
            if slot < issued {
                past.record(slot, watts);
            }
        }
        prop_assert_eq!(hub.forecast(&past, issued, &zone), hub.forecast(&future, issued, &zone));
    }

    #[test]
    fn an_array_twice_as_large_has_twice_the_forecast(scale in 0.01..100.0_f64) {
        let zone = Zone::utc();
        let small = array(NAIROBI);
        let power = clouded(small);
        let (mut one, mut other) = (hub(), hub());
        let history = lived(&mut one, 8, &zone, &power);
        let scaled = lived(&mut other, 8, &zone, |slot| power(slot).map(|watts| watts * scale));
        let issued = START.plus(8 * DAY);
        let one = one.forecast(&history, issued, &zone).unwrap();
        let other = other.forecast(&scaled, issued, &zone).unwrap();
        for (one, other) in one.p50.iter().zip(&other.p50) {
            prop_assert!((f64::from(*one) * scale - f64::from(*other)).abs() < 0.02 * scale * 1500.0);
        }
    }
}

#[test]
fn on_weather_that_half_lasts_it_beats_persistence_and_its_band_holds() {
    let (zone, panels) = (Zone::named("Europe/Paris").unwrap(), array(LYON));
    let mut hub = hub();
    let power = clouded(panels);
    let mut history = SlotHistory::new();
    let (mut ours, mut persistence, mut inside, mut count) = (0.0, 0.0, 0, 0);
    for place in 0..150 * DAY {
        let issued = START.plus(place);
        if place >= 60 * DAY && place % DAY == 0 {
            let forecast = hub.forecast(&history, issued, &zone).unwrap();
            let repeated = Persistence.forecast(&history, issued, &zone).unwrap();
            for lead in 12..44 {
                let truth = power(issued.plus(lead)).unwrap() as f32;
                let [low, middle, high] = forecast.at(issued.plus(lead)).unwrap();
                ours += (truth - middle).abs();
                persistence += (truth - repeated.p50[lead as usize]).abs();
                if truth > 50.0 {
                    inside += usize::from((low..=high).contains(&truth));
                    count += 1;
                }
            }
        }
        history.record(issued, power(issued).map(|watts| watts as f32));
        hub.learn(&history, issued.plus(1), &zone);
    }
    let coverage = f64::from(inside as u32) / f64::from(count);
    assert!(ours < 0.95 * persistence, "{ours} W, persistence {persistence} W");
    assert!((0.7..0.9).contains(&coverage), "{coverage}");
    assert!(hub.skill().unwrap() > 0.1, "{:?}", hub.skill());
}

#[test]
fn a_tree_in_the_afternoon_is_learnt_and_throttling_is_not() {
    let panels = array(NAIROBI);
    // 14:00 to 16:00 in Nairobi: 11:00 to 13:00 UTC.
    let afternoon = |slot: Slot| (22..26).contains(&slot.0.rem_euclid(DAY));
    let clear = |slot: Slot| panels.clear_sky_mean(slot, None).0;
    let forecast = |power: &dyn Fn(Slot) -> Option<f64>| {
        let mut hub = hub();
        let history = lived(&mut hub, 20, &Zone::utc(), power);
        hub.forecast(&history, START.plus(20 * DAY), &Zone::utc()).unwrap()
    };
    let shaded = forecast(&|slot| Some(clear(slot) * if afternoon(slot) { 0.3 } else { 0.95 }));
    let throttled = forecast(&|slot| {
        // On two days in three the battery is full by the afternoon.
        let full = slot.since(START).div_euclid(DAY) % 3 != 0;
        (!(full && afternoon(slot))).then(|| clear(slot) * 0.95)
    });
    for lead in [23_i64, 24, 71] {
        let truth = clear(shaded.issued.plus(lead));
        let said = |of: &Forecast| f64::from(of.p50[lead as usize]) / truth;
        assert!((said(&shaded) - 0.3).abs() < 0.06, "shaded, {lead}: {}", said(&shaded));
        assert!((said(&throttled) - 0.95).abs() < 0.06, "throttled, {lead}: {}", said(&throttled));
    }
    // Where it is always throttled the slots beside tell.
    let always = forecast(&|slot| (!afternoon(slot)).then(|| clear(slot) * 0.95));
    let said = f64::from(always.p50[24]) / clear(always.issued.plus(24));
    assert!(said > 0.7, "{said}");
}

#[test]
fn dust_that_settles_is_followed_and_so_is_the_rain_that_washes_it_off() {
    let panels = array(NAIROBI);
    let ratio_after = |days: i64| {
        let mut hub = hub();
        let history = lived(&mut hub, days, &Zone::utc(), |slot| {
            // 1 % a day for 30 days, then rain.
            let day = slot.since(START).div_euclid(DAY);
            Some(panels.clear_sky_mean(slot, None).0 * if day < 30 { 1.0 - 0.01 * day as f64 } else { 1.0 })
        });
        let forecast = hub.forecast(&history, START.plus(days * DAY), &Zone::utc()).unwrap();
        let noon = forecast.issued.plus(19);
        f64::from(forecast.p50[19]) / panels.clear_sky_mean(noon, None).0
    };
    let (dirty, washed) = (ratio_after(30), ratio_after(40));
    assert!((0.65..0.85).contains(&dirty), "{dirty}, in truth 0.7");
    assert!(washed > 0.93, "{washed}, in truth 1");
}

#[test]
fn the_daylight_tells_roughly_where_the_array_stands() {
    for place in [LYON, NAIROBI, (-33.87, 151.21), (37.77, -122.42)] {
        let mut hub = hub();
        let panels = PvArray::new(
            Location::new(place.0, place.1).unwrap(),
            Watts(900.0),
            20.0,
            if place.0 < 0.0 { 0.0 } else { 180.0 },
        )
        .unwrap();
        let zone = if place == LYON { "Europe/Paris" } else { "UTC" };
        let zone = match place {
            NAIROBI => Zone::named("Africa/Nairobi"),
            (-33.87, _) => Zone::named("Australia/Sydney"),
            (37.77, _) => Zone::named("America/Los_Angeles"),
            _ => Zone::named(zone),
        }
        .unwrap();
        assert_eq!(hub.place(), None);
        lived(&mut hub, 60, &zone, clouded(panels));
        let found = hub.place().unwrap();
        assert!((found.latitude() - place.0).abs() < 15.0, "{place:?}: {found:?}");
        assert!((found.longitude() - place.1).abs() < 6.0, "{place:?}: {found:?}");
    }
}

#[test]
fn a_stored_state_goes_on_where_it_stopped_and_stays_small() {
    let (zone, power) = (Zone::utc(), clouded(array(NAIROBI)));
    let mut online = hub();
    let mut history = lived(&mut online, 12, &zone, &power);
    let stored = postcard::to_stdvec(online.state()).unwrap();
    let state: PvAdaptation = postcard::from_bytes(&stored).unwrap();
    let mut resumed = AdaptivePv::new(None, state.checked().unwrap());
    for slot in (12 * DAY..16 * DAY).map(|place| START.plus(place)) {
        history.record(slot, power(slot).map(|watts| watts as f32));
        online.learn(&history, slot.plus(1), &zone);
    }
    // The other was off for four days and reads them from the history.
    resumed.learn(&history, history.end(), &zone);
    assert!(online.state() == resumed.state(), "the state differs after a restart");
    let size = postcard::to_stdvec(online.state()).unwrap().len();
    assert!(size < 7000 && size.abs_diff(stored.len()) < 16, "{} bytes, then {size}", stored.len());
}

#[test]
fn a_spoiled_state_is_refused() {
    let whole = postcard::to_stdvec(&PvAdaptation::default()).unwrap();
    let mut spoiled = whole.clone();
    let middle = whole.len() / 2;
    spoiled[middle..middle + 8].fill(0xff);
    let read = postcard::from_bytes::<PvAdaptation>(&spoiled).ok().and_then(|state| state.checked().ok());
    assert!(read.is_none());
}

#[test]
fn from_the_second_day_there_is_a_forecast_with_dark_nights() {
    let panels = array(NAIROBI);
    let mut hub = hub();
    let history = lived(&mut hub, 1, &Zone::utc(), |slot| Some(0.8 * panels.clear_sky_mean(slot, None).0));
    let forecast = hub.forecast(&history, START.plus(DAY), &Zone::utc()).unwrap();
    let noon = panels.clear_sky_mean(forecast.issued.plus(19), None).0 as f32;
    assert!((forecast.p50[19] / noon - 0.8).abs() < 0.15, "{} of {noon}", forecast.p50[19]);
    assert!(forecast.p90[40] < 1.0 && forecast.p90[1] < 1.0, "{:?}", forecast.p90);
    assert!(hub.forecast(&SlotHistory::new(), START, &Zone::utc()).is_err());
}

/// Mean error of the median in daylight over 90 days, W, of a hub that is told the weather at midnight: what
/// `foretold` says of a slot, of two days.
fn error_when(
    quantity: WeatherQuantity,
    foretold: impl Fn(Slot) -> Option<f64>,
) -> (f64, Vec<(&'static str, f64)>) {
    let (zone, panels) = (Zone::utc(), array(LYON));
    let power = clouded(panels);
    let (mut hub, mut history, mut weather) = (hub(), SlotHistory::new(), Weather::default());
    let (mut sum, mut count) = (0.0, 0.0);
    for place in 0..120 * DAY {
        let issued = START.plus(place);
        if place % DAY == 0 {
            let values =
                (0..2 * DAY).map(|lead| foretold(issued.plus(lead)).map(|value| value as f32)).collect();
            weather.add(WeatherForecast { issued: issued.start(), quantity, first: issued, values });
            if place >= 30 * DAY {
                let forecast = hub.forecast_with(&history, &weather, issued, &zone).unwrap();
                assert!(is_a_forecast(&forecast));
                for lead in 14..40 {
                    let truth = power(issued.plus(lead)).unwrap() as f32;
                    sum += f64::from((truth - forecast.p50[lead as usize]).abs());
                    count += 1.0;
                }
            }
        }
        history.record(issued, power(issued).map(|watts| watts as f32));
        hub.learn_with(&history, &weather, issued.plus(1), &zone);
    }
    (sum / count, hub.weights(0))
}

#[test]
fn a_weather_forecast_is_believed_as_far_as_it_is_worth() {
    let day = |slot: Slot| slot.since(START).div_euclid(DAY);
    let luck = |slot: Slot, seed: u64| noise(seed ^ (slot.0 as u64 / 8) << 9);
    let (without, weights) = error_when(WeatherQuantity::CloudCover, |_| None);
    println!("without {without:.0} W, {weights:?}");
    // Wrong by up to a tenth of the sky, every four hours anew.
    let cover = |slot: Slot| (1.0 - weather(day(slot)) + 0.2 * (luck(slot, 3) - 0.5)).clamp(0.0, 1.0);
    let (good, weights) = error_when(WeatherQuantity::CloudCover, |slot| Some(cover(slot)));
    println!("with a good one {good:.0} W, {weights:?}");
    assert!(good < 0.7 * without, "{good} W, {without} W without");
    assert!(weights[7].1 > 0.5, "{weights:?}");
    let panels = array(LYON);
    let irradiance = |slot: Slot| panels.clear_sky_mean(slot, None).0 * 0.7 * (1.0 - cover(slot));
    let (irradiance, _) = error_when(WeatherQuantity::GlobalIrradiance, |slot| Some(irradiance(slot)));
    println!("with its irradiance {irradiance:.0} W");
    assert!(irradiance < 0.75 * without, "{irradiance} W, {without} W without");
    // On one day in two there is none.
    let (half, _) = error_when(WeatherQuantity::CloudCover, |slot| (day(slot) % 2 == 0).then(|| cover(slot)));
    println!("with a good one every other day {half:.0} W");
    assert!(half < 0.95 * without, "{half} W, {without} W without");
    // Nothing but noise, and the same every day.
    for (what, garbage) in [
        ("noise", error_when(WeatherQuantity::CloudCover, |slot| Some(luck(slot, 99)))),
        ("always dull", error_when(WeatherQuantity::CloudCover, |_| Some(1.0))),
        ("absurd", error_when(WeatherQuantity::GlobalIrradiance, |slot| Some(1e9 * luck(slot, 7) - 1e9))),
    ] {
        println!("{what}: {:.0} W, {:?}", garbage.0, garbage.1);
        assert!(garbage.0 < 1.04 * without, "{what}: {} W, {without} W without", garbage.0);
    }
}

#[test]
fn a_weather_forecast_that_comes_after_the_issue_is_not_used() {
    let (zone, power) = (Zone::utc(), clouded(array(NAIROBI)));
    let mut hub = hub();
    let history = lived(&mut hub, 20, &zone, power);
    let issued = START.plus(20 * DAY);
    let mut weather = Weather::default();
    for day in 0..21 {
        let first = START.plus(day * DAY);
        let values = (0..2 * DAY).map(|lead| Some(noise((lead / 6 + day * 100) as u64) as f32)).collect();
        let quantity = WeatherQuantity::CloudCover;
        weather.add(WeatherForecast { issued: first.start(), quantity, first, values });
    }
    let expected = hub.forecast_with(&history, &weather, issued, &zone).unwrap();
    assert_ne!(expected, hub.forecast(&history, issued, &zone).unwrap());
    weather.add(WeatherForecast {
        issued: issued.start() + 1,
        quantity: WeatherQuantity::CloudCover,
        first: issued,
        values: vec![Some(1.0); 96],
    });
    assert_eq!(hub.forecast_with(&history, &weather, issued, &zone).unwrap(), expected);
}
