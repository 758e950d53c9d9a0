//! Lines through the kernel's GPIO character device (gpiocdev), on any board.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use gpiocdev::line::{EdgeDetection, EdgeKind, Value};
use gpiocdev::request::{Config, Request};

use super::{Bias, Edge, Edges, GpioError, GpioSettings, Lines, MAX_EDGES, PulseInput, chips_here, place};

/// The lines of one chip.
pub struct CharacterDevice {
    chip: PathBuf,
    inputs: BTreeMap<u32, Input>,
    outputs: BTreeMap<u32, Request>,
}

struct Input {
    request: Request,
    /// Number of the last edge, which the kernel counts without gaps.
    seen: Option<u32>,
}

impl CharacterDevice {
    /// Takes the lines of `settings` from `chip`, such as `/dev/gpiochip0`. An output starts at the level it
    /// has: its direction is set together with the level that was read, so that no relay moves.
    pub fn open(chip: &Path, settings: &GpioSettings) -> Result<Self, GpioError> {
        settings.check()?;
        if !chip.exists() {
            let problem = format!("there is no such device; {}", chips_here());
            return Err(GpioError::Line { place: chip.display().to_string(), problem });
        }
        let mut lines = Self { chip: chip.into(), inputs: BTreeMap::new(), outputs: BTreeMap::new() };
        for input in &settings.inputs {
            let request = watch(chip, input).map_err(|error| lines.error(input.line, &error))?;
            lines.inputs.insert(input.line, Input { request, seen: None });
        }
        for relay in &settings.relays {
            let request = hold(chip, relay.line).map_err(|error| lines.error(relay.line, &error))?;
            lines.outputs.insert(relay.line, request);
        }
        Ok(lines)
    }

    fn error(&self, line: u32, error: &gpiocdev::Error) -> GpioError {
        let text = error.to_string();
        let hint = if text.contains("ermission") {
            "; add the user that runs Sunkeep to the group that owns the chip (often gpio)"
        } else if text.contains("busy") {
            "; another program or a kernel driver holds the line (gpioinfo shows it)"
        } else {
            ""
        };
        GpioError::Line { place: place(&self.chip, line), problem: format!("{text}{hint}") }
    }

    fn output(&self, line: u32) -> Result<&Request, GpioError> {
        self.outputs.get(&line).ok_or_else(|| GpioError::Line {
            place: place(&self.chip, line),
            problem: "it was not opened as an output".into(),
        })
    }
}

fn watch(chip: &Path, input: &PulseInput) -> gpiocdev::Result<Request> {
    let mut config = Config::default();
    config.with_line(input.line).as_input().with_edge_detection(EdgeDetection::BothEdges).with_bias(
        match input.bias {
            Bias::Off => None,
            Bias::Up => Some(gpiocdev::line::Bias::PullUp),
            Bias::Down => Some(gpiocdev::line::Bias::PullDown),
        },
    );
    Request::from_config(config)
        .on_chip(chip)
        .with_consumer("sunkeep")
        .with_kernel_event_buffer_size(MAX_EDGES as u32)
        .request()
}

fn hold(chip: &Path, line: u32) -> gpiocdev::Result<Request> {
    let mut config = Config::default();
    config.with_line(line).as_is();
    let request = Request::from_config(config).on_chip(chip).with_consumer("sunkeep").request()?;
    let level = request.value(line)?;
    let mut config = Config::default();
    config.with_line(line).as_output(level);
    request.reconfigure(&config)?;
    Ok(request)
}

impl Lines for CharacterDevice {
    fn take_edges(&mut self, line: u32) -> Result<Edges, GpioError> {
        let mut taken = Edges::default();
        let mut failure = None;
        let Some(input) = self.inputs.get_mut(&line) else {
            let problem = "it was not opened as an input".into();
            return Err(GpioError::Line { place: place(&self.chip, line), problem });
        };
        while taken.edges.len() < MAX_EDGES {
            let event = match input.request.has_edge_event() {
                Ok(true) => input.request.read_edge_event(),
                Ok(false) => break,
                Err(error) => Err(error),
            };
            match event {
                Ok(event) => {
                    let expected = input.seen.map(|seen| seen.wrapping_add(1));
                    taken.lost += u64::from(expected.map_or(0, |next| event.line_seqno.wrapping_sub(next)));
                    input.seen = Some(event.line_seqno);
                    let at = Duration::from_nanos(event.timestamp_ns);
                    taken.edges.push(Edge { at, high: event.kind == EdgeKind::Rising });
                }
                Err(error) => {
                    failure = Some(error);
                    break;
                }
            }
        }
        failure.map_or(Ok(taken), |error| Err(self.error(line, &error)))
    }

    fn level(&mut self, line: u32) -> Result<bool, GpioError> {
        let value = self.output(line)?.value(line).map_err(|error| self.error(line, &error))?;
        Ok(value == Value::Active)
    }

    fn set_level(&mut self, line: u32, high: bool) -> Result<(), GpioError> {
        let value = if high { Value::Active } else { Value::Inactive };
        self.output(line)?.set_value(line, value).map_err(|error| self.error(line, &error))?;
        Ok(())
    }
}
