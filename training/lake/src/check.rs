//! What each file of a lake promises, read from its footer before anything else: that it is whole, has the
//! columns and their types, and lies in the hour it speaks of. And, when a query stumbled, which row group
//! of which file it was.

use core::any::Any;
use core::ops::Range;
use core::panic::AssertUnwindSafe;
use std::sync::Arc;

use arrow_schema::{DataType, Schema};
use bytes::Bytes;
use futures_util::future::BoxFuture;
use futures_util::{FutureExt, StreamExt, TryFutureExt, TryStreamExt, stream};
use indicatif::ProgressBar;
use object_store::path::Path as StorePath;
use object_store::{ObjectStore, ObjectStoreExt};
use parquet::arrow::arrow_reader::ArrowReaderOptions;
use parquet::arrow::async_reader::AsyncFileReader;
use parquet::arrow::{ParquetRecordBatchStreamBuilder, ProjectionMask, parquet_to_arrow_schema};
use parquet::basic::{LogicalType, TimeUnit};
use parquet::errors::ParquetError;
use parquet::file::metadata::{PageIndexPolicy, ParquetMetaData, ParquetMetaDataReader, RowGroupMetaData};
use parquet::file::statistics::Statistics;
use sunkeep_models::lake::{self, PLAUSIBLE_WALL_MS, TELEMETRY, hour_of_folder, is_essential};

use super::error::LakeError;
use super::source::{Lake, LakeFile};

/// Footers that are read at a time.
const AT_ONCE: usize = 16;
/// Bytes at the end of a file that are read at once: most footers are shorter.
const FOOTER_BYTES: usize = 16 << 10;
/// Rows that are held at a time while looking for a broken row group.
const BATCH: usize = 8192;
const HOUR_MS: i64 = 3_600_000;

/// What a footer says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FileFacts {
    /// The file.
    pub file: LakeFile,
    /// Its rows.
    pub rows: u64,
    /// Row groups whose times lie outside of the hour that its folder names.
    pub misfiled: Vec<usize>,
}

/// Reads the footers of the files of a table. What is wrong with a file is told beside the others, in the
/// order of the files; only a store that does not answer ends it.
pub async fn check_files(
    lake: &Lake,
    table: &'static str,
    files: &[LakeFile],
    progress: &ProgressBar,
) -> Vec<Result<FileFacts, LakeError>> {
    let checked = stream::iter(files).map(async |file| {
        let facts = guarded(file, None, check_file(lake, table, file)).await;
        progress.inc(1);
        facts
    });
    checked.buffered(AT_ONCE).collect().await
}

/// A file of the lake, as the Parquet library reads it.
pub(super) struct StoredFile {
    store: Arc<dyn ObjectStore>,
    path: StorePath,
    bytes: u64,
    /// The index of pages is read as well, if there is one.
    index: PageIndexPolicy,
}

impl StoredFile {
    /// As an engine reads it, which may stumble over the index of pages.
    fn of(lake: &Lake, file: &LakeFile) -> Self {
        Self { index: PageIndexPolicy::Optional, ..Self::rows_of(lake, file) }
    }

    /// For its rows alone.
    pub(super) fn rows_of(lake: &Lake, file: &LakeFile) -> Self {
        let (store, path) = (lake.store().clone(), lake.path(file));
        Self { store, path, bytes: file.bytes, index: PageIndexPolicy::Skip }
    }
}

impl AsyncFileReader for StoredFile {
    fn get_bytes(&mut self, range: Range<u64>) -> BoxFuture<'_, Result<Bytes, ParquetError>> {
        let read = async move { self.store.get_range(&self.path, range).await };
        read.map_err(|error| ParquetError::External(Box::new(error))).boxed()
    }

    fn get_byte_ranges(
        &mut self,
        ranges: Vec<Range<u64>>,
    ) -> BoxFuture<'_, Result<Vec<Bytes>, ParquetError>> {
        let read = async move { self.store.get_ranges(&self.path, &ranges).await };
        read.map_err(|error| ParquetError::External(Box::new(error))).boxed()
    }

    fn get_metadata<'a>(
        &'a mut self,
        _options: Option<&'a ArrowReaderOptions>,
    ) -> BoxFuture<'a, Result<Arc<ParquetMetaData>, ParquetError>> {
        let bytes = self.bytes;
        let reader = ParquetMetaDataReader::new()
            .with_page_index_policy(self.index)
            .with_prefetch_hint(Some(FOOTER_BYTES));
        reader.load_and_finish(self, bytes).map_ok(Arc::new).boxed()
    }
}

