//! A device of a bus: which requests it needs and when they are due, and what each outcome means for its
//! channels, its health and what is asked next. No I/O; told the time.

use std::collections::{BTreeMap, BTreeSet};

use sunkeep_models::quantity::Seconds;
use sunkeep_models::time::Uptime;

use super::blocks::{Block, plan};
use super::health::{Doubt, Doubts, Health, wait};
use super::link::{Ask, Patience};
use super::settings::DeviceSettings;
use crate::device_file::{Refused, Register};
use crate::driver::Event;

/// After "busy" or "acknowledged" the request is repeated no sooner than this.
const BUSY_WAIT: Seconds = Seconds(1.0);
/// Busy answers in a row that are said.
const BUSY_TOLERATED: u32 = 5;
/// Unanswered requests of one kind, while others are answered, that are said.
const UNANSWERED_TOLERATED: u32 = 3;
/// A register that does not exist is asked for again after this, for a device may be replaced or reset.
const RECHECK: Seconds = Seconds(600.0);
/// The contacts, where otherwise the place of a register stands.
const CONTACTS: usize = usize::MAX;

/// A request that a device needs again and again.
#[derive(Debug, Clone)]
pub(super) struct Task {
    pub(super) what: What,
    pub(super) due: Uptime,
    period: Seconds,
    /// Requests without the wanted reply, in a row.
    failures: u32,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum What {
    /// Registers.
    Read(Block),
    /// One register that did not exist when last asked.
    Recheck(Block),
    /// The contacts of the relays.
    Contacts { address: u16, count: u16 },
}

pub(super) struct Device {
    pub(super) settings: DeviceSettings,
    pub(super) patience: Patience,
    pub(super) health: Health,
    pub(super) tasks: Vec<Task>,
    /// Turn in which it was last asked.
    pub(super) served: u64,
    /// The registers of `settings.wanted`, in the same order.
    registers: Vec<Register>,
    doubts: Doubts,
    missing: BTreeSet<usize>,
    contacts_known: bool,
}

impl Device {
    /// `settings` have been checked.
    pub(super) fn new(settings: DeviceSettings) -> Self {
        let find = |name: &str| settings.file.register(name).cloned();
        let registers = settings.wanted.iter().filter_map(|wanted| find(&wanted.register)).collect();
        let mut device = Self {
            patience: Patience::from(&settings.file.limits),
            settings,
            health: Health::new(),
            tasks: Vec::new(),
            served: 0,
            registers,
            doubts: Doubts::default(),
            missing: BTreeSet::new(),
            contacts_known: false,
        };
        device.plan(Uptime::default());
        device
    }

    /// Makes the list of requests anew, all due at `now`.
    fn plan(&mut self, now: Uptime) {
        let mut groups: BTreeMap<u64, Vec<usize>> = BTreeMap::new();
        for (at, wanted) in self.settings.wanted.iter().enumerate() {
            if !self.missing.contains(&at) {
                groups.entry((wanted.period.0 * 1000.0) as u64).or_default().push(at);
            }
        }
        self.tasks.clear();
        if let Some(what) = self.contacts() {
            self.tasks.push(Task { what, due: now, period: self.settings.contact_period, failures: 0 });
        }
        for (milliseconds, members) in groups {
            let period = Seconds(milliseconds as f64 / 1000.0);
            for block in plan(&members, &self.registers, &self.settings.file.limits) {
                self.tasks.push(Task { what: What::Read(block), due: now, period, failures: 0 });
            }
        }
        for at in self.missing.clone() {
            self.push_recheck(at, now);
        }
    }

    fn push_recheck(&mut self, at: usize, now: Uptime) {
        for block in plan(&[at], &self.registers, &self.settings.file.limits) {
            let due = now.after(RECHECK);
            self.tasks.push(Task { what: What::Recheck(block), due, period: RECHECK, failures: 0 });
        }
    }

    /// The range of coils that holds every relay of the home.
    fn contacts(&self) -> Option<What> {
        let relays = self.settings.file.relays?;
        let indices = self.settings.relays.iter().map(|relay| relay.index);
        let (low, high) = (indices.clone().min()?, indices.max()?);
        Some(What::Contacts { address: relays.first + low, count: high - low + 1 })
    }

