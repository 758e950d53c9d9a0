//! A home to tell stories about: settings, state and a process image that stays as it is until told.

#![allow(
    dead_code,
    unreachable_pub,
    missing_docs,
    clippy::expect_used,
    clippy::unnecessary_wraps,
    reason = "each test file uses its own part of the harness"
)]

#[path = "../home/mod.rs"]
mod home;

pub use home::{load, settings};
use sunkeep_core::decision::Change;
use sunkeep_core::image::{ProcessImage, Reading, Request};
use sunkeep_core::settings::{Load, Settings};
use sunkeep_core::{Decision, Plan, State, step};
use sunkeep_models::battery::ChargeEstimator;
use sunkeep_models::quantity::Seconds;
use sunkeep_models::time::Uptime;

pub struct Story {
    pub settings: Settings,
    pub state: State,
    pub image: ProcessImage,
    decision: Option<Decision>,
    changes: usize,
    silent: bool,
}

impl Story {
    pub fn new(loads: Vec<Load>) -> Self {
        let settings = settings(loads);
        let image = ProcessImage::empty(Uptime::from_seconds(60), &settings);
        Self { state: State::new(&settings), settings, image, decision: None, changes: 0, silent: true }
    }

    fn reading(&self, value: f64) -> Option<Reading> {
        Some(Reading { value, at: self.image.now })
    }

    /// A battery monitor reports this. The estimate starts afresh, for a report that contradicts what was
    /// counted would be set aside; its bounds lie 10 % to either side.
    pub fn charge(mut self, ratio: f64) -> Self {
        self.silent = false;
        self.state.charge = ChargeEstimator::unknown();
        self.image.battery.charge = self.reading(ratio);
        self.image.battery.current = self.reading(0.0);
        self
    }

    pub fn voltage(mut self, volts: f64) -> Self {
        self.silent = false;
        self.image.battery.voltage = self.reading(volts);
        self
    }

    pub fn temperature(mut self, celsius: f64) -> Self {
        self.image.battery.temperature = self.reading(celsius);
        self
    }

    pub fn total(mut self, watts: f64) -> Self {
        self.image.load = self.reading(watts);
        self
    }

    pub fn power(mut self, load: usize, watts: f64) -> Self {
        self.image.loads[load].power = self.reading(watts);
        self
    }

    pub fn supplied(mut self, load: usize, supplied: bool) -> Self {
        self.image.loads[load].supplied = self.reading(f64::from(u8::from(supplied)));
        self
    }

    pub fn plan(mut self, plan: Plan) -> Self {
        self.image.plan = Some(plan);
        self
    }

    /// Nothing of the battery is read any more: what was read grows old.
    pub fn battery_silent(mut self) -> Self {
        self.silent = true;
        self
    }

    pub fn request(&mut self, request: Request) {
        self.image.requests.push(request);
    }

    /// Time passes without a cycle.
    pub fn leap(&mut self, span: Seconds) {
        self.image.now = self.image.now.after(span);
    }

    /// One cycle a second.
    pub fn for_seconds(&mut self, seconds: u64) -> Vec<(Uptime, Change)> {
        self.run(seconds, 1)
    }

    /// One cycle every ten seconds.
    pub fn for_minutes(&mut self, minutes: u64) -> Vec<(Uptime, Change)> {
        self.run(minutes * 6, 10)
    }

    fn run(&mut self, cycles: u64, every: u64) -> Vec<(Uptime, Change)> {
        let mut log = Vec::new();
        for _ in 0..cycles {
            self.image.now = self.image.now.after(Seconds(every as f64));
            self.read_again();
            let (state, decision) = step(&self.settings, self.state.clone(), &self.image);
            self.state = state;
            self.image.requests.clear();
            self.changes += decision.changes.len();
            log.extend(decision.changes.iter().cloned().map(|change| (self.image.now, change)));
            self.decision = Some(decision);
        }
        log
    }

    /// Devices that are not silent answer in every cycle.
    fn read_again(&mut self) {
        let (now, silent) = (self.image.now, self.silent);
        for (place, reading) in self.image.readings_mut().enumerate() {
            let of_battery = place < 5;
            if let Some(reading) = reading
                && !(of_battery && silent)
            {
                reading.at = now;
            }
        }
    }

    pub fn decision(&self) -> &Decision {
        self.decision.as_ref().expect("a cycle has run")
    }

    pub fn on(&self) -> Vec<bool> {
        self.decision().loads.iter().map(|load| load.on).collect()
    }

    pub fn changes(&self) -> usize {
        self.changes
    }
}
