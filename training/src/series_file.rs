//! Reads the series of a Parquet file: columns `timestamp` (start of the interval), `site` and the mean power
//! in W, [`LOAD_COLUMN`] unless another is named. Every error names the file and what was expected of it; values that cannot be a
//! power are masked and counted, never passed on.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::fs::File;
use std::path::{Path, PathBuf};

use parquet::basic::{LogicalType, TimeUnit};
use parquet::column::reader::ColumnReader;
use parquet::data_type::DataType;
use parquet::errors::ParquetError;
use parquet::file::reader::{FileReader, RowGroupReader, SerializedFileReader};
use parquet::schema::types::{ColumnDescPtr, ColumnDescriptor};

use sunkeep_models::time::SLOT_SECONDS;

use crate::guarded::guarded;
use crate::series::{Series, is_step};

/// Power above which a value is taken for a fault of the measurement, W.
pub const ABSURD_WATTS: f64 = 1e6;
/// Name of the column with the load of a site.
pub const LOAD_COLUMN: &str = "load_w";
/// Name of the column with the power of the panels of a site.
pub const PV_COLUMN: &str = "pv_w";
/// Rows a file may have.
pub const MOST_ROWS: i64 = 20_000_000;
/// Steps the series of one site may span.
const MOST_STEPS: i64 = 2_000_000;

/// What a file held.
#[derive(Debug, Clone, PartialEq)]
pub struct SeriesFile {
    /// One series for each site, by name.
    pub series: Vec<Series>,
    /// Values that were masked.
    pub masked: Masked,
}

/// How many values were not read as measurements.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Masked {
    /// Null or NaN.
    pub missing: usize,
    /// Below zero.
    pub negative: usize,
    /// Infinite, or above [`ABSURD_WATTS`].
    pub absurd: usize,
    /// A second value for the same step; the first was kept.
    pub repeated: usize,
}

/// Why a file could not be read.
#[derive(Debug, thiserror::Error)]
pub enum SeriesError {
    /// The file cannot be opened.
    #[error("{}: {source}", file.display())]
    Open {
        /// The file.
        file: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// It is no Parquet file, or a broken one.
    #[error("{}: not a whole Parquet file: {source}", file.display())]
    Parquet {
        /// The file.
        file: PathBuf,
        /// What the reader said.
        source: ParquetError,
    },
    /// The contents are not a load series.
    #[error("{}: {what}", file.display())]
    Contents {
        /// The file.
        file: PathBuf,
        /// What was read and what was expected.
        what: String,
    },
}

/// Reads the load of all sites of a file.
pub fn read_series(file: &Path) -> Result<SeriesFile, SeriesError> {
    read_column(file, LOAD_COLUMN)
}

/// Reads the power in this column of all sites of a file.
pub fn read_column(file: &Path, column: &str) -> Result<SeriesFile, SeriesError> {
    let opened = File::open(file).map_err(|source| SeriesError::Open { file: file.into(), source })?;
    let parquet = |source| SeriesError::Parquet { file: file.into(), source };
    let contents = |what| SeriesError::Contents { file: file.into(), what };
    let reader = guarded(|| SerializedFileReader::new(opened)).map_err(parquet)?;
    let rows = reader.metadata().file_metadata().num_rows();
    if rows == 0 {
        return Err(contents("no rows".into()));
    }
    if rows > MOST_ROWS {
        return Err(contents(format!("{rows} rows, at most {MOST_ROWS} are read")));
    }
    let mut masked = Masked::default();
    let mut sites: BTreeMap<String, BTreeMap<i64, Option<f32>>> = BTreeMap::new();
    for number in 0..reader.num_row_groups() {
        let parquet = |source: ParquetError| {
            parquet(ParquetError::External(format!("row group {number}: {source}").into()))
        };
        let contents = |what| contents(format!("row group {number}: {what}"));
        let group = guarded(|| reader.get_row_group(number)).map_err(parquet)?;
        let group = RowGroup { group: &*group, power: column, parquet: &parquet, contents: &contents };
        let times = group.times()?;
        let names = group.sites()?;
        let watts = group.watts()?;
        for ((time, name), watts) in times.into_iter().zip(names).zip(watts) {
            let watts = masked.check(watts);
            match sites.entry(name).or_default().entry(time) {
                Entry::Occupied(_) => masked.repeated += 1,
                Entry::Vacant(place) => {
                    place.insert(watts);
                }
            }
        }
    }
    let series: Result<Vec<Series>, String> =
        sites.into_iter().map(|(site, values)| regular(site, &values)).collect();
    Ok(SeriesFile { series: series.map_err(contents)?, masked })
}

impl Masked {
    fn check(&mut self, watts: Option<f64>) -> Option<f32> {
        let Some(watts) = watts.filter(|watts| !watts.is_nan()) else {
            self.missing += 1;
            return None;
        };
        if watts < 0.0 {
            self.negative += 1;
        } else if watts > ABSURD_WATTS {
            self.absurd += 1;
        } else {
            return Some(watts as f32);
        }
        None
    }
}

/// Lays the values of a site out in regular steps: the most frequent distance of two times.
fn regular(site: String, values: &BTreeMap<i64, Option<f32>>) -> Result<Series, String> {
    let mut distances: BTreeMap<i64, usize> = BTreeMap::new();
    for (earlier, later) in values.keys().zip(values.keys().skip(1)) {
        *distances.entry(later - earlier).or_default() += 1;
    }
    let step = distances.iter().max_by_key(|(_, count)| **count).map_or(0, |(distance, _)| *distance);
    if !is_step(step) {
        return Err(format!(
            "site {site:?} has steps of {step} s, expected a part of 1800 s, or whole half hours that divide a day"
        ));
    }
    let (Some(first), Some(last)) = (values.keys().next(), values.keys().next_back()) else {
        return Err(format!("site {site:?} has no rows"));
    };
    let count = (last - first) / step + 1;
    if count > MOST_STEPS {
        return Err(format!("site {site:?} spans {count} steps, at most {MOST_STEPS} are read"));
    }
    let mut regular = vec![None; count as usize];
    for (time, watts) in values {
        // Hours may begin at half past, as in zones off by half an hour, but not between slots.
        if (time - first).rem_euclid(step) != 0 || time.rem_euclid(step.min(SLOT_SECONDS)) != 0 {
            return Err(format!(
                "site {site:?} has a row at {time} s, which is no multiple of its step of {step} s"
            ));
        }
        regular[((time - first) / step) as usize] = *watts;
    }
    Ok(Series { site, step, first: *first, values: regular })
}

/// One row group with the ways to say what is wrong with it.
struct RowGroup<'a> {
    group: &'a dyn RowGroupReader,
    /// Column of the power.
    power: &'a str,
    parquet: &'a dyn Fn(ParquetError) -> SeriesError,
    contents: &'a dyn Fn(String) -> SeriesError,
}

