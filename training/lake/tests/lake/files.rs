//! Lakes for tests: records of made-up hubs, and the files that hold them.
#![allow(dead_code, reason = "each test file uses its own part")]

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use arrow_array::{
    Array, ArrayRef, BooleanArray, Float32Array, Float64Array, Int64Array, RecordBatch, StringArray,
    TimestampMillisecondArray,
};
use arrow_schema::SchemaRef;
use indicatif::ProgressBar;
use parquet::arrow::ArrowWriter;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use parquet::file::properties::WriterProperties;
use sunkeep_lake::{FEATURES_FILE, FeaturesToml, LakeError, Request, SLOTS_FILE, make_features, slot_folder};
use sunkeep_models::lake;
use sunkeep_models::time::SLOTS_PER_DAY;

/// 2025-03-01T00:00Z, ms.
pub(crate) const START: i64 = 1_740_787_200_000;
pub(crate) const MINUTE: i64 = 60_000;
pub(crate) const SLOT: i64 = 30 * MINUTE;
pub(crate) const DAY: i64 = 48 * SLOT;

/// A record of a hub.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Record {
    pub(crate) site: String,
    pub(crate) hub: String,
    pub(crate) store: String,
    pub(crate) boot: i64,
    pub(crate) sequence: i64,
    pub(crate) uptime: i64,
    pub(crate) span: i64,
    pub(crate) wall: Option<i64>,
    pub(crate) uncertainty: Option<i64>,
    pub(crate) load: Option<f32>,
    pub(crate) pv: Option<f32>,
    pub(crate) throttled: Option<bool>,
    pub(crate) on: [Option<bool>; 4],
    pub(crate) ambient: Option<f32>,
}

impl Record {
    /// When it ended, by its own stamp.
    pub(crate) fn end(&self) -> i64 {
        self.wall.unwrap_or(START)
    }
}

