//! What the lake has not got: hubs number their minutes and, apart from them, their events, so a number that is missing
//! before a newer one was lost on the way (by a broker that forgot what it had acknowledged, say), given up by the hub, or
//! removed from the lake.
//!
//! A record that was thinned stands for as many numbers as it was merged from. How a hub is asked to send
//! something again is not said here.

mod numbers;

use core::hash::BuildHasher as _;
use core::ops::RangeInclusive;
use std::collections::BTreeMap;
use std::hash::RandomState;

use arrow_array::types::Int64Type;
use arrow_array::{Array as _, PrimitiveArray, RecordBatch, StringArray};
use parquet::arrow::ProjectionMask;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use sunkeep_models::lake::{EVENTS, TELEMETRY};

use crate::ingest::FLEET;
use crate::lake::{Lake, LakeError, LakeFile};
use numbers::Known;

/// Ranges and stores that are held at a time; of a larger lake a share of the hubs at a time is looked at.
const MOST_HELD: usize = 1_000_000;
/// Ranges of one store: a hub with more of them numbers its records at random.
const MOST_OF_A_STORE: usize = 20_000;
/// Parts into which hubs are divided at the most.
const MOST_PARTS: u64 = 1024;
/// Longest run of numbers that a thinned record is believed to stand for: half an hour of minutes, and some to spare.
const MOST_THINNED: i64 = 120;
/// Rows that are read together.
const READ_ROWS: usize = 8192;

/// Which of a hub's two counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Count {
    /// Minutes of telemetry.
    Minutes,
    /// Events of all lanes.
    Events,
}

impl Count {
    /// Both.
    pub const ALL: [Self; 2] = [Self::Minutes, Self::Events];

    /// Its word on the command line.
    pub fn word(self) -> &'static str {
        match self {
            Self::Minutes => "minutes",
            Self::Events => "events",
        }
    }

    fn table(self) -> &'static str {
        match self {
            Self::Minutes => TELEMETRY,
            Self::Events => EVENTS,
        }
    }
}

/// What is missing of one count of one store.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Missing {
    /// Name of the hub.
    pub hub: String,
    /// Number of the store, 32 hexadecimal digits.
    pub store: String,
    /// Which count.
    pub count: Count,
    /// Numbers before the first that is there. Where old records are removed from the lake, there are such.
    pub before: Option<RangeInclusive<i64>>,
    /// Numbers after the first that is there, oldest first.
    pub between: Vec<RangeInclusive<i64>>,
    /// The newest number that is there; what may be missing after it nobody here can know.
    pub newest: i64,
    /// The numbers are so scattered that the rest was not looked at.
    pub scattered: bool,
}

/// How gaps are looked for.
#[derive(Debug, Clone, Copy)]
pub struct Search {
    /// Ranges and stores that are held at a time.
    pub most_held: usize,
}

impl Default for Search {
    fn default() -> Self {
        Self { most_held: MOST_HELD }
    }
}

impl Search {
    /// Looks through a lake, and tells of each store of which something is missing, in no order of hubs. Memory is bounded:
    /// a large lake is read several times.
    pub fn run(&self, lake: &Lake, mut found: impl FnMut(Missing)) -> Result<(), LakeError> {
        for count in Count::ALL {
            let files = lake.list(count.table())?;
            let mut shares = vec![Share { part: 0, parts: 1 }];
            let hasher = RandomState::new();
            while let Some(share) = shares.pop() {
                match self.look(lake, &files, &share, &hasher)? {
                    Some(stores) => tell(stores, count, &mut found),
                    None if share.parts < MOST_PARTS => shares.extend(share.halves()),
                    None => {
                        let reason = "its numbers have more gaps than can be held";
                        return Err(LakeError::table(count.table(), "looking for gaps")(reason));
                    }
                }
            }
        }
        Ok(())
    }

