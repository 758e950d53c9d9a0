//! Compaction: the files of a folder become one, in which every record is once.
//!
//! At every moment each record is in at least one file: the new file is durable before an old one goes. Whoever is
//! killed between leaves repeats, which readers drop and the next compaction too. A file that cannot be read, or
//! whose columns do not go with the others', stays as it is, with its folder, and is named.

use std::collections::BTreeMap;
use std::fs::File;
use std::sync::Arc;

use arrow_array::{BooleanArray, RecordBatch, new_null_array};
use arrow_schema::{Field, Schema, SchemaRef};
use arrow_select::concat::concat_batches;
use arrow_select::filter::filter_record_batch;
use parquet::arrow::ArrowWriter;
use parquet::arrow::arrow_reader::{ParquetRecordBatchReader, ParquetRecordBatchReaderBuilder};
use parquet::file::metadata::ParquetMetaData;
use sunkeep_models::lake::{CORRECTIONS, EVENTS, EXTENSION, TELEMETRY};

use super::repeats::{Repeats, Verdict, in_order};
use super::{Lake, LakeError, LakeFile, properties, unique_name};

/// The tables whose files are put together.
const TABLES: [&str; 3] = [TELEMETRY, EVENTS, CORRECTIONS];
/// Files so made are called so.
const MADE: &str = "compact";
/// Rows whose identities are held at a time: a folder of more becomes several files.
const MOST_HELD: u64 = 2_000_000;
/// Rows, and bytes of them, that are sorted together.
const SORTED_ROWS: usize = 1 << 16;
const SORTED_BYTES: usize = 64 << 20;
/// Rows, and bytes of them, that are read together.
const READ_ROWS: i64 = 8192;
const READ_BYTES: i64 = 8 << 20;

/// What is compacted.
#[derive(Debug, Clone, Copy)]
pub struct Compaction {
    /// Files written at or after this are left alone, ms since 1970.
    pub before_ms: i64,
    /// Rows whose identities are held at a time.
    pub most_held: u64,
}

/// What was done.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Compacted {
    /// Folders that were rewritten.
    pub folders: u64,
    /// Files that went.
    pub files: u64,
    /// Files that came.
    pub made: u64,
    /// Rows that stayed.
    pub rows: u64,
    /// Rows that went, because they are there already.
    pub repeats: u64,
    /// Drafts of processes that were killed.
    pub drafts: u64,
    /// Folders that were left as they are, with the reason.
    pub left: Vec<String>,
}

impl Compaction {
    /// Of what was written before.
    pub fn before(before_ms: i64) -> Self {
        Self { before_ms, most_held: MOST_HELD }
    }

    /// Compacts a lake. A folder that cannot be is told of in what comes back; an error is of the lake itself.
    pub fn run(&self, lake: &Lake) -> Result<Compacted, LakeError> {
        let mut done = Compacted::default();
        for table in TABLES {
            done.drafts += lake.remove_drafts(table, self.before_ms)?;
            let mut folders: BTreeMap<String, Vec<LakeFile>> = BTreeMap::new();
            for file in lake.list(table)?.into_iter().filter(|file| file.modified_ms < self.before_ms) {
                let folder = file.name.rsplit_once('/').map_or("", |(folder, _)| folder);
                folders.entry(folder.to_owned()).or_default().push(file);
            }
            for (name, files) in folders {
                if files.len() < 2 || of_one_run(&files) {
                    continue;
                }
                match self.folder(lake, &name, &files, &mut done) {
                    Ok(()) => done.folders += 1,
                    Err(error) => {
                        tracing::warn!("left as it is: {error}");
                        done.left.push(error.to_string());
                    }
                }
            }
        }
        Ok(done)
    }

    fn folder(
        &self,
        lake: &Lake,
        folder: &str,
        files: &[LakeFile],
        done: &mut Compacted,
    ) -> Result<(), LakeError> {
        let (schema, rows) = look(lake, files)?;
        let parts = rows.div_ceil(self.most_held.max(1)).max(1);
        let run = unique_name(MADE)?;
        let refused = LakeError::table(folder, "compacting it");
        let mut repeats = Repeats::new(&schema).map_err(&refused)?;
        let mut written = Written { rows: 0, repeats: 0 };
        for part in 0..parts {
            repeats.clear();
            let name = format!("{folder}/{run}-{part}.{EXTENSION}");
            let mut draft = lake.draft(&name)?;
            let writer = ArrowWriter::try_new(draft.file(), schema.clone(), Some(properties()));
            let mut gathered = Gathered {
                folder,
                rows: 0,
                bytes: 0,
                batches: Vec::new(),
                writer: writer.map_err(LakeError::table(&name, "beginning it"))?,
            };
            for file in files {
                for batch in open(lake, file)? {
                    let batch = batch.map_err(LakeError::table(&file.name, "reading it"))?;
                    let batch = fitted(&batch, &schema).map_err(&refused)?;
                    let verdicts = repeats.is_new(&batch, part, parts).map_err(&refused)?;
                    written.repeats +=
                        verdicts.iter().filter(|verdict| **verdict == Verdict::Repeat).count() as u64;
                    let new = verdicts.iter().map(|verdict| Some(*verdict == Verdict::New));
                    let new = filter_record_batch(&batch, &new.collect::<BooleanArray>());
                    written.rows += gathered.add(new.map_err(&refused)?)?;
                }
            }
            gathered.finish()?;
            draft.publish()?;
            done.made += 1;
        }
        if written.rows + written.repeats != rows {
            let read = written.rows + written.repeats;
            let reason = format!("read {read} rows, expected {rows}; its old files stay");
            return Err(LakeError::table(folder, "comparing what was read")(reason));
        }
        lake.remove(&files.iter().map(|file| file.name.as_str()).collect::<Vec<_>>())?;
        done.files += files.len() as u64;
        done.rows += written.rows;
        done.repeats += written.repeats;
        Ok(())
    }
}

