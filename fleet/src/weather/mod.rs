//! The weather of places: read from what others publish, kept in the lake, and told to hubs.
//!
//! History and forecasts are two tables. An hour that is not over is never history, and a forecast bears when it was
//! issued and begins where the past ends; so what was foretold cannot pass for what came.
//!
//! Not here: fetching (a user's curl does that), and the message for hubs as bytes (`sunkeep_models::wire::weather`).

mod columns;
mod open_meteo;
mod store;
mod tell;

use std::collections::BTreeMap;
use std::fs::File;
use std::io::Read as _;
use std::path::{Path, PathBuf};

use crate::down::DownError;
use crate::lake::LakeError;
use crate::sites::SitesError;

pub use store::{Imported, forecast, history};
pub use tell::{Told, tell};

/// Longest file that is read, bytes: a century of hours.
const MOST_BYTES: u64 = 64 << 20;
const HOUR_MS: i64 = 3_600_000;
/// Moments that weather can be of, ms since 1970.
const PLAUSIBLE_MS: core::ops::Range<i64> = -946_771_200_000..4_102_444_800_000;

/// Why weather cannot be read, kept or told.
#[derive(Debug, thiserror::Error)]
pub enum WeatherError {
    /// The file cannot be read.
    #[error("{path}: {doing}: {source}")]
    File {
        /// Which file.
        path: PathBuf,
        /// What was tried.
        doing: &'static str,
        /// What the system said.
        source: std::io::Error,
    },
    /// It holds something else.
    #[error("{path}: {place}: read {read}, expected {expected}")]
    Content {
        /// Which file.
        path: PathBuf,
        /// Where in it.
        place: String,
        /// What stands there.
        read: String,
        /// What should.
        expected: String,
    },
    /// A place that cannot be one.
    #[error("--place {0:?}: expected 1 to 64 letters, digits, _, - or .")]
    Place(String),
    /// A moment that a forecast cannot have been issued at.
    #[error("--issued: read {read}, expected a moment before now, {now} (ms since 1970)")]
    Issued {
        /// Ms since 1970.
        read: i64,
        /// Ms since 1970.
        now: i64,
    },
    /// Nothing that could be kept.
    #[error("{0}")]
    Nothing(String),
    /// The lake.
    #[error(transparent)]
    Lake(#[from] LakeError),
    /// The fleet's folder.
    #[error(transparent)]
    Sites(#[from] SitesError),
    /// The way to the hubs.
    #[error(transparent)]
    Down(#[from] DownError),
}

/// The weather of an hour; `None` where nothing is said.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Hour {
    /// Temperature of the air, °C.
    pub temperature_c: Option<f32>,
    /// Global horizontal irradiance, mean of the hour, W/m².
    pub irradiance_w_m2: Option<f32>,
    /// Share of the sky under clouds, 0 to 1.
    pub cloud_share: Option<f32>,
}

/// Hours by their start, ms since 1970.
pub type Hours = BTreeMap<i64, Hour>;

/// What a file tells.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Read {
    /// Of each hour.
    pub hours: Hours,
    /// Degrees north and east, where it says so.
    pub position: Option<[f64; 2]>,
    /// Values that no weather can be; they count as not told.
    pub refused: u64,
}

impl Read {
    /// Notes a value, if it can be.
    fn set(&mut self, start_ms: i64, quantity: Quantity, value: f64) {
        let (least, most) = quantity.range();
        if !(least..=most).contains(&value) {
            self.refused += 1;
            return;
        }
        let hour = self.hours.entry(start_ms).or_default();
        *quantity.of(hour) = Some(value as f32);
    }
}

/// What is known of an hour.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Quantity {
    Temperature,
    Irradiance,
    Cloud,
}

impl Quantity {
    /// What it can be; beyond that training would not believe it.
    fn range(self) -> (f64, f64) {
        match self {
            Self::Temperature => (-90.0, 90.0),
            Self::Irradiance => (0.0, 2000.0),
            Self::Cloud => (0.0, 1.0),
        }
    }

    fn of(self, hour: &mut Hour) -> &mut Option<f32> {
        match self {
            Self::Temperature => &mut hour.temperature_c,
            Self::Irradiance => &mut hour.irradiance_w_m2,
            Self::Cloud => &mut hour.cloud_share,
        }
    }
}

/// Reads a file: Open-Meteo's JSON, or CSV.
pub fn read(path: &Path) -> Result<Read, WeatherError> {
    let failed = |doing| move |source| WeatherError::File { path: path.into(), doing, source };
    let mut text = String::new();
    let file = File::open(path).map_err(failed("opening it"))?;
    file.take(MOST_BYTES + 1).read_to_string(&mut text).map_err(failed("reading it"))?;
    let at = Place { path };
    if text.len() as u64 > MOST_BYTES {
        return Err(at.wrong("the file", "more", format!("at most {MOST_BYTES} bytes")));
    }
    let read = match text.trim_start().as_bytes().first() {
        Some(b'{' | b'[') => open_meteo::read(&text, at)?,
        _ => columns::read(&text, at)?,
    };
    if read.hours.is_empty() {
        return Err(at.wrong("the file", "no hour", "weather of some hours".into()));
    }
    Ok(read)
}

/// Where something was read, for errors.
#[derive(Debug, Clone, Copy)]
struct Place<'a> {
    path: &'a Path,
}

impl Place<'_> {
    fn wrong(self, place: &str, read: &str, expected: String) -> WeatherError {
        let read = format!("{:?}", read.chars().take(80).collect::<String>());
        WeatherError::Content { path: self.path.into(), place: place.into(), read, expected }
    }
}

/// The start of an hour, if it is whole and plausible.
fn whole_hour(ms: i64) -> Option<i64> {
    (ms % HOUR_MS == 0 && PLAUSIBLE_MS.contains(&ms)).then_some(ms)
}
