//! Erasing: all rows of a site go, from every table that has a site, and from the quarantine what its hubs have sent.
//!
//! A file is written anew without these rows, under its own name: the old one or the new one stands there, whoever is
//! killed. What tells which hubs are the site's is erased last, so that a run that was stopped can be done again. A
//! pass over the lake follows another until one finds nothing: a compaction beside it may have moved rows.

use std::collections::{BTreeMap, BTreeSet};

use arrow_array::cast::AsArray as _;
use arrow_array::{Array as _, BooleanArray, RecordBatch, StringArray};
use arrow_select::filter::filter_record_batch;
use parquet::arrow::arrow_reader::{
    ArrowReaderOptions, ParquetRecordBatchReader, ParquetRecordBatchReaderBuilder,
};
use parquet::arrow::{ArrowWriter, ProjectionMask};
use parquet::file::metadata::RowGroupMetaData;
use parquet::file::statistics::Statistics;
use sunkeep_models::lake::{CORRECTIONS, EVENTS, QUARANTINE, SITES, TELEMETRY};
use sunkeep_models::wire::Message;

use super::compact::batch_rows;
use super::{Lake, LakeError, properties};

/// The tables with a column `site`. Those that tell which hubs a site has come after the quarantine.
const TABLES: [&str; 4] = [TELEMETRY, EVENTS, CORRECTIONS, SITES];
/// Passes over the lake before it is said that rows keep coming.
const MOST_PASSES: u32 = 4;
/// Hubs that a site may have had.
const MOST_HUBS: usize = 10_000;
/// Bytes of rows that a writer gathers.
const MOST_GATHERED: usize = 64 << 20;
/// Drafts that nobody has written to for so long belong to nobody, ms. They may hold rows of the site.
const DRAFT_MS: i64 = 600_000;

/// What is erased.
#[derive(Debug, Clone)]
pub struct Erasure<'a> {
    /// Name of the site.
    pub site: &'a str,
    /// Hubs of which it is known that they are the site's, beside those that its rows name.
    pub hubs: BTreeSet<String>,
    /// Only counts.
    pub dry_run: bool,
}

/// What was erased, or would be.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Erased {
    /// Rows by table.
    pub rows: BTreeMap<&'static str, u64>,
    /// Files that were written anew.
    pub rewritten: u64,
    /// Files that held nothing else.
    pub removed: u64,
    /// Drafts of processes that were killed.
    pub drafts: u64,
    /// The site's hubs.
    pub hubs: BTreeSet<String>,
    /// Files that could not be read or written; they may hold rows of the site.
    pub left: Vec<String>,
}

