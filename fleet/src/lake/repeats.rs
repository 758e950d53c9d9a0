//! Which rows of a table are the same record again, and in which order rows are filed.
//!
//! A repeat has the identity and the content of a row that was there before; the time stamp is not content, for it
//! may have been learnt between. Two rows of one identity with different contents are both kept: nobody knows which
//! is true, and whoever reads is to see that.

use core::hash::BuildHasher as _;
use std::collections::HashSet;
use std::hash::RandomState;

use arrow_array::{RecordBatch, UInt32Array};
use arrow_row::{RowConverter, SortField};
use arrow_schema::{ArrowError, Schema};
use arrow_select::take::take_record_batch;

/// Columns that say when, by the hub's clock.
const STAMPS: [&str; 3] = ["wall", "wall_source", "wall_uncertainty_ms"];
/// Columns by which rows are sorted: a reader that wants one site passes over the others.
const ORDER: [&str; 5] = ["site", "hub", "store", "boot", "sequence"];

/// What was seen of a table so far.
pub(super) struct Repeats {
    hashers: [RandomState; 2],
    seen: HashSet<u128>,
    converter: RowConverter,
    columns: Vec<usize>,
}

impl Repeats {
    /// For a table of this schema. Two rows are taken for each other by 128 bits of a hash that nobody can foretell.
    pub(super) fn new(schema: &Schema) -> Result<Self, ArrowError> {
        let columns: Vec<usize> = (0..schema.fields().len())
            .filter(|&place| !STAMPS.contains(&schema.field(place).name().as_str()))
            .collect();
        let fields = columns.iter().map(|&place| SortField::new(schema.field(place).data_type().clone()));
        let converter = RowConverter::new(fields.collect())?;
        let hashers = [RandomState::new(), RandomState::new()];
        Ok(Self { hashers, seen: HashSet::new(), converter, columns })
    }

    /// Forgets what was seen.
    pub(super) fn clear(&mut self) {
        self.seen.clear();
    }

    /// For each row, whether it is of this part of all rows, and new. Parts are so many; a repeat is of the part of
    /// the first.
    pub(super) fn is_new(
        &mut self,
        rows: &RecordBatch,
        part: u64,
        parts: u64,
    ) -> Result<Vec<Verdict>, ArrowError> {
        let columns: Vec<_> = self.columns.iter().map(|&place| rows.column(place).clone()).collect();
        let rows = self.converter.convert_columns(&columns)?;
        let [one, other] = &self.hashers;
        let verdicts = rows.iter().map(|row| {
            let key = one.hash_one(row.as_ref());
            if key % parts != part {
                return Verdict::OtherPart;
            }
            let key = u128::from(key) << 64 | u128::from(other.hash_one(row.as_ref()));
            if self.seen.insert(key) { Verdict::New } else { Verdict::Repeat }
        });
        Ok(verdicts.collect())
    }
}

/// What a row is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Verdict {
    /// Of another part.
    OtherPart,
    /// Of this part, and not seen before.
    New,
    /// Seen before.
    Repeat,
}

/// The rows in the order of the lake.
pub(super) fn in_order(rows: &RecordBatch) -> Result<RecordBatch, ArrowError> {
    let schema = rows.schema();
    let places: Vec<usize> = ORDER.iter().filter_map(|name| schema.index_of(name).ok()).collect();
    let fields = places.iter().map(|&place| SortField::new(schema.field(place).data_type().clone()));
    let converter = RowConverter::new(fields.collect())?;
    let columns: Vec<_> = places.iter().map(|&place| rows.column(place).clone()).collect();
    let keys = converter.convert_columns(&columns)?;
    let mut order: Vec<u32> = (0..rows.num_rows() as u32).collect();
    order.sort_by_key(|&row| keys.row(row as usize));
    take_record_batch(rows, &UInt32Array::from(order))
}