impl RowGroup<'_> {
    fn rows(&self) -> usize {
        usize::try_from(self.group.metadata().num_rows()).unwrap_or(0)
    }

    fn column(&self, name: &str) -> Result<(ColumnReader, ColumnDescPtr), SeriesError> {
        let columns = self.group.metadata().schema_descr().columns();
        let Some(place) = columns.iter().position(|column| column.path().string() == name) else {
            let names: Vec<String> = columns.iter().map(|column| column.path().string()).collect();
            return Err((self.contents)(format!("no column {name:?}; it has {}", names.join(", "))));
        };
        let reader = guarded(|| self.group.get_column_reader(place)).map_err(self.parquet)?;
        Ok((reader, columns[place].clone()))
    }

    fn wrong_type(&self, name: &str, column: &ColumnDescriptor, expected: &str) -> SeriesError {
        let found = column.physical_type();
        (self.contents)(format!("column {name:?} holds {found}, expected {expected}"))
    }

    /// Seconds since 1970, rounded down.
    fn times(&self) -> Result<Vec<i64>, SeriesError> {
        let (reader, column) = self.column("timestamp")?;
        let per_second = match column.logical_type_ref() {
            Some(LogicalType::Timestamp(timestamp)) => match timestamp.unit {
                TimeUnit::MILLIS => 1_000,
                TimeUnit::MICROS => 1_000_000,
                TimeUnit::NANOS => 1_000_000_000,
            },
            _ => return Err(self.wrong_type("timestamp", &column, "a timestamp")),
        };
        let ColumnReader::Int64ColumnReader(reader) = reader else {
            return Err(self.wrong_type("timestamp", &column, "a timestamp"));
        };
        self.all(reader, &column)?
            .into_iter()
            .map(|time| {
                let time = time.ok_or_else(|| (self.contents)("a row without a timestamp".into()))?;
                Ok(time.div_euclid(per_second))
            })
            .collect()
    }

    fn sites(&self) -> Result<Vec<String>, SeriesError> {
        let (reader, column) = self.column("site")?;
        let ColumnReader::ByteArrayColumnReader(reader) = reader else {
            return Err(self.wrong_type("site", &column, "text"));
        };
        self.all(reader, &column)?
            .into_iter()
            .map(|name| {
                let name = name.ok_or_else(|| (self.contents)("a row without a site".into()))?;
                let text = name.as_utf8().map_err(self.parquet)?;
                Ok(text.to_owned())
            })
            .collect()
    }

    fn watts(&self) -> Result<Vec<Option<f64>>, SeriesError> {
        let (reader, column) = self.column(self.power)?;
        match reader {
            ColumnReader::FloatColumnReader(reader) => {
                Ok(self.all(reader, &column)?.into_iter().map(|value| value.map(f64::from)).collect())
            }
            ColumnReader::DoubleColumnReader(reader) => self.all(reader, &column),
            _ => Err(self.wrong_type(self.power, &column, "float or double")),
        }
    }

    /// All values of a column, nulls as `None`.
    fn all<T: DataType>(
        &self,
        mut reader: parquet::column::reader::ColumnReaderImpl<T>,
        column: &ColumnDescriptor,
    ) -> Result<Vec<Option<T::T>>, SeriesError> {
        let rows = self.rows();
        let (mut values, mut levels) = (Vec::new(), Vec::new());
        let mut read = 0;
        while read < rows {
            let more = || reader.read_records(rows - read, Some(&mut levels), None, &mut values);
            let (records, _, _) = guarded(more).map_err(self.parquet)?;
            if records == 0 {
                return Err((self.contents)(format!("a column ends after {read} of {rows} rows")));
            }
            read += records;
        }
        if column.max_def_level() == 0 {
            return Ok(values.into_iter().map(Some).collect());
        }
        let mut values = values.into_iter();
        let present = column.max_def_level();
        Ok(levels.into_iter().map(|level| (level == present).then(|| values.next()).flatten()).collect())
    }
}