    /// Reads the contacts at the next opportunity.
    pub(super) fn hurry_contacts(&mut self, now: Uptime) {
        for task in &mut self.tasks {
            if matches!(task.what, What::Contacts { .. }) {
                task.due = task.due.min(now);
            }
        }
    }

    /// The request of a task.
    pub(super) fn ask(&self, what: &What) -> Option<Ask> {
        match what {
            What::Read(block) | What::Recheck(block) => {
                Some(Ask::Read { function: block.function, address: block.address, count: block.count })
            }
            What::Contacts { address, count } => {
                let relays = self.settings.file.relays?;
                Some(Ask::Read { function: relays.read, address: *address, count: *count })
            }
        }
    }

    /// Its task that has waited longest at `now`.
    pub(super) fn due(&self, now: Uptime) -> Option<usize> {
        let due = self.tasks.iter().enumerate().filter(|(_, task)| task.due <= now);
        due.min_by_key(|(_, task)| task.due).map(|(at, _)| at)
    }

    /// The device answered; says so if that is news.
    pub(super) fn answered(&mut self, now: Uptime, events: &mut Vec<Event>) {
        let was_silent = self.health.retry_at().is_some();
        if self.health.answered() {
            events.push(Event::Answers(self.settings.id));
        }
        if was_silent {
            // It may be another device by now: what was learnt of the old one is forgotten.
            self.missing.clear();
            self.plan(now);
        }
    }

    /// The reply to `what`.
    pub(super) fn took(&mut self, what: &What, words: &[u16], now: Uptime, events: &mut Vec<Event>) {
        self.answered(now, events);
        if let Some(task) = self.tasks.iter_mut().find(|task| task.what == *what) {
            task.failures = 0;
            task.due = next_turn(now, task.period);
        }
        match what {
            What::Read(block) => self.took_values(block, words, now, events),
            What::Recheck(block) => {
                self.took_values(block, words, now, events);
                for member in &block.members {
                    self.missing.remove(member);
                }
                self.plan(now);
            }
            What::Contacts { address, .. } => self.took_contacts(*address, words, now, events),
        }
    }

    fn took_values(&mut self, block: &Block, words: &[u16], now: Uptime, events: &mut Vec<Event>) {
        for &member in &block.members {
            let register = &self.registers[member];
            let words = block.words_of(register, words);
            match register.value(words) {
                Ok(value) => {
                    let channel = self.settings.wanted[member].channel;
                    events.push(Event::Measured { channel, value, at: now });
                    self.ease(member, events);
                }
                Err(refused) => self.refuse(member, refused, words, events),
            }
        }
    }

    fn refuse(&mut self, member: usize, refused: Refused, words: &[u16], events: &mut Vec<Event>) {
        let register = &self.registers[member];
        let (name, unit) = (&register.name, &register.unit);
        let doubt = if refused.is_lie() { Doubt::Lies } else { Doubt::NoValue(member) };
        let why = match refused {
            Refused::OutOfRange(value) => format!(
                "{name} reads {value} {unit}, outside {} to {}: a lying device, a wrong device file or a broken \
                 sensor; the value is not used",
                register.min, register.max
            ),
            Refused::MarkedInvalid(_) if register.optional => return,
            other => format!("{name} ({words:04X?}) has no value: {other}"),
        };
        self.doubt(doubt, member, &why, events);
    }

    fn took_contacts(&mut self, first: u16, words: &[u16], now: Uptime, events: &mut Vec<Event>) {
        let Some(relays) = self.settings.file.relays else { return };
        for relay in &self.settings.relays {
            let place = usize::from((relays.first + relay.index).saturating_sub(first));
            let energised = words.get(place).map(|&word| word == 1);
            events.push(Event::Contact { output: relay.output, energised, at: now });
        }
        self.contacts_known = true;
        self.ease(CONTACTS, events);
    }

