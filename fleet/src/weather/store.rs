//! Weather in the lake: history as one file for each place and month, forecasts as one file for each place and issue.
//! A file is written anew as a whole, so that the same import twice is as once.

use std::collections::BTreeMap;
use std::sync::Arc;

use arrow_array::cast::AsArray as _;
use arrow_array::types::{Float32Type, TimestampMillisecondType};
use arrow_array::{Array as _, ArrayRef, Float32Array, RecordBatch, StringArray, TimestampMillisecondArray};
use arrow_schema::ArrowError;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use sunkeep_models::lake::{self, EXTENSION, PLAUSIBLE_WALL_MS, WEATHER, WEATHER_FORECASTS, hour_folder};
use sunkeep_models::wire::is_name;

use super::{HOUR_MS, Hour, Hours, WeatherError};
use crate::lake::{Lake, LakeError};

/// What was brought into the lake.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Imported {
    /// Hours that are in the lake now.
    pub hours: usize,
    /// Hours that are not of the table: of history those that are not over, of a forecast those that were.
    pub left_out: usize,
    /// Files that were written.
    pub files: usize,
}

/// Brings hours of the past into the lake; what was known of them before stays where nothing new is told. Hours that
/// are not over at `now_ms` are left out.
pub fn history(lake: &Lake, place: &str, hours: &Hours, now_ms: i64) -> Result<Imported, WeatherError> {
    checked(place)?;
    let mut months: BTreeMap<String, Hours> = BTreeMap::new();
    for (start, hour) in hours.range(..=now_ms - HOUR_MS) {
        months.entry(month(*start)).or_default().insert(*start, *hour);
    }
    let kept: usize = months.values().map(Hours::len).sum();
    if kept == 0 {
        let reason = "none of these hours is over: a forecast is no history; import it with --forecast";
        return Err(WeatherError::Nothing(reason.into()));
    }
    let there = lake.list(&format!("{WEATHER}/{place}"))?;
    let files = months.len();
    for (month, told) in months {
        let name = format!("{WEATHER}/{place}/{month}.{EXTENSION}");
        let mut all = Hours::new();
        if there.iter().any(|file| file.name == name) {
            all = read(lake, &name)?;
        }
        for (start, hour) in told {
            let known = all.entry(start).or_default();
            known.temperature_c = hour.temperature_c.or(known.temperature_c);
            known.irradiance_w_m2 = hour.irradiance_w_m2.or(known.irradiance_w_m2);
            known.cloud_share = hour.cloud_share.or(known.cloud_share);
        }
        let rows = rows(place, None, &all).map_err(LakeError::table(&name, "making its rows"))?;
        lake.write(&name, &rows)?;
    }
    Ok(Imported { hours: kept, left_out: hours.len() - kept, files })
}

/// Brings a forecast into the lake, with the moment from which on it was known. Hours that were over by then are left
/// out; another import of the same place and moment takes the place of this one.
pub fn forecast(
    lake: &Lake,
    place: &str,
    hours: &Hours,
    issued_ms: i64,
    now_ms: i64,
) -> Result<Imported, WeatherError> {
    checked(place)?;
    if !PLAUSIBLE_WALL_MS.contains(&issued_ms) || issued_ms > now_ms {
        return Err(WeatherError::Issued { read: issued_ms, now: now_ms });
    }
    let ahead: Hours = hours.range(issued_ms - HOUR_MS + 1..).map(|(start, hour)| (*start, *hour)).collect();
    if ahead.is_empty() {
        let reason = "all of these hours were over when it was issued: import them with --history";
        return Err(WeatherError::Nothing(reason.into()));
    }
    let name = forecast_name(place, issued_ms);
    let rows = rows(place, Some(issued_ms), &ahead).map_err(LakeError::table(&name, "making its rows"))?;
    lake.write(&name, &rows)?;
    Ok(Imported { hours: ahead.len(), left_out: hours.len() - ahead.len(), files: 1 })
}

