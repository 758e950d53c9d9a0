//! The MQTT client in the words of a session. Version 5, for its acknowledgements have reasons: a broker that has nobody
//! who takes a message acknowledges it all the same, and drops it.

use std::time::Duration;

use rumqttc::v5::mqttbytes::QoS;
use rumqttc::v5::mqttbytes::v5::{Packet, PubAckReason};
use rumqttc::v5::{AsyncClient, Event, EventLoop, MqttOptions};
use rumqttc::{Outgoing, Transport};
use tokio::sync::mpsc;
use tokio::task::JoinHandle;

use super::link::Link;
use super::pace::MOST_MESSAGES;
use crate::config::Uplink;

/// Messages and events that wait between the client and the session.
const MOST_REQUESTS: usize = 4 * MOST_MESSAGES;
/// Largest packet that is taken, bytes: nothing is asked for but acknowledgements.
const MOST_PACKET: u32 = 64 << 10;

/// What a session hears.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Happened {
    /// The broker has let the hub in.
    Connected,
    /// The next of the messages has left, as this packet.
    Left(u16),
    /// A packet was answered; where the broker did not take it, it says why.
    Answered(u16, Result<(), &'static str>),
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
        options.set_transport(Transport::Unix).set_clean_start(true);
        options.set_keep_alive(Duration::from_secs(config.keep_alive_s.into()));
        options.set_max_packet_size(Some(MOST_PACKET));
        options.set_outgoing_inflight_upper_limit(MOST_MESSAGES as u16);
        let (client, polled) = AsyncClient::new(options, MOST_REQUESTS);
        let (told, arriving) = mpsc::channel(MOST_REQUESTS);
        (Self { client, polling: tokio::spawn(poll(polled, told)) }, arriving)
    }

    /// Hands over a message, to be sent at least once.
    pub(super) fn publish(&self, topic: String, payload: Vec<u8>) -> Result<(), String> {
        self.client.try_publish(topic, QoS::AtLeastOnce, false, payload).map_err(|error| error.to_string())
    }
}

/// Drives the client in a task of its own, for it must not be interrupted between two bytes.
async fn poll(mut polled: EventLoop, told: mpsc::Sender<Result<Happened, String>>) {
    loop {
        let happened = match polled.poll().await {
            Ok(Event::Incoming(Packet::ConnAck(_))) => Ok(Happened::Connected),
            Ok(Event::Outgoing(Outgoing::Publish(packet))) => Ok(Happened::Left(packet)),
            Ok(Event::Incoming(Packet::PubAck(ack))) => Ok(Happened::Answered(ack.pkid, taken(ack.reason))),
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
        PubAckReason::NoMatchingSubscribers => "nobody is subscribed to it",
        PubAckReason::NotAuthorized => "this hub may not write to its topic",
        PubAckReason::TopicNameInvalid => "its topic is none",
        PubAckReason::QuotaExceeded => "a quota is used up",
        PubAckReason::PayloadFormatInvalid => "its payload is not as announced",
        PubAckReason::PacketIdentifierInUse
        | PubAckReason::UnspecifiedError
        | PubAckReason::ImplementationSpecificError => "it does not say why",
    })
}