    /// An exception came for `what`. 1, 2 and 3 are not asked again as they stand; 5 and 6 soon; others at
    /// the next turn.
    pub(super) fn refused(&mut self, what: &What, code: u8, now: Uptime, events: &mut Vec<Event>) {
        if matches!(code, 0x0A | 0x0B) {
            let why = format!("the gateway answered exception {code:#04X} ({})", meaning(code));
            self.postpone(what, BUSY_WAIT, now);
            self.missed(&why, now, events);
            return;
        }
        self.answered(now, events);
        let Some(at) = self.tasks.iter().position(|task| task.what == *what) else { return };
        match (what, code) {
            (What::Read(block), 1..=3) => self.lacks(at, block, code, now, events),
            (What::Recheck(_), _) => self.postpone(what, RECHECK, now),
            (_, 5 | 6) => {
                self.postpone(what, BUSY_WAIT, now);
                if self.tasks[at].failures >= BUSY_TOLERATED {
                    self.doubt_exception(code, what, events);
                }
            }
            _ => {
                self.postpone(what, self.tasks[at].period, now);
                self.doubt_exception(code, what, events);
                self.forget_contacts(what, now, events);
            }
        }
    }

    /// An exception came when a relay was told to go on or off.
    pub(super) fn refused_write(&mut self, code: u8, state: &str, now: Uptime, events: &mut Vec<Event>) {
        let why = format!("told a relay to go {state}; exception {code:#04X} ({}) came", meaning(code));
        if matches!(code, 0x0A | 0x0B) {
            self.missed(&why, now, events);
        } else {
            self.answered(now, events);
            self.doubt(Doubt::Exception(code), CONTACTS, &why, events);
        }
    }

    /// A block of which something does not exist: cut it, or note the register that is missing.
    fn lacks(&mut self, at: usize, block: &Block, code: u8, now: Uptime, events: &mut Vec<Event>) {
        let Task { period, .. } = self.tasks.remove(at);
        let halves = if code == 1 { None } else { block.split(&self.registers) };
        if let Some(halves) = halves {
            let task = |half| Task { what: What::Read(half), due: now, period, failures: 0 };
            self.tasks.extend(halves.map(task));
            return;
        }
        for &member in &block.members {
            self.missing.insert(member);
            self.push_recheck(member, now);
            let register = &self.registers[member];
            if !register.optional {
                let why = format!(
                    "{} (function {}, address {:#06X}) does not exist: exception {code} ({})",
                    register.name,
                    register.function.code(),
                    register.address,
                    meaning(code)
                );
                self.doubt(Doubt::Missing(member), member, &why, events);
            }
        }
    }

    /// Nothing usable came for `what`; `why` says what did.
    pub(super) fn unanswered(&mut self, what: &What, why: &str, now: Uptime, events: &mut Vec<Event>) {
        let asked = self.describe(what);
        if self.missed(&format!("asked {asked}; {why}"), now, events) {
            return;
        }
        let Some(task) = self.tasks.iter_mut().find(|task| task.what == *what) else { return };
        task.failures = task.failures.saturating_add(1);
        let failures = task.failures;
        // Sooner than its period to know, and ever later where it alone stays unanswered.
        let next =
            if failures < UNANSWERED_TOLERATED { BUSY_WAIT } else { wait(failures - UNANSWERED_TOLERATED) };
        task.due = now.after(if failures == 1 { Seconds(next.0.min(task.period.0)) } else { next });
        if failures == UNANSWERED_TOLERATED && self.health.answers() {
            let why = format!("{asked} stays unanswered ({why}), while other requests are answered");
            self.doubt(Doubt::Unanswered, about(what), &why, events);
            self.forget_contacts(what, now, events);
        }
    }

    /// It did not answer; true if it is silent.
    pub(super) fn missed(&mut self, why: &str, now: Uptime, events: &mut Vec<Event>) -> bool {
        if self.health.missed(now) {
            self.fell_silent(why, now, events);
        }
        self.health.retry_at().is_some()
    }

