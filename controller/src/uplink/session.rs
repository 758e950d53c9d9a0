//! One connection to the broker, from its first byte to whatever ends it. Every message stays in the journal until its
//! acknowledgement has come; what was on the way when the connection broke is sent again by the next one.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{mpsc, watch};
use tokio::time::Instant;

use super::link::{self, LinkError};
use super::messages::{MessageError, Messages, Outgoing as Message};
use super::meter::{Budget, Meter, month};
use super::mqtt::{Client, Happened};
use super::pace::{Backoff, Load, is_due};
use super::{Source, Standing};
use crate::config::{Encoding, Uplink};
use crate::journal::outbox::Outbox;
use crate::journal::{JournalError, Lane, StoreId};
use crate::view::View;

/// How long an acknowledgement may take.
const ACKNOWLEDGED_WITHIN: Duration = Duration::from_mins(2);
/// How often it is looked whether there is something to send.
const LOOK: Duration = Duration::from_secs(1);

/// What outlives a session: how good the line is, and what was acknowledged, for the journal writes that down later.
#[derive(Debug)]
pub(super) struct Progress {
    load: Load,
    acknowledged: Option<(StoreId, [i64; Lane::ALL.len()])>,
    /// None until a journal was read.
    budget: Option<Budget>,
}

impl Progress {
    pub(super) fn new(config: &Uplink) -> Self {
        Self { load: Load::new(config.telemetry_minutes), acknowledged: None, budget: None }
    }

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
        Ok(Parts { load: &mut self.load, upto, budget })
    }
}

/// What a session goes on with.
struct Parts<'a> {
    load: &'a mut Load,
    /// Newest record of each lane that was acknowledged, with all before it.
    upto: &'a mut [i64; Lane::ALL.len()],
    budget: &'a mut Budget,
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
}

