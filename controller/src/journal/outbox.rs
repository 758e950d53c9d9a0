//! What the fleet has not got yet: cursors into the journal, not a copy of it. A record leaves only when the broker has
//! acknowledged it, or by a rule that is stated and counted here.
//!
//! Minutes that have waited for long are thinned to half hours; then, a year later, or where the file is full, they are
//! given up. Events go once they were sent and are old; alerts stay until they were sent. Who sends is not said here.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rusqlite::{Connection, OptionalExtension as _, Transaction, params};
use sunkeep_core::Settings;
use sunkeep_models::time::Uptime;

use super::error::JournalError;
use super::points::{DemandPoint, EventPoint, Lane, LoadPoint, MinutePoint, Stamp, StoreId};
use super::queue::Queue;
use super::schema;

/// Minutes that wait before the oldest are thinned: 30 days.
pub const WHOLE_MINUTES: i64 = 30 * 1440;
/// Length of what minutes are thinned to, ms: no longer than the lake takes.
const THINNED_MS: u64 = 30 * 60_000;
/// Rows that are looked at in one go of thinning: two hours. A minute brings at most one, so thinning keeps up.
const THINNED_AT_ONCE: i64 = 120;
/// Minutes after which what was never sent is given up: a year.
const WAITING_MINUTES: i64 = 365 * 1440;
/// Events kept once they were sent.
const SENT_EVENTS: i64 = 2000;
/// Events that wait at the most, alerts apart.
const WAITING_EVENTS: i64 = 20_000;
/// Alerts that wait at the most.
const WAITING_ALERTS: i64 = 20_000;
/// Marks beside those of the lanes: up to where minutes were thinned, and records given up unsent.
const THINNED: i64 = 100;
const GIVEN_UP: i64 = 101;
/// And the month that was metered last, with its bytes.
const MONTH: i64 = 102;
const BYTES: i64 = 103;

/// Bytes that went over the line in a month.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Metered {
    /// Months since the year 0; 0 while nobody has told the time.
    pub month: i64,
    /// Bytes.
    pub bytes: i64,
}

type Result<T> = core::result::Result<T, rusqlite::Error>;

/// Tells the journal what the broker has. Written with the next block: what a power cut takes of it is sent twice.
#[derive(Debug, Clone)]
pub struct Sent {
    queue: Arc<Queue>,
}

impl Sent {
    pub(super) fn new(queue: Arc<Queue>) -> Self {
        Self { queue }
    }

    /// All records of the lane up to this number have arrived.
    pub fn upto(&self, lane: Lane, store: StoreId, number: i64) {
        self.queue.set_sent(lane, store, number);
    }

    /// So much went over the line.
    pub fn metered(&self, metered: Metered) {
        self.queue.set_metered(metered);
    }
}

/// The journal as a sender reads it, beside the writer.
#[derive(Debug)]
pub struct Outbox {
    path: PathBuf,
    connection: Connection,
    store: StoreId,
    identity: (u64, u64),
}

impl Outbox {
    /// Opens a journal that a hub writes.
    pub fn open(path: &Path) -> core::result::Result<Self, JournalError> {
        let connection = schema::open_to_read(path)?;
        let fail = |source| failed(path, "reading its store number", source);
        let store = schema::store_of(&connection).map_err(fail)?;
        Ok(Self { path: path.into(), connection, store, identity: schema::identity(path)? })
    }

    /// Number of the store.
    pub fn store(&self) -> StoreId {
        self.store
    }

    /// Whether the file is still the journal: a damaged one is begun anew under the same name.
    pub fn is_current(&self) -> bool {
        schema::identity(&self.path).is_ok_and(|identity| identity == self.identity)
    }

    /// Number of the newest record of a lane that has arrived; 0 where none has.
    pub fn sent(&self, lane: Lane) -> core::result::Result<i64, JournalError> {
        mark(&self.connection, lane.number())
            .map_err(|source| failed(&self.path, "reading what was sent", source))
    }

