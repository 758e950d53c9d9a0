//! From the slots of a site to the rows a model is fitted to, through the code of the hub: its history,
//! filled slot by slot, and its `load_rows` at each issue. One site is in memory at a time.

use core::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use arrow_array::{Array, ArrayRef, Float32Array, Int64Array, RecordBatch, StringArray};
use arrow_schema::{DataType, Field, Schema, SchemaRef};
use datafusion::common::cast::{as_float32_array, as_int64_array, as_string_array};
use sunkeep_models::digest::sha256_hex;
use sunkeep_models::history::SlotHistory;
use sunkeep_models::load_features::{COLUMNS, WIDTH, load_rows};
use sunkeep_models::time::{SLOTS_PER_DAY, Slot, Zone};

use super::error::LakeError;
use super::parquet_file::{TableWriter, read};
use super::plan::{PartFeatures, PassSlots};

/// The one file in each folder `slot_of_day=NN`.
pub const FEATURES_FILE: &str = "features.parquet";
/// Rows of a row group of unfinished files: 48 of them are held at a time.
const GROUP_ROWS: usize = 2048;
/// Issues that are made together, about: each part writes 48 files of its own.
const PART_ISSUES: u64 = 500;
/// Slots that one site may have: half a century.
const MOST_SITE_SLOTS: usize = 1_000_000;
/// Slots after the last measured one in which an issue can still have features: they need something of the
/// last seven days, whatever the zone.
const REACH: i64 = 9 * SLOTS_PER_DAY as i64;
/// Issues fall on every slot of the day where the stride is prime to their number.
const LEAST_STRIDE: i64 = 7;

/// Columns of the feature table: `site`, `issued` and `target_slot` (slots), `level` (W), the features, and
/// `target`: the load of the target slot over the level.
pub fn features_schema() -> SchemaRef {
    let mut fields = vec![
        Field::new("site", DataType::Utf8, false),
        Field::new("issued", DataType::Int64, false),
        Field::new("target_slot", DataType::Int64, false),
        Field::new("level", DataType::Float32, false),
    ];
    fields.extend(COLUMNS.map(|name| Field::new(name, DataType::Float32, false)));
    fields.push(Field::new("target", DataType::Float32, false));
    Arc::new(Schema::new(fields))
}

/// Folder of a local slot of the day.
pub fn slot_folder(slot: usize) -> String {
    format!("slot_of_day={slot:02}")
}

/// Slots between two issues of a site, for so many slots of all sites and about so many issues at the most.
pub(super) fn stride(slots: u64, most_issues: u64) -> i64 {
    let mut stride = LEAST_STRIDE.max(slots.div_ceil(most_issues.max(1)) as i64);
    while stride % 2 == 0 || stride % 3 == 0 {
        stride += 1;
    }
    stride
}

/// Which of the slots of each stride is an issue of this site: the sites of a large fleet, with few issues
/// each, must not all be asked in the same hours of the same days.
fn offset(site: &str, stride: i64) -> i64 {
    let digest = sha256_hex(site.as_bytes());
    let number = u64::from_str_radix(digest.get(..15).unwrap_or_default(), 16).unwrap_or(0);
    number as i64 % stride
}

/// The passes whose rows of features are made together, so that no file is small because a pass is.
pub(super) fn parts(passes: &[PassSlots], stride: i64) -> Vec<Range<usize>> {
    let mut parts: Vec<Range<usize>> = Vec::new();
    let mut slots = 0;
    for (number, pass) in passes.iter().enumerate() {
        match parts.last_mut() {
            Some(part) if slots < PART_ISSUES * stride.unsigned_abs() => part.end = number + 1,
            _ => {
                slots = 0;
                parts.push(number..number + 1);
            }
        }
        slots += pass.slots;
    }
    parts
}

/// The file of one slot of the day in the folder of a part.
pub(super) fn file(folder: &Path, slot: usize) -> PathBuf {
    folder.join(format!("{slot:02}.parquet"))
}

/// Makes the rows of the sites of some slot tables and writes them into a folder, a file for each local slot of
/// the day. `zone` says where the days of a site begin; a site without one is left out.
pub(super) fn make<'z>(
    slots: &[PathBuf],
    folder: &Path,
    stride: i64,
    zone: impl Fn(&str) -> Option<&'z Zone>,
) -> Result<PartFeatures, LakeError> {
    std::fs::create_dir_all(folder).map_err(LakeError::output(folder, "create"))?;
    let schema = features_schema();
    let mut tables: Vec<Table> = (0..SLOTS_PER_DAY)
        .map(|slot| Ok(Table::new(TableWriter::passing(&file(folder, slot), &schema, GROUP_ROWS, true)?)))
        .collect::<Result<_, LakeError>>()?;
    let mut done = PartFeatures { rows: vec![0; SLOTS_PER_DAY], ..PartFeatures::default() };
    for slots in slots {
        each_site(slots, |site| {
            if let Some(zone) = zone(&site.name) {
                let issues = site.add_rows(stride, zone, &mut tables, &mut done.rows)?;
                done.issues += issues;
                done.sites += u64::from(issues > 0);
            } else {
                done.zoneless += 1;
                done.noted.add("sites_without_zone", site.name.clone());
            }
            Ok(())
        })?;
    }
    tables.into_iter().try_for_each(Table::finish)?;
    Ok(done)
}