async fn check_file(lake: &Lake, table: &str, file: &LakeFile) -> Result<FileFacts, LakeError> {
    let broken = |reason: String| LakeError::file(file, None, reason);
    let mut reader = StoredFile::of(lake, file);
    let metadata = ParquetMetaDataReader::new()
        .load_and_finish(&mut reader, file.bytes)
        .await
        .map_err(|error| broken(format!("not a whole Parquet file ({} bytes): {error}", file.bytes)))?;
    let promised = metadata.file_metadata();
    let schema = parquet_to_arrow_schema(promised.schema_descr(), promised.key_value_metadata())
        .map_err(|error| broken(error.to_string()))?;
    check_columns(table, &schema).map_err(broken)?;
    check_extent(&metadata, file.bytes)
        .map_err(|(group, reason)| LakeError::file(file, Some(group), reason))?;
    let misfiled = if table == TELEMETRY { misfiled(&metadata, &file.name) } else { Vec::new() };
    Ok(FileFacts { file: file.clone(), rows: promised.num_rows().max(0) as u64, misfiled })
}

/// Whether the columns of a table are there, in types that can be read as those of the lake.
fn check_columns(table: &str, found: &Schema) -> Result<(), String> {
    let Some(wanted) = lake::table(table) else { return Err(format!("no table is called {table:?}")) };
    for field in wanted.fields() {
        match found.column_with_name(field.name()) {
            None if is_essential(table, field.name()) => {
                let names: Vec<&str> = found.fields().iter().map(|field| field.name().as_str()).collect();
                return Err(format!("no column {:?}; it has {}", field.name(), names.join(", ")));
            }
            Some((_, other)) if !is_readable(other.data_type(), field.data_type()) => {
                let (found, wanted) = (other.data_type(), field.data_type());
                return Err(format!("column {:?} holds {found}, expected {wanted}", field.name()));
            }
            _ => {}
        }
    }
    Ok(())
}

/// Whether every value of one type can be read as one of the other, up to rounding.
fn is_readable(found: &DataType, wanted: &DataType) -> bool {
    match (found, wanted) {
        (DataType::Dictionary(_, values), DataType::Utf8) => is_readable(values, wanted),
        (DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View, DataType::Utf8)
        | (DataType::Timestamp(..), DataType::Timestamp(..)) => true,
        (found, DataType::Int64) => found.is_integer() && *found != DataType::UInt64,
        (found, DataType::Float32 | DataType::Float64) => found.is_floating(),
        (found, wanted) => found == wanted,
    }
}

/// Whether every row group lies inside of the file.
fn check_extent(metadata: &ParquetMetaData, bytes: u64) -> Result<(), (usize, String)> {
    for (number, group) in metadata.row_groups().iter().enumerate() {
        for column in group.columns() {
            // Not `byte_range`, which takes what a file says on trust.
            let first = column.dictionary_page_offset().unwrap_or(column.data_page_offset());
            let end = u64::try_from(first).ok().zip(u64::try_from(column.compressed_size()).ok());
            let end = end.and_then(|(first, length)| first.checked_add(length));
            if end.is_none_or(|end| end > bytes) {
                let (name, length) = (column.column_path().string(), column.compressed_size());
                return Err((
                    number,
                    format!("column {name:?} has {length} bytes from {first}, in a file of {bytes}"),
                ));
            }
        }
    }
    Ok(())
}

/// Row groups with a plausible wall time outside of the hour of the folder, by their statistics.
fn misfiled(metadata: &ParquetMetaData, name: &str) -> Vec<usize> {
    let hour = hour_of_folder(name);
    let outside = |group: &RowGroupMetaData| {
        let Some((least, greatest)) = wall_range(group) else { return false };
        let plausible = PLAUSIBLE_WALL_MS.contains(&least) && PLAUSIBLE_WALL_MS.contains(&greatest);
        plausible && hour.is_none_or(|hour| least < hour || greatest >= hour + HOUR_MS)
    };
    let groups = metadata.row_groups().iter().enumerate();
    groups.filter(|(_, group)| outside(group)).map(|(number, _)| number).collect()
}

