//! Reading a table of the lake whole, file after file, with its columns and types as the lake has them. Not through
//! the engine: what that keeps of each file of a query (dozens of measurements) it keeps until the query ends, and of
//! a file of some hundred rows it takes several times what the reading itself does. What the rows mean is not said here.

use std::sync::Arc;

use arrow_array::{ArrayRef, RecordBatch, new_null_array};
use arrow_schema::{ArrowError, SchemaRef};
use datafusion::arrow::compute::{CastOptions, cast_with_options};
use datafusion::common::runtime::SpawnedTask;
use datafusion::error::DataFusionError;
use futures_util::TryStreamExt;
use parquet::arrow::{ParquetRecordBatchStreamBuilder, ProjectionMask};
use parquet::file::metadata::{ParquetMetaData, RowGroupMetaData};
use tokio::sync::mpsc;

use super::check::{StoredFile, gave_up};
use super::error::LakeError;
use super::source::{Lake, LakeFile};

/// Files that are read at a time.
const AT_ONCE: usize = 2;
/// Rows that move together.
const BATCH: usize = 8192;
/// Batches of rows that wait for who takes them.
const WAITING: usize = 4;

/// Which columns are read.
#[derive(Debug, Clone)]
pub(super) enum Wanted {
    /// These, all of which may be null; one that a file lacks is null.
    All(SchemaRef),
    /// The first of these, and of the others those in which the file may have nulls.
    FirstAndNulls(SchemaRef),
}

/// Reads some files and hands on their rows. In which order files and rows come is not said.
pub(super) async fn read_files(
    lake: &Lake,
    files: &[LakeFile],
    wanted: &Wanted,
    doing: &'static str,
    mut each: impl FnMut(RecordBatch) -> Result<(), LakeError>,
) -> Result<(), LakeError> {
    let failed = LakeError::query(doing);
    let (sender, mut batches) = mpsc::channel(WAITING);
    let readers: Vec<_> = (0..AT_ONCE)
        .map(|first| {
            let (lake, wanted, sender) = (lake.clone(), wanted.clone(), sender.clone());
            let files: Vec<LakeFile> = files.iter().skip(first).step_by(AT_ONCE).cloned().collect();
            SpawnedTask::spawn(async move {
                for file in &files {
                    read_file(&lake, file, &wanted, &sender).await?;
                }
                Ok::<(), DataFusionError>(())
            })
        })
        .collect();
    drop(sender);
    while let Some(batch) = batches.recv().await {
        each(batch)?;
    }
    for reader in readers {
        // A task that panicked met a spoiled file, like one that failed.
        let read = reader.await.unwrap_or_else(|error| {
            let why = error.try_into_panic().map_or_else(|error| error.to_string(), gave_up);
            Err(DataFusionError::Execution(why))
        });
        read.map_err(&failed)?;
    }
    Ok(())
}

async fn read_file(
    lake: &Lake,
    file: &LakeFile,
    wanted: &Wanted,
    sender: &mpsc::Sender<RecordBatch>,
) -> Result<(), DataFusionError> {
    let builder = ParquetRecordBatchStreamBuilder::new(StoredFile::rows_of(lake, file)).await?;
    let metadata = builder.metadata();
    let rows = u64::try_from(metadata.file_metadata().num_rows()).unwrap_or(0);
    let schema = &match wanted {
        Wanted::All(schema) => schema.clone(),
        Wanted::FirstAndNulls(schema) => {
            let fields = schema.fields().iter().enumerate();
            let may = fields.filter(|(place, field)| *place == 0 || nulls(metadata, field.name()) != Some(0));
            Arc::new(schema.project(&may.map(|(place, _)| place).collect::<Vec<_>>())?)
        }
    };
    // What is null throughout costs more to read than to make.
    let names = schema.fields().iter().map(|field| field.name().as_str()).enumerate();
    let names = names.filter(|(place, name)| *place == 0 || nulls(metadata, name) != Some(rows));
    let columns = ProjectionMask::columns(builder.parquet_schema(), names.map(|(_, name)| name));
    let mut batches = builder.with_projection(columns).with_batch_size(BATCH).build()?;
    while let Some(batch) = batches.try_next().await? {
        // Nobody takes them any more: the reading has failed elsewhere.
        if sender.send(as_in_lake(&batch, schema)?).await.is_err() {
            break;
        }
    }
    Ok(())
}

