//! Reading a recorded series: the CSV file of a site and the JSON file with its battery.

use std::fs::File;
use std::io::{BufRead, BufReader};
use std::path::Path;

/// Longest series that is read, rows.
const MOST_ROWS: usize = 1_000_000;
/// Longest line of a series, bytes.
const LONGEST_LINE: usize = 1024;
const HEADER: &str = "timestamp,pv_w,critical_w,important_w,convenience_w";

/// One row of a recorded series.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Row {
    /// Power the panels could deliver, W.
    pub pv: f64,
    /// Demand of each tier while it is on, W.
    pub demand: [f64; 3],
}

/// A recorded series and the battery that belongs to it.
#[derive(Debug, Clone, PartialEq)]
pub struct Series {
    /// File name without its ending.
    pub name: String,
    /// Capacity of the battery, Wh.
    pub battery_wh: f64,
    /// Start of the first row, seconds since 1970.
    pub start_unix: i64,
    /// Length of a row, s.
    pub row_seconds: i64,
    /// The rows, without gaps.
    pub rows: Vec<Row>,
}

/// Why a recorded series cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum SeriesError {
    /// A file cannot be read.
    #[error("cannot read {path}: {source}")]
    Unreadable {
        /// Which file.
        path: String,
        /// What the system said.
        source: std::io::Error,
    },
    /// A file does not hold what it should.
    #[error("{path}, line {line}: {why}")]
    Malformed {
        /// Which file.
        path: String,
        /// Line, from 1.
        line: usize,
        /// What was read and what was expected.
        why: String,
    },
    /// The series does not reach the asked start.
    #[error("the series {name} runs from {first} to {last} (seconds since 1970); {asked} is outside")]
    Outside {
        /// Name of the series.
        name: String,
        /// Its first second.
        first: i64,
        /// The second after its last.
        last: i64,
        /// The start that was asked for.
        asked: i64,
    },
    /// The time zone is unknown.
    #[error(transparent)]
    Zone(#[from] sunkeep_models::time::UnknownZone),
}

impl Series {
    /// Reads `NAME.csv` and the battery from `NAME.json` beside it.
    pub fn read(csv: &Path) -> Result<Self, SeriesError> {
        let battery_wh = read_battery(&csv.with_extension("json"))?;
        let shown = csv.display().to_string();
        let unreadable = |source| SeriesError::Unreadable { path: shown.clone(), source };
        let malformed = |line: usize, why: String| SeriesError::Malformed { path: shown.clone(), line, why };
        let mut reader = BufReader::new(File::open(csv).map_err(unreadable)?);
        let (mut rows, mut times) = (Vec::new(), [0_i64; 2]);
        for number in 1..=MOST_ROWS + 2 {
            let Some(line) = bounded_line(&mut reader).map_err(unreadable)? else { break };
            if number == 1 {
                if line != HEADER {
                    return Err(malformed(1, format!("the header is {line:?}, expected {HEADER:?}")));
                }
                continue;
            }
            let (unix, row) = parse_row(&line).map_err(|why| malformed(number, why))?;
            if rows.len() < 2 {
                times[rows.len()] = unix;
            }
            let expected = times[0] + rows.len() as i64 * (times[1] - times[0]);
            if rows.len() >= 2 && unix != expected {
                let why = format!("the row is for {unix}, expected {expected} (seconds since 1970)");
                return Err(malformed(number, why));
            }
            rows.push(row);
        }
        let row_seconds = times[1] - times[0];
        if rows.len() < 2 || rows.len() > MOST_ROWS || row_seconds <= 0 {
            return Err(malformed(rows.len(), format!("expected 2 to {MOST_ROWS} rows, in order of time")));
        }
        let name = csv.file_stem().map(|stem| stem.to_string_lossy().into_owned()).unwrap_or_default();
        Ok(Self { name, battery_wh, start_unix: times[0], row_seconds, rows })
    }

    /// The second after the last row.
    pub fn end_unix(&self) -> i64 {
        self.start_unix + self.rows.len() as i64 * self.row_seconds
    }
}

/// A line without its ending; `None` at the end of the file. Longer lines are cut, and so refused later.
fn bounded_line(reader: &mut impl BufRead) -> std::io::Result<Option<String>> {
    let mut line = Vec::new();
    let read = std::io::Read::take(&mut *reader, LONGEST_LINE as u64).read_until(b'\n', &mut line)?;
    Ok((read > 0).then(|| String::from_utf8_lossy(&line).trim_end().to_owned()))
}

fn parse_row(line: &str) -> Result<(i64, Row), String> {
    let fields: Vec<_> = line.split(',').collect();
    let [time, numbers @ ..] = fields.as_slice() else { return Err("the line is empty".into()) };
    let unix = (time.parse::<jiff::Timestamp>())
        .map_err(|error| format!("{time:?} is no time in UTC: {error}"))?
        .as_second();
    let mut values = [0.0; 4];
    if numbers.len() != values.len() {
        return Err(format!("{} columns, expected 5", fields.len()));
    }
    for (value, text) in values.iter_mut().zip(numbers) {
        *value = (text.parse::<f64>().ok())
            .filter(|watts| watts.is_finite() && *watts >= 0.0)
            .ok_or_else(|| format!("{text:?} is no power, expected a number of at least 0"))?;
    }
    Ok((unix, Row { pv: values[0], demand: [values[1], values[2], values[3]] }))
}

fn read_battery(path: &Path) -> Result<f64, SeriesError> {
    #[derive(serde::Deserialize)]
    struct Sizing {
        battery_wh: f64,
    }
    let shown = path.display().to_string();
    let text = std::fs::read_to_string(path)
        .map_err(|source| SeriesError::Unreadable { path: shown.clone(), source })?;
    let malformed = |line: usize, why: String| SeriesError::Malformed { path: shown.clone(), line, why };
    let sizing: Sizing =
        serde_json::from_str(&text).map_err(|error| malformed(error.line(), error.to_string()))?;
    if sizing.battery_wh.is_finite() && sizing.battery_wh > 0.0 {
        return Ok(sizing.battery_wh);
    }
    Err(malformed(1, format!("battery_wh is {}, expected more than 0", sizing.battery_wh)))
}
