//! What the fleet tells the hub, and what becomes of it: commands, each done once and answered, and the desired document, whose
//! settings hold beside those of the home's file as long as they do well.
//!
//! ```text
//!   uplink --heard--> Told --orders--> the cycle
//!     ^                 |  answers (events), what outlives a start
//!     +----report-------+----------> journal
//! ```
//!
//! What the words mean on the line is in `sunkeep_models::wire::down`, how they come and go in `uplink`. Called once a cycle, after it has
//! decided; nothing here waits.

mod commands;
mod overlay;
mod twin;

use std::sync::Arc;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};
use sunkeep_core::image::Request;
use sunkeep_core::{Decision, ProcessImage, Settings};
use sunkeep_models::pv::weather::WeatherForecast;
use sunkeep_models::quantity::Seconds;
use sunkeep_models::time::Uptime;
use sunkeep_models::wire::down::{Command, Desired, Reason, Reported};
use sunkeep_models::wire::weather::WeatherMessage;
use sunkeep_models::wire::{MOST_FIELDS, MOST_NAME};

use crate::clock::EARLIEST;
use crate::config::Home;
use crate::view::DeviceHealth;

pub use commands::Again;
use commands::{Commands, Effect, Judged, Moment, Patience};
use twin::{Health, Trial, Turn, Twin};

/// Name under which the journal keeps what outlives a start.
pub const KEPT: &str = "told";
/// How long devices have to answer when they are asked by command.
const PROBE: Seconds = Seconds(10.0);
/// Time between two answers to what nobody could read.
const UNREADABLE: Seconds = Seconds(600.0);

/// What came from the fleet.
#[derive(Debug, Clone, PartialEq)]
pub enum Heard {
    /// A command; `retained` where the broker keeps it and hands it out again at every connection.
    Command {
        /// It.
        command: Command,
        /// See above.
        retained: bool,
    },
    /// The settings that the fleet wishes.
    Desired(Desired),
    /// What is foretold of the weather of its place.
    Weather(WeatherMessage),
    /// Something that could not be read.
    Unreadable {
        /// What it should have been.
        what: &'static str,
        /// Why not.
        why: String,
    },
    /// Records were sent again.
    SentAgain {
        /// The command that asked for it.
        id: String,
        /// How many.
        records: u64,
    },
}

/// What is to be done.
#[derive(Debug, Clone)]
pub enum Order {
    /// Go on with these settings.
    Adopt(Arc<Home>),
    /// End, to be started anew.
    Restart,
    /// Ask silent devices too.
    Probe,
    /// For the next cycle.
    Ask(Request),
    /// For the uplink.
    Again(Again),
    /// For the forecast of the sun.
    Weather(Vec<WeatherForecast>),
}

/// What a cycle knows.
#[derive(Debug, Clone, Copy)]
pub struct Cycle<'a> {
    /// The settings it ran under.
    pub settings: &'a Settings,
    /// What it saw.
    pub image: &'a ProcessImage,
    /// What it decided.
    pub decision: &'a Decision,
    /// Every device.
    pub devices: &'a [DeviceHealth],
    /// How many faults the hub itself has, its clock apart.
    pub faults: usize,
    /// Number of the newest report that the broker has.
    pub broker_has: Option<u64>,
}

/// What a cycle's worth of listening came to.
#[derive(Debug, Default)]
pub struct Outcome {
    /// What is to be done.
    pub orders: Vec<Order>,
    /// Answers for the fleet: fields of events.
    pub answers: Vec<Map<String, Value>>,
    /// What outlives a start, where it changed: to be written down before anything is done.
    pub kept: Option<Vec<u8>>,
    /// The report, where it changed, and its number.
    pub report: Option<(u64, Reported)>,
}

/// What outlives a start.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
struct Kept {
    commands: Commands,
    twin: Twin,
    /// The latest time that was known, seconds since 1970.
    at_least: i64,
    /// When the newest weather forecast was issued, seconds since 1970.
    #[serde(default)]
    weather: i64,
}

/// Whether it is written down what becomes of a command.
pub fn knows(kept: &[u8], id: &str) -> bool {
    read(kept).is_some_and(|kept| kept.commands.knows(id))
}

