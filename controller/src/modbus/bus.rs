//! The driver of a bus: picks the transaction that is due, performs it, and says what came of it.
//!
//! Devices that answer take turns, so that a slow one costs the others one transaction and no more. A silent
//! one is tried only when nobody else is due, and if possible only when nobody falls due meanwhile.

use sunkeep_models::quantity::Seconds;
use sunkeep_models::time::Uptime;

use super::device::{Device, What};
use super::health::wait;
use super::link::{Ask, Failure, Link, Reply};
use super::settings::{BusError, BusSettings};
use crate::driver::{Driver, Event, Output};

/// A silent device waits this much longer for a pause on the bus that is as long as its reply may take, s.
const WAIT_FOR_A_PAUSE: Seconds = Seconds(10.0);

/// A Modbus bus: RTU on a serial port, or TCP.
pub struct ModbusBus {
    name: String,
    pub(super) link: Link,
    pub(super) devices: Vec<Device>,
    turn: u64,
    /// Times in a row that the port or the connection could not be had.
    downs: u32,
}

impl ModbusBus {
    /// Takes the bus as it is described; the port or connection is opened with the first transaction.
    pub fn new(settings: BusSettings) -> Result<Self, BusError> {
        settings.check()?;
        Ok(Self {
            name: settings.name,
            link: Link::new(settings.line),
            devices: settings.devices.into_iter().map(Device::new).collect(),
            turn: 0,
            downs: 0,
        })
    }

    /// The device and task whose turn it is.
    fn pick(&self, now: Uptime) -> Option<(usize, usize)> {
        let due = |(at, device): (usize, &Device)| Some((device.served, at, device.due(now)?));
        let all = || self.devices.iter().enumerate();
        let starved = all().filter(|(_, device)| device.health.is_starved(now));
        let live = all().filter(|(_, device)| device.health.retry_at().is_none());
        let silent = all().filter(|(_, device)| self.may_try(device, now));
        let (_, device, task) = starved
            .filter_map(due)
            .min()
            .or_else(|| live.filter_map(due).min())
            .or_else(|| silent.filter_map(due).min())?;
        Some((device, task))
    }

    /// Whether a silent device may be tried, given that nobody else is due.
    fn may_try(&self, device: &Device, now: Uptime) -> bool {
        let Some(retry_at) = device.health.retry_at().filter(|&retry_at| retry_at <= now) else {
            return false;
        };
        let cost = Seconds(device.patience.longest_reply.as_secs_f64());
        let live = self.devices.iter().filter(|device| device.health.retry_at().is_none());
        let next = live.flat_map(|device| &device.tasks).map(|task| task.due).min();
        next.is_none_or(|next| next >= now.after(cost)) || now >= retry_at.after(WAIT_FOR_A_PAUSE)
    }

    async fn transact(&mut self, device: usize, ask: Ask) -> Result<Reply, Failure> {
        self.turn += 1;
        let device = &mut self.devices[device];
        device.served = self.turn;
        let result = self.link.transact(device.settings.unit, ask, device.patience).await;
        if !matches!(result, Err(Failure::Down(_))) {
            self.downs = 0;
        }
        result
    }

    /// Nobody on this bus can be asked.
    fn fell_down(&mut self, why: &str, now: Uptime, events: &mut Vec<Event>) {
        let wait = wait(self.downs);
        self.downs = self.downs.saturating_add(1);
        for device in &mut self.devices {
            if device.health.fall_silent(now, wait) {
                device.fell_silent(why, now, events);
            }
        }
    }

    async fn perform(&mut self, at: usize, what: &What, now: Uptime) -> Vec<Event> {
        let mut events = Vec::new();
        let Some(ask) = self.devices[at].ask(what) else { return events };
        let result = self.transact(at, ask).await;
        let device = &mut self.devices[at];
        match result {
            Ok(Reply::Words(words)) => device.took(what, &words, now, &mut events),
            Ok(Reply::Written) => {}
            Err(Failure::Exception(code)) => device.refused(what, code, now, &mut events),
            Err(Failure::NoReply(why)) => {
                let within = device.patience.reply_timeout.as_millis();
                device.unanswered(what, &format!("{why} within {within} ms"), now, &mut events);
            }
            Err(Failure::Down(why)) => self.fell_down(&why, now, &mut events),
        }
        events
    }

    /// The device and coil of an output, and how it is written.
    fn coil(&self, output: Output, on: bool) -> Option<(usize, Ask)> {
        self.devices.iter().enumerate().find_map(|(at, device)| {
            let relays = device.settings.file.relays?;
            let relay = device.settings.relays.iter().find(|relay| relay.output == output)?;
            Some((at, Ask::WriteCoil { address: relays.first + relay.index, on, how: relays.write }))
        })
    }

    /// Reads back the contacts after a write; true if that told the state of `output`.
    async fn read_back(&mut self, at: usize, output: Output, now: Uptime, events: &mut Vec<Event>) -> bool {
        let contacts = |what: &&What| matches!(what, What::Contacts { .. });
        let what = self.devices[at].tasks.iter().map(|task| &task.what).find(contacts).cloned();
        let Some(what) = what else { return false };
        let read = self.perform(at, &what, now).await;
        let tells = |event: &Event| matches!(event, Event::Contact { output: told, energised: Some(_), .. } if *told == output);
        let told = read.iter().any(tells);
        events.extend(read);
        told
    }
}

impl Driver for ModbusBus {
    fn name(&self) -> &str {
        &self.name
    }

    async fn next(&mut self, now: Uptime) -> Option<Vec<Event>> {
        let (device, task) = self.pick(now)?;
        let what = self.devices[device].tasks[task].what.clone();
        Some(self.perform(device, &what, now).await)
    }

    fn try_silent(&mut self) {
        self.downs = 0;
        self.devices.iter_mut().for_each(|device| device.health.forgive());
    }

    async fn write(&mut self, output: Output, energised: bool, now: Uptime) -> Vec<Event> {
        let mut events = Vec::new();
        let unknown = Event::Contact { output, energised: None, at: now };
        let Some((at, ask)) = self.coil(output, energised) else { return vec![unknown] };
        let state = if energised { "on" } else { "off" };
        let result = self.transact(at, ask).await;
        let device = &mut self.devices[at];
        let confirmed = match result {
            Ok(_) => {
                device.answered(now, &mut events);
                self.read_back(at, output, now, &mut events).await
            }
            Err(Failure::Exception(code)) => {
                device.refused_write(code, state, now, &mut events);
                false
            }
            Err(Failure::NoReply(why)) => {
                device.missed(&format!("told a relay to go {state}; {why}"), now, &mut events);
                false
            }
            Err(Failure::Down(why)) => {
                self.fell_down(&why, now, &mut events);
                false
            }
        };
        if !confirmed {
            self.devices[at].hurry_contacts(now);
            events.push(unknown);
        }
        events
    }
}
