//! Weather as CSV, in the words of the lake: `start` and some of `temperature_c`, `irradiance_w_m2`, `cloud_share`.

use csv::StringRecord;

use super::{Place, Quantity, Read, WeatherError, whole_hour};

const COLUMNS: [(&str, Quantity); 3] = [
    ("temperature_c", Quantity::Temperature),
    ("irradiance_w_m2", Quantity::Irradiance),
    ("cloud_share", Quantity::Cloud),
];

/// Reads the hours of a file.
pub(super) fn read(text: &str, at: Place<'_>) -> Result<Read, WeatherError> {
    let mut rows =
        csv::ReaderBuilder::new().comment(Some(b'#')).trim(csv::Trim::All).from_reader(text.as_bytes());
    let expected = || "start and some of temperature_c, irradiance_w_m2, cloud_share".to_owned();
    let head = rows.headers().map_err(|error| at.wrong("line 1", &error.to_string(), expected()))?.clone();
    let place = |name: &str| head.iter().position(|column| column == name);
    let start = place("start").ok_or_else(|| at.wrong("line 1", &joined(&head), expected()))?;
    let quantities: Vec<_> =
        COLUMNS.iter().filter_map(|(name, quantity)| Some((*name, place(name)?, *quantity))).collect();
    if quantities.is_empty() || quantities.len() + 1 != head.len() {
        return Err(at.wrong("line 1", &joined(&head), expected()));
    }
    let mut read = Read::default();
    for row in rows.records() {
        let row = row.map_err(|error| {
            let line = error.position().map_or(0, csv::Position::line);
            at.wrong(&format!("line {line}"), &error.to_string(), format!("{} columns", head.len()))
        })?;
        let line = format!("line {}", row.position().map_or(0, csv::Position::line));
        let hour = row.get(start).unwrap_or_default();
        let start_ms = moment(hour).ok_or_else(|| {
            at.wrong(
                &line,
                hour,
                "the start of a whole hour, as in 2026-11-22T06:00Z or in s since 1970".into(),
            )
        })?;
        for (name, column, quantity) in &quantities {
            let text = row.get(*column).unwrap_or_default();
            if text.is_empty() {
                continue;
            }
            let number = text.parse::<f64>().ok();
            let number =
                number.ok_or_else(|| at.wrong(&format!("{line}, {name}"), text, "a number".into()))?;
            read.set(start_ms, *quantity, number);
        }
    }
    Ok(read)
}

fn joined(row: &StringRecord) -> String {
    row.iter().collect::<Vec<_>>().join(",")
}

/// A moment with its offset from UTC, or seconds since 1970; ms since 1970.
fn moment(text: &str) -> Option<i64> {
    let ms = match text.parse::<i64>() {
        Ok(seconds) => seconds.checked_mul(1000)?,
        Err(_) => super::store::moment_ms(text)?,
    };
    whole_hour(ms)
}
