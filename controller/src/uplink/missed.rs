//! Records that were sent before and that the fleet misses: which of them go next. They are sent as they were, so whoever has
//! them already drops them as repeats.

use super::messages::{MessageError, Messages, Outgoing};
use crate::journal::Lane;
use crate::journal::outbox::Outbox;
use crate::told::{Again, Heard};

/// A request that is being fulfilled.
#[derive(Debug)]
pub(super) struct Missed {
    asked: Again,
    at: Place,
    /// Where it stood before the messages that were not answered all.
    answered: Place,
    /// How many of them there are.
    open: usize,
}

/// How far it is.
#[derive(Debug, Clone, Copy)]
struct Place {
    /// None once all lanes are through.
    lane: Option<Lane>,
    /// Newest number of the lane that was handed over.
    after: i64,
    /// Records that were taken.
    records: u64,
}

impl Missed {
    pub(super) fn new(asked: Again) -> Self {
        let lane = Some(if asked.telemetry { Lane::Telemetry } else { Lane::Alerts });
        let at = Place { lane, after: asked.from - 1, records: 0 };
        Self { asked, at, answered: at, open: 0 }
    }

    /// The connection is another: what was on the way may not have come.
    pub(super) fn go_back(&mut self) {
        if std::mem::take(&mut self.open) > 0 {
            self.at = self.answered;
        }
    }

    /// A message was taken, with so many records.
    pub(super) fn arrived(&mut self, records: usize) {
        self.open = self.open.saturating_sub(1);
        self.at.records += records as u64;
    }

    /// What goes next: nothing while the last messages were not answered. Only records up to `sent` of their lane are sent
    /// again, for the others go anyway; of another journal nothing is left.
    pub(super) fn next(
        &mut self,
        messages: &mut Messages,
        outbox: &Outbox,
        sent: &[i64; Lane::ALL.len()],
        most: usize,
    ) -> Result<Vec<Outgoing>, MessageError> {
        if self.open > 0 {
            return Ok(Vec::new());
        }
        self.answered = self.at;
        while let Some(lane) = self.at.lane {
            let upto = self.asked.upto.min(sent[lane as usize]);
            let of_this = self.asked.store == outbox.store();
            let made =
                if of_this { messages.next(outbox, lane, (self.at.after, upto), most)? } else { Vec::new() };
            if let Some(last) = made.last() {
                (self.at.after, self.open) = (last.upto, made.len());
                return Ok(made);
            }
            // Events of all lanes share their numbers: after one lane comes the next.
            (self.at.lane, self.at.after) = (next_lane(lane), self.asked.from - 1);
        }
        Ok(Vec::new())
    }

    /// What the cycle is to be told, once all is done.
    pub(super) fn done(&self) -> Option<Heard> {
        let over = self.at.lane.is_none() && self.open == 0;
        over.then(|| Heard::SentAgain { id: self.asked.id.clone(), records: self.at.records })
    }
}

fn next_lane(lane: Lane) -> Option<Lane> {
    match lane {
        Lane::Alerts => Some(Lane::Answers),
        Lane::Answers => Some(Lane::Decisions),
        Lane::Decisions | Lane::Telemetry => None,
    }
}
