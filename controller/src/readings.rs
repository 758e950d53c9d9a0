//! What the devices said last, and how it becomes a process image.

use std::sync::Arc;

use sunkeep_core::image::{ProcessImage, Reading, Request};
use sunkeep_core::{Plan, Settings};
use sunkeep_models::time::Zone;

use crate::clock::Now;
use crate::config::{GpioDriver, Place, Relay, Term, Wiring};
use crate::driver::{Channel, DeviceId, Event, Output};
use crate::totals::Totals;
use crate::view::DeviceHealth;

/// The last value of every channel and contact.
#[derive(Debug)]
pub struct Readings {
    channels: Vec<Option<Reading>>,
    /// Whether the coil of each output is energised, in the order of the relays.
    coils: Vec<(Output, Option<Reading>)>,
    totals: Totals,
    health: Vec<DeviceHealth>,
    published: Arc<Vec<DeviceHealth>>,
}

impl Readings {
    /// Nothing was read yet.
    pub fn new(wiring: &Wiring) -> Self {
        let unasked =
            |name: String, model: String| DeviceHealth { name, model, answers: None, why: String::new() };
        let devices = wiring.devices.iter();
        let mut health: Vec<_> =
            devices.map(|device| unasked(device.name.clone(), device.model.name.clone())).collect();
        // The board has the number after them.
        if let Some(gpio) = wiring.gpio.as_ref().filter(|_| wiring.board().is_some()) {
            let model = match gpio.driver {
                GpioDriver::Rppal => "the header's lines".into(),
                GpioDriver::Chardev => format!("lines of {}", gpio.chip),
            };
            health.push(unasked("gpio".into(), model));
        }
        Self {
            channels: vec![None; wiring.channels.len()],
            totals: Totals::new(wiring),
            coils: wiring.relays.iter().map(|relay| (relay.output, None)).collect(),
            published: Arc::new(health.clone()),
            health,
        }
    }

    /// Takes in everything that a transaction brought.
    pub fn take_all(&mut self, events: Vec<Event>) {
        for event in events {
            self.take(event);
        }
    }

    /// Takes in what a driver reported. Values are kept to 24 bits, more than any sensor has, so that the
    /// journal stores them in four bytes.
    pub fn take(&mut self, event: Event) {
        match event {
            Event::Measured { channel: Channel(number), value, at } => {
                if let Some(place) = self.channels.get_mut(usize::from(number)) {
                    *place = Some(Reading { value: f64::from(value as f32), at });
                }
            }
            Event::Counted { counter, pulses } => self.totals.count(counter, pulses),
            Event::Contact { output, energised, at } => {
                if let Some((_, coil)) = self.coils.iter_mut().find(|(known, _)| *known == output) {
                    *coil = energised.map(|energised| Reading { value: f64::from(u8::from(energised)), at });
                }
            }
            Event::Answers(device) => {
                if let Some(name) = self.turned(device, true, String::new()) {
                    tracing::info!(device = %name, "answers");
                }
            }
            Event::Silent { device, why } => {
                if let Some(name) = self.turned(device, false, why.clone()) {
                    tracing::warn!(device = %name, "is silent: {why}");
                }
            }
            Event::Doubtful { device, why } => {
                if let Some(name) = self.turned(device, true, why.clone()) {
                    tracing::warn!(device = %name, "is doubtful: {why}");
                }
            }
        }
    }

    /// Notes a change of a device's health and returns its name.
    fn turned(&mut self, DeviceId(number): DeviceId, answers: bool, why: String) -> Option<String> {
        let health = self.health.get_mut(usize::from(number))?;
        health.answers = Some(answers);
        health.why = why;
        let name = health.name.clone();
        self.published = Arc::new(self.health.clone());
        Some(name)
    }

    /// Health of every device.
    pub fn health(&self) -> Arc<Vec<DeviceHealth>> {
        Arc::clone(&self.published)
    }

    /// Totals of the pulse meters.
    pub fn totals(&mut self) -> &mut Totals {
        &mut self.totals
    }

    /// Whether the coil of this output is known to be energised.
    pub fn energised(&self, output: Output) -> Option<bool> {
        let (_, coil) = self.coils.iter().find(|(known, _)| *known == output)?;
        coil.map(|reading| reading.value > 0.5)
    }

    /// Whether every relay has been looked at.
    pub fn all_relays_read(&self) -> bool {
        self.coils.iter().all(|(_, coil)| coil.is_some())
    }

    /// Freezes what is known.
    pub fn freeze(
        &self,
        now: Now,
        zone: &Zone,
        settings: &Settings,
        wiring: &Wiring,
        requests: Vec<Request>,
        plan: Option<Plan>,
    ) -> ProcessImage {
        let mut image = ProcessImage::empty(now.uptime, settings);
        image.wall = now.wall;
        image.utc_offset = now.wall.map_or(0, |wall| utc_offset(zone, wall.unix));
        image.requests = requests;
        image.plan = plan;
        for (place, terms) in &wiring.places {
            let value = self.sum(terms);
            let target = match place {
                Place::BatteryVoltage => &mut image.battery.voltage,
                Place::BatteryCurrent => &mut image.battery.current,
                Place::BatteryPower => &mut image.battery.power,
                Place::BatteryTemperature => &mut image.battery.temperature,
                Place::BatteryCharge => &mut image.battery.charge,
                Place::Sun => &mut image.sun,
                Place::Total => &mut image.load,
                Place::Load(number) => &mut image.loads[*number].power,
            };
            *target = value;
        }
        for relay in &wiring.relays {
            let load = usize::from(relay.output.0);
            image.loads[load].supplied = self.supplied(relay);
        }
        image
    }

    /// The sum of its terms, as old as the oldest; missing if one of them is.
    fn sum(&self, terms: &[Term]) -> Option<Reading> {
        let mut sum: Option<Reading> = None;
        for term in terms {
            let reading = self.channels.get(usize::from(term.channel.0)).copied().flatten()?;
            let value = reading.value * term.factor;
            sum = Some(sum.map_or(Reading { value, at: reading.at }, |sum| Reading {
                value: sum.value + value,
                at: sum.at.min(reading.at),
            }));
        }
        sum.map(|sum| Reading { value: f64::from(sum.value as f32), at: sum.at })
    }

    fn supplied(&self, relay: &Relay) -> Option<Reading> {
        let (_, coil) = self.coils.iter().find(|(known, _)| *known == relay.output)?;
        coil.map(|reading| {
            let supplied = relay.energised_for(true) == (reading.value > 0.5);
            Reading { value: f64::from(u8::from(supplied)), at: reading.at }
        })
    }
}

/// Seconds that local time is ahead of UTC at this moment.
fn utc_offset(zone: &Zone, unix: i64) -> i32 {
    let local = zone.local(unix);
    i32::try_from(local.day * 86_400 + local.second_of_day - unix).unwrap_or(0)
}
