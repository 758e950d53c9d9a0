//! Rows in and out: one transaction for each batch, the bound in bytes, and what is read back at a start.

use std::collections::BTreeMap;
use std::path::Path;

use rusqlite::{Connection, OptionalExtension as _, Row, Transaction, params};
use sunkeep_core::settings::SettingsDigest;
use sunkeep_core::{Settings, State, step};
use sunkeep_models::time::{Slot, Uptime, WallTime};

use super::block::{self, Block, Check, Cycles, Head, Unreadable};
use super::error::JournalError;
use super::outbox;
use super::points::{MinutePoint, SlotPoint, Stamp};
use super::queue::{Batch, TimeLearnt};
use super::schema::{self, LOG_BYTES, Opened};

/// Minutes kept once they were sent: 90 days.
pub const KEPT_MINUTES: u64 = 90 * 1440;
/// Slots kept: 40 days.
pub const KEPT_SLOTS: u64 = 40 * 48;
/// Settings kept.
const KEPT_SETTINGS: u64 = 64;
/// Minutes that a start reads back: two days, for the charts.
pub const RECALLED_MINUTES: u64 = 2880;
/// The least bound in bytes that leaves room to work.
pub const LEAST_BYTES: u64 = 2 << 20;
/// Blocks tried, newest first, when the last state is looked for.
const TRIED_BLOCKS: usize = 16;
/// Rows that go at once when room is made.
const EVICTED: u64 = 16;

/// What the hub knew when it last wrote.
#[derive(Debug, Clone, PartialEq)]
pub struct LastKnown {
    /// In which boot.
    pub boot: u32,
    /// Time of its last cycle that is on the disk.
    pub uptime: Uptime,
    /// Wall clock of that cycle.
    pub wall: Option<WallTime>,
    /// The state after that cycle.
    pub state: State,
    /// The settings it ran under.
    pub settings: SettingsDigest,
}

/// What one read at a start finds.
#[derive(Debug, Default)]
pub(super) struct Recalled {
    pub(super) boot: u32,
    pub(super) next_seq: u64,
    pub(super) last: Option<LastKnown>,
    pub(super) slots: Vec<SlotPoint>,
    pub(super) minutes: Vec<MinutePoint>,
    pub(super) counters: BTreeMap<String, u64>,
    pub(super) learnt: BTreeMap<String, Vec<u8>>,
    pub(super) unreadable: u64,
}

/// The open journal, on the writer's side.
#[derive(Debug)]
pub(super) struct Store {
    opened: Opened,
    max_bytes: u64,
    page_size: u64,
}

type Result<T> = core::result::Result<T, rusqlite::Error>;

impl Store {
    pub(super) fn open(
        path: &Path,
        max_bytes: u64,
        page_size: u32,
    ) -> core::result::Result<Self, JournalError> {
        let opened = schema::open(path, page_size)?;
        let fail =
            |source| JournalError::Database { path: path.into(), doing: "reading its page size", source };
        let page_size = opened.connection.pragma_query_value(None, "page_size", |row| row.get::<_, i64>(0));
        Ok(Self { opened, max_bytes, page_size: page_size.map_err(fail)?.unsigned_abs() })
    }

    pub(super) fn opened(&self) -> &Opened {
        &self.opened
    }

    /// Carries the log into the database and syncs both. After a failed write this makes sure that nothing
    /// rests on pages the system only believes to have written.
    pub(super) fn settle(&self) -> Result<()> {
        self.opened.connection.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(()))
    }

    /// Writes a batch in one transaction. When it returns, the batch is on the disk.
    pub(super) fn write(&mut self, boot: u32, batch: &Batch) -> Result<()> {
        let (max, page_size) = (self.pages_allowed(), self.page_size);
        let transaction =
            self.opened.connection.transaction_with_behavior(rusqlite::TransactionBehavior::Immediate)?;
        let incoming: u64 = batch.blocks.iter().map(|block| block.data.len() as u64 + 200).sum::<u64>()
            + batch.minutes.len() as u64 * 200
            + batch.events.len() as u64 * 400
            + batch.learnt.values().map(|data| data.len() as u64).sum::<u64>();
        make_room(&transaction, max.saturating_sub(incoming / page_size * 5 / 4 + 32))?;
        transaction.prepare_cached("UPDATE meta SET boot = ?1 WHERE boot < ?1")?.execute([boot])?;
        for (_, row) in &batch.settings {
            let encoded = postcard::to_stdvec(&row.settings).unwrap_or_default();
            transaction
                .prepare_cached("INSERT OR REPLACE INTO settings(digest, settings, text) VALUES(?1, ?2, ?3)")?
                .execute(params![row.digest.0, encoded, row.text])?;
        }
        for block in &batch.blocks {
            insert_block(&transaction, block)?;
        }
        insert_points(&transaction, batch)?;
        outbox::insert_events(&transaction, &batch.events)?;
        outbox::mark_sent(&transaction, self.opened.store, &batch.sent)?;
        outbox::mark_metered(&transaction, batch.metered)?;
        if let Some(time) = batch.time {
            stamp_earlier(&transaction, time)?;
        }
        forget(&transaction, batch)?;
        transaction.commit()
    }

    /// Pages the database may use: the bound, less the log and what one batch may add before room is made.
    fn pages_allowed(&self) -> u64 {
        self.max_bytes.saturating_sub(2 * LOG_BYTES) / self.page_size
    }
}

