//! Writes the rows of some sites as a feature table.

use std::fs::{self, File};
use std::path::Path;
use std::sync::Arc;

use parquet::basic::{Compression, ZstdLevel};
use parquet::data_type::{ByteArray, ByteArrayType, DataType, FloatType, Int64Type};
use parquet::errors::ParquetError;
use parquet::file::properties::WriterProperties;
use parquet::file::writer::{SerializedFileWriter, SerializedRowGroupWriter};
use parquet::schema::parser::parse_message_type;
use sunkeep_models::load_features::{COLUMNS, WIDTH};
use sunkeep_models::time::{HORIZON, SLOTS_PER_DAY};

use super::{FACTS_FILE, Facts, IDENTITY, TARGET, TableError, slot_folder};
use crate::table::{SlotRows, Table};

/// Place of the lead among the columns: the issue of a row follows from it.
const LEAD: &str = "lead";

/// Writes the tables of some sites into a folder: one file for each slot of the day with a row group for each
/// site, then the facts. Rows keep their order.
pub fn write(folder: &Path, sites: &[(&str, &Table)], facts: &Facts) -> Result<(), TableError> {
    let failed = |file: &Path| {
        let file = file.to_owned();
        move |source| TableError::File { file, source }
    };
    for slot in 0..SLOTS_PER_DAY {
        let inside = folder.join(slot_folder(slot));
        fs::create_dir_all(&inside).map_err(failed(&inside))?;
        let file = inside.join("rows.parquet");
        let opened = File::create(&file).map_err(failed(&file))?;
        write_slot(opened, slot, sites).map_err(|source| TableError::Parquet { file, source })?;
    }
    let file = folder.join(FACTS_FILE);
    fs::write(&file, facts.to_toml()).map_err(failed(&file))
}

fn write_slot(file: File, slot: usize, sites: &[(&str, &Table)]) -> Result<(), ParquetError> {
    let [site, issued, target_slot, level] = IDENTITY;
    let mut schema = format!(
        "message features {{ REQUIRED BYTE_ARRAY {site} (UTF8); REQUIRED INT64 {issued}; \
         REQUIRED INT64 {target_slot}; REQUIRED FLOAT {level};"
    );
    for name in COLUMNS.iter().chain(&[TARGET]) {
        schema.push_str(&format!(" REQUIRED FLOAT {name};"));
    }
    schema.push('}');
    // Floats of a slot are all but all different: a dictionary of them would only cost.
    let properties = WriterProperties::builder()
        .set_compression(Compression::ZSTD(ZstdLevel::default()))
        .set_dictionary_enabled(false)
        .set_column_dictionary_enabled(site.into(), true)
        .build();
    let schema = Arc::new(parse_message_type(&schema)?);
    let mut writer = SerializedFileWriter::new(file, schema, Arc::new(properties))?;
    for (site, table) in sites {
        let rows = &table.by_slot[slot];
        if rows.targets.is_empty() {
            continue;
        }
        let mut group = writer.next_row_group()?;
        write_rows(&mut group, site, rows)?;
        group.close()?;
    }
    writer.close()?;
    Ok(())
}

fn write_rows(
    group: &mut SerializedRowGroupWriter<'_, File>,
    site: &str,
    rows: &SlotRows,
) -> Result<(), ParquetError> {
    let count = rows.targets.len();
    let lead = COLUMNS.iter().position(|name| *name == LEAD).unwrap_or(0);
    let issued: Vec<i64> = rows
        .slots
        .iter()
        .zip(rows.features.chunks_exact(WIDTH))
        .map(|(slot, row)| slot.0 - (row[lead] * HORIZON as f32).round() as i64)
        .collect();
    let targets: Vec<i64> = rows.slots.iter().map(|slot| slot.0).collect();
    write_column::<ByteArrayType>(group, &vec![ByteArray::from(site); count])?;
    write_column::<Int64Type>(group, &issued)?;
    write_column::<Int64Type>(group, &targets)?;
    write_column::<FloatType>(group, &rows.levels)?;
    for column in 0..WIDTH {
        let values: Vec<f32> = rows.features.iter().skip(column).step_by(WIDTH).copied().collect();
        write_column::<FloatType>(group, &values)?;
    }
    write_column::<FloatType>(group, &rows.targets)
}

fn write_column<T: DataType>(
    group: &mut SerializedRowGroupWriter<'_, File>,
    values: &[T::T],
) -> Result<(), ParquetError> {
    let Some(mut column) = group.next_column()? else {
        return Err(ParquetError::General("more values than columns".into()));
    };
    column.typed::<T>().write_batch(values, None, None)?;
    column.close()
}