/// Hands on the sites of a slot table, one after the other.
fn each_site(slots: &Path, mut each: impl FnMut(&Site) -> Result<(), LakeError>) -> Result<(), LakeError> {
    let mut site = Site::default();
    for batch in read(slots)? {
        let batch = batch.map_err(|error| LakeError::table(slots)(error.into()))?;
        let failed = LakeError::query("read the slots");
        let names = as_string_array(batch.column(0)).map_err(&failed)?;
        let places = as_int64_array(batch.column(1)).map_err(&failed)?;
        let loads = as_float32_array(batch.column(2)).map_err(&failed)?;
        for row in 0..batch.num_rows() {
            if names.value(row) != site.name {
                if !site.slots.is_empty() {
                    each(&site)?;
                }
                site = Site { name: names.value(row).to_owned(), slots: Vec::new() };
            }
            let load = (!loads.is_null(row)).then(|| loads.value(row));
            site.slots.push((Slot(places.value(row)), load));
            if site.slots.len() > MOST_SITE_SLOTS {
                return Err(LakeError::Bound {
                    what: "the number of slots of a site",
                    found: format!("more than {MOST_SITE_SLOTS} for {:?}", site.name),
                    expected: "less".into(),
                });
            }
        }
    }
    if site.slots.is_empty() { Ok(()) } else { each(&site) }
}

/// The slots of one site, in order.
#[derive(Debug, Default)]
struct Site {
    name: String,
    slots: Vec<(Slot, Option<f32>)>,
}

impl Site {
    /// Lives through the slots and adds the rows of each issue; how many issues gave some.
    fn add_rows(
        &self,
        stride: i64,
        zone: &Zone,
        tables: &mut [Table],
        counts: &mut [u64],
    ) -> Result<u64, LakeError> {
        let (mut history, offset) = (SlotHistory::new(), offset(&self.name, stride));
        let mut issues = 0;
        for (place, (slot, load)) in self.slots.iter().enumerate() {
            history.record(*slot, *load);
            let Some((next, _)) = self.slots.get(place + 1) else { break };
            let last = next.0.min(slot.0 + REACH);
            for issued in (slot.0 + 1..=last).filter(|issued| issued.rem_euclid(stride) == offset).map(Slot) {
                let Some(rows) = load_rows(&history, issued, zone) else { continue };
                issues += 1;
                for (lead, row) in rows.values.chunks_exact(WIDTH).enumerate() {
                    let target = issued.plus(lead as i64);
                    let Some(watts) = self.load(place + 1, target) else { continue };
                    let slot = row[0] as usize;
                    counts[slot] += 1;
                    tables[slot].add(&self.name, issued, target, rows.level, row, watts / rows.level)?;
                }
            }
        }
        Ok(issues)
    }

    /// The load of a slot that lies at this place or after it, W.
    fn load(&self, from: usize, slot: Slot) -> Option<f32> {
        let ahead = &self.slots[from..];
        ahead.binary_search_by_key(&slot, |(slot, _)| *slot).ok().and_then(|place| ahead[place].1)
    }
}

/// The rows of one slot of the day on their way to the file.
struct Table {
    writer: TableWriter,
    sites: Vec<String>,
    issued: Vec<i64>,
    targets: Vec<i64>,
    /// `level`, the features, `target`.
    values: Vec<Vec<f32>>,
}

impl Table {
    fn new(writer: TableWriter) -> Self {
        let values = vec![Vec::new(); WIDTH + 2];
        Self { writer, sites: Vec::new(), issued: Vec::new(), targets: Vec::new(), values }
    }

    fn add(
        &mut self,
        site: &str,
        issued: Slot,
        target: Slot,
        level: f32,
        row: &[f32],
        measured: f32,
    ) -> Result<(), LakeError> {
        self.sites.push(site.to_owned());
        self.issued.push(issued.0);
        self.targets.push(target.0);
        let values = core::iter::once(level).chain(row.iter().copied()).chain([measured]);
        self.values.iter_mut().zip(values).for_each(|(column, value)| column.push(value));
        if self.issued.len() >= GROUP_ROWS { self.flush() } else { Ok(()) }
    }

    fn flush(&mut self) -> Result<(), LakeError> {
        let mut columns: Vec<ArrayRef> = vec![
            Arc::new(StringArray::from_iter_values(self.sites.drain(..))),
            Arc::new(Int64Array::from_iter_values(self.issued.drain(..))),
            Arc::new(Int64Array::from_iter_values(self.targets.drain(..))),
        ];
        for column in &mut self.values {
            columns.push(Arc::new(Float32Array::from_iter_values(column.drain(..))));
        }
        let batch = RecordBatch::try_new(features_schema(), columns)
            .map_err(|error| LakeError::query("lay out the features")(error.into()))?;
        self.writer.write(&batch)
    }

    fn finish(mut self) -> Result<(), LakeError> {
        self.flush()?;
        self.writer.finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sites_are_asked_at_different_times_and_each_always_at_the_same() {
        let stride = 3503;
        let mut hours = [0; SLOTS_PER_DAY];
        for site in 0..4800 {
            let name = format!("site-{site}");
            let first = offset(&name, stride);
            assert!((0..stride).contains(&first) && first == offset(&name, stride));
            hours[first as usize % SLOTS_PER_DAY] += 1;
        }
        assert!(hours.iter().all(|sites| (50..200).contains(sites)), "{hours:?}");
    }

    #[test]
    fn the_stride_keeps_the_bound_and_falls_on_every_slot_of_the_day() {
        for slots in (0..2_000_000).step_by(997) {
            let stride = stride(slots, 10_000);
            assert!(stride >= LEAST_STRIDE && stride % 2 != 0 && stride % 3 != 0);
            assert!(slots / stride as u64 <= 10_000, "{slots}");
        }
    }
}