    /// The numbers of a share of the hubs; nothing where they do not fit.
    fn look(
        self,
        lake: &Lake,
        files: &[LakeFile],
        share: &Share,
        hasher: &RandomState,
    ) -> Result<Option<Stores>, LakeError> {
        let fleet = format!("{:032x}", u128::from_be_bytes(FLEET));
        let mut stores = Stores::new();
        let mut held = 0_usize;
        for file in files {
            let refused = |reason: String| LakeError::table(&file.name, "reading its numbers")(reason);
            let opened = ParquetRecordBatchReaderBuilder::try_new(lake.read(&file.name)?);
            let builder = opened.map_err(|error| refused(error.to_string()))?;
            let columns = ["hub", "store", "sequence", "thinned_of"];
            let mask = ProjectionMask::columns(builder.parquet_schema(), columns);
            let reader = builder.with_projection(mask).with_batch_size(READ_ROWS).build();
            for batch in reader.map_err(|error| refused(error.to_string()))? {
                let batch = batch.map_err(|error| refused(error.to_string()))?;
                let columns = Columns::of(&batch).map_err(refused)?;
                for row in 0..columns.sequence.len() {
                    let (hub, store) = (columns.hub.value(row), columns.store.value(row));
                    // What the fleet itself said of a hub is numbered by the time.
                    if *store == *fleet || !share.has(hasher.hash_one((hub, store))) {
                        continue;
                    }
                    held = held.saturating_add_signed(add(&mut stores, hub, store, columns.numbers(row)));
                    if held > self.most_held {
                        return Ok(None);
                    }
                }
            }
        }
        Ok(Some(stores))
    }
}

/// By hub, and by store.
type Stores = BTreeMap<String, BTreeMap<String, Seen>>;

#[derive(Debug, Default)]
struct Seen {
    known: Known,
    scattered: bool,
}

/// Adds numbers to a store; by how much more is held then, a store counting as much as a range.
fn add(stores: &mut Stores, hub: &str, store: &str, numbers: RangeInclusive<i64>) -> isize {
    let is_new = !stores.get(hub).is_some_and(|of| of.contains_key(store));
    if is_new {
        stores.entry(hub.to_owned()).or_default().insert(store.to_owned(), Seen::default());
    }
    let Some(seen) = stores.get_mut(hub).and_then(|of| of.get_mut(store)) else { return 0 };
    let before = seen.known.len();
    if !seen.scattered {
        seen.known.add(*numbers.start(), *numbers.end());
        seen.scattered = seen.known.len() >= MOST_OF_A_STORE;
    }
    seen.known.len().cast_signed() - before.cast_signed() + isize::from(is_new)
}

fn tell(stores: Stores, count: Count, found: &mut impl FnMut(Missing)) {
    for (hub, stores) in stores {
        for (store, seen) in stores {
            let (before, between) = seen.known.missing();
            if before.is_none() && between.is_empty() && !seen.scattered {
                continue;
            }
            let (hub, newest, scattered) = (hub.clone(), seen.known.newest(), seen.scattered);
            found(Missing { hub, store, count, before, between, newest, scattered });
        }
    }
}

/// One of so many parts of all stores, by a hash.
#[derive(Debug)]
struct Share {
    part: u64,
    parts: u64,
}

impl Share {
    fn has(&self, hash: u64) -> bool {
        hash % self.parts == self.part
    }

    fn halves(&self) -> [Self; 2] {
        let parts = 2 * self.parts;
        [Self { part: self.part, parts }, Self { part: self.part + self.parts, parts }]
    }
}

/// The columns of a batch that number it.
struct Columns {
    hub: StringArray,
    store: StringArray,
    sequence: PrimitiveArray<Int64Type>,
    /// A file of an older version has none.
    thinned_of: Option<PrimitiveArray<Int64Type>>,
}

impl Columns {
    fn of(batch: &RecordBatch) -> Result<Self, String> {
        fn column<T: Clone + 'static>(batch: &RecordBatch, name: &str) -> Result<T, String> {
            let column = batch.column_by_name(name).ok_or_else(|| format!("it has no column {name}"))?;
            let read = column.data_type();
            let typed = column.as_any().downcast_ref::<T>();
            typed.cloned().ok_or_else(|| format!("its column {name} holds {read}"))
        }
        Ok(Self {
            hub: column(batch, "hub")?,
            store: column(batch, "store")?,
            sequence: column(batch, "sequence")?,
            thinned_of: column(batch, "thinned_of").ok(),
        })
    }

    /// The numbers that a row stands for.
    fn numbers(&self, row: usize) -> RangeInclusive<i64> {
        let newest = self.sequence.value(row);
        let thinned = self.thinned_of.as_ref().filter(|column| column.is_valid(row));
        let of = thinned.map_or(1, |column| column.value(row)).clamp(1, MOST_THINNED);
        newest.saturating_sub(of - 1)..=newest
    }
}
