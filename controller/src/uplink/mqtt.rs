//! The MQTT client in the words of a session. Version 5, for its acknowledgements have reasons: a broker that has nobody
//! who takes a message acknowledges it all the same, and drops it.

use std::time::Duration;

use rumqttc::v5::mqttbytes::QoS;
use rumqttc::v5::mqttbytes::v5::{Packet, PubAckReason, Publish, SubscribeReasonCode};
use rumqttc::v5::{AsyncClient, Event, EventLoop, MqttOptions};
use rumqttc::{Outgoing, Transport};
use tokio::sync::mpsc;
use tokio::task::JoinHandle;

use super::link::Link;
use super::pace::MOST_MESSAGES;
use crate::config::Uplink;

/// Messages and events that wait between the client and the session.
const MOST_REQUESTS: usize = 4 * MOST_MESSAGES;
/// Largest packet that is taken, bytes: a document of the fleet, and room for its topic.
const MOST_PACKET: u32 = 64 << 10;
/// Messages of the fleet that may be on the way without an acknowledgement.
const MOST_TOLD: u16 = 8;
/// How long the broker keeps what the fleet sends to a hub that is away, s: a month.
const KEPT_FOR: u32 = 31 * 86_400;

/// Nobody takes a message.
pub(super) const NOBODY: &str = "nobody is subscribed to it";

/// What a session hears.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Happened {
    /// The broker has let the hub in.
    Connected,
    /// The next of the messages has left, as this packet.
    Left(u16),
    /// A packet was answered; where the broker did not take it, it says why.
    Answered(u16, Result<(), &'static str>),
    /// The fleet has something to say.
    Told(Publish),
    /// The broker does not let the hub hear the fleet.
    Deaf,
}

/// The client; gone when it is dropped.
#[derive(Debug)]
pub(super) struct Client {
    client: AsyncClient,
    polling: JoinHandle<()>,
}

impl Drop for Client {
    fn drop(&mut self) {
        self.polling.abort();
    }
}

impl Client {
    /// Begins to connect over a line; what happens comes by the channel, until an error ends it.
    pub(super) fn start(config: &Uplink, link: &Link) -> (Self, mpsc::Receiver<Result<Happened, String>>) {
        let mut options = MqttOptions::new(&config.hub, &link.name, 0);
        options.set_transport(Transport::Unix).set_clean_start(!config.listens).set_manual_acks(true);
        options.set_receive_maximum(Some(MOST_TOLD));
        options.set_session_expiry_interval(config.listens.then_some(KEPT_FOR));
        options.set_keep_alive(Duration::from_secs(config.keep_alive_s.into()));
        options.set_max_packet_size(Some(MOST_PACKET));
        options.set_outgoing_inflight_upper_limit(MOST_MESSAGES as u16);
        let (client, polled) = AsyncClient::new(options, MOST_REQUESTS);
        let (told, arriving) = mpsc::channel(MOST_REQUESTS);
        (Self { client, polling: tokio::spawn(poll(polled, told)) }, arriving)
    }

    /// Hands over a message, to be sent at least once; `retain` has the broker keep it for who comes later.
    pub(super) fn publish(&self, topic: String, payload: Vec<u8>, retain: bool) -> Result<(), String> {
        self.client.try_publish(topic, QoS::AtLeastOnce, retain, payload).map_err(|error| error.to_string())
    }

    /// Asks for what the fleet sends. What is retained comes again with every such request.
    pub(super) fn subscribe(&self, topic: String) -> Result<(), String> {
        self.client.try_subscribe(topic, QoS::AtLeastOnce).map_err(|error| error.to_string())
    }

    /// What the fleet sent is written down.
    pub(super) fn acknowledge(&self, told: &Publish) -> Result<(), String> {
        self.client.try_ack(told).map_err(|error| error.to_string())
    }
}

/// Drives the client in a task of its own, for it must not be interrupted between two bytes.
async fn poll(mut polled: EventLoop, told: mpsc::Sender<Result<Happened, String>>) {
    loop {
        let happened = match polled.poll().await {
            Ok(Event::Incoming(Packet::ConnAck(_))) => Ok(Happened::Connected),
            Ok(Event::Outgoing(Outgoing::Publish(packet))) => Ok(Happened::Left(packet)),
            Ok(Event::Incoming(Packet::PubAck(ack))) => Ok(Happened::Answered(ack.pkid, taken(ack.reason))),
            Ok(Event::Incoming(Packet::Publish(told))) => Ok(Happened::Told(told)),
            Ok(Event::Incoming(Packet::SubAck(ack))) => {
                let granted = |code: &SubscribeReasonCode| matches!(code, SubscribeReasonCode::Success(_));
                if ack.return_codes.iter().all(granted) {
                    continue;
                }
                Ok(Happened::Deaf)
            }
            Ok(_) => continue,
            Err(error) => Err(error.to_string()),
        };
        let over = happened.is_err();
        if told.send(happened).await.is_err() || over {
            return;
        }
    }
}

fn taken(reason: PubAckReason) -> Result<(), &'static str> {
    Err(match reason {
        PubAckReason::Success => return Ok(()),
        PubAckReason::NoMatchingSubscribers => NOBODY,
        PubAckReason::NotAuthorized => "this hub may not write to its topic",
        PubAckReason::TopicNameInvalid => "its topic is none",
        PubAckReason::QuotaExceeded => "a quota is used up",
        PubAckReason::PayloadFormatInvalid => "its payload is not as announced",
        PubAckReason::PacketIdentifierInUse
        | PubAckReason::UnspecifiedError
        | PubAckReason::ImplementationSpecificError => "it does not say why",
    })
}
