//! Reads a feature table, one slot of the day at a time: never more than [`MOST_SLOT_ROWS`] rows of it.

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::path::{Path, PathBuf};

use ndarray::{Array1, Array2, ShapeBuilder};
use parquet::column::reader::{ColumnReader, ColumnReaderImpl};
use parquet::data_type::DataType;
use parquet::file::reader::{FileReader, RowGroupReader, SerializedFileReader};
use parquet::schema::types::ColumnDescPtr;
use sunkeep_models::load_features::{COLUMNS, WIDTH};
use sunkeep_models::time::{SLOTS_PER_DAY, Slot};

use super::{Facts, IDENTITY, MOST_FILES, MOST_SLOT_ROWS, TARGET, TableError, slot_folder};
use crate::guarded::guarded;
use crate::load_fit::Matrix;

/// A table that was found and counted, not yet read.
#[derive(Debug, Clone, PartialEq)]
pub struct FeatureTable {
    /// What it says of itself.
    pub facts: Facts,
    /// By slot of the day: its files with their rows.
    slots: Vec<Vec<(PathBuf, usize)>>,
}

/// The rows of a slot of the day.
#[derive(Debug, Clone, PartialEq)]
pub struct SlotTable {
    /// Features and targets.
    pub matrix: Matrix,
    /// First and last slot of the targets.
    pub span: Option<(Slot, Slot)>,
    /// Names of the sites.
    pub sites: BTreeSet<String>,
}

impl FeatureTable {
    /// Finds the files of a table and counts their rows.
    pub fn open(folder: &Path) -> Result<Self, TableError> {
        let facts = Facts::read(folder)?;
        let slots: Vec<Vec<(PathBuf, usize)>> = (0..SLOTS_PER_DAY)
            .map(|slot| {
                let inside = folder.join(slot_folder(slot));
                files(&inside)?
                    .into_iter()
                    .map(|file| {
                        let rows = opened(&file)?.metadata().file_metadata().num_rows();
                        Ok((file, usize::try_from(rows).unwrap_or(0)))
                    })
                    .collect::<Result<_, TableError>>()
            })
            .collect::<Result<_, _>>()?;
        let table = Self { facts, slots };
        let found = table.rows();
        match table.facts.rows {
            Some(rows) if rows != found as u64 => Err(TableError::Contents {
                file: folder.into(),
                what: format!(
                    "its files hold {found} rows, {} says {rows}: a part is missing",
                    super::FACTS_FILE
                ),
            }),
            _ => Ok(table),
        }
    }

    /// Rows of the whole table.
    pub fn rows(&self) -> usize {
        (0..SLOTS_PER_DAY).map(|slot| self.slot_rows(slot)).sum()
    }

    /// Rows of a slot of the day.
    pub fn slot_rows(&self, slot: usize) -> usize {
        self.slots[slot].iter().map(|(_, rows)| rows).sum()
    }

    /// Of the rows of a slot of the day, each how-manieth is read, to stay below [`MOST_SLOT_ROWS`].
    pub fn thinning(&self, slot: usize) -> usize {
        self.slot_rows(slot).div_ceil(MOST_SLOT_ROWS).max(1)
    }

    /// Reads each `every`-th row of a slot of the day.
    pub fn slot(&self, slot: usize, every: usize) -> Result<SlotTable, TableError> {
        let count = self.slot_rows(slot).div_ceil(every);
        let mut table = SlotTable {
            matrix: Matrix { rows: Array2::zeros((count, WIDTH).f()), targets: Array1::zeros(count) },
            span: None,
            sites: BTreeSet::new(),
        };
        let mut place = Place { seen: 0, filled: 0, every };
        for (file, _) in &self.slots[slot] {
            let reader = opened(file)?;
            for group in 0..reader.num_row_groups() {
                let rows = guarded(|| reader.get_row_group(group))
                    .map_err(|source| TableError::Parquet { file: file.clone(), source })?;
                let group = Group { file, number: group, rows: &*rows };
                place = group.add_to(&mut table, slot, place)?;
            }
        }
        Ok(table)
    }
}

/// How far a slot of the day was read.
#[derive(Clone, Copy)]
struct Place {
    /// Rows seen.
    seen: usize,
    /// Rows taken.
    filled: usize,
    every: usize,
}

/// One row group with the way to say where something is wrong.
struct Group<'a> {
    file: &'a Path,
    number: usize,
    rows: &'a dyn RowGroupReader,
}

