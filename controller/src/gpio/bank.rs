//! The driver of a set of GPIO lines: takes the lines, looks at the pulse inputs and reads back the relays
//! once a period.

use sunkeep_models::quantity::Seconds;
use sunkeep_models::time::Uptime;

use super::pulses::PulseCounter;
use super::{GpioError, GpioRelay, GpioSettings, Lines, PulseInput};
use crate::driver::{Driver, Event, Output};
use crate::modbus::ProbeReport;

/// How long after a failed try the lines are asked for again: another program may have let them go.
const TRY_AGAIN: Seconds = Seconds(10.0);

/// Takes the lines of the settings from the system.
type Open<L> = Box<dyn FnMut(&GpioSettings) -> Result<L, GpioError> + Send>;

/// Pulse counters and relays of a board.
pub struct GpioBank<L> {
    settings: GpioSettings,
    open: Open<L>,
    /// None until they could be taken; they are kept from then on, for letting go could move a relay.
    lines: Option<L>,
    counters: Vec<Counter>,
    due: Uptime,
    state: State,
}

struct Counter {
    input: PulseInput,
    pulses: PulseCounter,
    /// Whether the count has been handed out since it last changed.
    told: bool,
    /// Edges were lost, which was said.
    overrun: bool,
}

/// Whether the lines can be used:
/// `Unknown -> Works <-> Fails`, `Unknown -> Fails`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Unknown,
    Works,
    Fails,
}

impl<L: Lines> GpioBank<L> {
    /// A driver that takes its lines with `open` when it is first asked to read or write, and again later
    /// where that fails. Nothing is written by itself.
    pub fn new(
        settings: GpioSettings,
        open: impl FnMut(&GpioSettings) -> Result<L, GpioError> + Send + 'static,
    ) -> Result<Self, GpioError> {
        settings.check()?;
        let counter = |input: &PulseInput| Counter {
            pulses: PulseCounter::new(input),
            input: input.clone(),
            told: false,
            overrun: false,
        };
        let counters = settings.inputs.iter().map(counter).collect();
        let due = Uptime::default();
        Ok(Self { settings, open: Box::new(open), lines: None, counters, due, state: State::Unknown })
    }

    /// Takes the lines and looks at each once.
    pub fn probe(&mut self) -> ProbeReport {
        let mut events = Vec::new();
        let looked = self.look(Uptime::default(), &mut events);
        let finding = match &looked {
            Ok(()) => {
                let contact = |event: &Event| match event {
                    Event::Contact { output, energised: Some(energised), .. } => {
                        let relay = self.settings.relays.iter().find(|relay| relay.output == *output)?;
                        let state = if *energised { "energised" } else { "released" };
                        Some(format!("relay on line {} is {state}", relay.line))
                    }
                    _ => None,
                };
                let inputs =
                    self.settings.inputs.iter().map(|input| format!("pulses on line {}", input.line));
                events.iter().filter_map(contact).chain(inputs).collect::<Vec<_>>().join(", ")
            }
            Err(error) => error.to_string(),
        };
        let (device, name) = (self.settings.device, self.settings.name.clone());
        ProbeReport { device, name, ok: looked.is_ok(), finding }
    }

    fn look(&mut self, now: Uptime, events: &mut Vec<Event>) -> Result<(), GpioError> {
        let lines = taken(&mut self.lines, &mut self.open, &self.settings)?;
        for counter in &mut self.counters {
            let taken = lines.take_edges(counter.input.line)?;
            if counter.pulses.take(&taken.edges, now) > 0 {
                counter.told = false;
            }
            if !std::mem::replace(&mut counter.told, true) {
                let (counter, pulses) = (counter.input.counter, counter.pulses.pulses());
                events.push(Event::Counted { counter, pulses });
            }
            if let Some(value) = counter.pulses.rate(now) {
                events.push(Event::Measured { channel: counter.input.rate, value, at: now });
            }
            if taken.lost > 0 && !std::mem::replace(&mut counter.overrun, true) {
                let why = format!(
                    "{} line {}: {} edges came faster than they can be counted; the total is too low. Try a \
                     longer debounce or a capacitor at the input",
                    self.settings.name, counter.input.line, taken.lost
                );
                events.push(Event::Doubtful { device: self.settings.device, why });
            }
        }
        for relay in &self.settings.relays {
            events.push(contact(lines, *relay, now)?);
        }
        Ok(())
    }

    fn note(&mut self, result: Result<(), GpioError>, now: Uptime, events: &mut Vec<Event>) {
        let device = self.settings.device;
        match result {
            Ok(()) if self.state == State::Works => {}
            Ok(()) => {
                self.state = State::Works;
                events.push(Event::Answers(device));
            }
            Err(error) => {
                if self.state != State::Fails {
                    events.push(Event::Silent { device, why: format!("{}: {error}", self.settings.name) });
                    let unknown =
                        |relay: &GpioRelay| Event::Contact { output: relay.output, energised: None, at: now };
                    events.extend(self.settings.relays.iter().map(unknown));
                }
                self.state = State::Fails;
                if self.lines.is_none() {
                    self.due = now.after(TRY_AGAIN);
                }
            }
        }
    }

    fn set(&mut self, relay: GpioRelay, energised: bool, now: Uptime) -> Result<Event, GpioError> {
        let lines = taken(&mut self.lines, &mut self.open, &self.settings)?;
        lines.set_level(relay.line, energised != relay.active_low)?;
        contact(lines, relay, now)
    }
}

/// The lines; they are taken now if they were not yet.
fn taken<'a, L>(
    lines: &'a mut Option<L>,
    open: &mut Open<L>,
    settings: &GpioSettings,
) -> Result<&'a mut L, GpioError> {
    match lines {
        Some(lines) => Ok(lines),
        none => Ok(none.insert(open(settings)?)),
    }
}

fn contact(lines: &mut impl Lines, relay: GpioRelay, now: Uptime) -> Result<Event, GpioError> {
    let energised = lines.level(relay.line)? != relay.active_low;
    Ok(Event::Contact { output: relay.output, energised: Some(energised), at: now })
}

impl<L: Lines> Driver for GpioBank<L> {
    fn name(&self) -> &str {
        &self.settings.name
    }

    async fn next(&mut self, now: Uptime) -> Option<Vec<Event>> {
        if now < self.due {
            return None;
        }
        self.due = now.after(self.settings.period);
        let mut events = Vec::new();
        let result = self.look(now, &mut events);
        self.note(result, now, &mut events);
        Some(events)
    }

    async fn write(&mut self, output: Output, energised: bool, now: Uptime) -> Vec<Event> {
        let unknown = Event::Contact { output, energised: None, at: now };
        let relay = self.settings.relays.iter().copied().find(|relay| relay.output == output);
        let Some(relay) = relay else { return vec![unknown] };
        match self.set(relay, energised, now) {
            Ok(contact) => vec![contact],
            Err(error) => {
                let mut events = vec![unknown];
                self.note(Err(error), now, &mut events);
                events
            }
        }
    }
}
