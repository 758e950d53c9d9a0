//! The connection to the broker: made again whenever it is lost, never blocked by what is behind it, and the only
//! place where a message is acknowledged.
//!
//! An acknowledgement names a packet of one connection. After a new one the broker sends again what it has not
//! heard of, possibly under the numbers of other messages: so deliveries bear the number of their connection, and
//! what was filed for an earlier one is not acknowledged on this. It comes again, and is dropped as a repeat.

use core::pin::pin;
use core::time::Duration;
use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, TrySendError, sync_channel};
use std::time::Instant;

use rumqttc::Outgoing;
use rumqttc::v5::mqttbytes::QoS;
use rumqttc::v5::mqttbytes::v5::{
    ConnectReturnCode, DisconnectReasonCode, Packet, Publish, SubscribeReasonCode,
};
use rumqttc::v5::{AsyncClient, ConnectionError, Event, EventLoop, StateError};
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::mpsc::UnboundedReceiver;

use super::broker::{Broker, BrokerError};
use super::collect::Arrived;
use super::counts::{Count, Counts};
use super::held::Delivery;
use crate::clock::{now_ms, pause, steady};

/// Waits between attempts to connect: from, and at most; half of it is chance.
const RETRY: (Duration, Duration) = (Duration::from_millis(500), Duration::from_secs(30));
/// A connection that was lost before this has not held: the next wait is longer.
const HELD: Duration = Duration::from_secs(10);
/// So many of these in a row, while the broker answers, and it may be that another process has the same name.
const SUSPECT: u32 = 3;
/// Bytes that wait for the thread that collects.
const MOST_QUEUED: usize = 256 << 20;
/// How long the link waits for room there before it looks again.
const ROOM: Duration = Duration::from_millis(5);
/// Requests to the client that it has not yet written: MQTT knows of 65,535 packets that are not acknowledged.
const MOST_REQUESTS: usize = 65_535 + 64;
/// How long the last acknowledgements and the farewell may take.
const FAREWELL: Duration = Duration::from_secs(5);

/// The end of the queue that arrivals come out of.
pub(super) struct Arrivals {
    queue: Receiver<Arrived>,
    bytes: Arc<AtomicUsize>,
}

/// The end that they go into. It takes what may be unacknowledged twice: once of an old connection, once of a new one.
pub(super) struct Arriving {
    queue: SyncSender<Arrived>,
    bytes: Arc<AtomicUsize>,
}

/// Makes the queue between the link and the thread that collects.
pub(super) fn queue(broker: &Broker) -> (Arriving, Arrivals) {
    let (into, out) = sync_channel(2 * usize::from(broker.in_flight));
    let bytes = Arc::new(AtomicUsize::new(0));
    (Arriving { queue: into, bytes: bytes.clone() }, Arrivals { queue: out, bytes })
}

impl Arrivals {
    /// The next one, if it comes in time.
    pub(super) fn next(&self, wait: Duration) -> Result<Arrived, RecvTimeoutError> {
        let arrived = self.queue.recv_timeout(wait)?;
        self.bytes.fetch_sub(arrived.payload.len(), Ordering::Relaxed);
        Ok(arrived)
    }
}

impl Arriving {
    fn offer(&self, arrived: Arrived) -> Result<(), TrySendError<Arrived>> {
        let bytes = arrived.payload.len();
        if self.bytes.load(Ordering::Relaxed) + bytes > MOST_QUEUED {
            return Err(TrySendError::Full(arrived));
        }
        // First, for the other end subtracts it as soon as it has it.
        self.bytes.fetch_add(bytes, Ordering::Relaxed);
        let offered = self.queue.try_send(arrived);
        if offered.is_err() {
            self.bytes.fetch_sub(bytes, Ordering::Relaxed);
        }
        offered
    }
}

/// A connection that is kept up.
pub(super) struct Link<'a> {
    pub(super) broker: &'a Broker,
    pub(super) stopping: &'a AtomicBool,
    pub(super) counts: &'a Counts,
}

