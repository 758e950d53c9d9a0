//! What the hub writes down and reads back at its next start: cycles, minutes of telemetry, slot means.
//!
//! How it is stored is the journal's; a hub whose journal cannot be opened runs on without one.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::{Arc, mpsc};
use std::time::Duration;

use serde_json::{Map, Value, json};
use sunkeep_core::decision::Alarm;
use sunkeep_core::evidence::{EndedSlot, History};
use sunkeep_core::image::ProcessImage;
use sunkeep_core::{Decision, Settings, State};
use sunkeep_models::quantity::Seconds;
use sunkeep_models::time::{Slot, Uptime};

use crate::clock::Now;
use crate::config;
use crate::forecasts::Learnt;
use crate::journal::{
    EventPoint, Journal, JournalError, JournalHealth, JournalOptions, Lane, LastKnown, MinutePoint, Recorder,
    Recovered, SlotPoint, recovered,
};
use crate::minute::Minute;
use crate::told;
use crate::uplink::Source;
use crate::view::{MOST_POINTS, POINT_MINUTES, Point};

/// The journal with what is gathered for it.
#[derive(Debug)]
pub struct Records {
    journal: Journal,
    recorder: Recorder,
    minute: Minute,
    alarm: Option<Alarm>,
}

/// What a start finds.
#[derive(Debug, Default)]
pub struct Memory {
    /// Where the hub stood when it last wrote.
    pub last: Option<LastKnown>,
    /// Slot means of the past.
    pub history: History,
    /// The last two days.
    pub past: Vec<Point>,
    /// Pulses of each meter, by name.
    pub counters: BTreeMap<String, u64>,
    /// What was learnt of the home.
    pub learnt: Learnt,
    /// What the fleet told.
    pub told: Option<Vec<u8>>,
}

/// Goes on trying to open a journal, on a thread of its own: a disk that is ill may take long to say so.
#[derive(Debug)]
pub struct Reopening {
    home: Arc<config::Home>,
    tried: Option<Uptime>,
    opening: Option<mpsc::Receiver<Result<(Records, Memory), JournalError>>>,
}

/// Time between two tries to open a journal.
const TRY_AGAIN: Seconds = Seconds(30.0);

impl Reopening {
    /// The first try comes a while after the start, which has tried already.
    pub fn new(home: Arc<config::Home>) -> Self {
        Self { home, tried: None, opening: None }
    }

    /// The journal, once one could be opened.
    pub fn poll(&mut self, now: Uptime) -> Option<(Records, Memory)> {
        if let Some(opening) = &self.opening {
            match opening.try_recv() {
                Ok(Ok(opened)) => {
                    self.opening = None;
                    return Some(opened);
                }
                Err(mpsc::TryRecvError::Empty) => return None,
                Ok(Err(_)) | Err(mpsc::TryRecvError::Disconnected) => self.opening = None,
            }
        }
        if now.since(*self.tried.get_or_insert(now)) >= TRY_AGAIN {
            self.tried = Some(now);
            let (home, (result, opening)) = (Arc::clone(&self.home), mpsc::sync_channel(1));
            let open = move || {
                // Nobody listens any more when the hub is stopping.
                let _ = result.send(Records::open(&home.journal, &home.settings, &home.text));
            };
            // A thread that cannot be started is a failed try.
            self.opening =
                std::thread::Builder::new().name("journal open".into()).spawn(open).ok().map(|_| opening);
        }
        None
    }
}

impl Records {
    /// Opens the journal and reads back what was known.
    pub fn open(
        journal: &config::Journal,
        settings: &Settings,
        text: &str,
    ) -> Result<(Self, Memory), JournalError> {
        let options = JournalOptions { max_bytes: journal.max_bytes, ..JournalOptions::default() };
        let (journal, recorder, recovered) = Journal::open(&journal.path, options)?;
        journal.keep_settings(settings, text);
        tell(journal.path(), &recovered);
        let memory = Memory::of(recovered);
        Ok((Self { journal, recorder, minute: Minute::default(), alarm: None }, memory))
    }

