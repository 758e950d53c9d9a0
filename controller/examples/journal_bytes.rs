//! How many bytes a day of one cycle a second costs the card.
//!
//! ```text
//! cargo run -p sunkeep --example journal_bytes -- [FOLDER]
//! ```
//!
//! FOLDER must lie on a real file system (the default is the working folder): memory file systems count no
//! writes. For each page size and block length a home with 21 readings lives one day; every block is waited
//! for, as it would be in real time. `write()` is what the process handed to the system (`wchar` of
//! `/proc/self/io`), `disk` is what the system sent to the block layer (`write_bytes`), whole pages of the
//! file system, without its own journal.

#[path = "../core/tests/home/mod.rs"]
mod usual;

use std::path::Path;
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use rand::{RngExt as _, SeedableRng as _};
use rand_chacha::ChaCha8Rng;
use sunkeep::journal::{Journal, JournalOptions, LoadPoint, MinutePoint, SlotPoint, TimeRange, replay};
use sunkeep_core::care::Care;
use sunkeep_core::image::{ProcessImage, Reading};
use sunkeep_core::planner::{ChoiceCosts, PLAN_SLOTS, Plan, PlannedSlot};
use sunkeep_core::settings::{Load, Protection, Reserve, Settings, Tier};
use sunkeep_core::{State, step};
use sunkeep_models::quantity::{Seconds, StateOfCharge, Volts};
use sunkeep_models::time::{Slot, TimeSource, Uptime, WallTime};

const DAY: u64 = 86_400;
const START: i64 = 1_790_035_200;
const PATIENCE: Duration = Duration::from_mins(1);

fn main() -> Result<()> {
    let folder = std::env::args().nth(1).unwrap_or_else(|| ".".into());
    println!("page  block     bound   blocks  changes   write()      disk      file   replayed cycles");
    let days = [(512, 60, 64), (1024, 60, 64), (4096, 60, 64), (512, 30, 64), (4096, 30, 64), (512, 10, 64)];
    // The last one is at its bound most of the day, and deletes as it writes.
    for (page_size, span, max_mib) in days.into_iter().chain([(512, 60, 2)]) {
        measure(Path::new(&folder), page_size, span, max_mib << 20)?;
    }
    Ok(())
}

/// `wchar` and `write_bytes` of this process so far.
fn written() -> Result<(u64, u64)> {
    let text = std::fs::read_to_string("/proc/self/io").context("reading /proc/self/io")?;
    let field = |name: &str| {
        let line = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(": "));
        line.and_then(|number| number.parse::<u64>().ok())
            .with_context(|| format!("/proc/self/io: no {name}"))
    };
    Ok((field("wchar")?, field("write_bytes")?))
}

fn measure(folder: &Path, page_size: u32, span: u32, max_bytes: u64) -> Result<()> {
    let folder = tempfile::tempdir_in(folder)?;
    let path = folder.path().join("journal.db");
    let block_span = Seconds(f64::from(span));
    let options = JournalOptions { max_bytes, page_size, block_span, ..JournalOptions::default() };
    let (journal, mut recorder, _) = Journal::open(&path, options)?;
    let mut home = Home::new();
    journal.keep_settings(&home.settings, "# a home\n");
    let (mut blocks, mut changes) = (0_u64, 0);
    let before = written()?;
    for second in 0..DAY {
        home.look(second);
        let (state, decision) = step(&home.settings, home.state.clone(), &home.image);
        changes += decision.changes.len();
        if second % 60 == 59 {
            recorder.minute(home.minute(recorder.stamp(&home.image)));
            recorder.counter("water", second / 60);
        }
        if second % 1800 == 1799 {
            let slot = Slot::of(START + second as i64);
            let (tiers, total) = ([Some(50.25), Some(31.5), Some(80.0), None], Some(161.75));
            recorder.slot(SlotPoint { slot, tiers, total, sun: Some(120.5), shared: None });
        }
        if recorder.record(&home.state, &home.image, &decision).is_some() {
            blocks += 1;
            ensure!(journal.flush(PATIENCE), "the disk does not take the journal");
        }
        home.state = state;
    }
    drop(recorder);
    ensure!(journal.close(PATIENCE), "the disk does not take the journal");
    let after = written()?;
    let report = replay(&path, TimeRange::default())?;
    ensure!(report.is_clean(), "does not replay: {:?}", report.findings.first());
    let mega = |bytes: u64| bytes as f64 / 1e6;
    println!(
        "{page_size:>4} {span:>4} s {:>6.1} MB {blocks:>8} {changes:>8} {:>6.2} MB {:>6.2} MB {:>6.2} MB {:>10}",
        mega(max_bytes),
        mega(after.0 - before.0),
        mega(after.1 - before.1),
        mega(std::fs::metadata(&path)?.len()),
        report.cycles,
    );
    Ok(())
}

/// A home whose meters jitter in their last digits, each device polled at its own pace.
struct Home {
    settings: Settings,
    state: State,
    image: ProcessImage,
    random: ChaCha8Rng,
    charge: f64,
}

impl Home {
    fn new() -> Self {
        let settings = settings();
        Self {
            state: State::new(&settings),
            image: ProcessImage::empty(Uptime(0), &settings),
            settings,
            random: ChaCha8Rng::seed_from_u64(1),
            charge: 0.5,
        }
    }

    /// When a device answered that is asked every `period` seconds, if it was asked this second.
    fn polled(&mut self, second: u64, period: u64, place: u64) -> Option<Uptime> {
        let due = second % period == place % period;
        let answered = self.random.random_range(30..90) + place % 7 * 100;
        due.then(|| Uptime(self.image.now.0 - answered))
    }

