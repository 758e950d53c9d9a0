//! Home Assistant on a broker of the home's own: it finds the home by itself and shows how it stands. It reads and changes
//! nothing; wishes go by the page.
//!
//! ```text
//!   view --every few seconds--> state, loads (retained, only what is new)
//!   connection, Home Assistant's birth --> announcements (retained); those of things that are gone are taken back
//!   end without good-bye --> the broker says "offline"
//! ```
//!
//! A task beside the cycle, and never in its way.

mod entities;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use rumqttc::{AsyncClient, Event, EventLoop, LastWill, MqttOptions, Packet, Publish, QoS};
use tokio::sync::watch;
use tokio::time::Interval;

use crate::config::HomeAssistant;
use crate::view::View;
use entities::{Message, Names, announce, state};

/// Messages that wait for the client: all of a home with 64 loads, twice.
const MOST_REQUESTS: usize = 512;
/// Largest packet, bytes.
const MOST_PACKET: usize = 64 << 10;
/// Pauses between connections: the first, which doubles, and the longest.
const PAUSES: (Duration, Duration) = (Duration::from_secs(2), Duration::from_mins(5));
/// Home Assistant has come up: a home waits so long at the most before it announces itself anew.
const AFTER_BIRTH: Duration = Duration::from_secs(5);

/// Starts the task. It ends with the hub.
pub fn start(config: HomeAssistant, view: watch::Receiver<Option<Arc<View>>>) {
    tokio::spawn(async move {
        let mut pause = PAUSES.0;
        loop {
            let mut shown = Shown::new(&config, view.clone());
            let Err(why) = shown.run().await else { return };
            pause = if shown.connected { PAUSES.0 } else { (2 * pause).min(PAUSES.1) };
            tracing::info!("Home Assistant's broker {}:{}: {why}", config.host, config.port);
            wait(pause).await;
        }
    });
}

/// One connection.
struct Shown {
    names: Names,
    view: watch::Receiver<Option<Arc<View>>>,
    client: AsyncClient,
    events: EventLoop,
    every: Interval,
    connected: bool,
    /// What was announced, by topic; none until there was a view.
    announced: BTreeMap<String, String>,
    /// What the broker has, by topic.
    told: BTreeMap<String, String>,
}

impl Shown {
    fn new(config: &HomeAssistant, view: watch::Receiver<Option<Arc<View>>>) -> Self {
        let names = Names { prefix: config.prefix.clone(), hub: Names::plain(&config.hub) };
        let mut options = MqttOptions::new(format!("sunkeep-{}", names.hub), &config.host, config.port);
        options.set_keep_alive(Duration::from_secs(30)).set_max_packet_size(MOST_PACKET, MOST_PACKET);
        options.set_last_will(LastWill::new(names.online(), "offline", QoS::AtLeastOnce, true));
        if let Some((user, password)) = &config.login {
            options.set_credentials(user, password);
        }
        let (client, events) = AsyncClient::new(options, MOST_REQUESTS);
        let every = tokio::time::interval(Duration::from_secs(config.every_s.into()));
        Self {
            names,
            view,
            client,
            events,
            every,
            connected: false,
            announced: BTreeMap::new(),
            told: BTreeMap::new(),
        }
    }

    /// Serves a connection until it breaks, or until the hub is gone, which is no error.
    async fn run(&mut self) -> Result<(), String> {
        loop {
            tokio::select! {
                event = self.events.poll() => match event.map_err(|error| error.to_string())? {
                    Event::Incoming(Packet::ConnAck(_)) => self.greet()?,
                    Event::Incoming(Packet::Publish(message)) => self.hear(&message).await?,
                    _ => {}
                },
                _ = self.every.tick(), if self.connected => {
                    if self.view.has_changed().is_err() {
                        return Ok(());
                    }
                    self.show()?;
                }
            }
        }
    }

    fn greet(&mut self) -> Result<(), String> {
        self.connected = true;
        (self.announced, self.told) = (BTreeMap::new(), BTreeMap::new());
        tracing::info!("Home Assistant's broker has this home");
        self.client.try_subscribe(self.names.birth(), QoS::AtMostOnce).map_err(said)?;
        self.show()?;
        self.publish(&Message { topic: self.names.online(), payload: "online".into() })
    }

    /// Announces what is there, and tells what is new of it.
    fn show(&mut self) -> Result<(), String> {
        let Some(view) = self.view.borrow().clone() else { return Ok(()) };
        let announced: BTreeMap<_, _> =
            announce(&self.names, &view).into_iter().map(Message::parts).collect();
        if announced != self.announced {
            for (topic, payload) in &announced {
                self.publish(&Message { topic: topic.clone(), payload: payload.clone() })?;
            }
            self.announced = announced;
            // What the broker keeps besides is of things that are gone.
            self.client.try_subscribe(self.names.announcements(), QoS::AtMostOnce).map_err(said)?;
        }
        for message in state(&self.names, &view) {
            if self.told.get(&message.topic) != Some(&message.payload) {
                self.publish(&message)?;
                let (topic, payload) = message.parts();
                self.told.insert(topic, payload);
            }
        }
        Ok(())
    }

    /// Home Assistant has come up, or the broker keeps an announcement of something that is gone.
    async fn hear(&mut self, message: &Publish) -> Result<(), String> {
        if message.topic == self.names.birth() {
            if message.payload == "online" {
                // A thousand things announce themselves now; a home is in no hurry.
                let chance = getrandom::u32().map_or(1.0, |number| f64::from(number) / f64::from(u32::MAX));
                wait(AFTER_BIRTH.mul_f64(chance)).await;
                (self.announced, self.told) = (BTreeMap::new(), BTreeMap::new());
                self.show()?;
            }
            return Ok(());
        }
        if !self.announced.contains_key(&message.topic) && !message.payload.is_empty() {
            self.publish(&Message { topic: message.topic.clone(), payload: String::new() })?;
        }
        Ok(())
    }

    fn publish(&self, message: &Message) -> Result<(), String> {
        let Message { topic, payload } = message;
        self.client.try_publish(topic, QoS::AtLeastOnce, true, payload.as_bytes()).map_err(said)
    }
}

impl Message {
    fn parts(self) -> (String, String) {
        (self.topic, self.payload)
    }
}

#[expect(clippy::needless_pass_by_value, reason = "as map_err hands it over")]
fn said(error: rumqttc::ClientError) -> String {
    error.to_string()
}

/// A real broker lives by real time, also where a simulation drives the hub's clock.
#[expect(clippy::disallowed_methods, reason = "a pause between two tries on a real network")]
async fn wait(pause: Duration) {
    tokio::time::sleep(pause).await;
}
