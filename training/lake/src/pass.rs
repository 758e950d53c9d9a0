//! The slots of one pass: the query over its records, here in an engine of its own or on a cluster, and what is
//! to be named of them. Which passes there are is not said here.

use std::fs;
use std::path::PathBuf;
use std::sync::Arc;

use arrow_array::{RecordBatch, StringArray};
use datafusion::common::cast::{as_int64_array, as_string_array};
use datafusion::error::DataFusionError;
use datafusion::prelude::SessionContext;
use futures_util::StreamExt;

use super::error::LakeError;
use super::inputs::TABLES;
use super::parquet_file::TableWriter;
use super::plan::{MOST_NAMED, Noted, Pass, PassSlots, Workplace, write_toml};
use super::query::{self, Present, Sites};
use super::session::{Bounds, for_pass, register_here};
use super::slots::{Slots, slots_schema};
use super::source::{Lake, LakeFile};

/// Rows of a row group of the slots.
const GROUP_ROWS: usize = 16_384;

/// What an engine for one pass is made of.
pub(super) struct PassEngine {
    pub(super) lake: Lake,
    pub(super) bounds: Bounds,
    pub(super) place: Workplace,
    /// The files of the lake by table, in the order of [`TABLES`].
    pub(super) files: Arc<[Vec<LakeFile>]>,
    pub(super) present: Present,
}

impl PassEngine {
    /// The slots of a pass whose rows were parted from those of others; does away with these rows.
    pub(super) async fn slots(self, number: usize, pass: &Pass) -> Result<PassSlots, LakeError> {
        let context = for_pass(&self.lake, &self.bounds)?;
        let there = TABLES.into_iter().zip(self.files.iter()).filter(|(_, files)| !files.is_empty());
        let rows: Vec<(&str, PathBuf)> =
            there.map(|(table, _)| (table, self.place.rows(table, number..=number))).collect();
        for (table, path) in &rows {
            register_here(&context, table, path)?;
        }
        let made = slots(&context, &self.place, number, pass, self.present).await?;
        for (_, path) in rows {
            fs::remove_file(&path).map_err(LakeError::output(&path, "remove"))?;
        }
        Ok(made)
    }
}

/// Makes the slots of a pass and records that they are there.
pub(super) async fn slots(
    context: &SessionContext,
    place: &Workplace,
    number: usize,
    pass: &Pass,
    present: Present,
) -> Result<PassSlots, LakeError> {
    let sites = Sites { first: &pass.first, last: &pass.last };
    let failed = LakeError::query("bring the records to slots");
    let frame = context.sql(&query::slots(sites, present)).await.map_err(&failed)?;
    let mut batches = frame.execute_stream().await.map_err(&failed)?;
    let writer = TableWriter::passing(&place.slots(number), &slots_schema(), GROUP_ROWS, true)?;
    let mut slots = Slots::new(writer);
    while let Some(batch) = batches.next().await {
        slots.add(&batch.map_err(&failed)?)?;
    }
    let made = slots.finish()?;
    let mut noted = Noted::default();
    if made.counts.get("conflicting") > 0 {
        let failed = LakeError::query("name the records that contradict themselves");
        let frame = context.sql(&query::conflicts(sites, MOST_NAMED)).await.map_err(&failed)?;
        for batch in frame.collect().await.map_err(&failed)? {
            name_conflicts(&batch, &mut noted).map_err(&failed)?;
        }
    }
    let made = PassSlots::of(made, noted);
    write_toml(&place.slots_done(number), &made)?;
    Ok(made)
}

/// Says which records came with two contents.
fn name_conflicts(batch: &RecordBatch, into: &mut Noted) -> Result<(), DataFusionError> {
    let text =
        |column: usize| -> Result<&StringArray, DataFusionError> { as_string_array(batch.column(column)) };
    let (sites, hubs, stores) = (text(0)?, text(1)?, text(2)?);
    let number = |column: usize| as_int64_array(batch.column(column));
    let (boots, sequences, variants) = (number(3)?, number(4)?, number(5)?);
    for row in 0..batch.num_rows() {
        let case = format!(
            "site {:?}, hub {:?}, store {}, boot {}, sequence {}: came with {} contents, none is used",
            sites.value(row),
            hubs.value(row),
            stores.value(row),
            boots.value(row),
            sequences.value(row),
            variants.value(row)
        );
        into.add("conflicting", case);
    }
    Ok(())
}
