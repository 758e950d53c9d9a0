//! A lake of telemetry as a fleet would have gathered it, of simulated homes: to train where nothing was
//! measured, and to see what a lake of any size costs. Quick rather than fine: no hub, no wire.
//!
//! A few homes are simulated in steps of a minute, as [`crate::plant`] has them, and recorded as means of a
//! longer step. The sites of the lake live their lives: site after site takes one of the homes, with its
//! load and panels scaled, some whole days later. Tables and columns are `sunkeep_models::lake`.

use core::time::Duration;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use arrow_array::{
    ArrayRef, BooleanArray, Float32Array, Float64Array, Int64Array, RecordBatch, StringArray,
    TimestampMillisecondArray,
};
use arrow_schema::{ArrowError, SchemaRef};
use parquet::arrow::ArrowWriter;
use parquet::basic::{Compression, ZstdLevel};
use parquet::errors::ParquetError;
use parquet::file::properties::WriterProperties;
use sunkeep_models::lake;

use crate::plant::{HomeError, HomeSpec, SolarHome};

const MINUTE_MS: i64 = 60_000;
const HOUR_MS: i64 = 60 * MINUTE_MS;
const DAY_MS: i64 = 24 * HOUR_MS;
/// Days between two starts of a hub where nothing else restarts it.
const BOOT_DAYS: i64 = 10;
/// By how much a clock that leaps is off, ms.
const LEAP_MS: i64 = 3 * HOUR_MS;
/// Records that a clock stays off.
const LEAP_RECORDS: u32 = 10;
/// Rows of a page: a reader can skip the pages of sites it does not want.
const PAGE_ROWS: usize = 512;

mod draw;
mod lives;

use draw::Draw;
use lives::{Life, Moment};

/// Why there is no lake.
#[derive(Debug, thiserror::Error)]
pub enum LakeWriteError {
    /// A home could not be built.
    #[error("home of seed {seed}: {source}")]
    Home {
        /// Its seed.
        seed: u64,
        /// Why.
        source: HomeError,
    },
    /// A folder or file could not be made.
    #[error("{}: {source}", path.display())]
    File {
        /// Which.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// Parquet refused what was to be written.
    #[error("{}: {source}", path.display())]
    Parquet {
        /// Which file.
        path: PathBuf,
        /// What it said.
        source: ParquetError,
    },
}

/// Which fleet, and for how long.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct LakeSpec {
    /// Sites.
    pub sites: u32,
    /// Days of each.
    pub days: u32,
    /// Seed of the first home; the others follow.
    pub seed: u64,
    /// Homes that are simulated.
    pub homes: u32,
    /// Minutes a record speaks for: a divisor of 30.
    pub step_minutes: u32,
    /// Midnight, UTC, with which all begin, seconds since 1970.
    pub start_unix: i64,
    /// What goes wrong.
    pub faults: Faults,
}

/// What goes wrong in a lake; shares from 0 to 1.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Faults {
    /// Records that arrive a second time.
    pub duplicates: f64,
    /// Boots whose clock is unknown until a correction tells it.
    pub clockless: f64,
    /// Days on which a hub is off.
    pub gaps: f64,
    /// Days on which a clock leaps for some hours.
    pub jumps: f64,
}

