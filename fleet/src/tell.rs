//! Tells one hub something and hears what becomes of it: a command and its answer, or the settings that the fleet wishes and the
//! hub's report.
//!
//! Not here: what a hub does with it.

use core::time::Duration;

use bytes::Bytes;
use rumqttc::v5::mqttbytes::QoS;
use rumqttc::v5::mqttbytes::v5::{Packet, PubAckReason, PublishProperties, SubscribeReasonCode};
use rumqttc::v5::{AsyncClient, Event, EventLoop};
use sunkeep_models::wire::down::{Command, Desired, Reported};
use sunkeep_models::wire::{Field, Message};

use crate::clock::{pause, steady};
use crate::ingest::Broker;

/// Requests that wait for the client.
const MOST_REQUESTS: usize = 8;
/// Longest packet that is taken, bytes.
const MOST_PACKET: u32 = 512 << 10;

/// What a hub is told.
#[derive(Debug, Clone, PartialEq)]
pub enum Told {
    /// A command, and for how long it may wait at the broker, s.
    Command(Command, u32),
    /// The settings that the fleet wishes, as they are written.
    Desired(Desired, Bytes),
}

/// What became of it.
#[derive(Debug, Clone, PartialEq)]
pub enum Became {
    /// The broker has it, and the hub has not answered in time.
    Waits,
    /// The hub has taken a command up and is not through with it.
    Begun,
    /// A command was done; what the hub says beside.
    Done(Vec<(String, Field)>),
    /// A command was refused, with the reason.
    Refused(String),
    /// The hub reports on the settings.
    Reported(Reported),
}

/// Why nothing came of it.
#[derive(Debug, thiserror::Error)]
pub enum TellError {
    /// The system gave no runtime.
    #[error("no runtime: {0}")]
    Runtime(std::io::Error),
    /// The connection.
    #[error("{broker}: {reason}; nobody can say whether the hub will hear of it")]
    Connection {
        /// Which broker.
        broker: String,
        /// What happened.
        reason: String,
    },
    /// The broker's rules.
    #[error("{broker}: it does not allow it: {what}; expected the rights of operator (mosquitto.acl)")]
    Refused {
        /// Which broker.
        broker: String,
        /// What.
        what: String,
    },
    /// The hub has never been there.
    #[error(
        "{broker}: no session is kept for {hub}: it was not connected for a month, or does not listen; nothing was sent"
    )]
    Nobody {
        /// Which broker.
        broker: String,
        /// Which hub.
        hub: String,
    },
}

/// Tells a hub and waits for what it says to it, so long at the most.
pub fn tell(broker: &Broker, hub: &str, told: &Told, patience: Duration) -> Result<Became, TellError> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    runtime.map_err(TellError::Runtime)?.block_on(async {
        let mut options = broker.once();
        options.set_max_packet_size(Some(MOST_PACKET));
        let (client, events) = AsyncClient::new(options, MOST_REQUESTS);
        Conversation { broker, hub, told, client, events }.hold(patience).await
    })
}

struct Conversation<'a> {
    broker: &'a Broker,
    hub: &'a str,
    told: &'a Told,
    client: AsyncClient,
    events: EventLoop,
}