    /// How many records of a lane there are after a number.
    pub fn waiting(&self, lane: Lane, after: i64) -> core::result::Result<u64, JournalError> {
        let read = || -> Result<i64> {
            let Lane::Telemetry = lane else {
                let sql = "SELECT count(*) FROM event WHERE lane = ?1 AND id > ?2";
                return self
                    .connection
                    .prepare_cached(sql)?
                    .query_row([lane.number(), after], |row| row.get(0));
            };
            // Numbers follow one another but where minutes were thinned, and those are few.
            let sql = "SELECT max(id) FROM minute";
            let newest: Option<i64> = self.connection.prepare_cached(sql)?.query_row([], |row| row.get(0))?;
            Ok(newest.unwrap_or(0) - after)
        };
        let waiting = read().map_err(|source| failed(&self.path, "looking what there is to send", source))?;
        Ok(u64::try_from(waiting).unwrap_or(0))
    }

    /// Minutes after a number, oldest first, each with its own; one that cannot be read is passed over.
    pub fn minutes(
        &self,
        after: i64,
        most: usize,
    ) -> core::result::Result<Vec<(i64, MinutePoint)>, JournalError> {
        let read = || -> Result<Vec<_>> {
            let sql = "SELECT id, boot, uptime, unix, data FROM minute WHERE id > ?1 ORDER BY id LIMIT ?2";
            let mut rows = self.connection.prepare_cached(sql)?;
            let rows = rows.query_map([after, most as i64], minute)?;
            Ok(rows.collect::<Result<Vec<_>>>()?.into_iter().flatten().collect())
        };
        read().map_err(|source| failed(&self.path, "reading minutes to send", source))
    }

    /// Events of a lane after a number, oldest first, each with its own.
    pub fn events(
        &self,
        lane: Lane,
        after: i64,
        most: usize,
    ) -> core::result::Result<Vec<(i64, EventPoint)>, JournalError> {
        let read = || -> Result<Vec<_>> {
            let sql = "SELECT id, boot, uptime, unix, what, fields FROM event WHERE lane = ?1 AND id > ?2
                ORDER BY id LIMIT ?3";
            let mut rows = self.connection.prepare_cached(sql)?;
            let rows = rows.query_map([lane.number(), after, most as i64], |row| {
                let stamp = stamp(row)?;
                let fields = serde_json::from_str(&row.get::<_, String>(5)?).unwrap_or_default();
                Ok((row.get(0)?, EventPoint { stamp, lane, what: row.get(4)?, fields }))
            })?;
            rows.collect()
        };
        read().map_err(|source| failed(&self.path, "reading events to send", source))
    }

    /// Names of the loads under settings, by the first bytes of their fingerprint; `None` where nobody kept them.
    pub fn load_names(&self, settings: [u8; 8]) -> core::result::Result<Option<Vec<String>>, JournalError> {
        let read = || {
            let sql = "SELECT settings FROM settings WHERE substr(digest, 1, 8) = ?1";
            let row =
                self.connection.prepare_cached(sql)?.query_row([settings], |row| row.get::<_, Vec<u8>>(0));
            row.optional()
        };
        let row = read().map_err(|source| failed(&self.path, "reading the names of the loads", source))?;
        let settings = row.and_then(|row| postcard::from_bytes::<Settings>(&row).ok());
        Ok(settings.map(|settings| settings.loads.into_iter().map(|load| load.name).collect()))
    }

    /// What is kept under a name from start to start.
    pub fn kept(&self, name: &str) -> core::result::Result<Option<Vec<u8>>, JournalError> {
        let sql = "SELECT data FROM learnt WHERE name = ?1";
        let read = || self.connection.prepare_cached(sql)?.query_row([name], |row| row.get(0)).optional();
        read().map_err(|source| failed(&self.path, "reading what is kept", source))
    }

    /// What went over the line in the month that was metered last.
    pub fn metered(&self) -> core::result::Result<Metered, JournalError> {
        let read =
            || Ok(Metered { month: mark(&self.connection, MONTH)?, bytes: mark(&self.connection, BYTES)? });
        read().map_err(|source| failed(&self.path, "reading what went over the line", source))
    }

    /// Records that were given up before they were sent, since the journal was made.
    pub fn given_up(&self) -> core::result::Result<i64, JournalError> {
        mark(&self.connection, GIVEN_UP)
            .map_err(|source| failed(&self.path, "reading what was given up", source))
    }
}

fn failed(path: &Path, doing: &'static str, source: rusqlite::Error) -> JournalError {
    JournalError::Database { path: path.into(), doing, source }
}

/// Columns 1 to 3.
fn stamp(row: &rusqlite::Row<'_>) -> Result<Stamp> {
    Ok(Stamp { boot: row.get(1)?, uptime: Uptime(row.get::<_, i64>(2)? as u64), unix: row.get(3)? })
}