fn read(kept: &[u8]) -> Option<Kept> {
    serde_json::from_slice(kept).ok()
}

/// What the fleet told this hub.
#[derive(Debug)]
pub struct Told {
    file: Arc<Home>,
    kept: Kept,
    /// Differs from what was written down last.
    changed: bool,
    trial: Option<Trial>,
    started: Option<Uptime>,
    patience: Patience,
    /// A probe, and when it is answered.
    probe: Option<(String, Uptime)>,
    unreadable: Option<Uptime>,
    /// Number of the report that was made last; 0 before the first.
    report: u64,
    /// Whether there is something new to report.
    news: bool,
}

impl Told {
    /// What is known of a home whose file is this.
    pub fn new(file: Arc<Home>) -> Self {
        Self {
            file,
            kept: Kept::default(),
            changed: false,
            trial: None,
            started: None,
            patience: Patience::new(),
            probe: None,
            unreadable: None,
            report: 0,
            news: true,
        }
    }

    /// Goes on from what was kept. Hands out the home that holds, where it is another than that of the file.
    pub fn recall(&mut self, kept: &[u8]) -> Option<Arc<Home>> {
        let Some(kept) = read(kept) else {
            tracing::warn!("what the fleet told is lost: it cannot be read");
            return None;
        };
        self.kept = kept;
        self.changed = self.kept.twin.started() != Turn::None;
        let set = self.kept.twin.set();
        if set.0.is_empty() {
            return None;
        }
        let listens = self.file.uplink.as_ref().is_some_and(|uplink| uplink.listens);
        let deaf = || {
            vec![Reason { key: None, why: "the home's file does not listen to the fleet any more".into() }]
        };
        let home = if listens { overlay::overlaid(&self.file, &set) } else { Err(deaf()) };
        match home {
            Ok(home) => Some(Arc::new(home)),
            Err(reasons) => {
                let why = reasons.first().map_or_else(String::new, said);
                tracing::warn!("the settings that the fleet wished hold no more: {why}");
                self.kept.twin.drop_all(reasons);
                self.changed = true;
                None
            }
        }
    }

    /// Takes in what was heard, and goes on with what is under way.
    pub fn listen(&mut self, cycle: &Cycle<'_>, mut heard: impl FnMut() -> Option<Heard>) -> Outcome {
        let now = cycle.image.now;
        let started = *self.started.get_or_insert(now);
        let unix = cycle.image.wall.map(|wall| wall.unix);
        let at_least = unix.unwrap_or(EARLIEST).max(self.kept.at_least);
        let moment = Moment {
            running: now.since(started),
            unix,
            at_least,
            settings: cycle.settings,
            image: cycle.image,
            decision: cycle.decision,
        };
        let mut outcome = Outcome::default();
        self.go_on(cycle, &moment, &mut outcome);
        // What is not looked at now waits in the channel, and what finds no room there at the broker.
        if self.patience.allows(now) {
            match heard() {
                Some(heard) => self.take(heard, cycle, &moment, &mut outcome),
                None => self.patience.give_back(),
            }
        }
        self.hand_out(at_least, &mut outcome);
        outcome
    }

    /// What is under way: the end of a restart, a probe, loads that are kept on, a trial.
    fn go_on(&mut self, cycle: &Cycle<'_>, moment: &Moment<'_>, outcome: &mut Outcome) {
        let now = cycle.image.now;
        if let Some(id) = self.kept.commands.came_back() {
            self.changed = true;
            outcome.answers.push(answer(&id, "restart", "done", None));
        }
        if let Some((id, _)) = self.probe.take_if(|(_, at)| now >= *at) {
            let mut fields = answer(&id, "probe", "done", None);
            for device in cycle.devices.iter().take(MOST_FIELDS - fields.len()) {
                let found = match device.answers {
                    Some(true) => "answers".to_owned(),
                    Some(false) => device.why.clone(),
                    None => "was not asked".to_owned(),
                };
                fields.insert(field_name(&device.name), found.into());
            }
            outcome.answers.push(fields);
        }
        outcome.orders.extend(self.kept.commands.let_go(moment).into_iter().map(Order::Ask));
        if self.kept.twin.on_trial() {
            let report = self.report + u64::from(self.news);
            let trial = *self.trial.get_or_insert(Trial { since: now, report, faults: cycle.faults });
            let broker_has_it = cycle.broker_has.is_some_and(|report| report >= trial.report);
            let health = Health { new_faults: cycle.faults > trial.faults, broker_has_it };
            match self.kept.twin.judge(now.since(trial.since), health) {
                Turn::None => {}
                Turn::Report => (self.changed, self.news) = (true, true),
                Turn::Settings => {
                    (self.changed, self.news) = (true, true);
                    outcome.orders.push(Order::Adopt(self.home()));
                }
            }
        } else {
            self.trial = None;
        }
    }

