//! A lake as a reader sees it.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::path::{Path, PathBuf};

use arrow_array::RecordBatch;
use arrow_array::cast::AsArray as _;
use arrow_array::types::{Float32Type, Float64Type, Int64Type, TimestampMillisecondType};
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;

/// Hub, store, boot, sequence.
pub type Identity = (String, String, i64, i64);

pub fn files(lake: &Path, table: &str) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut open = vec![lake.join(table)];
    while let Some(folder) = open.pop() {
        for entry in fs::read_dir(folder).into_iter().flatten() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                open.push(path);
            } else if path.extension().is_some_and(|extension| extension == "parquet") {
                found.push(path);
            }
        }
    }
    found.sort();
    found
}

pub fn batches(path: &Path) -> Vec<RecordBatch> {
    let reader = ParquetRecordBatchReaderBuilder::try_new(File::open(path).unwrap()).unwrap().build();
    reader.unwrap().map(Result::unwrap).collect()
}

/// A row, its columns as texts.
pub type Row = BTreeMap<String, String>;

pub fn rows(lake: &Path, table: &str) -> Vec<(PathBuf, Row)> {
    let mut rows = Vec::new();
    for path in files(lake, table) {
        for batch in batches(&path) {
            for row in 0..batch.num_rows() {
                let schema = batch.schema();
                let columns = schema.fields().iter().zip(batch.columns());
                let columns = columns.map(|(field, column)| (field.name().clone(), arrow_text(column, row)));
                rows.push((path.strip_prefix(lake).unwrap().to_owned(), columns.collect()));
            }
        }
    }
    rows
}

fn arrow_text(column: &arrow_array::ArrayRef, row: usize) -> String {
    use arrow_schema::DataType;
    if column.is_null(row) {
        return "-".into();
    }
    match column.data_type() {
        DataType::Utf8 => column.as_string::<i32>().value(row).into(),
        DataType::Int64 => column.as_primitive::<Int64Type>().value(row).to_string(),
        DataType::Float32 => column.as_primitive::<Float32Type>().value(row).to_string(),
        DataType::Float64 => column.as_primitive::<Float64Type>().value(row).to_string(),
        DataType::Boolean => column.as_boolean().value(row).to_string(),
        DataType::Timestamp(..) => column.as_primitive::<TimestampMillisecondType>().value(row).to_string(),
        DataType::Binary => format!("{} bytes", column.as_binary::<i32>().value(row).len()),
        DataType::List(_) => {
            let items = column.as_list::<i32>().value(row);
            let items = (0..items.len()).map(|item| arrow_text(&items, item));
            format!("[{}]", items.collect::<Vec<_>>().join("; "))
        }
        DataType::Struct(_) => {
            let parts = column.as_struct().columns().iter().map(|part| arrow_text(part, row));
            parts.collect::<Vec<_>>().join(" ")
        }
        other => panic!("{other}"),
    }
}

pub fn identity(row: &Row) -> Identity {
    (row["hub"].clone(), row["store"].clone(), row["boot"].parse().unwrap(), row["sequence"].parse().unwrap())
}

/// How often each record is in the lake.
pub fn identities(lake: &Path, table: &str) -> BTreeMap<Identity, u64> {
    let mut seen = BTreeMap::new();
    for path in files(lake, table) {
        for batch in batches(&path) {
            let text = |name: &str| batch.column_by_name(name).unwrap().as_string::<i32>().clone();
            let number = |name: &str| batch.column_by_name(name).unwrap().as_primitive::<Int64Type>().clone();
            let (hub, store) = (text("hub"), text("store"));
            let (boot, sequence) = (number("boot"), number("sequence"));
            for row in 0..batch.num_rows() {
                let identity =
                    (hub.value(row).into(), store.value(row).into(), boot.value(row), sequence.value(row));
                *seen.entry(identity).or_default() += 1;
            }
        }
    }
    seen
}