    /// Writes down a cycle.
    pub fn cycle(&mut self, settings: &Settings, before: &State, image: &ProcessImage, decision: &Decision) {
        self.tell_the_fleet(settings, image, decision);
        self.recorder.record(before, image, decision);
        if let Some(minute) = self.minute.add(settings, image, decision, &self.recorder) {
            self.recorder.minute(minute);
        }
    }

    /// What a sender of records needs: the file, and where to say what has arrived.
    pub fn outbox(&self) -> Source {
        Source { path: self.journal.path().into(), sent: self.journal.sent() }
    }

    /// Notes what was switched and why, and what protection began or ended.
    fn tell_the_fleet(&mut self, settings: &Settings, image: &ProcessImage, decision: &Decision) {
        let event = |lane, what: &str, fields| {
            let Value::Object(fields) = fields else { return };
            let stamp = self.recorder.stamp(image);
            self.recorder.event(EventPoint { stamp, lane, what: what.into(), fields });
        };
        let ratio = decision.charge.best.ratio();
        for change in &decision.changes {
            let load = &settings.loads[usize::from(change.load)];
            let mut fields = json!({
                "load": load.name,
                "tier": load.tier.word(),
                "on": change.on,
                "reason": change.because.word(),
                "charge_best": ratio,
            });
            for (name, value) in change.because.figures() {
                fields[name] = json!(value);
            }
            event(Lane::Decisions, "switched", fields);
        }
        if decision.alarm != self.alarm {
            let of = |alarm: Option<Alarm>, raised: bool| {
                if let Some(alarm) = alarm {
                    let fields = json!({ "alarm": alarm, "raised": raised, "charge_best": ratio });
                    event(Lane::Alerts, "protection", fields);
                }
            };
            of(self.alarm, false);
            of(decision.alarm, true);
            self.alarm = decision.alarm;
        }
    }

    /// Writes down the means of a slot.
    pub fn slot(&self, ended: &EndedSlot) {
        let [critical, important, convenience] = ended.tiers;
        self.recorder.slot(SlotPoint {
            slot: ended.slot,
            tiers: [critical, important, convenience, None],
            total: ended.total,
            sun: ended.sun,
            shared: ended.shared,
        });
    }

    /// Writes down totals of pulse meters: name and pulses.
    pub fn counters<'a>(&self, totals: impl Iterator<Item = (&'a str, u64)>) {
        for (name, pulses) in totals {
            self.recorder.counter(name, pulses);
        }
    }

    /// Writes down what was learnt of the home.
    pub fn learnt(&self, learnt: Learnt) {
        for (name, data) in learnt {
            self.recorder.learnt(&name, data);
        }
    }

    /// Writes down settings that cycles will run under.
    pub fn keep_settings(&self, settings: &Settings, text: &str) {
        self.journal.keep_settings(settings, text);
    }

    /// Writes down answers to the fleet, and what outlives a start of what it told; at once, for the fleet waits.
    pub fn answer(&mut self, image: &ProcessImage, answers: Vec<Map<String, Value>>, kept: Option<Vec<u8>>) {
        if answers.is_empty() && kept.is_none() {
            return;
        }
        for fields in answers {
            let (stamp, lane) = (self.recorder.stamp(image), Lane::Answers);
            self.recorder.event(EventPoint { stamp, lane, what: "answered".into(), fields });
        }
        if let Some(kept) = kept {
            self.recorder.learnt(told::KEPT, kept);
        }
        self.recorder.end_block();
    }

    /// What is wrong with the journal, if anything is.
    pub fn fault(&self) -> Option<String> {
        match &*self.journal.health().borrow() {
            JournalHealth::Working => None,
            JournalHealth::Failing { reason } => {
                Some(format!("The journal cannot be written, records wait in memory: {reason}."))
            }
        }
    }

    /// Ends what is being gathered and has it written, for at most `patience`; says whether it is on the disk.
    pub fn flush(&mut self, patience: Duration) -> bool {
        self.recorder.end_block();
        self.journal.flush(patience)
    }

    /// Writes what is left, for at most `patience`.
    pub fn close(mut self, patience: Duration) {
        self.recorder.end_block();
        if !self.journal.close(patience) {
            tracing::warn!("the journal could not take its last records in time");
        }
    }
}

