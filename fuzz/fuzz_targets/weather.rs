//! What a hub is told of the weather: refused in few words, or within its bounds and the same once it was written
//! and read again.
#![no_main]

use libfuzzer_sys::fuzz_target;
use sunkeep_models::wire::weather::{MOST_HOURS, MOST_WEATHER_BYTES, WeatherMessage};

fuzz_target!(|data: &[u8]| {
    let message = match WeatherMessage::read(data) {
        Ok(message) => message,
        Err(refused) => {
            let said = refused.to_string();
            assert!(said.len() < 3 * MOST_WEATHER_BYTES, "{said}");
            return;
        }
    };
    assert!(data.len() <= MOST_WEATHER_BYTES && message.hours() <= MOST_HOURS);
    for forecast in message.forecasts(0) {
        assert!(forecast.values.len() <= 2 * MOST_HOURS);
        assert!(forecast.values.iter().flatten().all(|value| value.is_finite() && *value >= 0.0));
    }
    let written = message.write().expect("what was read keeps to the bounds");
    let again = WeatherMessage::read(&written).expect("what was written can be read");
    assert_eq!(again.write().expect("and written again"), written);
});
