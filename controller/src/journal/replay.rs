//! Replay: takes every block apart, decides every cycle again, and compares to the bit. And the list of
//! changes for persons. Reads beside a hub that writes, one row at a time, so that it never holds up its log.

use std::collections::VecDeque;
use std::path::{Path, PathBuf};

use rusqlite::{Connection, OptionalExtension as _};
use sunkeep_core::decision::Because;
use sunkeep_core::settings::SettingsDigest;
use sunkeep_core::{Decision, Settings, State, step};
use sunkeep_models::time::Uptime;

use super::block::{Cycles, DecisionDigest, Unreadable};
use super::error::JournalError;
use super::schema::open_to_read;
use super::store::{BLOCK_COLUMNS, StoredBlock, settings};

/// Findings that a report lists; all are counted.
const LISTED: usize = 100;

/// From when to when, seconds since 1970, the end left out. Blocks whose time nobody knows belong to the
/// unbounded range only.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct TimeRange {
    /// Not before.
    pub from: Option<i64>,
    /// Before.
    pub until: Option<i64>,
}

/// What a replay found.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct ReplayReport {
    /// Blocks looked at, those that cannot be read included.
    pub blocks: u64,
    /// Cycles decided again.
    pub cycles: u64,
    /// Of them, decisions that switched something.
    pub decisions: u64,
    /// Blocks that decided otherwise, or left another state behind.
    pub mismatches: u64,
    /// Blocks that cannot be read, or whose settings are lost.
    pub unreadable: u64,
    /// Numbers that were given to blocks and are not there: given up while the disk was full.
    pub missing: u64,
    /// The first 100 mismatches and unreadable blocks.
    pub findings: Vec<Finding>,
}

/// One block that is not as it should be.
#[derive(Debug, Clone, PartialEq)]
pub struct Finding {
    /// Number of the block.
    pub seq: u64,
    /// Its boot, as far as it can be read.
    pub boot: Option<u32>,
    /// The cycle; for a whole block its last.
    pub at: Option<Uptime>,
    /// End of the block, seconds since 1970.
    pub unix: Option<i64>,
    /// What is wrong.
    pub what: What,
}

/// What is wrong with a block.
#[derive(Debug, Clone, PartialEq)]
pub enum What {
    /// It cannot be read.
    Unreadable(String),
    /// The settings it ran under are lost or damaged.
    SettingsLost(SettingsDigest),
    /// This cycle decided otherwise; `None` where one side switched nothing.
    DecidesOtherwise {
        /// What the journal holds.
        stored: Option<Box<Decision>>,
        /// What the core decides now.
        replayed: Box<Decision>,
    },
    /// Everything that was switched is the same, but some decision's reasons or estimates are not.
    DigestDiffers,
    /// It does not begin with the state that the block before left behind.
    StateDiffers,
}

impl ReplayReport {
    /// Whether every block was read and decided the same.
    pub fn is_clean(&self) -> bool {
        self.mismatches == 0 && self.unreadable == 0
    }

    fn note(&mut self, finding: Finding) {
        match finding.what {
            What::Unreadable(_) | What::SettingsLost(_) => self.unreadable += 1,
            _ => self.mismatches += 1,
        }
        if self.findings.len() < LISTED {
            self.findings.push(finding);
        }
    }
}

/// Decides everything again that the journal holds, and compares. Goes on after a block that cannot be read.
pub fn replay(path: &Path, range: TimeRange) -> Result<ReplayReport, JournalError> {
    let mut blocks = Blocks::open(path, range)?;
    let mut report = ReplayReport::default();
    let mut tail: Option<Tail> = None;
    let mut last_seq = None;
    while let Some(next) = blocks.next_row() {
        report.blocks += 1;
        let seq = next.seq();
        report.missing += last_seq.map_or(0, |last: u64| seq.saturating_sub(last + 1));
        last_seq = Some(seq);
        tail = match next {
            Next::Block(block) => blocks.replay_block(&block, tail.as_ref(), &mut report)?,
            Next::Unreadable { seq, reason } => {
                let what = What::Unreadable(reason);
                report.note(Finding { seq, boot: None, at: None, unix: None, what });
                None
            }
        };
    }
    Ok(report)
}

/// Where a block left off.
struct Tail {
    seq: u64,
    boot: u32,
    state: State,
}

/// Walks the block table by number.
#[derive(Debug)]
pub(super) struct Blocks {
    db: Connection,
    path: PathBuf,
    range: TimeRange,
    at: u64,
    newest: u64,
    /// The last settings looked up.
    settings: Option<(SettingsDigest, Settings)>,
}

pub(super) enum Next {
    Block(Box<StoredBlock>),
    Unreadable { seq: u64, reason: String },
}

