//! Made-up homes and the Parquet files that hold them.
#![allow(dead_code, reason = "each test file uses its own part")]

use std::fs::File;
use std::path::Path;
use std::sync::Arc;

use parquet::basic::Compression;
use parquet::data_type::{ByteArray, ByteArrayType, DoubleType, Int64Type};
use parquet::file::properties::WriterProperties;
use parquet::file::writer::SerializedFileWriter;
use parquet::schema::parser::parse_message_type;

/// A row of a file: seconds since 1970, site, W.
pub(crate) type Row = (i64, &'static str, Option<f64>);

/// The schema of a load series.
pub(crate) const SCHEMA: &str = "message schema {
    REQUIRED INT64 timestamp (TIMESTAMP(MICROS,true));
    REQUIRED BYTE_ARRAY site (UTF8);
    OPTIONAL DOUBLE load_w;
}";

/// Writes rows in row groups of 1,000.
pub(crate) fn write_parquet(file: &Path, rows: &[Row]) {
    write_column(file, "load_w", rows);
}

/// Writes rows with their power in a column of this name.
pub(crate) fn write_column(file: &Path, column: &str, rows: &[Row]) {
    let schema = Arc::new(parse_message_type(&SCHEMA.replace("load_w", column)).unwrap());
    let properties = WriterProperties::builder().set_compression(Compression::SNAPPY).build();
    let mut writer =
        SerializedFileWriter::new(File::create(file).unwrap(), schema, Arc::new(properties)).unwrap();
    for rows in rows.chunks(1000) {
        let mut group = writer.next_row_group().unwrap();
        let times: Vec<i64> = rows.iter().map(|row| row.0 * 1_000_000).collect();
        let mut column = group.next_column().unwrap().unwrap();
        column.typed::<Int64Type>().write_batch(&times, None, None).unwrap();
        column.close().unwrap();
        let sites: Vec<ByteArray> = rows.iter().map(|row| ByteArray::from(row.1)).collect();
        let mut column = group.next_column().unwrap().unwrap();
        column.typed::<ByteArrayType>().write_batch(&sites, None, None).unwrap();
        column.close().unwrap();
        let watts: Vec<f64> = rows.iter().filter_map(|row| row.2).collect();
        let levels: Vec<i16> = rows.iter().map(|row| i16::from(row.2.is_some())).collect();
        let mut column = group.next_column().unwrap().unwrap();
        column.typed::<DoubleType>().write_batch(&watts, Some(&levels), None).unwrap();
        column.close().unwrap();
        group.close().unwrap();
    }
    writer.close().unwrap();
}

/// Noise in 0..1 that is the same on every machine (the finaliser of `SplitMix64`).
pub(crate) fn noise(seed: u64) -> f64 {
    let mut value = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15);
    value = (value ^ (value >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    value = (value ^ (value >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    (value ^ (value >> 31)) as f64 / u64::MAX as f64
}

/// 2025-03-01T00:00Z.
pub(crate) const START: i64 = 1_740_787_200;

/// A home with evenings, washing on some days, an outage of the meter and single gaps.
pub(crate) fn home(site: &'static str, days: i64, step: i64, seed: u64) -> Vec<Row> {
    (0..days * 86_400 / step)
        .map(|place| {
            let time = START + place * step;
            let (day, hour) = (place * step / 86_400, place * step % 86_400 / 3600);
            let evening = if (18..23).contains(&hour) { 220.0 } else { 60.0 };
            let washing = noise(seed + day as u64) < 0.3 && (9..11).contains(&hour);
            let watts = evening * (0.6 + 0.8 * noise(seed ^ (place as u64) << 20))
                + f64::from(u8::from(washing)) * 500.0;
            let out = day == 9 && (6..16).contains(&hour) || noise(seed + 7 * place as u64) < 0.02;
            (time, site, (!out).then_some(watts))
        })
        .collect()
}

/// Panels whose inverter sleeps at night, under clouds that half stay from one day to the next.
pub(crate) fn panels(site: &'static str, days: i64, step: i64, seed: u64) -> Vec<Row> {
    let mut clouds = 0.5;
    let index: Vec<f64> = (0..days)
        .map(|day| {
            clouds = 0.5 * clouds + 0.5 * noise(seed ^ (day as u64 + 1) << 8);
            0.25 + 0.75 * clouds
        })
        .collect();
    (0..days * 86_400 / step)
        .map(|place| {
            let time = START + place * step;
            // The sun is highest at 12:00 UTC.
            let hour = (time % 86_400) as f64 / 3600.0 + step as f64 / 7200.0;
            let height = (core::f64::consts::PI * (hour - 6.0) / 12.0).sin().max(0.0);
            let watts = 900.0 * height * index[(place * step / 86_400) as usize];
            let luck = 0.7 + 0.3 * noise(seed ^ (place as u64) << 20);
            (time, site, (watts > 5.0).then_some(watts * luck))
        })
        .collect()
}