struct Written {
    rows: u64,
    repeats: u64,
}

/// Rows on their way into a file: sorted by the group, so that memory is bounded.
struct Gathered<'a> {
    folder: &'a str,
    rows: usize,
    bytes: usize,
    batches: Vec<RecordBatch>,
    writer: ArrowWriter<&'a mut File>,
}

impl Gathered<'_> {
    fn add(&mut self, batch: RecordBatch) -> Result<u64, LakeError> {
        let rows = batch.num_rows();
        self.rows += rows;
        self.bytes += batch.get_array_memory_size();
        self.batches.push(batch);
        if self.rows >= SORTED_ROWS || self.bytes >= SORTED_BYTES {
            self.write()?;
        }
        Ok(rows as u64)
    }

    fn write(&mut self) -> Result<(), LakeError> {
        let refused = LakeError::table(self.folder, "sorting its rows");
        let Some(first) = self.batches.first() else { return Ok(()) };
        let rows = concat_batches(&first.schema(), &self.batches).map_err(&refused)?;
        (self.rows, self.bytes, self.batches) = (0, 0, Vec::new());
        let rows = in_order(&rows).map_err(refused)?;
        let refused = LakeError::table(self.folder, "writing its rows");
        self.writer.write(&rows).and_then(|()| self.writer.flush()).map_err(refused)
    }

    fn finish(mut self) -> Result<(), LakeError> {
        self.write()?;
        self.writer.close().map(|_| ()).map_err(LakeError::table(self.folder, "writing its rows"))
    }
}

/// Whether the files are what one compaction has made of their folder.
fn of_one_run(files: &[LakeFile]) -> bool {
    let run = |file: &LakeFile| {
        let name = file.name.rsplit('/').next().unwrap_or_default();
        name.starts_with(MADE).then(|| name.rsplit_once('-').map(|(run, _)| run.to_owned())).flatten()
    };
    let first = files.first().and_then(run);
    first.is_some() && files.iter().all(|file| run(file) == first)
}

/// All columns that files have, and their rows.
fn look(lake: &Lake, files: &[LakeFile]) -> Result<(SchemaRef, u64), LakeError> {
    let mut fields: Vec<Field> = Vec::new();
    let mut rows = 0;
    for (number, file) in files.iter().enumerate() {
        let refused = LakeError::table(&file.name, "reading its footer");
        let builder = ParquetRecordBatchReaderBuilder::try_new(lake.read(&file.name)?).map_err(refused)?;
        rows += builder.metadata().file_metadata().num_rows().max(0) as u64;
        for field in builder.schema().fields() {
            match fields.iter_mut().find(|known| known.name() == field.name()) {
                None => {
                    // A file before this one lacks it.
                    let nullable = field.is_nullable() || number > 0;
                    fields.push(field.as_ref().clone().with_nullable(nullable));
                }
                Some(known) if known.data_type() != field.data_type() => {
                    let (name, kind) = (field.name(), field.data_type());
                    let reason =
                        format!("column {name:?} holds {kind}, and {} in another file", known.data_type());
                    return Err(LakeError::table(&file.name, "comparing its columns")(reason));
                }
                Some(known) => known.set_nullable(known.is_nullable() || field.is_nullable()),
            }
        }
        let has = |known: &Field| builder.schema().column_with_name(known.name()).is_some();
        fields.iter_mut().filter(|known| !has(known)).for_each(|known| known.set_nullable(true));
    }
    Ok((Arc::new(Schema::new(fields)), rows))
}

/// Opens a file in batches of bounded size.
fn open(lake: &Lake, file: &LakeFile) -> Result<ParquetRecordBatchReader, LakeError> {
    let refused = LakeError::table(&file.name, "opening it");
    let builder = ParquetRecordBatchReaderBuilder::try_new(lake.read(&file.name)?).map_err(&refused)?;
    let batch = batch_rows(builder.metadata());
    builder.with_batch_size(batch).build().map_err(refused)
}

/// Rows that are read together, so that their bytes are bounded.
pub(super) fn batch_rows(metadata: &ParquetMetaData) -> usize {
    let groups = metadata.row_groups().iter();
    let (rows, bytes) = groups
        .fold((1, 0), |(rows, bytes), group| (rows + group.num_rows(), bytes + group.total_byte_size()));
    (READ_BYTES / (bytes / rows).max(1)).clamp(1, READ_ROWS) as usize
}

/// Rows with the columns of a schema; those that they lack are null.
fn fitted(batch: &RecordBatch, schema: &SchemaRef) -> Result<RecordBatch, arrow_schema::ArrowError> {
    let columns = schema.fields().iter().map(|field| match batch.column_by_name(field.name()) {
        Some(column) => column.clone(),
        None => new_null_array(field.data_type(), batch.num_rows()),
    });
    RecordBatch::try_new(schema.clone(), columns.collect())
}