impl Next {
    fn seq(&self) -> u64 {
        match self {
            Self::Block(block) => block.head.seq,
            Self::Unreadable { seq, .. } => *seq,
        }
    }
}

impl Blocks {
    pub(super) fn open(path: &Path, range: TimeRange) -> Result<Self, JournalError> {
        let db = open_to_read(path)?;
        let sql = "SELECT coalesce(min(seq) - 1, 0), coalesce(max(seq), 0) FROM block";
        let (at, newest) = db
            .query_row(sql, [], |row| Ok((row.get::<_, i64>(0)? as u64, row.get::<_, i64>(1)? as u64)))
            .map_err(|source| JournalError::Database {
                path: path.into(),
                doing: "reading its blocks",
                source,
            })?;
        Ok(Self { db, path: path.into(), range, at, newest, settings: None })
    }

    /// The next block of the range. A row that cannot be read is passed over by its number, so the walk
    /// ends at the newest number there was when it began.
    pub(super) fn next_row(&mut self) -> Option<Next> {
        while self.at < self.newest {
            let read = self.read_after(self.at);
            match read {
                Ok(Some((seq, Ok(block)))) => {
                    self.at = seq;
                    if self.range.holds(&block) {
                        return Some(Next::Block(Box::new(block)));
                    }
                }
                Ok(Some((seq, Err(error)))) => {
                    self.at = seq;
                    return Some(Next::Unreadable { seq, reason: error.to_string() });
                }
                Ok(None) => return None,
                Err(error) => {
                    self.at += 1;
                    return Some(Next::Unreadable { seq: self.at, reason: error.to_string() });
                }
            }
        }
        None
    }

    /// When the oldest and the newest block ended of which that is known, seconds since 1970.
    pub(super) fn known_span(&self) -> Result<Option<(i64, i64)>, JournalError> {
        let ends = self
            .db
            .query_row("SELECT min(unix), max(unix) FROM block", [], |row| Ok((row.get(0)?, row.get(1)?)));
        let (first, last): (Option<i64>, Option<i64>) = ends.map_err(|source| JournalError::Database {
            path: self.path.clone(),
            doing: "reading its span",
            source,
        })?;
        Ok(first.zip(last))
    }

    fn read_after(&self, seq: u64) -> rusqlite::Result<Option<(u64, rusqlite::Result<StoredBlock>)>> {
        let sql = format!("SELECT {BLOCK_COLUMNS} FROM block WHERE seq > ?1 ORDER BY seq LIMIT 1");
        let mut statement = self.db.prepare_cached(&sql)?;
        let row = |row: &rusqlite::Row<'_>| Ok((row.get::<_, i64>(0)? as u64, StoredBlock::from_row(row)));
        statement.query_row([seq as i64], row).optional()
    }

    pub(super) fn settings_of(&mut self, digest: SettingsDigest) -> Result<Option<Settings>, JournalError> {
        if let Some((known, settings)) = &self.settings
            && *known == digest
        {
            return Ok(Some(settings.clone()));
        }
        let found = settings(&self.db, digest).map_err(|source| JournalError::Database {
            path: self.path.clone(),
            doing: "reading its settings",
            source,
        })?;
        self.settings = found.clone().map(|settings| (digest, settings));
        Ok(found)
    }

    fn replay_block(
        &mut self,
        block: &StoredBlock,
        tail: Option<&Tail>,
        report: &mut ReplayReport,
    ) -> Result<Option<Tail>, JournalError> {
        let finding = |at, what| Finding {
            seq: block.head.seq,
            boot: Some(block.head.boot),
            at: Some(at),
            unix: block.unix,
            what,
        };
        let end = block.head.last;
        let cycles = match block.unpack() {
            Ok(cycles) => cycles,
            Err(error) => {
                report.note(finding(end, What::Unreadable(error.to_string())));
                return Ok(None);
            }
        };
        let digest = cycles.before.settings;
        let Some(settings) = self.settings_of(digest)? else {
            report.note(finding(end, What::SettingsLost(digest)));
            return Ok(None);
        };
        if !cycles.ran_under(&settings) {
            report.note(finding(end, What::Unreadable(Unreadable::Loads.to_string())));
            return Ok(None);
        }
        report.cycles += cycles.images.len() as u64;
        report.decisions += cycles.decisions.len() as u64;
        if tail.is_some_and(|tail| tail.goes_on_in(block, &cycles) && !same_bits(&tail.state, &cycles.before))
        {
            report.note(finding(block.head.first, What::StateDiffers));
        }
        let (state, difference) = decide_again(&settings, cycles);
        if let Some((at, what)) = difference {
            report.note(finding(at.unwrap_or(end), what));
        }
        Ok(Some(Tail { seq: block.head.seq, boot: block.head.boot, state }))
    }
}