/// Runs a session to its end.
pub(super) async fn run(
    config: &Uplink,
    source: &Source,
    view: &mut watch::Receiver<Option<Arc<View>>>,
    told: &watch::Sender<Standing>,
    meter: &Arc<Meter>,
    progress: &mut Progress,
) -> Ended {
    let ended = async {
        let outbox = Outbox::open(&source.path)?;
        // Also where there is no line: that is when somebody wants to know.
        let waiting = waiting(&outbox, progress.of(&outbox, config)?.upto)?;
        told.send_modify(|standing| standing.waiting = waiting);
        let link = link::open(config, meter).await?;
        let (client, arriving) = Client::start(config, &link);
        let mut session = Session::new(config, outbox, client, progress)?;
        let ended = session.run(source, view, told, meter, arriving).await;
        if session.acknowledged == 0 && !session.on_the_way.is_empty() {
            session.parts.load.halve();
        }
        ended
    };
    match ended.await {
        Ok(never) => match never {},
        Err(ended) => ended,
    }
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

/// A message that the broker has not answered, or that waits for those before it.
struct OnTheWay {
    lane: Lane,
    upto: i64,
    records: usize,
    full: bool,
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
    on_the_way: VecDeque<OnTheWay>,
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
        progress: &'a mut Progress,
    ) -> Result<Self, Ended> {
        let store = outbox.store();
        let parts = progress.of(&outbox, config)?;
        parts.load.begin();
        Ok(Self {
            config,
            messages: Messages::new(config, store),
            outbox,
            store,
            client,
            on_the_way: VecDeque::new(),
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
        view: &mut watch::Receiver<Option<Arc<View>>>,
        told: &watch::Sender<Standing>,
        meter: &Meter,
        mut arriving: mpsc::Receiver<Result<Happened, String>>,
    ) -> Result<core::convert::Infallible, Ended> {
        let mut look = tokio::time::interval(LOOK);
        loop {
            tokio::select! {
                event = arriving.recv() => {
                    let event = event.ok_or_else(|| Ended::Broker("the client stopped".into()))?;
                    self.take(event.map_err(Ended::Broker)?, source, told);
                }
                _ = look.tick() => {
                    if !self.outbox.is_current() {
                        return Err(Ended::OtherJournal);
                    }
                    let mut unknown = self.on_the_way.iter().filter(|message| message.fate == Fate::Unknown);
                    if unknown.any(|message| message.since.elapsed() > ACKNOWLEDGED_WITHIN) {
                        return Err(Ended::Unacknowledged);
                    }
                }
            }
            let (background_work, unix) = view.borrow().as_ref().map_or((false, None), |view| {
                (view.decision.background_work, view.image.wall.map(|wall| wall.unix))
            });
            if let Some(metered) = self.parts.budget.add(meter, unix.and_then(month)) {
                source.sent.metered(metered);
            }
            if self.connected {
                self.hand_over(background_work)?;
            }
            self.tell(told, meter)?;
        }
    }

    fn take(&mut self, happened: Happened, source: &Source, told: &watch::Sender<Standing>) {
        match happened {
            Happened::Connected => {
                self.connected = true;
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
                            self.parts.load.acknowledged(message.since.elapsed(), message.full);
                        }
                        Err(why) => {
                            message.fate = Fate::Refused;
                            self.refused = Some(why);
                        }
                    }
                }
                while let Some(message) = self.on_the_way.pop_front_if(|message| message.fate == Fate::Taken)
                {
                    self.parts.upto[message.lane as usize] = message.upto;
                    source.sent.upto(message.lane, self.store, message.upto);
                    told.send_modify(|standing| standing.acknowledged += message.records as u64);
                }
                self.begin_again_where_refused();
            }
        }
    }

    /// Once all that was on the way was answered, and not all of it taken: goes on behind what was taken, after a pause.
    fn begin_again_where_refused(&mut self) {
        let answered = self.on_the_way.iter().all(|message| message.fate != Fate::Unknown);
        if let (Some(why), true) = (self.refused, answered) {
            self.on_the_way.clear();
            self.handed = *self.parts.upto;
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
        let allowed = Lane::ALL.map(|lane| self.parts.budget.allows(lane));
        for (place, lane) in Lane::ALL.into_iter().enumerate().filter(|(place, _)| allowed[*place]) {
            while let room @ 1.. = self.parts.load.messages().saturating_sub(self.on_the_way.len()) {
                if lane == Lane::Telemetry {
                    let waiting = self.outbox.waiting(lane, self.handed[place])?;
                    let Uplink { telemetry_minutes, waits_for_sun_hours, .. } = *self.config;
                    if !is_due(waiting, telemetry_minutes, background_work, waits_for_sun_hours) {
                        break;
                    }
                }
                let most = match self.config.encoding {
                    Encoding::Compact => self.parts.load.records(),
                    Encoding::Json => room,
                };
                let made = self.messages.next(&self.outbox, lane, self.handed[place], most)?;
                if made.is_empty() {
                    break;
                }
                for message in made {
                    self.publish(message, place, most)?;
                }
            }
        }
        Ok(())
    }

    fn publish(&mut self, message: Message, place: usize, most: usize) -> Result<(), Ended> {
        let Message { lane, payload, upto, records } = message;
        let topic = self.config.topic_of(lane.word());
        self.client.publish(topic, payload).map_err(Ended::Broker)?;
        self.handed[place] = upto;
        let full = lane == Lane::Telemetry && records == most;
        let since = now();
        self.on_the_way.push_back(OnTheWay {
            lane,
            upto,
            records,
            full,
            packet: None,
            fate: Fate::Unknown,
            since,
        });
        Ok(())
    }

    fn tell(&self, told: &watch::Sender<Standing>, meter: &Meter) -> Result<(), Ended> {
        let mut waiting: u64 = self.on_the_way.iter().map(|message| message.records as u64).sum();
        waiting += self::waiting(&self.outbox, &self.handed)?;
        let (bytes_out, bytes_in) = meter.read();
        told.send_if_modified(|standing| {
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

#[expect(clippy::disallowed_methods, reason = "how long a broker takes is real time")]
fn now() -> Instant {
    Instant::now()
}