    fn take(&mut self, heard: Heard, cycle: &Cycle<'_>, moment: &Moment<'_>, outcome: &mut Outcome) {
        let now = cycle.image.now;
        match heard {
            Heard::Command { command, retained } => {
                let (id, word) = (command.id.as_str(), command.action.word());
                match self.kept.commands.take(&command, retained, moment) {
                    Judged::Ignored => tracing::debug!("the command {id} is not done again"),
                    Judged::Refused(why) => {
                        tracing::info!("the fleet asked to {word} ({id}), refused: {why}");
                        self.changed = true;
                        outcome.answers.push(answer(id, word, "refused", Some(&why)));
                    }
                    Judged::Do(effect) => {
                        tracing::info!("the fleet asked to {word} ({id})");
                        self.changed = true;
                        let done = if matches!(effect, Effect::Ask(_)) { "done" } else { "begun" };
                        outcome.answers.push(answer(id, word, done, None));
                        outcome.orders.push(self.order(effect, id, now));
                    }
                }
            }
            Heard::Desired(desired) if self.kept.twin.wants(&desired) => self.wish(desired, outcome),
            Heard::Desired(_) => self.patience.give_back(),
            Heard::Weather(weather) => {
                // Only a hub that knows the time knows what a forecast is of. The broker hands it out with every connection.
                let Some(unix) = moment.unix.filter(|_| weather.issued > self.kept.weather) else {
                    return self.patience.give_back();
                };
                self.kept.weather = weather.issued;
                self.changed = true;
                tracing::info!("a weather forecast for {} hours has come", weather.hours());
                outcome.orders.push(Order::Weather(weather.forecasts(unix)));
            }
            Heard::Unreadable { what, why } => {
                tracing::info!("the fleet sent a {what} that cannot be read: {why}");
                let long_ago = self.unreadable.is_none_or(|last| now.since(last) >= UNREADABLE);
                if long_ago {
                    self.unreadable = Some(now);
                    outcome.answers.push(answer("", what, "refused", Some(&why)));
                }
            }
            Heard::SentAgain { id, records } => {
                let mut fields = answer(&id, "resend", "done", None);
                fields.insert("records".into(), records.into());
                outcome.answers.push(fields);
            }
        }
    }

    fn order(&mut self, effect: Effect, id: &str, now: Uptime) -> Order {
        match effect {
            Effect::Restart => Order::Restart,
            Effect::Ask(request) => Order::Ask(request),
            Effect::Again(again) => Order::Again(again),
            Effect::Probe => {
                self.probe = Some((id.to_owned(), now.after(PROBE)));
                Order::Probe
            }
        }
    }

    /// Takes a document on trial, or refuses it.
    fn wish(&mut self, desired: Desired, outcome: &mut Outcome) {
        let version = desired.version;
        (self.changed, self.news) = (true, true);
        match overlay::overlaid(&self.file, &desired.set) {
            Ok(home) => {
                tracing::info!("the settings that the fleet wishes, version {version}, are on trial");
                self.kept.twin.begin(desired);
                self.trial = None;
                outcome.orders.push(Order::Adopt(Arc::new(home)));
            }
            Err(reasons) => {
                let why = reasons.first().map_or_else(String::new, said);
                tracing::info!("the settings that the fleet wishes, version {version}, are refused: {why}");
                self.kept.twin.refuse(version, reasons);
            }
        }
    }

