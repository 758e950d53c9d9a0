//! One connection to the broker, from its first byte to whatever ends it. Every message stays in the journal until its
//! acknowledgement has come; what was on the way when the connection broke is sent again by the next one.

use std::collections::VecDeque;
use std::time::Duration;

use tokio::sync::mpsc;
use tokio::time::Instant;

use super::hears::{Hears, Taken};
use super::link::{self, LinkError};
use super::messages::{MessageError, Messages, Outgoing as Message};
use super::meter::{Budget, month};
use super::missed::Missed;
use super::mqtt::{Client, Happened, NOBODY};
use super::pace::{Backoff, Load, MOST_MESSAGES, is_due};
use super::{Ends, Source, Standing};
use crate::config::{Encoding, Uplink};
use crate::journal::outbox::Outbox;
use crate::journal::{JournalError, Lane, StoreId};

/// How long an acknowledgement may take.
const ACKNOWLEDGED_WITHIN: Duration = Duration::from_mins(2);
/// Lane of the report; no record is in it.
const REPORTED: &str = "twin/reported";
/// How often it is looked whether there is something to send.
const LOOK: Duration = Duration::from_secs(1);

/// What outlives a session: how good the line is, and what was acknowledged, for the journal writes that down later.
#[derive(Debug, Default)]
pub(super) struct Progress {
    /// None until the first session, and after the configuration has changed.
    load: Option<Load>,
    acknowledged: Option<(StoreId, [i64; Lane::ALL.len()])>,
    /// None until a journal was read, and after the configuration has changed.
    budget: Option<Budget>,
    /// Records that are to be sent again.
    missed: Option<Missed>,
}

impl Progress {
    /// All of it, for this journal.
    fn of(&mut self, outbox: &Outbox, config: &Uplink) -> Result<Parts<'_>, JournalError> {
        let mut written = [0; Lane::ALL.len()];
        for (written, lane) in written.iter_mut().zip(Lane::ALL) {
            *written = outbox.sent(lane)?;
        }
        let (store, upto) = self.acknowledged.get_or_insert((outbox.store(), written));
        if *store != outbox.store() {
            (*store, *upto) = (outbox.store(), written);
        }
        let budget = match &mut self.budget {
            Some(budget) => budget,
            none => none.insert(Budget::new(config.month_bytes, outbox.metered()?)),
        };
        let load = self.load.get_or_insert_with(|| Load::new(config.telemetry_minutes));
        Ok(Parts { load, upto, budget, missed: &mut self.missed })
    }
}

/// What a session goes on with.
struct Parts<'a> {
    load: &'a mut Load,
    /// Newest record of each lane that was acknowledged, with all before it.
    upto: &'a mut [i64; Lane::ALL.len()],
    budget: &'a mut Budget,
    missed: &'a mut Option<Missed>,
}

