//! The weather that the fleet foretells to a hub: one message for its place, JSON that a person can read, bounded.
//! `WIRE.md` beside this file describes it.
//!
//! Not here: how it comes to the hub, and what the hub makes of it (`pv::weather`).

use serde::{Deserialize, Serialize};

use super::{Refused, VERSION, at_most, checked_name};
#[cfg(feature = "onnx")]
use crate::pv::weather::{WeatherForecast, WeatherQuantity};
#[cfg(feature = "onnx")]
use crate::time::{SLOT_SECONDS, Slot};

/// Longest message, bytes.
pub const MOST_WEATHER_BYTES: usize = 2048;
/// Most hours of a message: three days, as far as a hub plans.
pub const MOST_HOURS: usize = 72;
const HOUR: i64 = 3600;
/// Moments that a forecast can be issued at, s since 1970: the years 2020 to 2099.
const PLAUSIBLE: core::ops::Range<i64> = 1_577_836_800..4_102_444_800;
/// How long before and after its issue a forecast may begin, s.
const BEGINS: core::ops::RangeInclusive<i64> = -7 * 86_400..=16 * 86_400;

/// What is foretold of the weather of a place, hour by hour. A quantity has a value for each hour, or none at all.
#[derive(Debug, Clone, PartialEq)]
pub struct WeatherMessage {
    /// Name of the place.
    pub place: String,
    /// From when on the fleet knew it, s since 1970. The hub knew it when it came, which may be much later.
    pub issued: i64,
    /// Start of the first hour, s since 1970; a whole hour.
    pub start: i64,
    /// Global horizontal irradiance, mean of the hour, W/m².
    pub irradiance_w_m2: Vec<Option<f32>>,
    /// Share of the sky under clouds, 0 to 1.
    pub cloud_share: Vec<Option<f32>>,
    /// Temperature of the air, °C.
    pub temperature_c: Vec<Option<f32>>,
}

/// As it stands there.
#[derive(Debug, Serialize, Deserialize)]
struct Written {
    v: u64,
    kind: String,
    place: String,
    issued: i64,
    start: i64,
    #[serde(default)]
    irradiance_w_m2: Vec<Option<f64>>,
    #[serde(default)]
    cloud_percent: Vec<Option<f64>>,
    #[serde(default)]
    temperature_c: Vec<Option<f64>>,
}

/// What a quantity may be, and the steps it is written in.
struct Range {
    name: &'static str,
    least: f64,
    most: f64,
    steps: f64,
}

const IRRADIANCE: Range = Range { name: "irradiance_w_m2", least: 0.0, most: 2000.0, steps: 1.0 };
const CLOUD: Range = Range { name: "cloud_percent", least: 0.0, most: 100.0, steps: 1.0 };
const TEMPERATURE: Range = Range { name: "temperature_c", least: -90.0, most: 90.0, steps: 10.0 };

impl WeatherMessage {
    /// Writes it: irradiance in whole W/m², clouds in percent, temperatures in tenths. Refused is what a reader
    /// would refuse.
    pub fn write(&self) -> Result<Vec<u8>, Refused> {
        let steps = |values: &[Option<f32>], factor: f64, range: &Range| {
            let rounded = |value: f32| (f64::from(value) * factor * range.steps).round() / range.steps;
            // Where there is no minus zero nobody wonders about it.
            values.iter().map(|value| value.map(|value| rounded(value) + 0.0)).collect::<Vec<_>>()
        };
        let written = Written {
            v: VERSION,
            kind: "weather".into(),
            place: self.place.clone(),
            issued: self.issued,
            start: self.start,
            irradiance_w_m2: steps(&self.irradiance_w_m2, 1.0, &IRRADIANCE),
            cloud_percent: steps(&self.cloud_share, 100.0, &CLOUD),
            temperature_c: steps(&self.temperature_c, 1.0, &TEMPERATURE),
        };
        written.check()?;
        let text = serde_json::to_string(&written).map_err(|error| Refused::Json(error.to_string()))?;
        // A whole number needs no `.0`; names hold none that a number or a bracket is before.
        let text = text.replace(".0,", ",").replace(".0]", "]");
        at_most("weather message", text.len() as u64, MOST_WEATHER_BYTES)?;
        Ok(text.into_bytes())
    }