/// Noise in 0..1 that is the same on every machine.
pub(crate) fn noise(seed: u64) -> f64 {
    let mut value = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15);
    value = (value ^ (value >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    value = (value ^ (value >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    (value ^ (value >> 31)) as f64 / u64::MAX as f64
}

/// Records of a site: `step` ms each, one boot that began with the first interval, powers in halves of a W.
pub(crate) fn records(site: &str, start: i64, count: i64, step: i64) -> Vec<Record> {
    let seed = site.bytes().fold(7, |seed, byte| seed * 31 + u64::from(byte));
    (0..count)
        .map(|place| {
            let end = start + (place + 1) * step;
            let hour = (end - 1) % DAY / (60 * MINUTE);
            let usual = if (18..23).contains(&hour) { 300.0 } else { 80.0 };
            let draw = noise(seed ^ (place as u64) << 16);
            Record {
                site: site.into(),
                hub: format!("hub of {site}"),
                store: "00".repeat(16),
                boot: 1,
                sequence: place + 1,
                uptime: (place + 1) * step,
                span: step,
                wall: Some(end),
                uncertainty: Some(1000),
                load: Some(((usual * (0.5 + draw)) as f32 * 2.0).round() / 2.0),
                pv: Some(if (7..17).contains(&hour) { (500.0 * draw) as f32 } else { 0.0 }),
                throttled: Some(false),
                on: [Some(true), Some(true), Some(true), None],
                ambient: Some(20.0),
            }
        })
        .collect()
}

/// The columns of some records.
pub(crate) fn columns(records: &[Record]) -> Vec<ArrayRef> {
    let text = |of: &dyn Fn(&Record) -> String| -> ArrayRef {
        Arc::new(StringArray::from_iter_values(records.iter().map(of)))
    };
    let number = |of: &dyn Fn(&Record) -> i64| -> ArrayRef {
        Arc::new(Int64Array::from_iter_values(records.iter().map(of)))
    };
    let value = |of: &dyn Fn(&Record) -> Option<f32>| -> ArrayRef {
        Arc::new(records.iter().map(of).collect::<Float32Array>())
    };
    let flag = |of: &dyn Fn(&Record) -> Option<bool>| -> ArrayRef {
        Arc::new(records.iter().map(of).collect::<BooleanArray>())
    };
    let wall = records.iter().map(|record| record.wall).collect::<TimestampMillisecondArray>();
    let mut columns = vec![
        text(&|record| record.site.clone()),
        text(&|record| record.hub.clone()),
        text(&|record| record.store.clone()),
        number(&|record| record.boot),
        number(&|record| record.sequence),
        number(&|record| record.uptime),
        number(&|record| record.span),
        Arc::new(wall.with_timezone("UTC")),
        Arc::new(records.iter().map(|record| record.wall.map(|_| "system")).collect::<StringArray>()),
        Arc::new(records.iter().map(|record| record.uncertainty).collect::<Int64Array>()),
        value(&|record| record.load),
        value(&|record| record.pv),
        flag(&|record| record.throttled),
    ];
    columns.extend((0..4).map(|_| value(&|_| None)));
    columns.extend((0..4).map(|tier| flag(&move |record| record.on[tier])));
    columns.push(value(&|record| record.ambient));
    columns.push(value(&|_| None));
    columns
}

/// Writes a table with row groups of 100 rows.
pub(crate) fn write_table(path: &Path, schema: &SchemaRef, columns: Vec<ArrayRef>) {
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    let properties = WriterProperties::builder().set_max_row_group_row_count(Some(100)).build();
    let mut writer =
        ArrowWriter::try_new(File::create(path).unwrap(), schema.clone(), Some(properties)).unwrap();
    writer.write(&RecordBatch::try_new(schema.clone(), columns).unwrap()).unwrap();
    writer.close().unwrap();
}

/// Writes records into one file of the hour of `hour`.
pub(crate) fn write_hour(lake: &Path, hour: i64, name: &str, records: &[Record]) -> PathBuf {
    let path = lake.join(lake::TELEMETRY).join(lake::hour_folder(hour)).join(name);
    write_table(&path, &lake::telemetry(), columns(records));
    path
}

/// Writes records into the files of their hours, and a table of sites in Nairobi.
pub(crate) fn write_lake(lake: &Path, records: &[Record]) {
    let mut hours: std::collections::BTreeMap<i64, Vec<Record>> = std::collections::BTreeMap::new();
    for record in records {
        hours.entry(record.end() / (2 * SLOT)).or_default().push(record.clone());
    }
    for (hour, records) in hours {
        write_hour(lake, hour * 2 * SLOT, "part-0.parquet", &records);
    }
    let mut names: Vec<&str> = records.iter().map(|record| record.site.as_str()).collect();
    names.sort_unstable();
    names.dedup();
    let sites: Vec<(&str, &str)> = names.into_iter().map(|name| (name, "Africa/Nairobi")).collect();
    write_sites(lake, &sites);
}

/// Writes the table of sites: name and zone; the place of each is called as the site.
pub(crate) fn write_sites(lake: &Path, sites: &[(&str, &str)]) {
    let text = |of: &dyn Fn(&(&str, &str)) -> String| -> ArrayRef {
        Arc::new(StringArray::from_iter_values(sites.iter().map(of)))
    };
    let nowhere = || -> ArrayRef { Arc::new(Float64Array::new_null(sites.len())) };
    let columns = vec![
        text(&|site| site.0.into()),
        text(&|site| site.1.into()),
        nowhere(),
        nowhere(),
        text(&|site| site.0.into()),
        nowhere(),
        nowhere(),
        nowhere(),
    ];
    write_table(&lake.join(lake::SITES).join("sites.parquet"), &lake::sites(), columns);
}

/// Writes a correction: a boot of the hub of a site, the wall time of its beginning, its uncertainty.
pub(crate) fn write_corrections(lake: &Path, corrections: &[(&Record, i64, i64)]) {
    let text = |of: &dyn Fn(&Record) -> String| -> ArrayRef {
        Arc::new(StringArray::from_iter_values(corrections.iter().map(|correction| of(correction.0))))
    };
    let walls =
        TimestampMillisecondArray::from_iter_values(corrections.iter().map(|correction| correction.1));
    let columns = vec![
        text(&|record| record.site.clone()),
        text(&|record| record.hub.clone()),
        text(&|record| record.store.clone()),
        Arc::new(Int64Array::from_iter_values(corrections.iter().map(|correction| correction.0.boot))),
        Arc::new(walls.with_timezone("UTC")),
        Arc::new(Int64Array::from_iter_values(corrections.iter().map(|correction| correction.2))),
        text(&|_| "broker".into()),
    ];
    write_table(&lake.join(lake::CORRECTIONS).join("part.parquet"), &lake::corrections(), columns);
}

/// What a test asks for.
pub(crate) fn request(lake: &Path, out: &Path) -> Request {
    Request {
        lake: lake.to_str().unwrap().into(),
        out: out.into(),
        memory: 256 << 20,
        spill: 1 << 30,
        cluster: None,
        issues: 1000,
        sites_per_pass: 1000,
        leave_out_broken: false,
        restart: false,
    }
}

/// Makes the tables.
pub(crate) fn make(request: &Request) -> Result<FeaturesToml, LakeError> {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    runtime.block_on(make_features(request, &ProgressBar::hidden())).map(|(report, _)| report)
}

/// A row of the slot table.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct SlotRow {
    pub(crate) site: String,
    pub(crate) slot: i64,
    /// The means, in the order of the columns.
    pub(crate) means: Vec<Option<f32>>,
}

impl SlotRow {
    pub(crate) fn load(&self) -> Option<f32> {
        self.means[0]
    }

    pub(crate) fn pv(&self) -> Option<f32> {
        self.means[1]
    }
}

fn batches(path: &Path) -> Vec<RecordBatch> {
    let file = File::open(path).unwrap();
    ParquetRecordBatchReaderBuilder::try_new(file).unwrap().build().unwrap().map(Result::unwrap).collect()
}

fn of<T: 'static>(batch: &RecordBatch, column: usize) -> &T {
    batch.column(column).as_any().downcast_ref::<T>().unwrap()
}

/// The slot table.
pub(crate) fn slots(out: &Path) -> Vec<SlotRow> {
    let mut rows = Vec::new();
    for batch in batches(&out.join(SLOTS_FILE)) {
        for row in 0..batch.num_rows() {
            let mean = |column: usize| {
                let values = of::<Float32Array>(&batch, column);
                (!values.is_null(row)).then(|| values.value(row))
            };
            rows.push(SlotRow {
                site: of::<StringArray>(&batch, 0).value(row).into(),
                slot: of::<Int64Array>(&batch, 1).value(row),
                means: (2..batch.num_columns()).map(mean).collect(),
            });
        }
    }
    rows
}

/// A row of the feature table.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct FeatureRow {
    pub(crate) site: String,
    pub(crate) issued: i64,
    pub(crate) target_slot: i64,
    /// `level`, the features, `target`.
    pub(crate) values: Vec<f32>,
}

/// The feature table of one slot of the day.
pub(crate) fn features(out: &Path, slot: usize) -> Vec<FeatureRow> {
    let mut rows = Vec::new();
    for batch in batches(&out.join(slot_folder(slot)).join(FEATURES_FILE)) {
        for row in 0..batch.num_rows() {
            rows.push(FeatureRow {
                site: of::<StringArray>(&batch, 0).value(row).into(),
                issued: of::<Int64Array>(&batch, 1).value(row),
                target_slot: of::<Int64Array>(&batch, 2).value(row),
                values: (3..batch.num_columns())
                    .map(|column| of::<Float32Array>(&batch, column).value(row))
                    .collect(),
            });
        }
    }
    rows
}

/// Every file of the tables, by name, with its bytes.
pub(crate) fn tables(out: &Path) -> Vec<(String, Vec<u8>)> {
    let mut names = vec![SLOTS_FILE.to_owned(), "features.toml".into()];
    names.extend((0..SLOTS_PER_DAY).map(|slot| format!("{}/{FEATURES_FILE}", slot_folder(slot))));
    names.into_iter().map(|name| (name.clone(), fs::read(out.join(&name)).unwrap())).collect()
}
