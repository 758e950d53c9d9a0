//! The driver of a set of GPIO lines: looks at the pulse inputs and reads back the relays once a period.

use sunkeep_models::time::Uptime;

use super::pulses::PulseCounter;
use super::{GpioError, GpioRelay, GpioSettings, Lines, PulseInput};
use crate::driver::{Driver, Event, Output};

/// Pulse counters and relays of a board.
pub struct GpioBank<L> {
    settings: GpioSettings,
    lines: L,
    counters: Vec<Counter>,
    due: Uptime,
    state: State,
}

struct Counter {
    input: PulseInput,
    pulses: PulseCounter,
    /// Whether the total has been handed out since it last changed.
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
    /// Takes lines that have been opened for these settings. Nothing is written.
    pub fn new(settings: GpioSettings, lines: L) -> Result<Self, GpioError> {
        settings.check()?;
        let counter = |input: &PulseInput| Counter {
            pulses: PulseCounter::new(input),
            input: input.clone(),
            told: false,
            overrun: false,
        };
        let counters = settings.inputs.iter().map(counter).collect();
        Ok(Self { settings, lines, counters, due: Uptime::default(), state: State::Unknown })
    }

    /// When the lines are looked at next.
    pub fn next_due(&self) -> Uptime {
        self.due
    }

    fn look(&mut self, now: Uptime, events: &mut Vec<Event>) -> Result<(), GpioError> {
        for counter in &mut self.counters {
            let taken = self.lines.take_edges(counter.input.line)?;
            if counter.pulses.take(&taken.edges, now) > 0 {
                counter.told = false;
            }
            if !std::mem::replace(&mut counter.told, true) {
                let channel = counter.input.total;
                events.push(Event::Measured { channel, value: counter.pulses.total(), at: now });
            }
            if let Some((channel, value)) = counter.input.rate.zip(counter.pulses.rate(now)) {
                events.push(Event::Measured { channel, value, at: now });
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
            events.push(contact(&mut self.lines, *relay, now)?);
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
            }
        }
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
        let mut events = Vec::new();
        let written = self.lines.set_level(relay.line, energised != relay.active_low);
        match written.and_then(|()| contact(&mut self.lines, relay, now)) {
            Ok(contact) => events.push(contact),
            Err(error) => {
                events.push(unknown);
                self.note(Err(error), now, &mut events);
            }
        }
        events
    }
}
