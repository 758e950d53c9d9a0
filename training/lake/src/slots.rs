//! From the sums of a slot to its means, and what is no evidence: as a hub judges its own slots, a mean
//! counts where at least half of the slot was measured and nothing in it was masked.

use std::sync::Arc;

use arrow_array::{Array, ArrayRef, Float32Array, Int64Array, RecordBatch, StringArray};
use arrow_schema::{DataType, Field, Schema, SchemaRef};
use datafusion::common::cast::{as_int64_array, as_string_array};
use datafusion::error::DataFusionError;
use sunkeep_models::tally::COVERED;
use sunkeep_models::time::SLOT_SECONDS;

use super::error::LakeError;
use super::parquet_file::TableWriter;
use super::plan::Counts;
use super::query::{COUNTED, WEATHER_COLUMNS};

const SLOT_MS: i64 = SLOT_SECONDS * 1000;
/// Time that records claim of one slot beyond which they contradict each other: a quarter more than it has.
const CLAIMED_MS: i64 = SLOT_MS + SLOT_MS / 4;
/// Rows that are written at a time.
const BATCH: usize = 8192;
/// Quantities with sums: those of `query`, in this order.
const SUMMED: [&str; 4] = ["load", "pv", "ambient", "irradiance"];

/// Columns of the slot table.
pub fn slots_schema() -> SchemaRef {
    let mut fields =
        vec![Field::new("site", DataType::Utf8, false), Field::new("slot", DataType::Int64, false)];
    fields.extend(MEANS.map(|name| Field::new(name, DataType::Float32, true)));
    Arc::new(Schema::new(fields))
}

/// The means of a slot, by the names of their columns.
const MEANS: [&str; 7] = [
    "load_w",
    "pv_w",
    "ambient_c",
    "irradiance_w_m2",
    "weather_temperature_c",
    "weather_irradiance_w_m2",
    "weather_cloud_share",
];

/// What records say of one slot.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
struct Sums {
    /// Time that records claim, ms.
    covered: i64,
    /// Records in which demand was shed.
    shed: i64,
    /// Records in which the sun was throttled.
    throttled: i64,
    /// Of each of [`SUMMED`]: thousandths times ms, and ms.
    means: [(i64, i64); SUMMED.len()],
}

impl Sums {
    fn add(&mut self, other: &Self) {
        self.covered += other.covered;
        self.shed += other.shed;
        self.throttled += other.throttled;
        for (mine, others) in self.means.iter_mut().zip(&other.means) {
            *mine = (mine.0 + others.0, mine.1 + others.1);
        }
    }

    /// The mean of one quantity; `None` where too little of the slot was measured.
    fn mean(&self, quantity: usize) -> Option<f32> {
        let (sum, ms) = self.means[quantity];
        let enough = ms as f64 >= COVERED * SLOT_MS as f64;
        // Both are whole and below 2^53, so that one rounding makes the quotient.
        enough.then(|| (sum as f64 / (ms * 1000) as f64) as f32)
    }
}

/// Makes the slot table of some sites from the rows of the query, which come by site and slot.
pub struct Slots {
    writer: TableWriter,
    /// The part of the last row that lies in the next slot.
    carried: Option<(String, i64, Sums)>,
    sites: Vec<String>,
    numbers: Vec<i64>,
    means: [Vec<Option<f32>>; MEANS.len()],
    counts: Counts,
    measured: Option<(i64, i64)>,
    written: u64,
}

/// What was made.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct Made {
    /// What was read and masked.
    pub(super) counts: Counts,
    /// First and last slot.
    pub(super) span: Option<(i64, i64)>,
    /// Rows of the table.
    pub(super) slots: u64,
}

impl Slots {
    /// Begins the table.
    pub(super) fn new(writer: TableWriter) -> Self {
        Self {
            writer,
            carried: None,
            sites: Vec::with_capacity(BATCH),
            numbers: Vec::with_capacity(BATCH),
            means: Default::default(),
            counts: Counts::default(),
            measured: None,
            written: 0,
        }
    }

    /// Adds rows of the query.
    pub(super) fn add(&mut self, batch: &RecordBatch) -> Result<(), LakeError> {
        let rows = Rows::of(batch).map_err(LakeError::query("read the sums of slots"))?;
        for (name, column) in &rows.counted {
            self.counts.add(name, column.iter().flatten().sum::<i64>().max(0) as u64);
        }
        for row in 0..batch.num_rows() {
            let site = rows.sites.value(row);
            if rows.slots.is_null(row) {
                let records = rows.counted.iter().find(|(name, _)| *name == "records");
                self.counts.add("untimed", records.map_or(0, |(_, column)| column.value(row) as u64));
                continue;
            }
            let slot = rows.slots.value(row);
            let mut sums = rows.here.at(row);
            match self.carried.take() {
                Some((owner, next, carried)) if owner == site && next == slot => sums.add(&carried),
                Some((owner, next, carried)) => self.push(&owner, next, &carried, [None; 3])?,
                None => {}
            }
            self.push(site, slot, &sums, rows.weather(row))?;
            let next = rows.next.at(row);
            self.carried = (next.covered > 0).then(|| (site.to_owned(), slot + 1, next));
        }
        Ok(())
    }

