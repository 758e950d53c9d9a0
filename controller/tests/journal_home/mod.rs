//! A home for the tests of the journal: settings, and a seeded day of readings, requests and plans that
//! makes the core switch.

#![allow(
    dead_code,
    unreachable_pub,
    missing_docs,
    clippy::expect_used,
    clippy::unwrap_used,
    clippy::panic,
    reason = "each test file uses its own part of the harness"
)]

#[path = "../../core/tests/home/mod.rs"]
mod usual;

use std::time::Duration;

use rand::{Rng as _, RngExt as _, SeedableRng as _};
use rand_chacha::ChaCha8Rng;
use sunkeep::journal::{Journal, JournalOptions, Recorder};
use sunkeep_core::image::{ProcessImage, Reading, Request};
use sunkeep_core::planner::{ChoiceCosts, PLAN_SLOTS, Plan, PlannedSlot};
use sunkeep_core::settings::{Protection, Settings, Tier};
use sunkeep_core::{Decision, State, step};
use sunkeep_models::quantity::{Seconds, StateOfCharge, Watts};
use sunkeep_models::time::{Slot, TimeSource, Uptime, WallTime};

/// Long enough for a slow card, short enough for a test to end.
pub const PATIENCE: Duration = Duration::from_mins(1);

/// A seed of its own for each run, told first.
pub fn seed() -> u64 {
    let seed = std::env::var("SUNKEEP_SEED")
        .ok()
        .and_then(|seed| seed.parse().ok())
        .unwrap_or_else(|| u64::from(std::process::id()) * 7919);
    println!("seed {seed} (repeat with SUNKEEP_SEED={seed})");
    seed
}

pub fn settings() -> Settings {
    let tiers = [
        ("fridge", Tier::Critical, 60.0),
        ("lights", Tier::Critical, 40.0),
        ("pump", Tier::Important, 250.0),
        ("tv", Tier::Convenience, 90.0),
        ("radio", Tier::Convenience, 15.0),
        ("washer", Tier::Background, 300.0),
    ];
    let usual = usual::settings(
        tiers.into_iter().map(|(name, tier, watts)| usual::load(name, tier, watts)).collect(),
    );
    Settings {
        reported_uncertainty: 0.03,
        protection: Protection { overload: Some(Watts(700.0)), ..usual.protection },
        ..usual
    }
}

/// A home that lives by chance: the same seed lives the same.
pub struct Home {
    pub settings: Settings,
    pub state: State,
    pub image: ProcessImage,
    random: ChaCha8Rng,
    charge: f64,
    trend: f64,
    unix_at_start: i64,
}

impl Home {
    pub fn new(seed: u64) -> Self {
        let settings = settings();
        Self {
            state: State::new(&settings),
            image: ProcessImage::empty(Uptime(12_345), &settings),
            settings,
            random: ChaCha8Rng::seed_from_u64(seed),
            charge: 0.6,
            trend: 0.0,
            unix_at_start: 1_790_000_000,
        }
    }

    fn reading(&mut self, value: f64, places: f64) -> Option<Reading> {
        let value = f64::from(((value * places).round() / places) as f32);
        let at = Uptime(self.image.now.0.saturating_sub(self.random.random_range(20..2500)));
        // A device that is away now and then, and a value that no f32 holds.
        match self.random.random_range(0..400) {
            0..4 => None,
            4 => Some(Reading { value: value + 1e-9, at }),
            _ => Some(Reading { value, at }),
        }
    }

    fn noise(&mut self, width: f64) -> f64 {
        self.random.random_range(-width..=width)
    }

