//! Tables that are made here, as Parquet files that are whole or not there. What is in them is for others.

use std::fs::File;
use std::path::{Path, PathBuf};

use arrow_array::RecordBatch;
use arrow_schema::{DataType, SchemaRef};
use parquet::arrow::ArrowWriter;
use parquet::arrow::arrow_reader::{ParquetRecordBatchReader, ParquetRecordBatchReaderBuilder};
use parquet::basic::{Compression, ZstdLevel};
use parquet::file::properties::{EnabledStatistics, WriterProperties, WriterPropertiesBuilder};
use parquet::schema::types::ColumnPath;

use super::error::LakeError;

/// Rows that are read at a time.
const BATCH: usize = 8192;

/// Writes a table. Under its name the file appears when it is finished, and not before.
pub struct TableWriter {
    path: PathBuf,
    half: PathBuf,
    writer: ArrowWriter<File>,
    /// It must outlast a power cut.
    lasting: bool,
}

impl TableWriter {
    /// Begins a table with row groups of this many rows, which is what is held in memory.
    pub fn create(path: &Path, schema: &SchemaRef, group_rows: usize) -> Result<Self, LakeError> {
        let zstd = Compression::ZSTD(ZstdLevel::default());
        Self::begin(path, schema, group_rows, WriterProperties::builder().set_compression(zstd), true)
    }

    /// Begins a table that is done away with before the run ends: quick to write rather than small. It outlasts a
    /// power cut if it is `lasting`.
    pub(super) fn passing(
        path: &Path,
        schema: &SchemaRef,
        group_rows: usize,
        lasting: bool,
    ) -> Result<Self, LakeError> {
        // Statistics would be held until the file is finished, and grow with it; who reads it whole needs none.
        let properties = WriterProperties::builder()
            .set_compression(Compression::SNAPPY)
            .set_statistics_enabled(EnabledStatistics::None)
            .set_offset_index_disabled(true);
        Self::begin(path, schema, group_rows, properties, lasting)
    }

    fn begin(
        path: &Path,
        schema: &SchemaRef,
        group_rows: usize,
        properties: WriterPropertiesBuilder,
        lasting: bool,
    ) -> Result<Self, LakeError> {
        let half = path.with_added_extension("half");
        let file = File::create(&half).map_err(LakeError::output(&half, "create"))?;
        let mut properties = properties
            .set_max_row_group_row_count(Some(group_rows))
            // Measured numbers hardly repeat; names do.
            .set_dictionary_enabled(false);
        for field in schema.fields().iter().filter(|field| *field.data_type() == DataType::Utf8) {
            let column = ColumnPath::from(field.name().as_str());
            properties = properties.set_column_dictionary_enabled(column, true);
        }
        let writer = ArrowWriter::try_new(file, schema.clone(), Some(properties.build()))
            .map_err(LakeError::table(&half))?;
        Ok(Self { path: path.into(), half, writer, lasting })
    }

    /// Adds rows.
    pub fn write(&mut self, rows: &RecordBatch) -> Result<(), LakeError> {
        self.writer.write(rows).map_err(LakeError::table(&self.half))
    }

    /// Finishes the file and puts it under its name.
    pub fn finish(self) -> Result<(), LakeError> {
        let Self { path, half, writer, lasting } = self;
        let file = writer.into_inner().map_err(LakeError::table(&half))?;
        if lasting {
            file.sync_all().map_err(LakeError::output(&half, "write to the disk"))?;
        }
        std::fs::rename(&half, &path).map_err(LakeError::output(&path, "put in place"))
    }
}

/// The rows of a table, some at a time.
pub(super) fn read(path: &Path) -> Result<ParquetRecordBatchReader, LakeError> {
    let file = File::open(path).map_err(LakeError::output(path, "open"))?;
    let builder = ParquetRecordBatchReaderBuilder::try_new(file).map_err(LakeError::table(path))?;
    builder.with_batch_size(BATCH).build().map_err(LakeError::table(path))
}

/// Puts tables one after the other into one file. Its bytes depend on the rows, not on how they were parted.
pub(super) fn merge(
    parts: &[PathBuf],
    schema: &SchemaRef,
    group_rows: usize,
    path: &Path,
) -> Result<(), LakeError> {
    let mut writer = TableWriter::create(path, schema, group_rows)?;
    let mut held: Vec<RecordBatch> = Vec::new();
    let mut rows = 0;
    // Pages end with what is written at once: so much is written at once, wherever a part ends.
    let mut flush = |held: &mut Vec<RecordBatch>, rows: &mut usize, all: bool| -> Result<(), LakeError> {
        while *rows >= BATCH || all && *rows > 0 {
            let joined = arrow_select::concat::concat_batches(schema, held.iter())
                .map_err(|error| LakeError::table(path)(error.into()))?;
            let now = joined.num_rows().min(BATCH);
            writer.write(&joined.slice(0, now))?;
            *rows = joined.num_rows() - now;
            *held = vec![joined.slice(now, *rows)];
        }
        Ok(())
    };
    for part in parts {
        for batch in read(part)? {
            let batch = batch.map_err(|error| LakeError::table(part)(error.into()))?;
            rows += batch.num_rows();
            held.push(batch);
            flush(&mut held, &mut rows, false)?;
        }
    }
    flush(&mut held, &mut rows, true)?;
    writer.finish()
}