impl Tail {
    /// Whether nothing happened between the two blocks but the passing of time.
    fn goes_on_in(&self, block: &StoredBlock, cycles: &Cycles) -> bool {
        block.head.seq == self.seq + 1
            && block.head.boot == self.boot
            && cycles.before.settings == self.state.settings
            && cycles.before.last == self.state.last
    }
}

/// The state after the block, and the first difference, with its cycle where that is known.
pub(super) fn decide_again(settings: &Settings, cycles: Cycles) -> (State, Option<(Option<Uptime>, What)>) {
    let mut stored = cycles.decisions.iter().peekable();
    let mut digest = DecisionDigest::default();
    let mut difference = None;
    let mut state = cycles.before;
    for (place, image) in cycles.images.iter().enumerate() {
        let (after, decision) = step(settings, state, image);
        state = after;
        digest.add(&decision);
        let kept = stored.next_if(|(at, _)| *at as usize == place).map(|(_, decision)| decision);
        let same = match kept {
            Some(kept) => same_bits(kept, &decision),
            None => decision.changes.is_empty(),
        };
        if !same && difference.is_none() {
            let what = What::DecidesOtherwise {
                stored: kept.map(|kept| Box::new(kept.clone())),
                replayed: Box::new(decision),
            };
            difference = Some((Some(image.now), what));
        }
    }
    if difference.is_none() && (digest.finish() != cycles.digest || stored.next().is_some()) {
        difference = Some((None, What::DigestDiffers));
    }
    (state, difference)
}

/// Equality to the bit: `==` takes -0.0 for 0.0 and no NaN for itself.
fn same_bits<T: serde::Serialize>(a: &T, b: &T) -> bool {
    matches!((postcard::to_stdvec(a), postcard::to_stdvec(b)), (Ok(a), Ok(b)) if a == b)
}

impl TimeRange {
    fn holds(self, block: &StoredBlock) -> bool {
        let Some(end) = block.unix else { return self == Self::default() };
        let start = end - (block.head.last.since(block.head.first).0 as i64);
        self.from.is_none_or(|from| end >= from) && self.until.is_none_or(|until| start < until)
    }
}

/// One load that was switched.
#[derive(Debug, Clone, PartialEq)]
pub struct ChangeRow {
    /// Number of the block it is in.
    pub seq: u64,
    /// In which boot.
    pub boot: u32,
    /// Time since the hub was switched on.
    pub at: Uptime,
    /// Seconds since 1970, where known.
    pub unix: Option<i64>,
    /// What the household calls the load.
    pub label: String,
    /// On or off from then.
    pub on: bool,
    /// Why.
    pub because: Because,
}

/// Everything that was switched, oldest first. Blocks that cannot be read are passed over and counted.
#[derive(Debug)]
pub struct Changes {
    blocks: Blocks,
    ready: VecDeque<ChangeRow>,
    /// Blocks passed over so far.
    pub unreadable: u64,
}

impl Changes {
    /// Begins at the oldest block of the range.
    pub fn open(path: &Path, range: TimeRange) -> Result<Self, JournalError> {
        Ok(Self { blocks: Blocks::open(path, range)?, ready: VecDeque::new(), unreadable: 0 })
    }

    fn take_apart(&mut self, block: &StoredBlock) -> Result<(), JournalError> {
        let Ok(cycles) = block.unpack() else {
            self.unreadable += 1;
            return Ok(());
        };
        let settings = self.blocks.settings_of(cycles.before.settings)?;
        for (place, decision) in &cycles.decisions {
            let Some(image) = cycles.images.get(*place as usize) else { continue };
            let before_end = (block.head.last.since(image.now).0 + 0.5) as i64;
            for change in &decision.changes {
                let load = usize::from(change.load);
                let label = settings.as_ref().and_then(|settings| settings.loads.get(load));
                self.ready.push_back(ChangeRow {
                    seq: block.head.seq,
                    boot: block.head.boot,
                    at: image.now,
                    unix: image.wall.map(|wall| wall.unix).or(block.unix.map(|end| end - before_end)),
                    label: label.map_or_else(|| format!("load {load}"), |load| load.label.clone()),
                    on: change.on,
                    because: change.because,
                });
            }
        }
        Ok(())
    }
}

impl Iterator for Changes {
    type Item = Result<ChangeRow, JournalError>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            if let Some(change) = self.ready.pop_front() {
                return Some(Ok(change));
            }
            match self.blocks.next_row()? {
                Next::Block(block) => {
                    if let Err(error) = self.take_apart(&block) {
                        return Some(Err(error));
                    }
                }
                Next::Unreadable { .. } => self.unreadable += 1,
            }
        }
    }
}