    /// Reads what [`Self::write`] wrote; members that are not known are left alone.
    pub fn read(bytes: &[u8]) -> Result<Self, Refused> {
        at_most("weather message", bytes.len() as u64, MOST_WEATHER_BYTES)?;
        let read: Written =
            serde_json::from_slice(bytes).map_err(|error| Refused::Json(error.to_string()))?;
        read.check()?;
        let values = |values: Vec<Option<f64>>, parts: f64| {
            values.into_iter().map(|value| value.map(|value| (value / parts) as f32)).collect()
        };
        Ok(Self {
            place: read.place,
            issued: read.issued,
            start: read.start,
            irradiance_w_m2: values(read.irradiance_w_m2, 1.0),
            cloud_share: values(read.cloud_percent, 100.0),
            temperature_c: values(read.temperature_c, 1.0),
        })
    }

    /// Hours that something is said of.
    pub fn hours(&self) -> usize {
        [&self.irradiance_w_m2, &self.cloud_share, &self.temperature_c]
            .map(Vec::len)
            .into_iter()
            .max()
            .unwrap_or(0)
    }

    /// As the forecast of the sun takes it, slot by slot: irradiance, and clouds. `known` is when the hub had it, s
    /// since 1970; earlier than its issue it cannot have been.
    #[cfg(feature = "onnx")]
    pub fn forecasts(&self, known: i64) -> Vec<WeatherForecast> {
        let slots = |values: &[Option<f32>]| {
            values.iter().flat_map(|value| [*value; (HOUR / SLOT_SECONDS) as usize]).collect::<Vec<_>>()
        };
        let quantities = [
            (WeatherQuantity::GlobalIrradiance, &self.irradiance_w_m2),
            (WeatherQuantity::CloudCover, &self.cloud_share),
        ];
        let told = quantities.into_iter().filter(|(_, values)| !values.is_empty());
        told.map(|(quantity, values)| WeatherForecast {
            issued: known.max(self.issued),
            quantity,
            first: Slot::of(self.start),
            values: slots(values),
        })
        .collect()
    }
}

impl Written {
    fn check(&self) -> Result<(), Refused> {
        if self.v == 0 {
            return Err(Refused::Version(self.v));
        }
        if self.kind != "weather" {
            return Err(Refused::Kind(self.kind.chars().take(64).collect()));
        }
        checked_name(&self.place)?;
        let wrong = |name, found, expected| Refused::Value { name, found, record: 0, expected };
        if !PLAUSIBLE.contains(&self.issued) {
            return Err(wrong("issued", self.issued, "s since 1970, in the years 2020 to 2099"));
        }
        let begins = self.start.checked_sub(self.issued).filter(|after| BEGINS.contains(after));
        if self.start % HOUR != 0 || begins.is_none() {
            return Err(wrong("start", self.start, "a whole hour, a week before to 16 days after the issue"));
        }
        let quantities = [
            (&self.irradiance_w_m2, IRRADIANCE),
            (&self.cloud_percent, CLOUD),
            (&self.temperature_c, TEMPERATURE),
        ];
        let hours = quantities.iter().map(|(values, _)| values.len()).max().unwrap_or(0);
        at_most("weather", hours as u64, MOST_HOURS)?;
        for (values, range) in quantities {
            if !values.is_empty() && values.len() != hours {
                let (name, found) = (range.name.to_owned(), values.len());
                return Err(Refused::Ragged { name, found, expected: hours });
            }
            let within = |value: &f64| (range.least..=range.most).contains(value);
            if let Some(hour) = values.iter().position(|value| value.is_some_and(|value| !within(&value))) {
                let found = values[hour].unwrap_or_default() as i64;
                let expected = "what weather can be";
                return Err(Refused::Value { name: range.name, found, record: hour, expected });
            }
        }
        Ok(())
    }
}
