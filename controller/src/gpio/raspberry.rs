//! Lines of a Raspberry Pi's header through rppal.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex, PoisonError};

use rppal::gpio::{Gpio, InputPin, Level, OutputPin, Trigger};

use super::{Bias, Edge, Edges, GpioError, GpioSettings, Lines, MAX_EDGES, PulseInput, chips_here};

/// The lines of the header, by BCM number.
pub struct RaspberryHeader {
    inputs: BTreeMap<u32, Input>,
    outputs: BTreeMap<u32, OutputPin>,
}

struct Input {
    queue: Arc<Mutex<Queue>>,
    /// Held for its interrupt.
    _pin: InputPin,
}

#[derive(Default)]
struct Queue {
    edges: VecDeque<Edge>,
    lost: u64,
}

impl RaspberryHeader {
    /// Takes the lines of `settings`. An output starts at the level it has, and keeps its level when the hub
    /// stops, so that no relay moves.
    pub fn open(settings: &GpioSettings) -> Result<Self, GpioError> {
        settings.check()?;
        let gpio = Gpio::new().map_err(|error| match error {
            rppal::gpio::Error::UnknownModel => {
                GpioError::NotARaspberry { board: board(), chips: chips_here() }
            }
            other => GpioError::Line {
                place: "the Raspberry Pi's header".into(),
                problem: format!("{other}; add the user that runs Sunkeep to the group gpio"),
            },
        })?;
        let mut lines = Self { inputs: BTreeMap::new(), outputs: BTreeMap::new() };
        for input in &settings.inputs {
            let opened = watch(&gpio, input).map_err(|error| failed(input.line, &error))?;
            lines.inputs.insert(input.line, opened);
        }
        for relay in &settings.relays {
            let pin = hold(&gpio, relay.line).map_err(|error| failed(relay.line, &error))?;
            lines.outputs.insert(relay.line, pin);
        }
        Ok(lines)
    }
}

/// What the board says it is.
fn board() -> String {
    let model = std::fs::read("/proc/device-tree/model").unwrap_or_default();
    let model = String::from_utf8_lossy(&model).trim_end_matches('\0').to_owned();
    if model.is_empty() {
        format!("a {} machine without a board name", std::env::consts::ARCH)
    } else {
        model
    }
}

fn failed(line: u32, error: &rppal::gpio::Error) -> GpioError {
    GpioError::Line { place: format!("GPIO {line}"), problem: error.to_string() }
}

fn number(line: u32) -> u8 {
    // No header has a line 255: rppal then says that it is not available.
    u8::try_from(line).unwrap_or(u8::MAX)
}

fn watch(gpio: &Gpio, input: &PulseInput) -> rppal::gpio::Result<Input> {
    let pin = gpio.get(number(input.line))?;
    let mut pin = match input.bias {
        Bias::Off => pin.into_input(),
        Bias::Up => pin.into_input_pullup(),
        Bias::Down => pin.into_input_pulldown(),
    };
    let queue = Arc::new(Mutex::new(Queue::default()));
    let filled = Arc::clone(&queue);
    // rppal calls back on a thread of its own.
    pin.set_async_interrupt(Trigger::Both, None, move |event| {
        let mut queue = filled.lock().unwrap_or_else(PoisonError::into_inner);
        if queue.edges.len() < MAX_EDGES {
            queue.edges.push_back(Edge { at: event.timestamp, high: event.trigger == Trigger::RisingEdge });
        } else {
            queue.lost += 1;
        }
    })?;
    Ok(Input { queue, _pin: pin })
}

fn hold(gpio: &Gpio, line: u32) -> rppal::gpio::Result<OutputPin> {
    let pin = gpio.get(number(line))?;
    // The level goes into the register before the direction changes.
    let mut pin = match pin.read() {
        Level::High => pin.into_output_high(),
        Level::Low => pin.into_output_low(),
    };
    pin.set_reset_on_drop(false);
    Ok(pin)
}

impl Lines for RaspberryHeader {
    fn take_edges(&mut self, line: u32) -> Result<Edges, GpioError> {
        let Some(input) = self.inputs.get(&line) else { return Err(not_open(line, "an input")) };
        let mut queue = input.queue.lock().unwrap_or_else(PoisonError::into_inner);
        let lost = std::mem::take(&mut queue.lost);
        Ok(Edges { edges: queue.edges.drain(..).collect(), lost })
    }

    fn level(&mut self, line: u32) -> Result<bool, GpioError> {
        let pin = self.outputs.get(&line).ok_or_else(|| not_open(line, "an output"))?;
        Ok(pin.is_set_high())
    }

    fn set_level(&mut self, line: u32, high: bool) -> Result<(), GpioError> {
        let pin = self.outputs.get_mut(&line).ok_or_else(|| not_open(line, "an output"))?;
        pin.write(if high { Level::High } else { Level::Low });
        Ok(())
    }
}

fn not_open(line: u32, what: &str) -> GpioError {
    GpioError::Line { place: format!("GPIO {line}"), problem: format!("it was not opened as {what}") }
}