/// What ended a session.
#[derive(Debug, thiserror::Error)]
pub(super) enum Ended {
    #[error(transparent)]
    Link(#[from] LinkError),
    #[error(transparent)]
    Journal(#[from] JournalError),
    #[error(transparent)]
    Message(#[from] MessageError),
    #[error("the broker ended it: {0}")]
    Broker(String),
    #[error("the broker did not acknowledge a message within {} s", ACKNOWLEDGED_WITHIN.as_secs())]
    Unacknowledged,
    #[error("the journal was begun anew")]
    OtherJournal,
    #[error("the configuration has changed")]
    Reconfigured,
}

/// Runs a session to its end.
pub(super) async fn run(config: &Uplink, source: &Source, ends: &mut Ends, progress: &mut Progress) -> Ended {
    let ended = async {
        let outbox = Outbox::open(&source.path)?;
        // Also where there is no line: that is when somebody wants to know.
        let waiting = waiting(&outbox, progress.of(&outbox, config)?.upto)?;
        ends.told.send_modify(|standing| standing.waiting = waiting);
        let link = link::open(config, &ends.meter).await?;
        let (client, arriving) = Client::start(config, &link);
        let hears = Hears::new(config, ends.heard.clone());
        let mut session = Session::new(config, outbox, client, hears, progress)?;
        let ended = session.run(source, ends, arriving).await;
        if session.acknowledged == 0 && !session.on_the_way.is_empty() {
            session.parts.load.halve();
        }
        // What was on the way is sent once more.
        if let Some(missed) = session.parts.missed {
            missed.go_back();
        }
        ended
    };
    let ended = match ended.await {
        Ok(never) => match never {},
        Err(ended) => ended,
    };
    if matches!(ended, Ended::Reconfigured) {
        (progress.load, progress.budget) = (None, None);
    }
    ended
}

/// Records of all lanes after these numbers.
fn waiting(outbox: &Outbox, after: &[i64; Lane::ALL.len()]) -> Result<u64, JournalError> {
    Lane::ALL.into_iter().zip(after).map(|(lane, after)| outbox.waiting(lane, *after)).sum()
}

/// What is known of a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fate {
    /// Nothing yet.
    Unknown,
    /// The broker has it.
    Taken,
    /// The broker did not take it.
    Refused,
}

/// What a message is of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Of {
    /// The next records of a lane.
    Lane { lane: Lane, upto: i64, full: bool },
    /// Records that were sent before.
    Again,
    /// The report of this number; `kept`: the broker keeps it.
    Report { number: u64, kept: bool },
}

/// A message that the broker has not answered, or that waits for those before it.
struct OnTheWay {
    of: Of,
    records: usize,
    packet: Option<u16>,
    fate: Fate,
    since: Instant,
}

struct Session<'a> {
    config: &'a Uplink,
    outbox: Outbox,
    store: StoreId,
    messages: Messages,
    client: Client,
    hears: Hears,
    /// Made and not handed over: of the last records that were read.
    made: VecDeque<(Message, Of)>,
    on_the_way: VecDeque<OnTheWay>,
    /// Number of the report that was handed to the client.
    reported: Option<u64>,
    /// Newest record of each lane that was handed to the client.
    handed: [i64; Lane::ALL.len()],
    parts: Parts<'a>,
    /// Messages acknowledged in this session.
    acknowledged: u64,
    connected: bool,
    /// Why the broker did not take a message; until it is tried again.
    refused: Option<&'static str>,
    /// When it is tried again, once all that was on the way was answered.
    again: Option<Instant>,
    pauses: Backoff,
}

impl<'a> Session<'a> {
    fn new(
        config: &'a Uplink,
        outbox: Outbox,
        client: Client,
        hears: Hears,
        progress: &'a mut Progress,
    ) -> Result<Self, Ended> {
        let store = outbox.store();
        let parts = progress.of(&outbox, config)?;
        parts.load.begin();
        Ok(Self {
            config,
            messages: Messages::new(config, store)?,
            outbox,
            store,
            client,
            hears,
            made: VecDeque::new(),
            on_the_way: VecDeque::new(),
            reported: None,
            handed: *parts.upto,
            parts,
            acknowledged: 0,
            connected: false,
            refused: None,
            again: None,
            pauses: Backoff::default(),
        })
    }

    async fn run(
        &mut self,
        source: &Source,
        ends: &mut Ends,
        mut arriving: mpsc::Receiver<Result<Happened, String>>,
    ) -> Result<core::convert::Infallible, Ended> {
        let mut look = tokio::time::interval(LOOK);
        loop {
            tokio::select! {
                event = arriving.recv() => {
                    let event = event.ok_or_else(|| Ended::Broker("the client stopped".into()))?;
                    self.take(event.map_err(Ended::Broker)?)?;
                }
                _ = look.tick() => {
                    if !self.outbox.is_current() {
                        return Err(Ended::OtherJournal);
                    }
                    if ends.config.has_changed().unwrap_or(false) {
                        return Err(Ended::Reconfigured);
                    }
                    self.hears.acknowledge(&self.client, &self.outbox)?;
                    let mut unknown = self.on_the_way.iter().filter(|message| message.fate == Fate::Unknown);
                    if unknown.any(|message| message.since.elapsed() > ACKNOWLEDGED_WITHIN) {
                        return Err(Ended::Unacknowledged);
                    }
                }
            }
            let (background_work, unix) = ends.view.borrow().as_ref().map_or((false, None), |view| {
                (view.decision.background_work, view.image.wall.map(|wall| wall.unix))
            });
            if let Some(metered) = self.parts.budget.add(&ends.meter, unix.and_then(month)) {
                source.sent.metered(metered);
            }
            self.settle(source, ends);
            if self.connected {
                self.report(ends)?;
                self.hand_over(background_work)?;
                self.hand_over_missed(ends)?;
            }
            self.tell(ends)?;
        }
    }