    /// The home that holds; that of the file where what is kept does not fit it.
    fn home(&self) -> Arc<Home> {
        let home = overlay::overlaid(&self.file, &self.kept.twin.set());
        home.map_or_else(|_| Arc::clone(&self.file), Arc::new)
    }

    fn hand_out(&mut self, at_least: i64, outcome: &mut Outcome) {
        if std::mem::take(&mut self.news) {
            self.report += 1;
            let report = self.kept.twin.report(env!("CARGO_PKG_VERSION"));
            if self.changed {
                outcome.answers.push(reported(&report));
            }
            outcome.report = Some((self.report, report));
        }
        if std::mem::take(&mut self.changed) {
            self.kept.at_least = at_least;
            outcome.kept = serde_json::to_vec(&self.kept).ok();
        }
    }
}

/// An answer to a command.
fn answer(id: &str, word: &str, outcome: &str, why: Option<&str>) -> Map<String, Value> {
    let mut fields = Map::new();
    fields.insert("id".into(), id.into());
    fields.insert("do".into(), word.into());
    fields.insert("outcome".into(), outcome.into());
    if let Some(why) = why {
        fields.insert("why".into(), why.into());
    }
    fields
}

/// A report as an answer, for the lake.
fn reported(report: &Reported) -> Map<String, Value> {
    let mut fields = answer("", "desired", &report.state, report.reasons.first().map(said).as_deref());
    fields.insert("version".into(), json!(report.version));
    fields.insert("in_force".into(), json!(report.in_force));
    fields
}

fn said(reason: &Reason) -> String {
    match &reason.key {
        Some(key) => format!("{key}: {}", reason.why),
        None => reason.why.clone(),
    }
}

/// A device as the name of a field.
fn field_name(device: &str) -> String {
    let plain = |letter: char| if letter.is_ascii_alphanumeric() || letter == '-' { letter } else { '_' };
    let name: String = device.chars().take(MOST_NAME - "device.".len()).map(plain).collect();
    format!("device.{name}")
}

#[cfg(test)]
mod tests {
    use sunkeep_core::{State, step};
    use sunkeep_models::wire::down::Setting;

    use super::*;

    fn file(uplink: &str) -> Arc<Home> {
        let example = include_str!("../../hub.example.toml");
        Arc::new(Home::parse("file", &format!("{example}\n{uplink}")).unwrap())
    }

    const LISTENS: &str = "[uplink]\nbroker = \"mqtt://localhost\"\nsite = \"kilgoris\"\nlistens = true\n";

    /// What is kept of a hub on which a document has been applied.
    fn applied() -> Vec<u8> {
        let home = file(LISTENS);
        let mut told = Told::new(Arc::clone(&home));
        let set = [("load.pump.tier".to_owned(), Setting::Text("important".into()))];
        let mut heard = Some(Heard::Desired(Desired::new(3, set.into())));
        let mut kept = None;
        for second in 0..700 {
            let image = ProcessImage::empty(Uptime::from_seconds(second), &home.settings);
            let (_, decision) = step(&home.settings, State::new(&home.settings), &image);
            let cycle = Cycle {
                settings: &home.settings,
                image: &image,
                decision: &decision,
                devices: &[],
                faults: 0,
                broker_has: Some(u64::MAX),
            };
            kept = told.listen(&cycle, || heard.take()).kept.or(kept);
        }
        assert_eq!(told.kept.twin.report("0").state, "applied");
        kept.unwrap()
    }

    #[test]
    fn what_holds_outlives_a_start_unless_the_file_says_otherwise() {
        let tier = |home: &Home| home.settings.loads[4].tier.word();
        let kept = applied();
        let home = Told::new(file(LISTENS)).recall(&kept).expect("another home than that of the file");
        assert_eq!(tier(&home), "important");
        for changed in ["", &LISTENS.replace("true", "false")] {
            let mut told = Told::new(file(changed));
            assert!(told.recall(&kept).is_none(), "{changed:?}");
            assert_eq!(told.kept.twin.report("0").state, "refused");
        }
        assert!(Told::new(file(LISTENS)).recall(b"{}").is_none());
    }
}