/// Writes the lake into a folder; `after_day` hears how many days are written.
pub fn write(spec: &LakeSpec, folder: &Path, mut after_day: impl FnMut(u32)) -> Result<(), LakeWriteError> {
    let homes: Vec<Life> =
        (0..spec.homes.min(spec.sites)).map(|home| Life::simulate(spec, home)).collect::<Result<_, _>>()?;
    let mut hubs: Vec<Hub> = (0..spec.sites).map(|number| Hub::new(spec, number)).collect();
    let mut corrections = Vec::new();
    let start_ms = spec.start_unix * 1000;
    let steps = HOUR_MS / (i64::from(spec.step_minutes) * MINUTE_MS);
    for hour in 0..i64::from(spec.days) * 24 {
        let begin = start_ms + hour * HOUR_MS;
        let mut rows = Vec::with_capacity(hubs.len() * steps as usize);
        for hub in &mut hubs {
            let life = &homes[hub.home];
            rows.append(&mut hub.again);
            for step in 0..steps {
                hub.step(spec, life, hour * steps + step, &mut rows, &mut corrections);
            }
        }
        if !rows.is_empty() {
            let path = folder.join(lake::TELEMETRY).join(lake::hour_folder(begin));
            write_file(&path, "part-0.parquet", &lake::telemetry(), telemetry_columns(&hubs, &rows))?;
        }
        if (hour + 1) % 24 == 0 {
            after_day((hour / 24 + 1) as u32);
        }
    }
    write_tables(spec, folder, &homes, &hubs, &corrections)
}

/// A record on its way into the lake.
#[derive(Debug, Clone, Copy)]
struct Row {
    /// Which hub.
    hub: u32,
    boot: i64,
    sequence: i64,
    uptime_ms: i64,
    wall: Option<i64>,
    moment: Moment,
    scale: f32,
}

/// When a boot began, as was learnt late.
#[derive(Debug, Clone, Copy)]
struct Correction {
    hub: u32,
    boot: i64,
    boot_wall: i64,
}

/// The hub of a site, as far as its records tell of it.
#[derive(Debug)]
struct Hub {
    number: u32,
    home: usize,
    shift_days: i64,
    scale: f32,
    draw: Draw,
    boot: i64,
    boot_wall: i64,
    sequence: i64,
    clockless: bool,
    off: bool,
    leaping: u32,
    /// Records that come a second time, an hour later.
    again: Vec<Row>,
}

impl Hub {
    fn new(spec: &LakeSpec, number: u32) -> Self {
        let mut draw = Draw::new(spec.seed ^ u64::from(number) << 32);
        Self {
            number,
            home: (number % spec.homes) as usize,
            shift_days: i64::from(number / spec.homes),
            scale: 0.5 + 1.5 * draw.unit() as f32,
            draw,
            boot: 0,
            boot_wall: 0,
            sequence: 0,
            clockless: false,
            off: true,
            leaping: 0,
            again: Vec::new(),
        }
    }

    /// One step of the site: the record of it, where there is one.
    fn step(
        &mut self,
        spec: &LakeSpec,
        life: &Life,
        step: i64,
        rows: &mut Vec<Row>,
        corrections: &mut Vec<Correction>,
    ) {
        let step_ms = i64::from(spec.step_minutes) * MINUTE_MS;
        let begin = spec.start_unix * 1000 + step * step_ms;
        let elapsed = step * step_ms;
        if elapsed % DAY_MS == 0 {
            self.day_begins(spec, elapsed / DAY_MS, begin, corrections);
        }
        let repeated = self.draw.unit() < spec.faults.duplicates;
        if self.off {
            return;
        }
        self.sequence += 1;
        // Records end with their interval, a moment before the next one begins.
        let end = begin + step_ms - 1;
        let leap = if self.leaping > 0 { LEAP_MS } else { 0 };
        self.leaping = self.leaping.saturating_sub(1);
        let row = Row {
            hub: self.number,
            boot: self.boot,
            sequence: self.sequence,
            uptime_ms: end - self.boot_wall,
            wall: (!self.clockless).then_some(end + leap),
            moment: life.at(step + self.shift_days * DAY_MS / step_ms),
            scale: self.scale,
        };
        rows.push(row);
        if repeated {
            self.again.push(row);
        }
    }