    fn take(&mut self, happened: Happened) -> Result<(), Ended> {
        match happened {
            Happened::Connected => {
                self.connected = true;
                if self.config.listens {
                    self.hears.subscribe(&self.client).map_err(Ended::Broker)?;
                }
                tracing::debug!("the uplink: connected");
            }
            // Messages leave in the order they were handed over.
            Happened::Left(packet) => {
                if let Some(next) = self.on_the_way.iter_mut().find(|message| message.packet.is_none()) {
                    next.packet = Some(packet);
                    next.since = now();
                }
            }
            Happened::Answered(packet, taken) => {
                let of =
                    |message: &&mut OnTheWay| message.packet == Some(packet) && message.fate == Fate::Unknown;
                if let Some(message) = self.on_the_way.iter_mut().find(of) {
                    match taken {
                        Ok(()) => {
                            message.fate = Fate::Taken;
                            self.acknowledged += 1;
                            self.pauses = Backoff::default();
                            let full = matches!(message.of, Of::Lane { full: true, .. });
                            self.parts.load.acknowledged(message.since.elapsed(), full);
                        }
                        // A retained message is kept for who comes later, and a report is no reason to hold up records.
                        Err(why) if let Of::Report { kept, .. } = &mut message.of => {
                            *kept = why == NOBODY;
                            message.fate = Fate::Taken;
                        }
                        Err(why) => {
                            message.fate = Fate::Refused;
                            self.refused = Some(why);
                        }
                    }
                }
            }
            Happened::Told(told) => self.hears.take(told, &self.client, &self.outbox)?,
            Happened::Deaf => tracing::warn!("the broker does not let this hub hear the fleet"),
        }
        Ok(())
    }

    /// Counts what was taken, as far as nothing before it is missing.
    fn settle(&mut self, source: &Source, ends: &Ends) {
        while let Some(message) = self.on_the_way.pop_front_if(|message| message.fate == Fate::Taken) {
            self.arrived(&message, source, ends);
        }
        self.begin_again_where_refused();
    }

    /// The broker has a message, and all before it.
    fn arrived(&mut self, message: &OnTheWay, source: &Source, ends: &Ends) {
        match message.of {
            Of::Lane { lane, upto, .. } => {
                self.parts.upto[lane as usize] = upto;
                source.sent.upto(lane, self.store, upto);
                ends.told.send_modify(|standing| standing.acknowledged += message.records as u64);
            }
            Of::Again => {
                if let Some(missed) = self.parts.missed {
                    missed.arrived(message.records);
                }
            }
            Of::Report { number, kept: true } => {
                ends.told.send_modify(|standing| standing.reported = Some(number));
            }
            Of::Report { kept: false, .. } => tracing::debug!("the broker does not keep the report"),
        }
    }

    /// Once all that was on the way was answered, and not all of it taken: goes on behind what was taken, after a pause.
    fn begin_again_where_refused(&mut self) {
        let answered = !self.on_the_way.is_empty()
            && self.on_the_way.iter().all(|message| message.fate != Fate::Unknown);
        if let (Some(why), true) = (self.refused, answered) {
            self.on_the_way.clear();
            self.made.clear();
            self.handed = *self.parts.upto;
            self.reported = None;
            if let Some(missed) = self.parts.missed {
                missed.go_back();
            }
            self.parts.load.begin();
            let pause = self.pauses.next();
            self.again = Some(now() + pause);
            tracing::debug!(
                "the uplink: the broker does not take a message: {why}; again in {} s",
                pause.as_secs()
            );
        }
    }

    /// Hands over what is due, the most urgent lane first, while few enough messages are on the way.
    fn hand_over(&mut self, background_work: bool) -> Result<(), Ended> {
        if self.again.is_some_and(|again| now() >= again) {
            (self.again, self.refused) = (None, None);
        }
        if self.refused.is_some() {
            return Ok(());
        }
        // Messages of one record may be more than there was room for.
        self.publish()?;
        let allowed = Lane::ALL.map(|lane| self.parts.budget.allows(lane));
        for (place, lane) in Lane::ALL.into_iter().enumerate().filter(|(place, _)| allowed[*place]) {
            while self.made.is_empty() && self.room() > 0 {
                if lane == Lane::Telemetry {
                    let waiting = self.outbox.waiting(lane, self.handed[place])?;
                    let Uplink { telemetry_minutes, waits_for_sun_hours, .. } = *self.config;
                    if !is_due(waiting, telemetry_minutes, background_work, waits_for_sun_hours) {
                        break;
                    }
                }
                let most = self.records_at_once();
                let made = self.messages.next(&self.outbox, lane, (self.handed[place], i64::MAX), most)?;
                let Some(last) = made.last() else { break };
                self.handed[place] = last.upto;
                self.made.extend(made.into_iter().map(|message| {
                    let full = lane == Lane::Telemetry && message.records == most;
                    let of = Of::Lane { lane, upto: message.upto, full };
                    (message, of)
                }));
                self.publish()?;
            }
        }
        Ok(())
    }