    /// It fell silent just now.
    pub(super) fn fell_silent(&mut self, why: &str, now: Uptime, events: &mut Vec<Event>) {
        let (name, unit) = (&self.settings.name, self.settings.unit);
        let why = format!("{name} (unit {unit}): {why}");
        events.push(Event::Silent { device: self.settings.id, why });
        if let Some(what) = self.contacts() {
            self.forget_contacts(&what, now, events);
        }
    }

    fn forget_contacts(&mut self, what: &What, now: Uptime, events: &mut Vec<Event>) {
        if matches!(what, What::Contacts { .. }) && std::mem::take(&mut self.contacts_known) {
            let unknown =
                |relay: &super::Relay| Event::Contact { output: relay.output, energised: None, at: now };
            events.extend(self.settings.relays.iter().map(unknown));
        }
    }

    fn postpone(&mut self, what: &What, by: Seconds, now: Uptime) {
        if let Some(task) = self.tasks.iter_mut().find(|task| task.what == *what) {
            task.failures = task.failures.saturating_add(1);
            task.due = now.after(by);
        }
    }

    fn doubt_exception(&mut self, code: u8, what: &What, events: &mut Vec<Event>) {
        let why = format!("asked {}; exception {code:#04X} ({}) came", self.describe(what), meaning(code));
        self.doubt(Doubt::Exception(code), about(what), &why, events);
    }

    fn doubt(&mut self, doubt: Doubt, about: usize, why: &str, events: &mut Vec<Event>) {
        if self.doubts.raise(doubt, about) {
            let why = format!("{} (unit {}): {why}", self.settings.name, self.settings.unit);
            events.push(Event::Doubtful { device: self.settings.id, why });
        }
    }

    fn ease(&mut self, about: usize, events: &mut Vec<Event>) {
        if self.doubts.ease(about) && self.health.answers() {
            events.push(Event::Answers(self.settings.id));
        }
    }

    /// A reply in words, for a person.
    pub(super) fn show(&self, what: &What, words: &[u16]) -> Vec<String> {
        let (What::Read(block) | What::Recheck(block)) = what else {
            let states = words.iter().map(|&word| if word == 1 { "on" } else { "off" });
            return vec![format!("relays {}", states.collect::<Vec<_>>().join(" "))];
        };
        let value = |&member: &usize| {
            let register = &self.registers[member];
            match register.value(block.words_of(register, words)) {
                Ok(value) => {
                    format!("{} {} {}", register.name, (value * 1000.0).round() / 1000.0, register.unit)
                }
                Err(refused) => format!("{} has no value ({refused})", register.name),
            }
        };
        block.members.iter().map(value).map(|text| text.trim_end().to_owned()).collect()
    }

    fn describe(&self, what: &What) -> String {
        match (what, self.ask(what)) {
            (What::Contacts { count, .. }, _) => format!("the state of {count} relays"),
            (_, Some(Ask::Read { function, address, count })) => {
                format!("{count} registers from {address:#06X} (function {})", function.code())
            }
            _ => "nothing".into(),
        }
    }
}

/// The next multiple of the period: requests of one period fall due together, whatever happened before, and
/// leave a pause in which a silent device can be tried. Polls that were missed are not made up for.
fn next_turn(now: Uptime, period: Seconds) -> Uptime {
    let period = ((period.0 * 1000.0) as u64).max(1);
    Uptime((now.0 / period).saturating_add(1).saturating_mul(period))
}

/// What a doubt about this request is about: its first register, or the contacts.
fn about(what: &What) -> usize {
    match what {
        What::Read(block) | What::Recheck(block) => block.members.first().copied().unwrap_or(CONTACTS),
        What::Contacts { .. } => CONTACTS,
    }
}

/// What an exception says.
pub(super) fn meaning(code: u8) -> &'static str {
    match code {
        1 => "illegal function",
        2 => "illegal address",
        3 => "illegal count or value",
        4 => "device failure",
        5 => "acknowledged, not done yet",
        6 => "busy",
        8 => "memory parity error",
        0x0A => "gateway path unavailable: the service or unit is not there",
        0x0B => "gateway target does not answer",
        _ => "of the maker's own",
    }
}