/// Reads back what a start needs.
pub(super) fn recall(db: &Connection) -> Result<Recalled> {
    let mut recalled = Recalled {
        boot: db.query_row("SELECT boot FROM meta", [], |row| row.get(0))?,
        next_seq: db
            .query_row("SELECT coalesce(max(seq), 0) + 1 FROM block", [], |row| row.get::<_, i64>(0))?
            as u64,
        ..Recalled::default()
    };
    let mut rows = db.prepare("SELECT slot, data FROM slot ORDER BY slot")?;
    let mut rows = rows.query([])?;
    while let Some(row) = rows.next()? {
        match SlotPoint::unpack(Slot(row.get(0)?), row.get_ref(1)?.as_blob()?) {
            Ok(point) => recalled.slots.push(point),
            Err(_) => recalled.unreadable += 1,
        }
    }
    let from = db.query_row("SELECT coalesce(max(id), 0) FROM minute", [], |row| row.get::<_, i64>(0))?;
    let from = from - RECALLED_MINUTES as i64;
    for point in minutes(db, from, i64::MAX)? {
        match point {
            Some(point) => recalled.minutes.push(point),
            None => recalled.unreadable += 1,
        }
    }
    let mut counters = db.prepare("SELECT name, total FROM counter")?;
    for counter in counters.query_map([], |row| Ok((row.get(0)?, row.get::<_, i64>(1)? as u64)))? {
        let (name, total) = counter?;
        recalled.counters.insert(name, total);
    }
    let mut learnt = db.prepare("SELECT name, data FROM learnt")?;
    for named in learnt.query_map([], |row| Ok((row.get(0)?, row.get(1)?)))? {
        let (name, data) = named?;
        recalled.learnt.insert(name, data);
    }
    let (last, unreadable) = last_known(db)?;
    recalled.last = last;
    recalled.unreadable += unreadable;
    Ok(recalled)
}

fn insert_block(db: &Transaction<'_>, block: &Block) -> Result<()> {
    let Head { seq, boot, first, last } = block.head;
    db.prepare_cached("INSERT OR REPLACE INTO block VALUES(?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)")?.execute(
        params![
            seq as i64,
            boot,
            first.0 as i64,
            last.0 as i64,
            block.unix,
            block.cycles,
            block.changes,
            block.check,
            block.data
        ],
    )?;
    Ok(())
}

fn insert_points(db: &Transaction<'_>, batch: &Batch) -> Result<()> {
    for (_, minute) in &batch.minutes {
        let stamp = minute.stamp;
        let data = minute.pack().unwrap_or_default();
        db.prepare_cached("INSERT INTO minute(boot, uptime, unix, data) VALUES(?1, ?2, ?3, ?4)")?
            .execute(params![stamp.boot, stamp.uptime.0 as i64, stamp.unix, data])?;
    }
    for (_, slot) in &batch.slots {
        db.prepare_cached("INSERT OR REPLACE INTO slot VALUES(?1, ?2)")?
            .execute(params![slot.slot.0, slot.pack().unwrap_or_default()])?;
    }
    for (name, total) in &batch.counters {
        db.prepare_cached("INSERT OR REPLACE INTO counter VALUES(?1, ?2)")?
            .execute(params![name, *total as i64])?;
    }
    for (name, data) in &batch.learnt {
        db.prepare_cached("INSERT OR REPLACE INTO learnt VALUES(?1, ?2)")?
            .execute(params![name, data.as_slice()])?;
    }
    Ok(())
}

/// Fills in the wall clock of this boot's rows from before it was learnt. Rows of a boot lie together at
/// the end, so the walk goes backwards and ends at the boot before.
fn stamp_earlier(db: &Transaction<'_>, time: TimeLearnt) -> Result<()> {
    for (table, key, uptime) in
        [("block", "seq", "last"), ("minute", "id", "uptime"), ("event", "id", "uptime")]
    {
        let sql = format!("SELECT coalesce(max({key}), -1) FROM {table} WHERE boot < ?1");
        let before: i64 = db.query_row(&sql, [time.boot], |row| row.get(0))?;
        let sql = format!(
            "UPDATE {table} SET unix = ?1 + {uptime} / 1000 WHERE {key} > ?2 AND boot = ?3 AND unix IS NULL"
        );
        db.execute(&sql, params![time.unix_at_start, before, time.boot])?;
    }
    Ok(())
}