fn tell(path: &Path, recovered: &Recovered) {
    tracing::info!("journal {}, store {}, start {}", path.display(), recovered.store, recovered.boot);
    if let Some(aside) = &recovered.set_aside {
        tracing::error!("the journal was damaged and is begun anew: {aside:?}");
    }
    if recovered.unreadable > 0 {
        tracing::warn!("{} rows of the journal could not be read", recovered.unreadable);
    }
}

impl Memory {
    /// What a hub would start from; the journal stays as it is.
    pub fn recall(journal: &Path) -> Result<Self, JournalError> {
        Ok(Self::of(recovered(journal)?))
    }

    fn of(mut recovered: Recovered) -> Self {
        let told = recovered.learnt.remove(told::KEPT);
        Self {
            told,
            history: history(&recovered),
            past: past(&recovered.minutes),
            last: recovered.last,
            counters: recovered.counters,
            learnt: recovered.learnt,
        }
    }

    /// The state to start from, now that the time is known as well as it will be.
    pub fn state(last: Option<LastKnown>, settings: &Settings, now: Now) -> State {
        let Some(last) = last else { return State::new(settings) };
        let off_for = match (last.wall, now.wall) {
            (Some(then), Some(now)) if now.unix >= then.unix => Some(Seconds((now.unix - then.unix) as f64)),
            _ => None,
        };
        last.state.after_restart(settings, off_for)
    }
}

/// Slots after the last cycle were written while the clock was wrong, and do not count.
fn history(recovered: &Recovered) -> History {
    let mut history = History::default();
    let last = recovered.last.as_ref().and_then(|last| last.wall).map(|wall| Slot::of(wall.unix));
    for point in recovered.slots.iter().filter(|point| last.is_none_or(|last| point.slot <= last)) {
        for (tier, mean) in history.tiers.iter_mut().zip(point.tiers) {
            tier.record(point.slot, mean);
        }
        history.total.record(point.slot, point.total);
        history.sun.record(point.slot, point.sun);
        if let Some(shared) = point.shared {
            history.shared.push(shared);
        }
    }
    history
}

fn past(minutes: &[MinutePoint]) -> Vec<Point> {
    let mut past: Vec<Point> = Vec::new();
    for minute in minutes {
        let Some(unix) = minute.stamp.unix else { continue };
        let unix = unix - unix.rem_euclid(POINT_MINUTES * 60);
        if past.last().is_some_and(|last| last.unix >= unix) {
            continue;
        }
        let [low, best, high] = minute.charge;
        past.push(Point { unix, low, best, high, sun: minute.sun, load: minute.load });
    }
    past.drain(..past.len().saturating_sub(MOST_POINTS));
    past
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::journal::StoreId;
    use sunkeep_core::disaggregate::SharedSlot;

    /// What one meter counted is evidence of the tiers, and all that was learnt from it is in it.
    #[test]
    fn a_restart_remembers_what_one_meter_counted() {
        let shared =
            |slot: i64| SharedSlot { slot: Slot(slot), on: 0b111, watts: 90.0, metered: [Some(0.0); 3] };
        let point = |slot: i64| SlotPoint {
            slot: Slot(slot),
            tiers: [Some(30.0), Some(30.0), Some(30.0), None],
            total: Some(90.0),
            sun: None,
            shared: (slot % 2 == 0).then(|| shared(slot)),
        };
        let recovered = Recovered {
            store: StoreId([0; 16]),
            boot: 2,
            last: None,
            slots: (100..110).map(point).collect(),
            minutes: Vec::new(),
            counters: BTreeMap::new(),
            learnt: BTreeMap::new(),
            unreadable: 0,
            set_aside: None,
        };
        let history = history(&recovered);
        assert!(history.shared.iter().copied().eq((50..55).map(|half| shared(2 * half))));
        assert_eq!(history.tiers[1].get(Slot(109)), Some(30.0));
    }
}
