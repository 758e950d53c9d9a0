//! What the fleet leaves for hubs at the broker: retained messages, each acknowledged.
//!
//! Not here: what is in them.

use core::time::Duration;
use std::collections::{HashMap, VecDeque};

use bytes::Bytes;
use rumqttc::Outgoing;
use rumqttc::v5::mqttbytes::QoS;
use rumqttc::v5::mqttbytes::v5::{Packet, PubAckReason, PublishProperties};
use rumqttc::v5::{AsyncClient, Event, EventLoop};

use crate::clock::pause;
use crate::ingest::Broker;

/// Messages under way.
const WINDOW: usize = 100;
/// How long the broker may say nothing.
const PATIENCE: Duration = Duration::from_secs(30);

/// Why not all is with the broker.
#[derive(Debug, thiserror::Error)]
pub enum DownError {
    /// The system gave no runtime.
    #[error("no runtime: {0}")]
    Runtime(std::io::Error),
    /// The connection.
    #[error("{broker}: {reason}; {sent} of {all} messages are there, run it again")]
    Connection {
        /// Which broker.
        broker: String,
        /// What happened.
        reason: String,
        /// Messages that it has acknowledged.
        sent: usize,
        /// Of so many.
        all: usize,
    },
    /// The broker does not take a message.
    #[error("{broker}: it refuses {topic}: {reason}; expected leave to write to it (mosquitto.acl)")]
    Refused {
        /// Which broker.
        broker: String,
        /// To what.
        topic: String,
        /// What it said.
        reason: String,
    },
}

/// A message that the broker is to keep.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Retained {
    /// Where; it takes the place of the one before.
    pub topic: String,
    /// What; an empty one takes away what is there.
    pub payload: Bytes,
    /// When the broker drops it, s from now.
    pub expires_s: u32,
}

/// Leaves messages with the broker; how many, when it has acknowledged all.
pub fn publish(broker: &Broker, messages: &[Retained]) -> Result<usize, DownError> {
    if messages.is_empty() {
        return Ok(0);
    }
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.map_err(DownError::Runtime)?;
    runtime.block_on(async {
        let (client, events) = AsyncClient::new(broker.once(), WINDOW + 2);
        let way = Way { broker, client, events, messages };
        way.publish().await
    })
}

struct Way<'a> {
    broker: &'a Broker,
    client: AsyncClient,
    events: EventLoop,
    messages: &'a [Retained],
}

impl Way<'_> {
    async fn publish(mut self) -> Result<usize, DownError> {
        let (mut next, mut sent) = (0, 0);
        // Handed to the client and not yet written; written, by the number of their packet.
        let (mut handed, mut written) = (VecDeque::new(), HashMap::new());
        let mut connected = false;
        while sent < self.messages.len() {
            while connected && next < self.messages.len() && handed.len() + written.len() < WINDOW {
                self.hand_over(next, sent)?;
                handed.push_back(next);
                next += 1;
            }
            let event = tokio::select! {
                event = self.events.poll() => event,
                () = pause(PATIENCE) => return Err(self.lost("it has not answered for 30 s", sent)),
            };
            let events = match event {
                Ok(event) => vec![event],
                Err(error) => {
                    // What came before the end: a broker that refuses a message may close after it has said so.
                    let last = core::mem::take(&mut self.events.state.events);
                    sent += self.acknowledged(last, &mut handed, &mut written)?.0;
                    return Err(self.lost(&error.to_string(), sent));
                }
            };
            let (more, greeted) = self.acknowledged(events, &mut handed, &mut written)?;
            sent += more;
            connected |= greeted;
        }
        // That it is told good-bye is politeness; all is there.
        if self.client.try_disconnect().is_ok() {
            let farewell = async { while self.events.poll().await.is_ok() {} };
            tokio::select! { () = farewell => {}, () = pause(Duration::from_secs(2)) => {} }
        }
        Ok(sent)
    }

    /// Notes what was written and what was acknowledged: how much of that, and whether the broker has greeted.
    fn acknowledged(
        &self,
        events: impl IntoIterator<Item = Event>,
        handed: &mut VecDeque<usize>,
        written: &mut HashMap<u16, usize>,
    ) -> Result<(usize, bool), DownError> {
        let (mut acknowledged, mut greeted) = (0, false);
        for event in events {
            match event {
                Event::Incoming(Packet::ConnAck(_)) => greeted = true,
                Event::Outgoing(Outgoing::Publish(packet)) => {
                    handed.pop_front().map(|message| written.insert(packet, message));
                }
                Event::Incoming(Packet::PubAck(answer)) => {
                    let message = written.remove(&answer.pkid).and_then(|message| self.messages.get(message));
                    // That nobody listens yet is what it is kept for.
                    if !matches!(answer.reason, PubAckReason::Success | PubAckReason::NoMatchingSubscribers) {
                        let topic = message.map(|message| message.topic.clone()).unwrap_or_default();
                        let (broker, reason) = (self.broker.url.clone(), format!("{:?}", answer.reason));
                        return Err(DownError::Refused { broker, topic, reason });
                    }
                    acknowledged += 1;
                }
                _ => {}
            }
        }
        Ok((acknowledged, greeted))
    }

    fn hand_over(&self, message: usize, sent: usize) -> Result<(), DownError> {
        let Some(Retained { topic, payload, expires_s }) = self.messages.get(message) else { return Ok(()) };
        let properties =
            PublishProperties { message_expiry_interval: Some(*expires_s), ..PublishProperties::default() };
        let handed = self.client.try_publish_with_properties(
            topic.as_str(),
            QoS::AtLeastOnce,
            true,
            payload.clone(),
            properties,
        );
        handed.map_err(|error| self.lost(&error.to_string(), sent))
    }

    fn lost(&self, reason: &str, sent: usize) -> DownError {
        let broker = self.broker.url.clone();
        DownError::Connection { broker, reason: reason.into(), sent, all: self.messages.len() }
    }
}