/// Drops what is older than its time.
fn forget(db: &Transaction<'_>, batch: &Batch) -> Result<()> {
    if !batch.minutes.is_empty() {
        outbox::thin(db)?;
        outbox::forget_minutes(db, KEPT_MINUTES)?;
    }
    if !batch.events.is_empty() {
        outbox::forget_events(db)?;
    }
    if !batch.slots.is_empty() {
        db.execute(
            "DELETE FROM slot WHERE slot <= (SELECT slot FROM slot ORDER BY slot DESC LIMIT 1 OFFSET ?1)",
            [KEPT_SLOTS as i64],
        )?;
    }
    if !batch.settings.is_empty() {
        db.execute(
            "DELETE FROM settings WHERE id <= (SELECT max(id) FROM settings) - ?1",
            [KEPT_SETTINGS as i64],
        )?;
    }
    Ok(())
}

/// Deletes the oldest blocks, and when none is left the oldest minutes, until so few pages are in use.
fn make_room(db: &Transaction<'_>, pages: u64) -> Result<()> {
    let delete =
        format!("DELETE FROM block WHERE seq IN (SELECT seq FROM block ORDER BY seq LIMIT {EVICTED})");
    while pages_in_use(db)? > pages {
        if db.execute(&delete, [])? == 0 && !outbox::evict_minutes(db, EVICTED)? {
            return Ok(());
        }
    }
    Ok(())
}

fn pages_in_use(db: &Connection) -> Result<u64> {
    let pragma = |name: &str| db.pragma_query_value(None, name, |row| row.get::<_, i64>(0));
    Ok((pragma("page_count")? - pragma("freelist_count")?).unsigned_abs())
}

/// Minutes by row number, oldest first; `None` for a row that cannot be read.
pub(super) fn minutes(db: &Connection, after: i64, limit: i64) -> Result<Vec<Option<MinutePoint>>> {
    let sql = "SELECT boot, uptime, unix, data FROM minute WHERE id > ?1 ORDER BY id LIMIT ?2";
    let mut rows = db.prepare_cached(sql)?;
    let points = rows.query_map([after, limit], |row| {
        let stamp =
            Stamp { boot: row.get(0)?, uptime: Uptime(row.get::<_, i64>(1)? as u64), unix: row.get(2)? };
        Ok(MinutePoint::unpack(stamp, row.get_ref(3)?.as_blob()?).ok())
    })?;
    points.collect()
}

/// A stored block, as its row holds it.
#[derive(Debug, Clone)]
pub(super) struct StoredBlock {
    pub(super) head: Head,
    pub(super) unix: Option<i64>,
    check: Check,
    data: Vec<u8>,
}

/// Columns that [`StoredBlock::from_row`] reads.
pub(super) const BLOCK_COLUMNS: &str = "seq, boot, first, last, unix, digest, data";

impl StoredBlock {
    pub(super) fn from_row(row: &Row<'_>) -> Result<Self> {
        let uptime = |column| Ok::<_, rusqlite::Error>(Uptime(row.get::<_, i64>(column)? as u64));
        Ok(Self {
            head: Head {
                seq: row.get::<_, i64>(0)? as u64,
                boot: row.get(1)?,
                first: uptime(2)?,
                last: uptime(3)?,
            },
            unix: row.get(4)?,
            check: row.get(5)?,
            data: row.get(6)?,
        })
    }

    pub(super) fn unpack(&self) -> core::result::Result<Cycles, Unreadable> {
        block::unpack(self.head, &self.data, self.check)
    }
}

/// Settings by their fingerprint; `None` when they are not there or not what the fingerprint says.
pub(super) fn settings(db: &Connection, digest: SettingsDigest) -> Result<Option<Settings>> {
    let row: Option<Vec<u8>> = db
        .prepare_cached("SELECT settings FROM settings WHERE digest = ?1")?
        .query_row([digest.0], |row| row.get(0))
        .optional()?;
    let settings = row.and_then(|row| postcard::from_bytes::<Settings>(&row).ok());
    Ok(settings.filter(|settings| settings.digest() == digest))
}

/// The newest state that can be read, and how many newer blocks cannot.
fn last_known(db: &Connection) -> Result<(Option<LastKnown>, u64)> {
    let sql = format!("SELECT {BLOCK_COLUMNS} FROM block ORDER BY seq DESC LIMIT {TRIED_BLOCKS}");
    let mut rows = db.prepare(&sql)?;
    let mut unreadable = 0;
    for row in rows.query_map([], |row| Ok(StoredBlock::from_row(row)))? {
        let cycles = row?.map(|row| (row.head, row.unpack())).ok();
        let Some((head, Ok(cycles))) = cycles else {
            unreadable += 1;
            continue;
        };
        let digest = cycles.before.settings;
        let settings = settings(db, digest)?;
        let wall = cycles.images.last().and_then(|image| image.wall);
        let Some(settings) = settings.filter(|settings| cycles.ran_under(settings)) else {
            unreadable += 1;
            continue;
        };
        let state = cycles.images.iter().fold(cycles.before, |state, image| step(&settings, state, image).0);
        return Ok((
            Some(LastKnown { boot: head.boot, uptime: head.last, wall, state, settings: digest }),
            unreadable,
        ));
    }
    Ok((None, unreadable))
}