    fn push(
        &mut self,
        site: &str,
        slot: i64,
        sums: &Sums,
        weather: [Option<f32>; 3],
    ) -> Result<(), LakeError> {
        let contradicted = sums.covered > CLAIMED_MS;
        let mut power = |quantity: usize, masked: i64, what: &str| {
            let mean = sums.mean(quantity);
            let cause = match mean {
                _ if masked > 0 => what,
                _ if contradicted => "contradicted",
                None => "too_little_measured",
                Some(_) => "measured",
            };
            self.counts.add(&format!("slots_{}_{cause}", SUMMED[quantity]), 1);
            mean.filter(|_| cause == "measured")
        };
        let (load, pv) = (power(0, sums.shed, "shed"), power(1, sums.throttled, "throttled"));
        let instruments = [2, 3].map(|quantity| sums.mean(quantity).filter(|_| !contradicted));
        let [temperature, irradiance, cloud] = weather;
        let means = [load, pv, instruments[0], instruments[1], temperature, irradiance, cloud];
        for (column, mean) in self.means.iter_mut().zip(means) {
            column.push(mean);
        }
        self.sites.push(site.to_owned());
        self.numbers.push(slot);
        let (first, last) = self.measured.unwrap_or((slot, slot));
        self.measured = Some((first.min(slot), last.max(slot)));
        self.written += 1;
        if self.numbers.len() >= BATCH { self.flush() } else { Ok(()) }
    }

    fn flush(&mut self) -> Result<(), LakeError> {
        let sites = StringArray::from_iter_values(self.sites.drain(..));
        let mut columns: Vec<ArrayRef> =
            vec![Arc::new(sites), Arc::new(Int64Array::from(std::mem::take(&mut self.numbers)))];
        for column in &mut self.means {
            columns.push(Arc::new(Float32Array::from(std::mem::take(column))));
        }
        let batch = RecordBatch::try_new(slots_schema(), columns)
            .map_err(|error| LakeError::query("lay out the slots")(error.into()))?;
        self.writer.write(&batch)
    }

    /// Finishes the table.
    pub(super) fn finish(mut self) -> Result<Made, LakeError> {
        if let Some((site, slot, sums)) = self.carried.take() {
            self.push(&site, slot, &sums, [None; 3])?;
        }
        self.flush()?;
        self.writer.finish()?;
        Ok(Made { counts: self.counts, span: self.measured, slots: self.written })
    }
}

/// The columns of a batch of the query.
struct Rows<'a> {
    sites: &'a StringArray,
    slots: &'a Int64Array,
    counted: Vec<(&'static str, &'a Int64Array)>,
    here: Part<'a>,
    next: Part<'a>,
    weather: Vec<&'a Int64Array>,
}

/// The columns of one part of the rows.
struct Part<'a> {
    covered: &'a Int64Array,
    shed: &'a Int64Array,
    throttled: &'a Int64Array,
    means: Vec<(&'a Int64Array, &'a Int64Array)>,
}

impl<'a> Rows<'a> {
    fn of(batch: &'a RecordBatch) -> Result<Self, DataFusionError> {
        let names = COUNTED.iter().map(|(name, _)| *name).chain(["repeated"]);
        Ok(Self {
            sites: as_string_array(column(batch, "site")?)?,
            slots: numbers(batch, "slot")?,
            counted: names
                .map(|name| Ok((name, numbers(batch, name)?)))
                .collect::<Result<_, _>>()
                .map_err(|error: DataFusionError| error)?,
            here: Part::of(batch, "here")?,
            next: Part::of(batch, "next")?,
            weather: WEATHER_COLUMNS.iter().map(|name| numbers(batch, name)).collect::<Result<_, _>>()?,
        })
    }

    /// Temperature, irradiance and clouds of the hour.
    fn weather(&self, row: usize) -> [Option<f32>; 3] {
        std::array::from_fn(|place| {
            let (sum, count) = (self.weather[2 * place], self.weather[2 * place + 1]);
            let known = !sum.is_null(row) && !count.is_null(row) && count.value(row) > 0;
            known.then(|| (sum.value(row) as f64 / (count.value(row) * 1000) as f64) as f32)
        })
    }
}

impl<'a> Part<'a> {
    fn of(batch: &'a RecordBatch, part: &str) -> Result<Self, DataFusionError> {
        let get = |name: &str| numbers(batch, &format!("{name}_{part}"));
        let means = SUMMED.iter().map(|name| Ok((get(name)?, numbers(batch, &format!("{name}_{part}_ms"))?)));
        Ok(Self {
            covered: get("covered")?,
            shed: get("shed")?,
            throttled: get("throttled")?,
            means: means.collect::<Result<_, DataFusionError>>()?,
        })
    }

    fn at(&self, row: usize) -> Sums {
        let value = |column: &Int64Array| if column.is_null(row) { 0 } else { column.value(row) };
        Sums {
            covered: value(self.covered),
            shed: value(self.shed),
            throttled: value(self.throttled),
            means: std::array::from_fn(|place| {
                let (sum, ms) = self.means[place];
                (value(sum), value(ms))
            }),
        }
    }
}

fn column<'a>(batch: &'a RecordBatch, name: &str) -> Result<&'a ArrayRef, DataFusionError> {
    let missing = || DataFusionError::Internal(format!("the query has no column {name:?}"));
    batch.column_by_name(name).ok_or_else(missing)
}

fn numbers<'a>(batch: &'a RecordBatch, name: &str) -> Result<&'a Int64Array, DataFusionError> {
    as_int64_array(column(batch, name)?)
}
