//! What a hub is told of the weather comes as it was written, within 2 kB, and whatever else comes is refused by name.

#![allow(clippy::unwrap_used, reason = "a test may fail by panicking")]

use proptest::prelude::*;
use sunkeep_models::wire::Refused;
use sunkeep_models::wire::weather::{MOST_HOURS, MOST_WEATHER_BYTES, WeatherMessage};

const START: i64 = 1_795_003_200;

fn three_days() -> WeatherMessage {
    let hours = 0..MOST_HOURS as i32;
    WeatherMessage {
        place: "x".repeat(64),
        issued: START - 3200,
        start: START,
        irradiance_w_m2: hours.clone().map(|hour| (hour != 5).then_some(1000.0 + hour as f32)).collect(),
        cloud_share: hours.clone().map(|_| Some(1.0)).collect(),
        temperature_c: hours.map(|hour| Some((-701 - hour) as f32 / 10.0)).collect(),
    }
}

#[test]
fn the_longest_that_can_be_fits_and_comes_back() {
    let bytes = three_days().write().unwrap();
    println!("{} bytes for {MOST_HOURS} hours", bytes.len());
    assert!(bytes.len() <= MOST_WEATHER_BYTES);
    let read = WeatherMessage::read(&bytes).unwrap();
    assert_eq!(read, three_days());
    assert_eq!(read.hours(), MOST_HOURS);
}

#[cfg(feature = "onnx")]
#[test]
fn the_forecast_of_the_sun_takes_it_slot_by_slot() {
    use sunkeep_models::pv::weather::WeatherQuantity;
    use sunkeep_models::time::Slot;
    let read = WeatherMessage::read(&three_days().write().unwrap()).unwrap();
    let forecasts = read.forecasts(START - 3200 + 50);
    let [sun, cloud] = &*forecasts else { unreachable!("{forecasts:?}") };
    assert_eq!(
        (sun.quantity, cloud.quantity),
        (WeatherQuantity::GlobalIrradiance, WeatherQuantity::CloudCover)
    );
    assert_eq!((sun.first, sun.issued), (Slot::of(START), START - 3150));
    assert_eq!(sun.values.len(), 2 * MOST_HOURS);
    assert_eq!(sun.values[8..12], [Some(1004.0), Some(1004.0), None, None]);
    assert_eq!(read.forecasts(0)[0].issued, START - 3200, "a clock that was not set knows nothing earlier");
    let less = WeatherMessage { irradiance_w_m2: Vec::new(), ..read };
    assert_eq!(less.forecasts(0).len(), 1);
}

#[test]
fn what_cannot_be_is_refused_by_name() {
    let text = String::from_utf8(three_days().write().unwrap()).unwrap();
    let with = |from: &str, to: &str| {
        assert!(text.contains(from), "{from}");
        WeatherMessage::read(text.replacen(from, to, 1).as_bytes()).unwrap_err().to_string()
    };
    let rows = [
        ("\"v\":1", "\"v\":0", "its version is 0"),
        ("weather", "wether", "of the kind \"wether\""),
        ("xx\"", "x/\"", "is no name"),
        ("1795000000", "12", "issued is 12"),
        ("1795003200", "1795003201", "start is 1795003201"),
        ("1795003200", "1799996400", "start is 1799996400"),
        ("1795003200", "-9223372036854775808", "start is -9223372036854775808"),
        ("[1000,", "[2001,", "irradiance_w_m2 is 2001 in record 0"),
        ("[1000,", "[-1,", "irradiance_w_m2 is -1 in record 0"),
        ("[1000,", "[", "\"irradiance_w_m2\" has 71 values for 72"),
        ("[100,", "[100,100,", "73 for the length of the weather"),
        ("[-70.1,", "[1e300,", "temperature_c is"),
        ("\"v\":1", "\"v\":1,\"v\":1", "duplicate field"),
        ("\"start\"", "\"begin\"", "missing field `start`"),
    ];
    for (from, to, reason) in rows {
        let refused = with(from, to);
        assert!(refused.contains(reason), "{to}: {refused}");
    }
    // Of a later version, with what nobody knows yet.
    let later = text.replacen("\"v\":1", "\"v\":2,\"wind\":[1,{\"a\":null}]", 1);
    assert_eq!(WeatherMessage::read(later.as_bytes()).unwrap(), three_days());
    let long =
        text.replacen("\"v\":1", &format!("\"v\":1,\"wind\":\"{}\"", "x".repeat(MOST_WEATHER_BYTES)), 1);
    assert!(matches!(WeatherMessage::read(long.as_bytes()), Err(Refused::TooLong { .. })));
    let many = WeatherMessage { cloud_share: vec![None; 73], ..three_days() };
    assert!(many.write().is_err(), "nor is it written");
}

proptest! {
    #[test]
    fn nothing_that_comes_does_harm(bytes in proptest::collection::vec(any::<u8>(), 0..3000)) {
        let _ = WeatherMessage::read(&bytes);
    }

    #[test]
    fn a_flipped_byte_is_refused_or_within_bounds(place in 0..1500_usize, byte in any::<u8>()) {
        let mut bytes = three_days().write().unwrap();
        let place = place % bytes.len();
        bytes[place] = byte;
        if let Ok(read) = WeatherMessage::read(&bytes) {
            let written = read.write().unwrap();
            let again = WeatherMessage::read(&written).unwrap();
            prop_assert_eq!(again.write().unwrap(), written);
        }
    }
}