/// The newest forecast of each place that was issued by then: when, ms since 1970, and in which file.
pub(super) fn newest(lake: &Lake, now_ms: i64) -> Result<BTreeMap<String, (i64, String)>, LakeError> {
    let mut newest: BTreeMap<String, (i64, String)> = BTreeMap::new();
    for file in lake.list(WEATHER_FORECASTS)? {
        let name =
            file.name.rsplit('/').next().and_then(|name| name.strip_suffix(EXTENSION)?.strip_suffix('.'));
        let Some((place, issued)) = name.and_then(|name| name.rsplit_once('-')) else { continue };
        let Some(issued) = issued.parse::<i64>().ok().filter(|issued| *issued <= now_ms) else { continue };
        let known = newest.entry(place.to_owned()).or_insert((i64::MIN, String::new()));
        if issued > known.0 {
            *known = (issued, file.name);
        }
    }
    newest.retain(|_, (issued, _)| *issued > i64::MIN);
    Ok(newest)
}

/// The hours of a file of either table.
pub(super) fn read(lake: &Lake, name: &str) -> Result<Hours, LakeError> {
    let refused = LakeError::table(name, "reading it");
    let reader = ParquetRecordBatchReaderBuilder::try_new(lake.read(name)?).map_err(&refused)?;
    let mut hours = Hours::new();
    for batch in reader.build().map_err(&refused)? {
        let batch = batch.map_err(|error| refused(error.into()))?;
        let column = |column: &str| {
            let found = batch.column_by_name(column);
            found.ok_or_else(|| LakeError::table(name, "reading it")(format!("no column {column:?}")))
        };
        let wrong = || LakeError::table(name, "reading it")("columns of other types than those of the lake");
        let starts = column("start")?.as_primitive_opt::<TimestampMillisecondType>().ok_or_else(wrong)?;
        let value = |name| column(name)?.as_primitive_opt::<Float32Type>().ok_or_else(wrong);
        let [temperatures, irradiances, clouds] =
            [value("temperature_c")?, value("irradiance_w_m2")?, value("cloud_share")?];
        for row in 0..batch.num_rows() {
            let at = |values: &Float32Array| (!values.is_null(row)).then(|| values.value(row));
            let hour = Hour {
                temperature_c: at(temperatures),
                irradiance_w_m2: at(irradiances),
                cloud_share: at(clouds),
            };
            hours.insert(starts.value(row), hour);
        }
    }
    Ok(hours)
}

/// The rows of either table.
fn rows(place: &str, issued_ms: Option<i64>, hours: &Hours) -> Result<RecordBatch, ArrowError> {
    let value = |of: fn(&Hour) -> Option<f32>| -> ArrayRef {
        Arc::new(hours.values().map(of).collect::<Float32Array>())
    };
    let moments = |moments: Vec<i64>| -> ArrayRef {
        Arc::new(TimestampMillisecondArray::from(moments).with_timezone("UTC"))
    };
    let mut columns: Vec<ArrayRef> =
        vec![Arc::new(StringArray::from_iter_values(hours.keys().map(|_| place)))];
    columns.extend(issued_ms.map(|issued| moments(vec![issued; hours.len()])));
    columns.push(moments(hours.keys().copied().collect()));
    columns.push(value(|hour| hour.temperature_c));
    columns.push(value(|hour| hour.irradiance_w_m2));
    columns.push(value(|hour| hour.cloud_share));
    let schema = if issued_ms.is_some() { lake::weather_forecasts() } else { lake::weather() };
    RecordBatch::try_new(schema, columns)
}

fn forecast_name(place: &str, issued_ms: i64) -> String {
    format!("{WEATHER_FORECASTS}/{}/{place}-{issued_ms:013}.{EXTENSION}", hour_folder(issued_ms))
}

/// The month of a moment, as in 2026-11.
fn month(ms: i64) -> String {
    let folder = hour_folder(ms);
    let part =
        |key: &str| folder.split('/').find_map(|part| part.strip_prefix(key)).unwrap_or_default().to_owned();
    format!("{}-{}", part("year="), part("month="))
}

/// A moment with its offset from UTC, as in `2026-11-22T06:00Z`; ms since 1970.
pub(super) fn moment_ms(text: &str) -> Option<i64> {
    text.parse::<jiff::Timestamp>().ok().map(jiff::Timestamp::as_millisecond)
}

fn checked(place: &str) -> Result<(), WeatherError> {
    if is_name(place) { Ok(()) } else { Err(WeatherError::Place(place.into())) }
}