/// Least and greatest wall time of a row group, ms since 1970, where its statistics say so.
fn wall_range(group: &RowGroupMetaData) -> Option<(i64, i64)> {
    let column = group.columns().iter().find(|column| column.column_path().string() == "wall")?;
    let Some(LogicalType::Timestamp(kind)) = column.column_descr().logical_type_ref() else { return None };
    let per_ms = match kind.unit {
        TimeUnit::MILLIS => 1,
        TimeUnit::MICROS => 1000,
        TimeUnit::NANOS => 1_000_000,
    };
    let Some(Statistics::Int64(range)) = column.statistics() else { return None };
    Some((range.min_opt()?.div_euclid(per_ms), range.max_opt()?.div_euclid(per_ms)))
}

/// Reads all row groups of the files one by one and names the first that cannot be read; `None` where all
/// can. It costs a whole reading of the lake, and is done after a query has failed.
pub(super) async fn broken_row_group(
    lake: &Lake,
    table: &'static str,
    files: &[LakeFile],
) -> Option<LakeError> {
    for file in files {
        if let Err(error) = read_row_groups(lake, table, file).await {
            return Some(error);
        }
    }
    None
}

async fn read_row_groups(lake: &Lake, table: &str, file: &LakeFile) -> Result<(), LakeError> {
    let groups =
        guarded(file, None, async { Ok(opened(lake, file, None).await?.metadata().num_row_groups()) });
    for group in 0..groups.await? {
        guarded(file, Some(group), read_row_group(lake, table, file, group)).await?;
    }
    Ok(())
}

async fn opened(
    lake: &Lake,
    file: &LakeFile,
    group: Option<usize>,
) -> Result<ParquetRecordBatchStreamBuilder<StoredFile>, LakeError> {
    let builder = ParquetRecordBatchStreamBuilder::new(StoredFile::of(lake, file)).await;
    builder.map_err(|error| LakeError::file(file, group, error.to_string()))
}

async fn read_row_group(lake: &Lake, table: &str, file: &LakeFile, group: usize) -> Result<(), LakeError> {
    let broken = |reason: String| LakeError::file(file, Some(group), format!("cannot be read: {reason}"));
    let builder = opened(lake, file, Some(group)).await?;
    let wanted = lake::table(table);
    let names = wanted.iter().flat_map(|schema| schema.fields().iter().map(|field| field.name().as_str()));
    let columns = ProjectionMask::columns(builder.parquet_schema(), names);
    let rows = builder.metadata().row_group(group).num_rows();
    let mut batches = builder
        .with_row_groups(vec![group])
        .with_projection(columns)
        .with_batch_size(BATCH)
        .build()
        .map_err(|error| broken(error.to_string()))?;
    let mut read = 0;
    while let Some(batch) = batches.try_next().await.map_err(|error| broken(error.to_string()))? {
        read += batch.num_rows() as i64;
    }
    if read == rows { Ok(()) } else { Err(broken(format!("it ends after {read} of {rows} rows"))) }
}

/// Reads something of a file, and tells of a panic of the reader, as it meets some spoiled files, as of an
/// error. A program that was built to end at a panic ends at it.
async fn guarded<T>(
    file: &LakeFile,
    group: Option<usize>,
    reading: impl Future<Output = Result<T, LakeError>>,
) -> Result<T, LakeError> {
    let read = AssertUnwindSafe(reading).catch_unwind().await;
    let told = |panic| LakeError::file(file, group, format!("cannot be read: {}", gave_up(panic)));
    read.unwrap_or_else(|panic| Err(told(panic)))
}

/// What a panic said.
pub(super) fn gave_up(panic: Box<dyn Any + Send>) -> String {
    let why = panic.downcast::<String>().map(|why| *why);
    let why = why.or_else(|panic| panic.downcast::<&str>().map(|why| (*why).to_owned()));
    format!("the reader gave up: {}", why.unwrap_or_default())
}