/// Where a link stands.
struct State {
    client: AsyncClient,
    /// Connections, counted.
    connection: u64,
    connected: bool,
    subscribed: bool,
    /// `None` once the process is to stop.
    arriving: Option<Arriving>,
    /// What has arrived and finds no room: while there is some, nothing more is read. Some packets at most, as they
    /// were read together.
    waiting: VecDeque<Arrived>,
    /// Acknowledgements that the client has and has not yet written.
    unwritten: usize,
    wait: Duration,
    /// Since when there is a connection.
    since: Option<Instant>,
    /// Connections in a row that were made and have not held.
    short: u32,
}

enum Next {
    Goes(Box<Event>),
    Lost(ConnectionError),
    Filed(Vec<Delivery>),
    /// Nobody files any more.
    AllFiled,
    Stop,
}

impl Link<'_> {
    /// Serves until the process is to stop and all is filed and acknowledged.
    pub(super) async fn serve(
        &self,
        arriving: Arriving,
        mut filed: UnboundedReceiver<Vec<Delivery>>,
    ) -> Result<(), BrokerError> {
        let (client, mut events) = AsyncClient::new(self.broker.options(), MOST_REQUESTS);
        let mut state = State {
            client,
            connection: 0,
            connected: false,
            subscribed: false,
            arriving: Some(arriving),
            waiting: VecDeque::new(),
            unwritten: 0,
            wait: RETRY.0,
            since: None,
            short: 0,
        };
        let mut signals = Signals::new()?;
        let mut result = Ok(());
        while self.round(&mut state, &mut events, &mut filed, &mut signals, &mut result).await {}
        self.stopping.store(true, Ordering::Relaxed);
        if state.connected {
            farewell(&state.client, &mut events, state.unwritten, self.counts).await;
        }
        result
    }

    /// Waits for the next thing and sees to it; whether there is more to do.
    async fn round(
        &self,
        state: &mut State,
        events: &mut EventLoop,
        filed: &mut UnboundedReceiver<Vec<Delivery>>,
        signals: &mut Signals,
        result: &mut Result<(), BrokerError>,
    ) -> bool {
        self.offer_waiting(state);
        if !state.waiting.is_empty() {
            tokio::select! {
                () = pause(ROOM) => {}
                deliveries = filed.recv() => match deliveries {
                    Some(deliveries) => Self::acknowledge(state, &deliveries),
                    None => return false,
                },
                () = signals.next() => self.stop(state),
            }
            return true;
        }
        let gone = state.arriving.is_none() && !state.connected;
        let next = {
            // What is begun here is finished here: a poll that is dropped half way loses what it was writing.
            let mut poll = pin!(events.poll());
            loop {
                let next = tokio::select! {
                    event = &mut poll, if !gone => match event {
                        Ok(event) => Next::Goes(Box::new(event)),
                        Err(error) => Next::Lost(error),
                    },
                    deliveries = filed.recv() => deliveries.map_or(Next::AllFiled, Next::Filed),
                    () = signals.next(), if state.arriving.is_some() => Next::Stop,
                };
                match next {
                    Next::Filed(deliveries) => Self::acknowledge(state, &deliveries),
                    Next::Stop => {
                        tracing::info!("stopping: files what is held");
                        self.stop(state);
                        if !state.connected {
                            return true;
                        }
                    }
                    next => break next,
                }
            }
        };
        match next {
            Next::Goes(event) => {
                if let Err(error) = self.see_to(state, events, *event) {
                    self.stop(state);
                    state.connected = false;
                    *result = Err(error);
                }
                if !state.connected && state.arriving.is_some() {
                    self.rest(state, filed, signals).await;
                }
                true
            }
            Next::Lost(error) => {
                if let Some(fatal) = self.lost(state, events, &error) {
                    self.stop(state);
                    *result = Err(fatal);
                }
                self.rest(state, filed, signals).await;
                true
            }
            _ => false,
        }
    }

    fn stop(&self, state: &mut State) {
        self.stopping.store(true, Ordering::Relaxed);
        state.arriving = None;
        state.waiting.clear();
    }

    fn acknowledge(state: &mut State, deliveries: &[Delivery]) {
        for (connection, packet) in deliveries {
            if *connection != state.connection || !state.connected {
                continue;
            }
            let mut publish = Publish::new("", QoS::AtLeastOnce, bytes::Bytes::new(), None);
            publish.pkid = *packet;
            if state.client.try_ack(&publish).is_ok() {
                state.unwritten += 1;
            }
        }
    }

    /// Sees to what the client tells.
    fn see_to(&self, state: &mut State, events: &mut EventLoop, event: Event) -> Result<(), BrokerError> {
        match event {
            Event::Incoming(Packet::ConnAck(acknowledged)) => {
                state.connection += 1;
                (state.connected, state.since) = (true, Some(steady()));
                self.counts.add(Count::Connections, 1);
                let kept = acknowledged.session_present;
                tracing::info!(broker = self.broker.url, session_kept = kept, "connected");
                // A broker that has forgotten the session has forgotten the subscription.
                if state.client.try_subscribe(&self.broker.filter, QoS::AtLeastOnce).is_err() {
                    events.clean();
                    state.connected = false;
                }
            }
            Event::Incoming(Packet::SubAck(answer)) => {
                let granted = |code: &SubscribeReasonCode| matches!(code, SubscribeReasonCode::Success(_));
                if let Some(refused) = answer.return_codes.iter().find(|code| !granted(code)) {
                    let reason = format!("the subscription to {}: {refused:?}", self.broker.filter);
                    return Err(BrokerError::Refused { broker: self.broker.url.clone(), reason });
                }
                if !state.subscribed {
                    tracing::info!(filter = self.broker.filter, "subscribed");
                }
                state.subscribed = true;
            }
            Event::Incoming(Packet::Publish(publish)) => {
                Self::arrived(state, publish);
                self.offer_waiting(state);
            }
            Event::Outgoing(Outgoing::PubAck(_)) => {
                state.unwritten = state.unwritten.saturating_sub(1);
                self.counts.add(Count::Acknowledged, 1);
            }
            _ => {}
        }
        Ok(())
    }

    fn arrived(state: &mut State, publish: Publish) {
        let delivery = (publish.qos != QoS::AtMostOnce).then_some((state.connection, publish.pkid));
        let Publish { topic, payload, .. } = publish;
        state.waiting.push_back(Arrived { delivery, topic, payload, received_ms: now_ms() });
    }

    /// Puts what waits into the queue, as far as there is room. While there is none, the link reads nothing: a broker
    /// may send more than it was allowed (Mosquitto 2.0 does, to a session that is taken up again).
    fn offer_waiting(&self, state: &mut State) {
        // What arrives while the process stops stays with the broker.
        let Some(arriving) = &state.arriving else { return state.waiting.clear() };
        while let Some(arrived) = state.waiting.pop_front() {
            match arriving.offer(arrived) {
                Ok(()) => {}
                Err(TrySendError::Full(arrived)) if arrived.delivery.is_none() => {
                    self.counts.add(Count::Dropped, 1);
                }
                Err(TrySendError::Full(arrived)) => return state.waiting.push_front(arrived),
                Err(TrySendError::Disconnected(_)) => return self.stop(state),
            }
        }
    }

    /// Takes what came by a connection before it was lost and was not yet looked at. It must not pass for something
    /// of the next connection; and a broker that has lost its memory does not send it again.
    fn take_last(state: &mut State, events: &mut EventLoop) {
        for event in core::mem::take(&mut events.state.events) {
            if let Event::Incoming(Packet::Publish(publish)) = event {
                Self::arrived(state, publish);
            }
        }
    }

    /// Notes a lost connection; an error where waiting does not better it.
    fn lost(
        &self,
        state: &mut State,
        events: &mut EventLoop,
        error: &ConnectionError,
    ) -> Option<BrokerError> {
        Self::take_last(state, events);
        let never = state.connection == 0;
        match state.since.take().map(|since| since.elapsed() < HELD) {
            Some(false) => (state.wait, state.short) = (RETRY.0, 0),
            Some(true) => state.short += 1,
            None => {}
        }
        (state.connected, state.unwritten) = (false, 0);
        let broker = self.broker.url.clone();
        if let ConnectionError::MqttState(StateError::ServerDisconnect { reason_code, .. }) = error
            && *reason_code == DisconnectReasonCode::SessionTakenOver
        {
            return Some(BrokerError::TakenOver { broker, name: self.broker.name.clone() });
        }
        let refused = match error {
            ConnectionError::ConnectionRefused(code) => is_final(*code).then(|| format!("{code:?}")),
            ConnectionError::Tls(rumqttc::TlsError::TLS(error)) => Some(error.to_string()),
            ConnectionError::Tls(error @ rumqttc::TlsError::DNSName(_)) => Some(error.to_string()),
            _ => None,
        };
        // One that was welcome before is so again: certificates and lists of users are renewed.
        if let Some(reason) = refused.filter(|_| never) {
            return Some(BrokerError::Refused { broker, reason });
        }
        if state.short >= SUSPECT {
            let name = &self.broker.name;
            tracing::warn!(
                broker,
                name,
                "closes each connection soon: every process needs a --name of its own"
            );
        }
        if state.arriving.is_some() {
            tracing::warn!(
                broker,
                "no connection: {error}; next try in {} ms or less",
                state.wait.as_millis()
            );
        }
        None
    }

    /// Waits before the next attempt, longer each time.
    async fn rest(
        &self,
        state: &mut State,
        filed: &mut UnboundedReceiver<Vec<Delivery>>,
        signals: &mut Signals,
    ) {
        let mut resting = pin!(pause(state.wait.mul_f64(chance())));
        state.wait = (state.wait * 2).min(RETRY.1);
        while state.arriving.is_some() {
            tokio::select! {
                () = &mut resting => return,
                // Of a connection that is gone: there is nothing to say to anybody.
                deliveries = filed.recv() => if deliveries.is_none() { return },
                () = signals.next() => self.stop(state),
            }
        }
    }
}