/// Columns 0 to 4; `None` where the data cannot be read.
fn minute(row: &rusqlite::Row<'_>) -> Result<Option<(i64, MinutePoint)>> {
    let point = MinutePoint::unpack(stamp(row)?, row.get_ref(4)?.as_blob()?);
    Ok(point.ok().map(|point| (row.get_unwrap(0), point)))
}

fn mark(db: &Connection, name: i64) -> Result<i64> {
    let mark =
        db.prepare_cached("SELECT upto FROM mark WHERE name = ?1")?.query_row([name], |row| row.get(0));
    Ok(mark.optional()?.unwrap_or(0))
}

fn set_mark(db: &Connection, name: i64, upto: i64) -> Result<()> {
    db.prepare_cached("INSERT OR REPLACE INTO mark VALUES(?1, ?2)")?.execute([name, upto])?;
    Ok(())
}

fn give_up(db: &Connection, records: usize) -> Result<()> {
    if records > 0 {
        set_mark(db, GIVEN_UP, mark(db, GIVEN_UP)? + records as i64)?;
    }
    Ok(())
}

pub(super) fn insert_events(db: &Transaction<'_>, events: &[(u64, EventPoint)]) -> Result<()> {
    let sql = "INSERT INTO event(lane, boot, uptime, unix, what, fields) VALUES(?1, ?2, ?3, ?4, ?5, ?6)";
    for (_, event) in events {
        let EventPoint { stamp, lane, what, fields } = event;
        let fields = serde_json::to_string(fields).unwrap_or_default();
        db.prepare_cached(sql)?.execute(params![
            lane.number(),
            stamp.boot,
            stamp.uptime.0 as i64,
            stamp.unix,
            what,
            fields
        ])?;
    }
    Ok(())
}

/// Moves the cursors; what was sent of another store counts for nothing here.
pub(super) fn mark_sent(
    db: &Transaction<'_>,
    store: StoreId,
    sent: &BTreeMap<Lane, (StoreId, i64)>,
) -> Result<()> {
    for (lane, (_, upto)) in sent.iter().filter(|(_, (of, _))| *of == store) {
        set_mark(db, lane.number(), *upto)?;
    }
    Ok(())
}

pub(super) fn mark_metered(db: &Transaction<'_>, metered: Option<Metered>) -> Result<()> {
    let Some(Metered { month, bytes }) = metered else { return Ok(()) };
    set_mark(db, MONTH, month)?;
    set_mark(db, BYTES, bytes)
}

/// Drops minutes: sent ones that are older than `kept`, and unsent ones that nobody came for in a year.
pub(super) fn forget_minutes(db: &Transaction<'_>, kept: u64) -> Result<()> {
    let newest: Option<i64> = db.query_row("SELECT max(id) FROM minute", [], |row| row.get(0))?;
    let (newest, sent) = (newest.unwrap_or(0), mark(db, Lane::Telemetry.number())?);
    let mut delete = db.prepare_cached("DELETE FROM minute WHERE id <= ?1")?;
    delete.execute([sent.min(newest - kept as i64)])?;
    give_up(db, delete.execute([newest - WAITING_MINUTES])?)
}

/// Deletes the oldest minutes to make room, but never the newest, for its number must not be given twice; says whether
/// there was one.
pub(super) fn evict_minutes(db: &Transaction<'_>, most: u64) -> Result<bool> {
    let sent = mark(db, Lane::Telemetry.number())?;
    let sql = "DELETE FROM minute WHERE id IN
        (SELECT id FROM minute WHERE id < (SELECT max(id) FROM minute) ORDER BY id LIMIT ?1) RETURNING id";
    let mut evict = db.prepare_cached(sql)?;
    let evicted = evict.query_map([most as i64], |row| row.get::<_, i64>(0))?.collect::<Result<Vec<_>>>()?;
    give_up(db, evicted.iter().filter(|id| **id > sent).count())?;
    Ok(!evicted.is_empty())
}

/// Drops events: of those that were sent the oldest, and of those that wait what is beyond their bounds.
pub(super) fn forget_events(db: &Transaction<'_>) -> Result<()> {
    let newest: Option<i64> = db.query_row("SELECT max(id) FROM event", [], |row| row.get(0))?;
    let newest = newest.unwrap_or(0);
    for lane in Lane::ALL {
        let sent = mark(db, lane.number())?.min(newest - SENT_EVENTS);
        let waiting = if lane == Lane::Alerts { WAITING_ALERTS } else { WAITING_EVENTS };
        let mut delete = db.prepare_cached("DELETE FROM event WHERE lane = ?1 AND id <= ?2")?;
        delete.execute([lane.number(), sent])?;
        // Numbers are shared by the lanes, so a lane may hold fewer than its bound, and never more.
        let lost = delete.execute([lane.number(), newest - waiting])?;
        give_up(db, lost)?;
    }
    Ok(())
}