impl Conversation<'_> {
    async fn hold(mut self, patience: Duration) -> Result<Became, TellError> {
        let end = steady() + patience;
        // Once the broker has it, silence is an answer too.
        let mut became = None;
        loop {
            let left = end.saturating_duration_since(steady());
            let event = tokio::select! {
                event = self.events.poll() => event,
                () = pause(left) => {
                    return became.ok_or_else(|| self.lost("it has not answered in time"));
                }
            };
            let (events, lost) = match event {
                Ok(event) => (vec![event], None),
                // What came before the end: a broker that refuses something may close after it has said so.
                Err(error) => {
                    let last = core::mem::take(&mut self.events.state.events);
                    (last.into(), Some(self.lost(&error.to_string())))
                }
            };
            for event in events {
                match self.take(event)? {
                    Some(now @ (Became::Begun | Became::Waits)) => became = Some(now),
                    Some(last) => return Ok(last),
                    None => {}
                }
            }
            if let Some(lost) = lost {
                return Err(lost);
            }
        }
    }

    fn take(&self, event: Event) -> Result<Option<Became>, TellError> {
        match event {
            Event::Incoming(Packet::ConnAck(_)) => self.listen()?,
            Event::Incoming(Packet::SubAck(ack)) => {
                let granted = |code: &SubscribeReasonCode| matches!(code, SubscribeReasonCode::Success(_));
                if !ack.return_codes.iter().all(granted) {
                    return Err(self.refused("to hear the hub"));
                }
                self.speak()?;
            }
            Event::Incoming(Packet::PubAck(ack)) => match (ack.reason, self.told) {
                (PubAckReason::Success, _) | (PubAckReason::NoMatchingSubscribers, Told::Desired(..)) => {
                    return Ok(Some(Became::Waits));
                }
                (PubAckReason::NoMatchingSubscribers, Told::Command(..)) => {
                    return Err(TellError::Nobody { broker: self.broker.url.clone(), hub: self.hub.into() });
                }
                (reason, _) => return Err(self.refused(&format!("to tell the hub ({reason:?})"))),
            },
            Event::Incoming(Packet::Publish(heard)) => return Ok(self.heard(&heard.payload)),
            _ => {}
        }
        Ok(None)
    }

    /// Where the hub says what becomes of it.
    fn listen(&self) -> Result<(), TellError> {
        let lane = match self.told {
            Told::Command(..) => "answers",
            Told::Desired(..) => "twin/reported",
        };
        let topic = format!("sunkeep/v1/{}/up/{lane}", self.hub);
        self.client.try_subscribe(topic, QoS::AtLeastOnce).map_err(|error| self.lost(&error.to_string()))
    }

    fn speak(&self) -> Result<(), TellError> {
        let (kind, payload, expires, retain) = match self.told {
            Told::Command(command, expires) => ("command", command.write().into(), Some(*expires), false),
            Told::Desired(_, written) => ("desired", written.clone(), None, true),
        };
        let topic = format!("sunkeep/v1/{}/down/{kind}", self.hub);
        let properties =
            PublishProperties { message_expiry_interval: expires, ..PublishProperties::default() };
        let client = &self.client;
        let said = client.try_publish_with_properties(topic, QoS::AtLeastOnce, retain, payload, properties);
        said.map_err(|error| self.lost(&error.to_string()))
    }

    /// What a message says of what was told; nothing where it is of something else.
    fn heard(&self, payload: &[u8]) -> Option<Became> {
        match self.told {
            Told::Desired(desired, _) => {
                let reported = Reported::read(payload).ok()?;
                (reported.version == desired.version).then_some(Became::Reported(reported))
            }
            Told::Command(command, _) => {
                let Message::Events { from, events } = Message::read(payload).ok()? else { return None };
                let of =
                    |fields: &[(String, Field)], name: &str| match fields.iter().find(|(key, _)| key == name)
                    {
                        Some((_, Field::Text(text))) => text.clone(),
                        _ => String::new(),
                    };
                let mut answers = events.into_iter().filter(|event| event.what == "answered");
                let answer =
                    answers.rfind(|event| from.hub == self.hub && of(&event.fields, "id") == command.id)?;
                Some(match &*of(&answer.fields, "outcome") {
                    "refused" => Became::Refused(of(&answer.fields, "why")),
                    "begun" => Became::Begun,
                    _ => {
                        let known = |name: &str| matches!(name, "id" | "do" | "outcome");
                        let beside = answer.fields.into_iter().filter(|(name, _)| !known(name));
                        Became::Done(beside.collect())
                    }
                })
            }
        }
    }

    fn lost(&self, reason: &str) -> TellError {
        TellError::Connection { broker: self.broker.url.clone(), reason: reason.into() }
    }

    fn refused(&self, what: &str) -> TellError {
        TellError::Refused { broker: self.broker.url.clone(), what: what.into() }
    }
}