    /// Records of a message, or of as many messages as there is room for.
    fn records_at_once(&self) -> usize {
        match self.config.encoding {
            Encoding::Compact => self.parts.load.records(),
            Encoding::Json => self.room(),
        }
    }

    /// Hands over what is made, while few enough messages are on the way.
    fn publish(&mut self) -> Result<(), Ended> {
        while self.room() > 0
            && let Some((message, of)) = self.made.pop_front()
        {
            let Message { lane, payload, records, .. } = message;
            // Of records that a template has nothing to say of there is nothing to be sent.
            let fate = if payload.is_empty() { Fate::Taken } else { Fate::Unknown };
            if fate == Fate::Unknown {
                let topic = self.config.topic_of(lane.word());
                self.client.publish(topic, payload, false).map_err(Ended::Broker)?;
            }
            self.left(of, records, fate);
        }
        Ok(())
    }

    /// Messages that may go now.
    fn room(&self) -> usize {
        self.parts.load.messages().saturating_sub(self.on_the_way.len())
    }

    fn left(&mut self, of: Of, records: usize, fate: Fate) {
        // What is not sent has no packet.
        let packet = (fate != Fate::Unknown).then_some(0);
        self.on_the_way.push_back(OnTheWay { of, records, packet, fate, since: now() });
    }

    /// Hands over the report, where there is a new one. The broker keeps it.
    fn report(&mut self, ends: &Ends) -> Result<(), Ended> {
        let report = ends.reports.borrow();
        let Some((number, report)) = report.as_ref().filter(|(number, _)| self.reported != Some(*number))
        else {
            return Ok(());
        };
        if !self.config.listens || self.refused.is_some() || self.on_the_way.len() >= MOST_MESSAGES {
            return Ok(());
        }
        let topic = self.config.topic_of(REPORTED);
        self.client.publish(topic, report.write().into_bytes(), true).map_err(Ended::Broker)?;
        self.reported = Some(*number);
        self.left(Of::Report { number: *number, kept: true }, 0, Fate::Unknown);
        Ok(())
    }

    /// Hands over records that were sent before and are missed: what is new goes first.
    fn hand_over_missed(&mut self, ends: &mut Ends) -> Result<(), Ended> {
        if self.parts.missed.is_none() {
            *self.parts.missed = ends.again.try_recv().ok().map(Missed::new);
        }
        if self.refused.is_some() || !self.made.is_empty() || self.room() == 0 {
            return Ok(());
        }
        let most = self.records_at_once();
        let Some(missed) = self.parts.missed else { return Ok(()) };
        let made = missed.next(&mut self.messages, &self.outbox, self.parts.upto, most)?;
        // Where the cycle has no room to be told, it is told at the next look.
        let told = missed.done().is_some_and(|done| ends.heard.try_send(done).is_ok());
        if told {
            *self.parts.missed = None;
        }
        self.made.extend(made.into_iter().map(|message| (message, Of::Again)));
        self.publish()
    }

    fn tell(&self, ends: &Ends) -> Result<(), Ended> {
        let made = self.made.iter().map(|(message, _)| message.records as u64);
        let on_the_way = self.on_the_way.iter().map(|message| message.records as u64);
        let waiting = made.chain(on_the_way).sum::<u64>() + self::waiting(&self.outbox, &self.handed)?;
        let (bytes_out, bytes_in) = ends.meter.read();
        ends.told.send_if_modified(|standing| {
            let now = Standing {
                connected: self.connected,
                why: match self.refused {
                    Some(why) => format!("the broker does not take a message: {why}"),
                    None if self.connected => String::new(),
                    None => standing.why.clone(),
                },
                waiting,
                bytes_out,
                bytes_in,
                ..standing.clone()
            };
            let news = *standing != now;
            *standing = now;
            news
        });
        Ok(())
    }
}

impl From<Taken> for Ended {
    fn from(taken: Taken) -> Self {
        match taken {
            Taken::Journal(error) => Self::Journal(error),
            Taken::Client(why) => Self::Broker(why),
        }
    }
}

#[expect(clippy::disallowed_methods, reason = "how long a broker takes is real time")]
fn now() -> Instant {
    Instant::now()
}