/// Thins the oldest minutes that wait, where more of them wait than may.
pub(super) fn thin(db: &Transaction<'_>) -> Result<()> {
    let newest: Option<i64> = db.query_row("SELECT max(id) FROM minute", [], |row| row.get(0))?;
    let thinned = mark(db, THINNED)?;
    let from = thinned.max(mark(db, Lane::Telemetry.number())?);
    if newest.unwrap_or(0) - from <= WHOLE_MINUTES {
        return Ok(());
    }
    let rows: Vec<(i64, MinutePoint)> = {
        let sql = "SELECT id, boot, uptime, unix, data FROM minute WHERE id > ?1 ORDER BY id LIMIT ?2";
        let mut select = db.prepare_cached(sql)?;
        let rows = select.query_map([from, THINNED_AT_ONCE], minute)?;
        rows.collect::<Result<Vec<_>>>()?.into_iter().flatten().collect()
    };
    let span = |(_, point): &(i64, MinutePoint)| {
        let began = point.stamp.uptime.0.saturating_sub(u64::from(point.span_ms));
        (point.stamp.boot, point.stamp.unix.is_some(), began / THINNED_MS, point.settings)
    };
    let mut upto = from;
    for group in rows.chunk_by(|one, other| span(one) == span(other)) {
        let Some(((last, _), before)) = group.split_last() else { continue };
        let merged = merge(&group.iter().map(|(_, point)| point).collect::<Vec<_>>());
        let Some(merged) = merged else { continue };
        let stamp = merged.stamp;
        db.prepare_cached("UPDATE minute SET uptime = ?2, unix = ?3, data = ?4 WHERE id = ?1")?
            .execute(params![last, stamp.uptime.0 as i64, stamp.unix, merged.pack().unwrap_or_default()])?;
        for (id, _) in before {
            db.prepare_cached("DELETE FROM minute WHERE id = ?1")?.execute([id])?;
        }
        upto = *last;
    }
    set_mark(db, THINNED, upto)
}

/// One record of several: means weighted by their spans, the time of the last. Loads are on where they were on all the
/// time.
fn merge(points: &[&MinutePoint]) -> Option<MinutePoint> {
    let (first, last) = (points.first()?, points.last()?);
    let mean = |get: &dyn Fn(&MinutePoint) -> Option<f32>| {
        let known = points.iter().filter_map(|point| Some((get(point)?, point.span_ms as f32)));
        let (sum, weight) =
            known.fold((0.0, 0.0), |(sum, weight), (value, span)| (sum + value * span, weight + span));
        (weight > 0.0).then(|| sum / weight)
    };
    let all = |get: &dyn Fn(&MinutePoint) -> Option<bool>| {
        points.iter().filter_map(|point| get(point)).reduce(|one, other| one && other)
    };
    let loads = (0..last.loads.len()).map(|load| LoadPoint {
        on: points.iter().all(|point| point.loads[load].on),
        watts: mean(&|point| point.loads[load].watts),
    });
    let began = first.stamp.uptime.0.saturating_sub(u64::from(first.span_ms));
    Some(MinutePoint {
        stamp: last.stamp,
        span_ms: (last.stamp.uptime.0 - began) as u32,
        merged: points.iter().map(|point| point.merged).fold(0, u16::saturating_add),
        charge: last.charge,
        volts: mean(&|point| point.volts),
        amps: mean(&|point| point.amps),
        watts: mean(&|point| point.watts),
        celsius: mean(&|point| point.celsius),
        sun: mean(&|point| point.sun),
        load: mean(&|point| point.load),
        settings: last.settings,
        loads: loads.collect(),
        demand: DemandPoint {
            total: mean(&|point| point.demand.total),
            tiers: std::array::from_fn(|tier| mean(&|point| point.demand.tiers[tier])),
            on: std::array::from_fn(|tier| all(&|point| point.demand.on[tier])),
            throttled: points.iter().any(|point| point.demand.throttled),
        },
    })
}