    /// Freezes the next image, some `step_ms` later.
    pub fn look(&mut self, step_ms: u64) {
        let elapsed = step_ms + self.random.random_range(0..40);
        self.image.now = Uptime(self.image.now.0 + elapsed);
        if self.random.random_range(0..600) == 0 {
            self.trend = self.noise(0.000_2);
        }
        self.charge = (self.charge + self.trend * elapsed as f64 / 1000.0).clamp(0.05, 1.0);
        if self.charge <= 0.05 || self.charge >= 1.0 {
            self.trend = -self.trend;
        }
        let volts = 11.5 + 2.0 * self.charge + self.noise(0.05);
        let amps = self.trend * 200.0 * 3600.0 + self.noise(0.5);
        let celsius =
            25.0 + self.noise(0.2) + if self.random.random_range(0..3000) == 0 { 35.0 } else { 0.0 };
        let sun = (self.trend * 1e6).max(0.0) + self.noise(3.0).abs();
        let load =
            300.0 + self.noise(50.0) + if self.random.random_range(0..2000) == 0 { 600.0 } else { 0.0 };
        let charge = self.charge;
        self.image.battery.voltage = self.reading(volts, 100.0);
        self.image.battery.current = self.reading(amps, 100.0);
        self.image.battery.power = self.reading(volts * amps, 1.0);
        self.image.battery.temperature = self.reading(celsius, 10.0);
        self.image.battery.charge = self.reading(charge, 100.0);
        self.image.sun = self.reading(sun, 1e9);
        self.image.load = self.reading(load, 10.0);
        for number in 0..self.image.loads.len() {
            let on = self.state.loads[number].on.unwrap_or(true);
            let watts = if on { 20.0 + self.noise(4.0) } else { 0.0 };
            self.image.loads[number].power = self.reading(watts, 10.0);
            self.image.loads[number].supplied = self.reading(f64::from(u8::from(on)), 1.0);
        }
        self.image.requests = self.requests();
        self.tell_time();
        self.plan();
    }

    fn requests(&mut self) -> Vec<Request> {
        let load = self.random.random_range(0..7);
        match self.random.random_range(0..900) {
            0 => vec![Request::KeepOn { load, span: Seconds(self.random.random_range(1.0..4000.0)) }],
            1 => vec![Request::Release { load }, Request::Release { load: 3 }],
            _ => Vec::new(),
        }
    }

    fn tell_time(&mut self) {
        let seconds = (self.image.now.0 / 1000) as i64;
        if seconds > 300 {
            if self.random.random_range(0..5000) == 0 {
                self.unix_at_start += self.random.random_range(-3..4);
            }
            let uncertainty = Seconds(if self.random.random_range(0..1000) == 0 { 2.0 } else { 1.0 });
            self.image.wall = Some(WallTime {
                unix: self.unix_at_start + seconds,
                source: TimeSource::System,
                uncertainty,
            });
            self.image.utc_offset = 10_800;
        }
    }

    fn plan(&mut self) {
        if self.image.wall.is_none() || self.random.random_range(0..1200) != 0 {
            return;
        }
        let level = |random: &mut ChaCha8Rng| Some(StateOfCharge::clamped(random.random_range(0.2..0.9)));
        let slots = (0..PLAN_SLOTS).map(|_| PlannedSlot {
            keep: [None, level(&mut self.random), level(&mut self.random), level(&mut self.random)],
            restore: [None, level(&mut self.random), level(&mut self.random), level(&mut self.random)],
            back: [None, None, Some(self.unix_at_start), Some(self.unix_at_start + 1)],
        });
        let slots = slots.collect();
        self.image.plan = Some(Plan {
            issued: Slot::of(self.unix_at_start),
            made: self.image.now,
            into_slot: Seconds(self.random.random_range(0.0..1800.0)),
            settings: self.settings.digest(),
            costs: ChoiceCosts {
                by_tiers_served: std::array::from_fn(|_| self.random.random_range(0.0..50.0)),
            },
            slots,
        });
    }

    /// One cycle into the recorder; the number of the block it ended.
    pub fn cycle(&mut self, recorder: &mut Recorder, step_ms: u64) -> (Option<u64>, Decision) {
        self.look(step_ms);
        let (after, decision) = step(&self.settings, self.state.clone(), &self.image);
        let ended = recorder.record(&self.state, &self.image, &decision);
        self.state = after;
        (ended, decision)
    }

    /// The power is cut and comes back, with this state from the journal.
    pub fn restart(&mut self, state: State) {
        self.state = state.after_restart(&self.settings, Some(Seconds(30.0)));
        self.image = ProcessImage::empty(Uptime(9_000 + self.random.next_u64() % 1000), &self.settings);
    }
}

pub fn open(path: &std::path::Path) -> (Journal, Recorder, sunkeep::journal::Recovered) {
    let (journal, recorder, recovered) =
        Journal::open(path, JournalOptions::default()).expect("the journal opens");
    journal.keep_settings(&settings(), "# the test home\n");
    (journal, recorder, recovered)
}