/// How many nulls a column has, where the footer says so of every row group.
fn nulls(metadata: &ParquetMetaData, name: &str) -> Option<u64> {
    let of_group = |group: &RowGroupMetaData| {
        let column = group.columns().iter().find(|column| column.column_path().string() == name)?;
        column.statistics()?.null_count_opt()
    };
    metadata.row_groups().iter().map(of_group).sum()
}

/// The columns of a schema, found by name, in its types.
fn as_in_lake(batch: &RecordBatch, schema: &SchemaRef) -> Result<RecordBatch, ArrowError> {
    let options = CastOptions { safe: false, ..CastOptions::default() };
    let columns = schema.fields().iter().map(|field| match batch.column_by_name(field.name()) {
        Some(column) if column.data_type() == field.data_type() => Ok(Arc::clone(column)),
        Some(column) => cast_with_options(column, field.data_type(), &options),
        None => Ok(new_null_array(field.data_type(), batch.num_rows())),
    });
    RecordBatch::try_new(schema.clone(), columns.collect::<Result<Vec<ArrayRef>, _>>()?)
}

#[cfg(test)]
mod tests {
    use arrow_array::{Array, Float64Array, Int32Array, StringArray};
    use arrow_schema::{DataType, Field, Schema};

    use super::*;
    use crate::parquet_file::TableWriter;

    /// What is read of a file with a column that is whole, one with a null, one of nothing but nulls, and others' types.
    fn read(wanted: &Wanted) -> RecordBatch {
        let folder = tempfile::tempdir().unwrap();
        let nowhere = Field::new("place", DataType::Utf8, true);
        let schema = Arc::new(Schema::new(vec![
            Field::new("site", DataType::Utf8, true),
            Field::new("boot", DataType::Int32, true),
            Field::new("load_w", DataType::Float64, true),
            nowhere.clone(),
        ]));
        let columns: Vec<ArrayRef> = vec![
            Arc::new(StringArray::from(vec!["a", "b"])),
            Arc::new(Int32Array::from(vec![Some(7), None])),
            Arc::new(Float64Array::from(vec![1.5, 2.5])),
            new_null_array(nowhere.data_type(), 2),
        ];
        std::fs::create_dir(folder.path().join("telemetry")).unwrap();
        let path = folder.path().join("telemetry/part.parquet");
        let mut writer = TableWriter::create(&path, &schema, 1).unwrap();
        writer.write(&RecordBatch::try_new(schema, columns).unwrap()).unwrap();
        writer.finish().unwrap();
        let lake = Lake::open(folder.path().to_str().unwrap()).unwrap();
        let mut batches = Vec::new();
        tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
            let files = lake.files("telemetry").await.unwrap();
            let keep = |batch| {
                batches.push(batch);
                Ok(())
            };
            read_files(&lake, &files, wanted, "read a test", keep).await.unwrap();
        });
        arrow_select::concat::concat_batches(&batches[0].schema(), &batches).unwrap()
    }

    fn schema() -> SchemaRef {
        let columns = [
            ("site", DataType::Utf8),
            ("boot", DataType::Int64),
            ("load_w", DataType::Float32),
            ("place", DataType::Utf8),
            ("pv_w", DataType::Float32),
        ];
        Arc::new(Schema::new(columns.map(|(name, kind)| Field::new(name, kind, true)).to_vec()))
    }

    #[test]
    fn columns_come_in_the_types_of_the_lake_and_what_is_not_there_is_null() {
        let rows = read(&Wanted::All(schema()));
        let expected: Vec<ArrayRef> = vec![
            Arc::new(StringArray::from(vec!["a", "b"])),
            Arc::new(arrow_array::Int64Array::from(vec![Some(7), None])),
            Arc::new(arrow_array::Float32Array::from(vec![1.5, 2.5])),
            new_null_array(&DataType::Utf8, 2),
            new_null_array(&DataType::Float32, 2),
        ];
        assert_eq!(rows, RecordBatch::try_new(schema(), expected).unwrap());
    }

    #[test]
    fn of_columns_without_nulls_only_the_first_is_read() {
        let rows = read(&Wanted::FirstAndNulls(schema()));
        let names: Vec<String> = rows.schema().fields().iter().map(|field| field.name().clone()).collect();
        assert_eq!(names, ["site", "boot", "place", "pv_w"]);
        assert_eq!(rows.column(1).null_count(), 1);
    }
}