    fn jitter(&mut self, value: f64, width: f64, places: f64) -> f64 {
        let value = value + self.random.random_range(-width..=width);
        f64::from(((value * places).round() / places) as f32)
    }

    fn look(&mut self, second: u64) {
        self.image.now = Uptime(second * 1000 + 5000 + self.random.random_range(0..4));
        let unix = START + second as i64;
        self.image.wall = Some(WallTime { unix, source: TimeSource::System, uncertainty: Seconds(1.0) });
        let angle = (second as f64 / DAY as f64 - 0.25) * core::f64::consts::TAU;
        let sun = (600.0 * angle.sin()).max(0.0);
        let draws = [70.0, 20.0, 35.0, 90.0, 15.0, 120.0, 60.0];
        let mut load = 0.0;
        for (number, draw) in draws.into_iter().enumerate() {
            let on = self.state.loads[number].on.unwrap_or(true);
            let works = on && (second / (900 + 300 * number as u64) + number as u64).is_multiple_of(3);
            let watts = if works { draw } else { 0.0 };
            load += watts;
            if let Some(at) = self.polled(second, 3, number as u64) {
                let value = if works { self.jitter(watts, 1.5, 10.0) } else { 0.0 };
                self.image.loads[number].power = Some(Reading { value, at });
            }
            self.image.loads[number].supplied =
                Some(Reading { value: f64::from(u8::from(on)), at: Uptime(0) });
        }
        if let Some(at) = self.polled(second, 5, 3) {
            for readings in &mut self.image.loads {
                readings.supplied = readings.supplied.map(|reading| Reading { at, ..reading });
            }
        } else {
            let at = self.image.load.map_or(Uptime(0), |_| Uptime(second / 5 * 5000));
            for readings in &mut self.image.loads {
                readings.supplied = readings.supplied.map(|reading| Reading { at, ..reading });
            }
        }
        self.battery(second, sun - load);
        if let Some(at) = self.polled(second, 1, 1) {
            let value = self.jitter(sun, if sun > 0.0 { 2.0 } else { 0.0 }, 1.0);
            self.image.sun = Some(Reading { value, at });
        }
        if let Some(at) = self.polled(second, 1, 2) {
            let value = self.jitter(load, 2.0, 10.0);
            self.image.load = Some(Reading { value, at });
        }
        if second % 1800 == 60 {
            self.image.plan = Some(self.plan(unix));
        }
    }

    fn battery(&mut self, second: u64, watts: f64) {
        self.charge = (self.charge + watts / 3600.0 / 2500.0).clamp(0.1, 1.0);
        let Some(at) = self.polled(second, 1, 0) else { return };
        let volts = 12.4 + self.charge + watts / 3000.0;
        let celsius = 25.0 + 5.0 * self.charge;
        let values = [
            self.jitter(volts, 0.015, 100.0),
            self.jitter(watts / volts, 0.15, 100.0),
            self.jitter(watts, 2.0, 1.0),
            self.jitter(celsius, 0.05, 10.0),
            self.jitter(self.charge, 0.0, 100.0),
        ];
        let [voltage, current, power, temperature, charge] = values.map(|value| Some(Reading { value, at }));
        self.image.battery =
            sunkeep_core::image::BatteryReadings { voltage, current, power, temperature, charge };
    }

    fn plan(&mut self, unix: i64) -> Plan {
        let mut level = || Some(StateOfCharge::clamped(self.random.random_range(0.25..0.6)));
        let slots = (0..PLAN_SLOTS).map(|_| {
            let (important, waits) = (level(), level());
            let keep = [None, important, waits, waits];
            PlannedSlot { keep, restore: keep, back: [None, None, Some(unix), Some(unix)] }
        });
        let slots = slots.collect();
        let (settings, now) = (self.settings.digest(), self.image.now);
        let costs =
            ChoiceCosts { by_tiers_served: std::array::from_fn(|_| self.random.random_range(0.0..50.0)) };
        Plan { issued: Slot::of(unix), made: now, into_slot: Seconds(60.0), settings, costs, slots }
    }

    fn minute(&self, stamp: sunkeep::journal::Stamp) -> MinutePoint {
        let value = |reading: Option<Reading>| reading.map(|reading| reading.value as f32);
        let battery = &self.image.battery;
        let loads = self
            .image
            .loads
            .iter()
            .map(|load| LoadPoint { on: load.is_supplied() == Some(true), watts: value(load.power) });
        MinutePoint {
            charge: [self.charge as f32 - 0.03, self.charge as f32, self.charge as f32 + 0.03],
            volts: value(battery.voltage),
            amps: value(battery.current),
            watts: value(battery.power),
            celsius: value(battery.temperature),
            sun: value(self.image.sun),
            load: value(self.image.load),
            loads: loads.collect(),
            ..MinutePoint::empty(stamp)
        }
    }
}

fn settings() -> Settings {
    let tiers = [
        Tier::Critical,
        Tier::Critical,
        Tier::Important,
        Tier::Important,
        Tier::Convenience,
        Tier::Convenience,
        Tier::Background,
    ];
    let load = |(number, tier): (usize, Tier)| Load {
        label: format!("Load {number}"),
        min_on: Seconds(300.0),
        min_off: Seconds(300.0),
        ..usual::load(&format!("load{number}"), tier, 60.0)
    };
    let usual = usual::settings(tiers.into_iter().enumerate().map(load).collect());
    Settings {
        reported_uncertainty: 0.05,
        protection: Protection {
            low_voltage: Volts(12.0),
            reconnect_voltage: Volts(12.8),
            ..usual.protection
        },
        care: Care::none(),
        reserve: Reserve {
            important: StateOfCharge::clamped(0.30),
            convenience: StateOfCharge::clamped(0.45),
            ..usual.reserve
        },
        ..usual
    }
}