    /// Decides what goes wrong today, and starts the hub where it was off or is due.
    fn day_begins(&mut self, spec: &LakeSpec, day: i64, now: i64, corrections: &mut Vec<Correction>) {
        let [off, leap, clockless] = [(); 3].map(|()| self.draw.unit());
        let was_off = self.off;
        self.off = off < spec.faults.gaps;
        if self.off {
            return;
        }
        if leap < spec.faults.jumps {
            self.leaping = LEAP_RECORDS;
        }
        if was_off || (day + i64::from(self.number)) % BOOT_DAYS == 0 {
            self.boot += 1;
            // The first interval began a moment after the boot.
            self.boot_wall = now - 1;
            self.clockless = clockless < spec.faults.clockless;
            if self.clockless {
                corrections.push(Correction { hub: self.number, boot: self.boot, boot_wall: self.boot_wall });
            }
        }
    }

    fn site(&self) -> String {
        format!("site-{:06}", self.number)
    }

    fn name(&self) -> String {
        format!("hub-{:06}", self.number)
    }

    fn store(&self) -> String {
        format!("{:032x}", u128::from(self.number) << 64 | 0x5eed)
    }
}

fn telemetry_columns(hubs: &[Hub], rows: &[Row]) -> Vec<ArrayRef> {
    let hub = |row: &Row| &hubs[row.hub as usize];
    let text = |of: &dyn Fn(&Row) -> String| -> ArrayRef {
        Arc::new(StringArray::from_iter_values(rows.iter().map(of)))
    };
    let number = |of: &dyn Fn(&Row) -> i64| -> ArrayRef {
        Arc::new(Int64Array::from_iter_values(rows.iter().map(of)))
    };
    let watts = |of: &dyn Fn(&Row) -> Option<f32>| -> ArrayRef {
        // As a journal keeps them: to 0.1 W.
        let tenths = |watts: f32| (watts * 10.0).round() / 10.0;
        let watts = rows.iter().map(|row| of(row).map(|watts| tenths(watts * row.scale)));
        Arc::new(watts.collect::<Float32Array>())
    };
    let flag = |of: &dyn Fn(&Row) -> Option<bool>| -> ArrayRef {
        Arc::new(rows.iter().map(of).collect::<BooleanArray>())
    };
    let wall = rows.iter().map(|row| row.wall).collect::<TimestampMillisecondArray>().with_timezone("UTC");
    let source: StringArray = rows.iter().map(|row| row.wall.map(|_| "system")).collect();
    let uncertainty: Int64Array = rows.iter().map(|row| row.wall.map(|_| 1000)).collect();
    let mut columns = vec![
        text(&|row| hub(row).site()),
        text(&|row| hub(row).name()),
        text(&|row| hub(row).store()),
        number(&|row| row.boot),
        number(&|row| row.sequence),
        number(&|row| row.uptime_ms),
        number(&|row| row.moment.span_ms),
        Arc::new(wall) as ArrayRef,
        Arc::new(source),
        Arc::new(uncertainty),
        watts(&|row| Some(row.moment.tiers.iter().sum())),
        watts(&|row| Some(row.moment.sun)),
        flag(&|row| Some(row.moment.throttled)),
    ];
    columns.extend([0, 1, 2].map(|tier| watts(&move |row| Some(row.moment.tiers[tier]))));
    columns.push(watts(&|_| None));
    columns.extend([0, 1, 2].map(|tier| flag(&move |row| Some(row.moment.supplied[tier]))));
    columns.push(flag(&|_| None));
    columns.push(Arc::new(Float32Array::from_iter_values(rows.iter().map(|row| row.moment.celsius))));
    columns.push(Arc::new(Float32Array::new_null(rows.len())));
    columns
}

