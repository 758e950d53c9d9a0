//! What the fleet sends, on its way to the cycle: read, handed on, and acknowledged to the broker once it is written down what
//! becomes of it. Decides nothing.

use rumqttc::v5::mqttbytes::v5::Publish;
use sunkeep_models::wire::down::{Command, Desired};
use sunkeep_models::wire::weather::WeatherMessage;
use tokio::sync::mpsc;

use super::mqtt::Client;
use crate::config::Uplink;
use crate::journal::JournalError;
use crate::journal::outbox::Outbox;
use crate::told::{self, Heard};

/// Kinds of what the fleet sends.
const COMMAND: &str = "command";
const DESIRED: &str = "desired";
const WEATHER: &str = "weather";

/// What was heard and is not acknowledged yet.
#[derive(Debug)]
pub(super) struct Hears {
    command: String,
    desired: String,
    weather: String,
    heard: mpsc::Sender<Heard>,
    /// Commands, by name; the broker sends no more than a few without an acknowledgement.
    waiting: Vec<(String, Publish)>,
}

impl Hears {
    pub(super) fn new(config: &Uplink, heard: mpsc::Sender<Heard>) -> Self {
        let [command, desired, weather] = [COMMAND, DESIRED, WEATHER].map(|kind| config.topic_down_of(kind));
        Self { command, desired, weather, heard, waiting: Vec::new() }
    }

    /// Asks the broker for all of it.
    pub(super) fn subscribe(&self, client: &Client) -> Result<(), String> {
        client.subscribe(self.command.clone())?;
        client.subscribe(self.desired.clone())?;
        client.subscribe(self.weather.clone())
    }

    /// Takes what came. What finds no room with the cycle is not acknowledged, and comes again.
    pub(super) fn take(&mut self, told: Publish, client: &Client, outbox: &Outbox) -> Result<(), Taken> {
        let topic = String::from_utf8_lossy(&told.topic);
        if *topic == *self.command {
            match Command::read(&told.payload) {
                Ok(command) => return self.command(command, told, client, outbox),
                Err(why) => self.unreadable(COMMAND, &why.to_string()),
            }
        } else if *topic == *self.desired {
            match Desired::read(&told.payload) {
                Ok(desired) => drop(self.heard.try_send(Heard::Desired(desired))),
                // The fleet has taken its wishes back without a new version: what holds, holds.
                Err(_) if told.payload.is_empty() => {}
                Err(why) => self.unreadable(DESIRED, &why.to_string()),
            }
        } else if *topic == *self.weather {
            match WeatherMessage::read(&told.payload) {
                Ok(weather) => drop(self.heard.try_send(Heard::Weather(weather))),
                Err(_) if told.payload.is_empty() => {}
                Err(why) => self.unreadable(WEATHER, &why.to_string()),
            }
        }
        // A document is retained, and comes with every connection.
        client.acknowledge(&told).map_err(Taken::Client)
    }

    fn command(
        &mut self,
        command: Command,
        told: Publish,
        client: &Client,
        outbox: &Outbox,
    ) -> Result<(), Taken> {
        if outbox.kept(told::KEPT)?.is_some_and(|kept| told::knows(&kept, &command.id)) {
            return client.acknowledge(&told).map_err(Taken::Client);
        }
        let (id, retained) = (command.id.clone(), told.retain);
        if self.heard.try_send(Heard::Command { command, retained }).is_ok() {
            self.waiting.push((id, told));
        }
        Ok(())
    }

    fn unreadable(&self, what: &'static str, why: &str) {
        // Nobody waits for an answer to what cannot be read.
        let _ = self.heard.try_send(Heard::Unreadable { what, why: why.into() });
    }

    /// Acknowledges commands of which it is written down what becomes of them.
    pub(super) fn acknowledge(&mut self, client: &Client, outbox: &Outbox) -> Result<(), Taken> {
        if self.waiting.is_empty() {
            return Ok(());
        }
        let Some(kept) = outbox.kept(told::KEPT)? else { return Ok(()) };
        let done = |(id, _): &mut (String, Publish)| told::knows(&kept, id);
        for (_, told) in self.waiting.extract_if(.., done) {
            client.acknowledge(&told).map_err(Taken::Client)?;
        }
        Ok(())
    }
}

/// Why something could not be taken.
#[derive(Debug, thiserror::Error)]
pub(super) enum Taken {
    #[error(transparent)]
    Journal(#[from] JournalError),
    #[error("{0}")]
    Client(String),
}
