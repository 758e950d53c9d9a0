//! The thread that judges what arrives and holds it, and hands over what it holds when that is enough, or old.

use core::time::Duration;
use std::sync::mpsc::{RecvTimeoutError, SyncSender, TrySendError};

use super::Settings;
use super::counts::{Count, Counts};
use super::held::{Held, Seen};
use super::judge::{Known, judge};
use super::quarantine::{Allowance, Quarantined};
use super::queue::{Arrivals, Arrived};
use super::stores::Stores;
use crate::clock::steady;

/// Bytes that are handed over as soon as they are held. Twice as many are held at most, and as many are with the
/// thread that files: while that is busy, this one goes on until it has its own share full.
const MOST_HELD: usize = 128 << 20;
/// How often it is looked whether what is held has grown old, where nothing arrives.
const TICK: Duration = Duration::from_millis(200);
/// Characters of a topic that are logged.
const MOST_SHOWN: usize = 100;

/// When what is held is handed over.
#[derive(Debug)]
pub(super) struct Limits {
    every: Duration,
    rows: usize,
    /// Half of what the broker sends without an acknowledgement: the other half flows while this one is filed.
    deliveries: usize,
}

impl Limits {
    pub(super) fn new(settings: &Settings) -> Self {
        let deliveries = usize::from(settings.broker.in_flight).div_ceil(2);
        Self { every: settings.flush_every, rows: settings.flush_rows, deliveries }
    }

    /// Whether so much is held that it goes, times so much.
    fn reached(&self, held: &Held, times: usize) -> bool {
        held.records >= times * self.rows
            || held.bytes >= times * MOST_HELD
            || held.deliveries.len() >= times * self.deliveries
    }
}

/// Collects until nobody sends any more, and hands over the rest.
pub(super) fn run(
    limits: &Limits,
    known: Known,
    arrivals: &Arrivals,
    hand_over: &SyncSender<Held>,
    counts: &Counts,
) {
    let mut collecting = Collecting { known, ..Collecting::default() };
    loop {
        match arrivals.next(TICK) {
            Ok(arrived) => collecting.take(&arrived, counts),
            Err(RecvTimeoutError::Timeout) => {}
            Err(RecvTimeoutError::Disconnected) => break,
        }
        let Some(since) = collecting.held.since else { continue };
        let old = steady().duration_since(since) >= limits.every;
        if !old && !limits.reached(&collecting.held, 1) {
            continue;
        }
        // Beyond twice the share it waits here; so the queue fills, and the link stops reading.
        let wait = limits.reached(&collecting.held, 2);
        if !collecting.hand_over(hand_over, wait) {
            return;
        }
    }
    if collecting.held.since.is_some() {
        collecting.hand_over(hand_over, true);
    }
}

#[derive(Default)]
struct Collecting {
    known: Known,
    held: Held,
    seen: Seen,
    stores: Stores,
    allowance: Allowance,
}

impl Collecting {
    fn take(&mut self, arrived: &Arrived, counts: &Counts) {
        counts.add(Count::Messages, 1);
        self.held.since.get_or_insert_with(steady);
        self.held.deliveries.extend(arrived.delivery);
        let topic = String::from_utf8_lossy(&arrived.topic);
        match judge(&topic, &arrived.payload, &self.known) {
            Ok(taken) => {
                let alert = self.stores.note(&taken.1, arrived.received_ms).map(|alert| ("alerts", alert));
                for taken in [taken].into_iter().chain(alert) {
                    self.held.take(taken, arrived.received_ms, &self.seen, counts);
                }
            }
            Err(reason) => {
                counts.add(Count::Refused, 1);
                if self.allowance.allows(&topic, arrived.received_ms) {
                    let shown: String = topic.chars().take(MOST_SHOWN).collect();
                    tracing::warn!(topic = shown, "refused: {reason}");
                    let kept =
                        Quarantined::new(arrived.received_ms, &topic, reason.to_string(), &arrived.payload);
                    self.held.keep_refused(kept);
                } else {
                    counts.add(Count::RefusedUnkept, 1);
                }
            }
        }
    }

    /// Hands over what is held, if it is taken; whether anybody will ever take anything.
    fn hand_over(&mut self, to: &SyncSender<Held>, wait: bool) -> bool {
        let mut held = core::mem::take(&mut self.held);
        let records = held.take_seen();
        let sent = if wait { to.send(held).map_err(TrySendError::from) } else { to.try_send(held) };
        match sent {
            Ok(()) => self.seen.handed_over(records),
            Err(TrySendError::Full(mut back)) => {
                back.give_back_seen(records);
                self.held = back;
            }
            Err(TrySendError::Disconnected(_)) => return false,
        }
        true
    }
}