/// Sites, corrections and weather.
fn write_tables(
    spec: &LakeSpec,
    folder: &Path,
    homes: &[Life],
    hubs: &[Hub],
    corrections: &[Correction],
) -> Result<(), LakeWriteError> {
    let text = |names: Vec<String>| -> ArrayRef { Arc::new(StringArray::from(names)) };
    let place = |home: usize| format!("place-{home:03}");
    let life = |hub: &Hub| &homes[hub.home];
    let panels = |which: usize| {
        let values = hubs.iter().map(|hub| life(hub).panels[which]);
        Arc::new(Float64Array::from_iter_values(values)) as ArrayRef
    };
    let sites = vec![
        text(hubs.iter().map(Hub::site).collect()),
        text(hubs.iter().map(|hub| life(hub).zone.clone()).collect()),
        Arc::new(Float64Array::from_iter_values(hubs.iter().map(|hub| life(hub).latitude))) as ArrayRef,
        Arc::new(Float64Array::from_iter_values(hubs.iter().map(|hub| life(hub).longitude))),
        text(hubs.iter().map(|hub| place(hub.home)).collect()),
        panels(0),
        panels(1),
        panels(2),
    ];
    write_file(&folder.join(lake::SITES), "sites.parquet", &lake::sites(), sites)?;
    if !corrections.is_empty() {
        let hub = |correction: &Correction| &hubs[correction.hub as usize];
        let walls = corrections.iter().map(|correction| correction.boot_wall);
        let columns = vec![
            text(corrections.iter().map(|correction| hub(correction).site()).collect()),
            text(corrections.iter().map(|correction| hub(correction).name()).collect()),
            text(corrections.iter().map(|correction| hub(correction).store()).collect()),
            Arc::new(Int64Array::from_iter_values(corrections.iter().map(|correction| correction.boot)))
                as ArrayRef,
            Arc::new(TimestampMillisecondArray::from_iter_values(walls).with_timezone("UTC")),
            Arc::new(Int64Array::from(vec![2000; corrections.len()])),
            text(vec!["broker".into(); corrections.len()]),
        ];
        let folder = folder.join(lake::CORRECTIONS);
        write_file(&folder, "corrections.parquet", &lake::corrections(), columns)?;
    }
    // The air of a home that is lived some days later is not its place's: only the first sites have weather.
    let hours = i64::from(spec.days) * 24;
    let (mut places, mut starts, mut air) = (Vec::new(), Vec::new(), Vec::new());
    for (home, life) in homes.iter().enumerate() {
        for hour in 0..hours {
            places.push(place(home));
            starts.push(spec.start_unix * 1000 + hour * HOUR_MS);
            air.push(life.at(hour * 60 / i64::from(spec.step_minutes)).celsius);
        }
    }
    let nothing = || Arc::new(Float32Array::new_null(air.len())) as ArrayRef;
    let columns = vec![
        text(places),
        Arc::new(TimestampMillisecondArray::from(starts).with_timezone("UTC")) as ArrayRef,
        Arc::new(Float32Array::from(air.clone())),
        nothing(),
        nothing(),
    ];
    write_file(&folder.join(lake::WEATHER), "history.parquet", &lake::weather(), columns)
}

/// Writes one file of a table: renamed into place when it is whole.
fn write_file(
    folder: &Path,
    name: &str,
    schema: &SchemaRef,
    columns: Vec<ArrayRef>,
) -> Result<(), LakeWriteError> {
    let path = folder.join(name);
    let half = path.with_added_extension("half");
    let failed = |source| LakeWriteError::File { path: path.clone(), source };
    let refused = |source| LakeWriteError::Parquet { path: path.clone(), source };
    let broken = |error: ArrowError| refused(error.into());
    fs::create_dir_all(folder).map_err(failed)?;
    let properties = WriterProperties::builder()
        .set_compression(Compression::ZSTD(ZstdLevel::default()))
        .set_data_page_row_count_limit(PAGE_ROWS)
        .set_write_batch_size(PAGE_ROWS)
        .build();
    let file = File::create(&half).map_err(failed)?;
    let mut writer = ArrowWriter::try_new(file, schema.clone(), Some(properties)).map_err(refused)?;
    writer.write(&RecordBatch::try_new(schema.clone(), columns).map_err(broken)?).map_err(refused)?;
    writer.close().map_err(refused)?;
    fs::rename(&half, &path).map_err(failed)
}
