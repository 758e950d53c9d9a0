//! Open-Meteo's JSON, as its forecast and archive interfaces answer with `hourly=…`.
//!
//! Its times are local ones of a fixed offset (`utc_offset_seconds`, the one that held when it answered), or seconds
//! since 1970. Radiation is the mean of the hour that ends at the time it stands beside; temperature and clouds are
//! those of that moment, so the mean of an hour is taken from both its ends. (Open-Meteo's documentation, and its
//! issue 1255 about offsets.)

use std::collections::BTreeMap;

use serde::Deserialize;

use super::{HOUR_MS, Place, Quantity, Read, WeatherError, whole_hour};

/// Name, quantity, unit, what a value is multiplied by, and whether it is of the moment rather than of the hour before.
const VARIABLES: [(&str, Quantity, &str, f64, bool); 4] = [
    ("shortwave_radiation", Quantity::Irradiance, "W/m²", 1.0, false),
    ("temperature_2m", Quantity::Temperature, "°C", 1.0, true),
    ("cloud_cover", Quantity::Cloud, "%", 0.01, true),
    // As it was called until 2023.
    ("cloudcover", Quantity::Cloud, "%", 0.01, true),
];

#[derive(Debug, Deserialize)]
struct Answer {
    #[serde(default)]
    error: bool,
    reason: Option<String>,
    latitude: Option<f64>,
    longitude: Option<f64>,
    #[serde(default)]
    utc_offset_seconds: i64,
    hourly: Option<Hourly>,
    #[serde(default)]
    hourly_units: BTreeMap<String, String>,
}

#[derive(Debug, Deserialize)]
struct Hourly {
    time: Vec<Time>,
    #[serde(flatten)]
    variables: BTreeMap<String, serde_json::Value>,
}

#[derive(Debug, Deserialize)]
#[serde(untagged)]
enum Time {
    Unix(i64),
    Local(String),
}

/// Reads the hours of an answer.
pub(super) fn read(text: &str, at: Place<'_>) -> Result<Read, WeatherError> {
    if text.trim_start().starts_with('[') {
        let expected = "one location: ask for one at a time, or part them".to_owned();
        return Err(at.wrong("the answer", "a list of locations", expected));
    }
    let answer: Answer = serde_json::from_str(text)
        .map_err(|error| at.wrong("the answer", &error.to_string(), "Open-Meteo's JSON".into()))?;
    if answer.error {
        let reason = answer.reason.unwrap_or_default();
        return Err(at.wrong("the answer", &reason, "weather: Open-Meteo has refused the question".into()));
    }
    let hourly = answer.hourly.as_ref();
    let hourly = hourly
        .ok_or_else(|| at.wrong("the answer", "no \"hourly\"", "hourly=shortwave_radiation,…".into()))?;
    let times = times(&answer, hourly, at)?;
    let mut read =
        Read { position: answer.latitude.zip(answer.longitude).map(<[f64; 2]>::from), ..Read::default() };
    let mut known = 0;
    for (name, quantity, unit, factor, of_moment) in VARIABLES {
        let Some(values) = hourly.variables.get(name) else { continue };
        known += 1;
        if let Some(found) = answer.hourly_units.get(name).filter(|found| *found != unit) {
            return Err(at.wrong(&format!("hourly_units.{name}"), found, unit.into()));
        }
        let values = numbers(values, times.len()).map_err(|read| {
            at.wrong(&format!("hourly.{name}"), &read, format!("{} numbers or nulls", times.len()))
        })?;
        let values = times.iter().zip(values).filter_map(|(time, value)| Some((*time, value? * factor)));
        if of_moment {
            means(&values.collect(), quantity, &mut read);
        } else {
            values.for_each(|(time, value)| read.set(time - HOUR_MS, quantity, value));
        }
    }
    if known == 0 {
        let found = hourly.variables.keys().take(9).cloned().collect::<Vec<_>>().join(", ");
        let expected = "some of shortwave_radiation, temperature_2m, cloud_cover".into();
        return Err(at.wrong("hourly", &found, expected));
    }
    Ok(read)
}

/// Times, ms since 1970.
fn times(answer: &Answer, hourly: &Hourly, at: Place<'_>) -> Result<Vec<i64>, WeatherError> {
    let wrong = |number: usize, read: &str| {
        let expected = "whole hours of UTC, as by timezone=GMT or timeformat=unixtime".into();
        at.wrong(&format!("hourly.time[{number}]"), read, expected)
    };
    if answer.utc_offset_seconds.abs() > 86_400 {
        let read = answer.utc_offset_seconds.to_string();
        return Err(at.wrong("utc_offset_seconds", &read, "at most a day".into()));
    }
    let one = |(number, time): (usize, &Time)| match time {
        Time::Unix(seconds) => {
            let ms = seconds.checked_mul(1000).and_then(whole_hour);
            ms.ok_or_else(|| wrong(number, &seconds.to_string()))
        }
        Time::Local(text) => {
            let ms = super::store::moment_ms(&format!("{text}Z"));
            // Where the offset is no whole hour, as in India, the hours of the place are not those of the lake.
            let ms = ms.map(|ms| ms - answer.utc_offset_seconds * 1000).and_then(whole_hour);
            ms.ok_or_else(|| wrong(number, &format!("{text}, {} s from UTC", answer.utc_offset_seconds)))
        }
    };
    hourly.time.iter().enumerate().map(one).collect()
}

fn numbers(values: &serde_json::Value, count: usize) -> Result<Vec<Option<f64>>, String> {
    let values = values.as_array().ok_or("no list")?;
    if values.len() != count {
        return Err(format!("{} values", values.len()));
    }
    let number = |value: &serde_json::Value| match value {
        serde_json::Value::Null => Ok(None),
        value => value.as_f64().map(Some).ok_or_else(|| value.to_string()),
    };
    values.iter().map(number).collect()
}

/// Means of hours from values at their ends: of both, or of the one that is known at their beginning.
fn means(values: &BTreeMap<i64, f64>, quantity: Quantity, read: &mut Read) {
    for (start, value) in values {
        let end = values.get(&(start + HOUR_MS));
        read.set(*start, quantity, end.map_or(*value, |end| f64::midpoint(*value, *end)));
    }
}