/// Writes the last acknowledgements and says good-bye. The broker keeps the session for the next start.
async fn farewell(client: &AsyncClient, events: &mut EventLoop, mut unwritten: usize, counts: &Counts) {
    let mut said = false;
    let mut patience = pin!(pause(FAREWELL));
    loop {
        if unwritten == 0 && !said {
            said = true;
            if client.try_disconnect().is_err() {
                return;
            }
        }
        tokio::select! {
            event = events.poll() => match event {
                Ok(Event::Outgoing(Outgoing::PubAck(_))) => {
                    unwritten = unwritten.saturating_sub(1);
                    counts.add(Count::Acknowledged, 1);
                }
                Ok(Event::Outgoing(Outgoing::Disconnect)) | Err(_) => return,
                Ok(_) => {}
            },
            () = &mut patience => return,
        }
    }
}

fn is_final(code: ConnectReturnCode) -> bool {
    use ConnectReturnCode as Code;
    matches!(
        code,
        Code::RefusedProtocolVersion
            | Code::UnsupportedProtocolVersion
            | Code::BadClientId
            | Code::ClientIdentifierNotValid
            | Code::BadUserNamePassword
            | Code::NotAuthorized
            | Code::BadAuthenticationMethod
            | Code::Banned
    )
}

/// From a half to one: so a fleet of processes does not come back at one moment.
fn chance() -> f64 {
    let mut bits = [0; 4];
    // Without randomness all wait the full time.
    let drawn = getrandom::fill(&mut bits).map_or(u32::MAX, |()| u32::from_ne_bytes(bits));
    0.5 + 0.5 * f64::from(drawn) / f64::from(u32::MAX)
}

/// The signals that end the process.
struct Signals {
    terminate: Signal,
    interrupt: Signal,
}

impl Signals {
    fn new() -> Result<Self, BrokerError> {
        let listen = |kind| signal(kind).map_err(|error| BrokerError::Tls(format!("no signals: {error}")));
        Ok(Self { terminate: listen(SignalKind::terminate())?, interrupt: listen(SignalKind::interrupt())? })
    }

    async fn next(&mut self) {
        tokio::select! {
            _ = self.terminate.recv() => {},
            _ = self.interrupt.recv() => {},
        }
    }
}