impl Erasure<'_> {
    /// Erases; done again it does what is left to do.
    pub fn run(&self, lake: &Lake, now_ms: i64) -> Result<Erased, LakeError> {
        let mut done = Erased { hubs: self.hubs.clone(), ..Erased::default() };
        if !self.dry_run {
            for table in TABLES.into_iter().chain([QUARANTINE]) {
                done.drafts += lake.remove_drafts(table, now_ms - DRAFT_MS)?;
            }
        }
        for pass in 0..MOST_PASSES {
            done.left.clear();
            let before: u64 = done.rows.values().sum();
            let mut files = Vec::new();
            for table in TABLES {
                for file in lake.list(table)? {
                    match self.rows_of(lake, table, &file.name, &mut done) {
                        Ok(0) => {}
                        Ok(_) => files.push((table, file.name)),
                        Err(error) => leave(&mut done, &error),
                    }
                }
            }
            let quarantine = lake.list(QUARANTINE)?.into_iter().map(|file| (QUARANTINE, file.name));
            for (table, name) in quarantine.chain(files) {
                if let Err(error) = self.see_to(lake, table, &name, &mut done) {
                    leave(&mut done, &error);
                }
            }
            let found = done.rows.values().sum::<u64>() - before;
            if found == 0 || self.dry_run || !done.left.is_empty() {
                return Ok(done);
            }
            tracing::info!(pass, rows = found, "erased; looks again");
        }
        done.left.push(format!("{}: rows of it keep coming: stop its hubs, then run this again", self.site));
        Ok(done)
    }

    /// How many rows of a file are the site's; notes their hubs.
    fn rows_of(&self, lake: &Lake, table: &str, name: &str, done: &mut Erased) -> Result<u64, LakeError> {
        let refused = LakeError::table(name, "looking for the site");
        let builder = builder(lake, name)?;
        let wanted = if table == SITES { &["site"][..] } else { &["site", "hub"] };
        let groups: Vec<usize> = (0..builder.metadata().num_row_groups())
            .filter(|group| self.may_be_in(builder.metadata().row_group(*group)))
            .collect();
        let columns = ProjectionMask::columns(builder.parquet_schema(), wanted.iter().copied());
        let reader = builder.with_row_groups(groups).with_projection(columns).build().map_err(refused)?;
        let mut rows = 0;
        for batch in reader {
            let batch = batch.map_err(LakeError::table(name, "reading it"))?;
            let sites = texts(&batch, "site", name)?;
            let hubs = (table != SITES).then(|| texts(&batch, "hub", name)).transpose()?;
            for row in
                (0..batch.num_rows()).filter(|row| sites.is_valid(*row) && sites.value(*row) == self.site)
            {
                rows += 1;
                if let Some(hubs) = hubs.filter(|hubs| hubs.is_valid(row))
                    && !done.hubs.contains(hubs.value(row))
                    && done.hubs.len() < MOST_HUBS
                {
                    done.hubs.insert(hubs.value(row).to_owned());
                }
            }
        }
        Ok(rows)
    }

    /// Whether a group of rows may hold the site, by its statistics.
    fn may_be_in(&self, group: &RowGroupMetaData) -> bool {
        let column = group.columns().iter().find(|column| column.column_path().string() == "site");
        let Some(Statistics::ByteArray(range)) = column.and_then(|column| column.statistics()) else {
            return true;
        };
        let site = self.site.as_bytes();
        range.min_bytes_opt().is_none_or(|least| least <= site)
            && range.max_bytes_opt().is_none_or(|most| site <= most)
    }

    /// Sees to a file that may hold rows of the site: it goes where nothing else is in it, and is written anew where
    /// something is.
    fn see_to(
        &self,
        lake: &Lake,
        table: &'static str,
        name: &str,
        done: &mut Erased,
    ) -> Result<(), LakeError> {
        let (mut erased, mut kept) = (0, 0);
        for batch in open(lake, name)? {
            let batch = batch.map_err(LakeError::table(name, "reading it"))?;
            let stays = self.stays(table, &batch, name, &done.hubs)?.true_count();
            erased += (batch.num_rows() - stays) as u64;
            kept += stays as u64;
        }
        if erased == 0 {
            return Ok(());
        }
        if !self.dry_run && kept == 0 {
            lake.remove(&[name])?;
            lake.remove_empty_folders(&[name])?;
        } else if !self.dry_run {
            self.rewrite(lake, table, name, &done.hubs)?;
        }
        *done.rows.entry(table).or_default() += erased;
        done.removed += u64::from(kept == 0);
        done.rewritten += u64::from(kept > 0);
        Ok(())
    }

    /// Writes a file anew without the rows of the site.
    fn rewrite(
        &self,
        lake: &Lake,
        table: &str,
        name: &str,
        hubs: &BTreeSet<String>,
    ) -> Result<(), LakeError> {
        let mut draft = lake.draft(name)?;
        let reader = open(lake, name)?;
        let writing = LakeError::table(name, "writing it anew");
        let schema = arrow_array::RecordBatchReader::schema(&reader);
        let writer = ArrowWriter::try_new(draft.file(), schema, Some(properties()));
        let mut writer = writer.map_err(&writing)?;
        for batch in reader {
            let batch = batch.map_err(LakeError::table(name, "reading it"))?;
            let stays = self.stays(table, &batch, name, hubs)?;
            let rest =
                filter_record_batch(&batch, &stays).map_err(LakeError::table(name, "parting its rows"))?;
            writer.write(&rest).map_err(&writing)?;
            if writer.memory_size() >= MOST_GATHERED {
                writer.flush().map_err(&writing)?;
            }
        }
        writer.close().map_err(&writing)?;
        draft.publish()
    }

    /// Which rows stay.
    fn stays(
        &self,
        table: &str,
        rows: &RecordBatch,
        name: &str,
        hubs: &BTreeSet<String>,
    ) -> Result<BooleanArray, LakeError> {
        if table != QUARANTINE {
            let sites = texts(rows, "site", name)?;
            return Ok(sites.iter().map(|site| Some(site != Some(self.site))).collect());
        }
        let topics = texts(rows, "topic", name)?;
        let bytes = rows.column_by_name("bytes").and_then(|column| column.as_binary_opt::<i32>());
        let bytes =
            bytes.ok_or_else(|| LakeError::table(name, "reading it")("no column \"bytes\" of bytes"))?;
        let stays = |(topic, bytes): (Option<&str>, Option<&[u8]>)| {
            let hub = topic.and_then(|topic| topic.strip_prefix("sunkeep/v1/")?.split('/').next());
            !hub.is_some_and(|hub| hubs.contains(hub)) && !bytes.is_some_and(|bytes| self.speaks_of(bytes))
        };
        Ok(topics.iter().zip(bytes).map(|row| Some(stays(row))).collect())
    }

    /// Whether a refused message is the site's: it says so where it can be read, or names it in quotes.
    fn speaks_of(&self, bytes: &[u8]) -> bool {
        let quoted = format!("\"{}\"", self.site);
        Message::read(bytes).is_ok_and(|message| message.from().site == self.site)
            || bytes.windows(quoted.len()).any(|some| some == quoted.as_bytes())
    }
}

fn leave(done: &mut Erased, error: &LakeError) {
    tracing::warn!("left as it is: {error}");
    done.left.push(error.to_string());
}

/// Opens a file with the types that Parquet itself knows: a column of texts is one, however it was made.
fn builder(lake: &Lake, name: &str) -> Result<ParquetRecordBatchReaderBuilder<std::fs::File>, LakeError> {
    let options = ArrowReaderOptions::new().with_skip_arrow_metadata(true);
    let builder = ParquetRecordBatchReaderBuilder::try_new_with_options(lake.read(name)?, options);
    builder.map_err(LakeError::table(name, "reading its footer"))
}

/// Opens a file in batches of bounded size.
fn open(lake: &Lake, name: &str) -> Result<ParquetRecordBatchReader, LakeError> {
    let builder = builder(lake, name)?;
    let batch = batch_rows(builder.metadata());
    builder.with_batch_size(batch).build().map_err(LakeError::table(name, "opening it"))
}

fn texts<'a>(rows: &'a RecordBatch, column: &str, name: &str) -> Result<&'a StringArray, LakeError> {
    let found = rows.column_by_name(column).and_then(|texts| texts.as_string_opt::<i32>());
    found.ok_or_else(|| LakeError::table(name, "reading it")(format!("no column {column:?} of texts")))
}
