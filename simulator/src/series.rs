//! Half-hourly series of simulated homes as one Parquet file, for training where nothing was measured.
//!
//! Columns as the forecast benchmark has them: `timestamp` (UTC, start of the interval), `site`, `load_w`
//! and `pv_w` (means, W). These homes have panels and battery to spare, so that the load is what people
//! wanted; a slot in which something was cut all the same is missing. `pv_w` is what the panels could give.

use core::time::Duration;
use std::fs::File;
use std::path::Path;
use std::sync::Arc;

use parquet::basic::{Compression, ZstdLevel};
use parquet::data_type::{ByteArray, ByteArrayType, DataType, FloatType, Int64Type};
use parquet::errors::ParquetError;
use parquet::file::properties::WriterProperties;
use parquet::file::writer::{SerializedFileWriter, SerializedRowGroupWriter};
use parquet::schema::parser::parse_message_type;

use crate::plant::{HomeError, HomeSpec, SolarHome};

const SLOT: Duration = Duration::from_mins(30);
const SLOTS_PER_DAY: u32 = 48;

const SCHEMA: &str = "message series {
    required int64 timestamp (TIMESTAMP(MICROS, true));
    required binary site (UTF8);
    optional float load_w;
    optional float pv_w;
}";

/// Why there is no file.
#[derive(Debug, thiserror::Error)]
pub enum SeriesFileError {
    /// A home could not be built.
    #[error("home of seed {seed}: {source}")]
    Home {
        /// Its seed.
        seed: u64,
        /// Why.
        source: HomeError,
    },
    /// The file could not be made.
    #[error("cannot write {path}: {source}")]
    File {
        /// Which file.
        path: String,
        /// What the system said.
        source: std::io::Error,
    },
    /// Parquet refused what was to be written.
    #[error("cannot write {path}: {source}")]
    Parquet {
        /// Which file.
        path: String,
        /// What it said.
        source: ParquetError,
    },
}

/// Which homes, and for how long.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SeriesSpec {
    /// Number of homes.
    pub homes: u32,
    /// Days of each.
    pub days: u32,
    /// Seed of the first home; the others follow.
    pub seed: u64,
    /// Local midnight, more or less, with which all begin, seconds since 1970.
    pub start_unix: i64,
}

/// One home's slots.
struct Slots {
    start_unix: i64,
    site: String,
    load: Vec<Option<f32>>,
    pv: Vec<Option<f32>>,
}

/// Writes the series. One row group for each home, so that memory does not grow with their number.
pub fn write(spec: SeriesSpec, path: &Path, mut after_home: impl FnMut(u32)) -> Result<(), SeriesFileError> {
    let shown = path.display().to_string();
    let refused = |source| SeriesFileError::Parquet { path: shown.clone(), source };
    let failed = |source| SeriesFileError::File { path: shown.clone(), source };
    // Renamed into place when it is whole, so that nobody trains on half a file.
    let half = path.with_added_extension("half");
    let file = File::create(&half).map_err(failed)?;
    let schema = Arc::new(parse_message_type(SCHEMA).map_err(refused)?);
    let properties =
        WriterProperties::builder().set_compression(Compression::ZSTD(ZstdLevel::default())).build();
    let mut writer = SerializedFileWriter::new(file, schema, Arc::new(properties)).map_err(refused)?;
    for number in 0..spec.homes {
        let seed = spec.seed + u64::from(number);
        let slots = simulate(seed, spec).map_err(|source| SeriesFileError::Home { seed, source })?;
        let mut group = writer.next_row_group().map_err(refused)?;
        write_home(&mut group, &slots).map_err(refused)?;
        group.close().map_err(refused)?;
        after_home(number + 1);
    }
    writer.close().map_err(refused)?;
    std::fs::rename(&half, path).map_err(failed)
}

fn simulate(seed: u64, spec: SeriesSpec) -> Result<Slots, HomeError> {
    let mut home_spec = HomeSpec::from_seed(seed, spec.start_unix);
    let rated = home_spec.array.rated;
    home_spec.array.rated *= 3.0;
    home_spec.battery.capacity *= 3.0;
    home_spec.battery.resistance /= 3.0;
    home_spec.charger.current_limit *= 3.0;
    let mut home = SolarHome::new(home_spec)?.with_grain(Duration::from_mins(1));
    let count = (spec.days * SLOTS_PER_DAY) as usize;
    let mut slots = Slots {
        start_unix: spec.start_unix,
        site: format!("simulated-{seed}"),
        load: Vec::with_capacity(count),
        pv: Vec::with_capacity(count),
    };
    let hours = SLOT.as_secs_f64() / 3600.0;
    for _ in 0..count {
        let before = home.ledger().clone();
        home.advance(SLOT);
        let now = home.ledger();
        let served: f64 = now.served.iter().sum::<f64>() - before.served.iter().sum::<f64>();
        let missing: f64 = now.unserved.iter().sum::<f64>() - before.unserved.iter().sum::<f64>();
        slots.load.push((missing <= 0.0).then_some((served / hours) as f32));
        let available = (now.pv_available - before.pv_available) / hours;
        slots.pv.push(Some((available * rated / home.spec().array.rated) as f32));
    }
    Ok(slots)
}

fn write_home(group: &mut SerializedRowGroupWriter<'_, File>, slots: &Slots) -> Result<(), ParquetError> {
    let rows = slots.load.len();
    let times: Vec<i64> =
        (0..rows as i64).map(|row| (slots.start_unix + row * SLOT.as_secs() as i64) * 1_000_000).collect();
    write_column::<Int64Type>(group, &times, None)?;
    write_column::<ByteArrayType>(group, &vec![ByteArray::from(slots.site.as_str()); rows], None)?;
    for column in [&slots.load, &slots.pv] {
        let present: Vec<f32> = column.iter().copied().flatten().collect();
        let levels: Vec<i16> = column.iter().map(|value| i16::from(value.is_some())).collect();
        write_column::<FloatType>(group, &present, Some(&levels))?;
    }
    Ok(())
}

fn write_column<T: DataType>(
    group: &mut SerializedRowGroupWriter<'_, File>,
    values: &[T::T],
    levels: Option<&[i16]>,
) -> Result<(), ParquetError> {
    if let Some(mut column) = group.next_column()? {
        column.typed::<T>().write_batch(values, levels, None)?;
        column.close()?;
    }
    Ok(())
}