impl Group<'_> {
    /// Adds the rows that are wanted, column by column.
    fn add_to(&self, table: &mut SlotTable, slot: usize, place: Place) -> Result<Place, TableError> {
        let count = usize::try_from(self.rows.metadata().num_rows()).unwrap_or(0);
        // The first row of the group that is wanted.
        let skip = (place.every - place.seen % place.every) % place.every;
        let taken = count.saturating_sub(skip).div_ceil(place.every);
        let end = place.filled + taken;
        if end > table.matrix.targets.len() {
            return Err(self.wrong(&format!("{count} more rows than were counted: the file grew")));
        }
        for (column, name) in COLUMNS.iter().enumerate() {
            let values = self.floats(name, count)?;
            let into = table.matrix.rows.column_mut(column);
            let mut into = into.into_iter().skip(place.filled);
            for value in values.iter().skip(skip).step_by(place.every) {
                if column == 0 && *value != slot as f32 {
                    return Err(self.wrong(&format!("column {name:?} holds {value}, expected {slot}")));
                }
                if let Some(into) = into.next() {
                    // The first column picks the weights; in a fit it is the constant.
                    *into = if column == 0 { 1.0 } else { f64::from(*value) };
                }
            }
        }
        let targets = self.floats(TARGET, count)?;
        for (into, value) in table
            .matrix
            .targets
            .iter_mut()
            .skip(place.filled)
            .zip(targets.iter().skip(skip).step_by(place.every))
        {
            *into = f64::from(*value);
        }
        self.add_identity(table, count)?;
        Ok(Place { seen: place.seen + count, filled: end, ..place })
    }

    /// Sites and span of all rows, also of those that are not taken: a model must not be scored on them.
    fn add_identity(&self, table: &mut SlotTable, count: usize) -> Result<(), TableError> {
        let [site, _, target_slot, _] = IDENTITY;
        let ColumnReader::Int64ColumnReader(reader) = self.column(target_slot)?.0 else {
            return Err(self.wrong(&format!("column {target_slot:?} is not of 64-bit integers")));
        };
        for slot in self.all(reader, target_slot, count)?.into_iter().map(Slot) {
            let (first, last) = table.span.unwrap_or((slot, slot));
            table.span = Some((first.min(slot), last.max(slot)));
        }
        let ColumnReader::ByteArrayColumnReader(reader) = self.column(site)?.0 else {
            return Err(self.wrong(&format!("column {site:?} is not text")));
        };
        let mut newest = None;
        for name in self.all(reader, site, count)? {
            if newest.as_ref() != Some(&name) {
                let text =
                    name.as_utf8().map_err(|error| self.wrong(&format!("column {site:?}: {error}")))?;
                if !table.sites.contains(text) {
                    table.sites.insert(text.to_owned());
                }
                newest = Some(name);
            }
        }
        Ok(())
    }

    fn floats(&self, name: &str, count: usize) -> Result<Vec<f32>, TableError> {
        let ColumnReader::FloatColumnReader(reader) = self.column(name)?.0 else {
            return Err(self.wrong(&format!("column {name:?} is not of 32-bit floats")));
        };
        let values = self.all(reader, name, count)?;
        match values.iter().position(|value| !value.is_finite()) {
            Some(row) => {
                Err(self
                    .wrong(&format!("row {row}: column {name:?} holds {}, expected a number", values[row])))
            }
            None => Ok(values),
        }
    }

    fn column(&self, name: &str) -> Result<(ColumnReader, ColumnDescPtr), TableError> {
        let columns = self.rows.metadata().schema_descr().columns();
        let Some(place) = columns.iter().position(|column| column.path().string() == name) else {
            let names: Vec<String> = columns.iter().map(|column| column.path().string()).collect();
            return Err(self.wrong(&format!("no column {name:?}; it has {}", names.join(", "))));
        };
        let reader = guarded(|| self.rows.get_column_reader(place));
        let reader = reader.map_err(|source| TableError::Parquet { file: self.file.into(), source })?;
        Ok((reader, columns[place].clone()))
    }

    /// All values of a column, of which none may be missing.
    fn all<T: DataType>(
        &self,
        mut reader: ColumnReaderImpl<T>,
        name: &str,
        count: usize,
    ) -> Result<Vec<T::T>, TableError> {
        let (mut values, mut levels) = (Vec::new(), Vec::new());
        let mut read = 0;
        while read < count {
            let more = || reader.read_records(count - read, Some(&mut levels), None, &mut values);
            let (records, _, _) =
                guarded(more).map_err(|source| TableError::Parquet { file: self.file.into(), source })?;
            if records == 0 {
                return Err(self.wrong(&format!("column {name:?} ends after {read} of {count} rows")));
            }
            read += records;
        }
        if values.len() < count {
            let missing = count - values.len();
            return Err(self.wrong(&format!("column {name:?} misses {missing} of {count} values")));
        }
        Ok(values)
    }

    fn wrong(&self, what: &str) -> TableError {
        TableError::Contents { file: self.file.into(), what: format!("row group {}: {what}", self.number) }
    }
}

fn opened(file: &Path) -> Result<SerializedFileReader<File>, TableError> {
    let opened = File::open(file).map_err(|source| TableError::File { file: file.into(), source })?;
    guarded(|| SerializedFileReader::new(opened))
        .map_err(|source| TableError::Parquet { file: file.into(), source })
}

/// The Parquet files of a folder, by name; none where there is no such folder.
fn files(folder: &Path) -> Result<Vec<PathBuf>, TableError> {
    let failed = |source| TableError::File { file: folder.into(), source };
    let entries = match fs::read_dir(folder) {
        Ok(entries) => entries,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(failed(error)),
    };
    let mut files = Vec::new();
    for entry in entries {
        let file = entry.map_err(failed)?.path();
        if file.extension().is_some_and(|extension| extension == "parquet") {
            files.push(file);
        }
        if files.len() > MOST_FILES {
            let what = format!("more than {MOST_FILES} Parquet files");
            return Err(TableError::Contents { file: folder.into(), what });
        }
    }
    files.sort();
    Ok(files)
}
