//! Recorded homes through the hub's own `step`, in this process: a cycle a minute, without wire or clock.
//!
//! The plant is the power benchmark's reference plant in minute steps. The hub is the hub: its settings come
//! from the configuration it would have on the wire, its forecasts and plans from its own forecasters, each
//! half-hour. Only what a policy of the benchmark may know enters the process image.
//!
//! For scoring, relays move only where a row begins ([`Options::hold`]), and [`Planner::Past`] plans from what
//! this home has lived through alone: the factory load model was trained on these very homes, and is never
//! asked. From its second week on the hub's planner makes the same plans with forecasts and without.

pub mod ablation;
mod options;
mod rule;
mod score;
mod told;

use core::time::Duration;
use std::path::Path;
use std::sync::Arc;

use sunkeep::config::{ConfigError, Home};
use sunkeep::forecasts::{Forecasters, Job, sun_forecaster};
use sunkeep_core::evidence::{EndedSlot, History, Tally};
use sunkeep_core::image::{ProcessImage, Reading};
use sunkeep_core::planner::{self, PlanInput, plan_told, plan_without};
use sunkeep_core::{Decision, Plan, State, step};
use sunkeep_models::quantity::Seconds;
use sunkeep_models::sun::SunError;
use sunkeep_models::time::{Slot, TimeSource, Uptime, WallTime};

use crate::hub_config::on_paper;
use crate::plant::{Plant, RecordedHome, Series, SeriesError, Tier};

pub use options::{Chosen, Options, Planner, Without};
pub use rule::play_rule;
pub use score::Score;

/// Length of a cycle.
const CYCLE: Duration = Duration::from_mins(1);
/// Cycles, beside the first, in which the hub switches at the start of a row.
const ROW_CYCLES: usize = 3;
/// Time between them.
const ROW_CYCLE: Duration = Duration::from_secs(15);
/// How wrong the state of charge may be: the benchmark tells it exactly, and this is rounding.
const EXACT: f64 = 0.002;
/// Power that counts as throttled, Wh in a cycle.
const THROTTLED: f64 = 1e-6;

/// Why a site could not be played.
#[derive(Debug, thiserror::Error)]
pub enum PowerError {
    /// The series cannot be used.
    #[error(transparent)]
    Series(#[from] SeriesError),
    /// The configuration could not be written.
    #[error("the configuration of the hub: {0}")]
    Written(#[from] toml::ser::Error),
    /// The hub refused its configuration.
    #[error(transparent)]
    Refused(#[from] ConfigError),
    /// The panels of the configuration cannot be.
    #[error(transparent)]
    Sun(#[from] SunError),
}

/// What came of a run.
#[derive(Debug, Clone, PartialEq)]
pub struct Played {
    /// The figures.
    pub score: Score,
    /// What was on at the start of each row, as the hub had just decided.
    pub switches: Vec<[bool; 3]>,
    /// What the tiers wanted and did not get, Wh.
    pub unserved: [f64; 3],
    /// The settings of the hub that decided, but for the battery and what the tiers draw; none where a rule did.
    pub settings: Option<Chosen>,
}

/// Plays a site.
pub fn play(series: Series, zone: &str, options: Options) -> Result<Played, PowerError> {
    let (first, row) = (series.start_unix, series.row_seconds);
    let end = series.end_unix();
    let plant = RecordedHome::new(series, zone, options.start_unix)?;
    let plant = if options.one_meter { plant.with_one_meter() } else { plant };
    let end = options.days.map_or(end, |days| end.min(plant.unix() + i64::from(days) * 86_400));
    let mut run = Run::new(plant, options)?;
    let mut switches = Vec::new();
    while run.plant.unix() < end {
        let begins = (run.plant.unix() - first) % row == 0;
        let on = if begins && options.hold { run.begin_row() } else { run.decide(!options.hold) };
        if begins || !options.hold {
            run.switch(on);
        }
        if begins {
            switches.push(on);
        }
        run.advance();
    }
    let unserved = run.plant.ledger().unserved;
    Ok(Played {
        score: Score::of(&run.plant, options.planner, run.split.share()),
        switches,
        unserved,
        settings: Some(Chosen::of(&run.home.settings)),
    })
}

/// The plant and the hub's parts in step.
struct Run {
    plant: RecordedHome,
    home: Home,
    forecasters: Option<Forecasters>,
    state: Option<State>,
    tally: Tally,
    history: History,
    image: ProcessImage,
    /// Time of the minute that holds.
    now: Uptime,
    planner: Planner,
    without: Option<Without>,
    planned: Option<Slot>,
    /// What the panels were kept from giving so far, Wh.
    curtailed: f64,
    split: SplitError,
}

/// How far what the hub believes of the tiers' demand, as a slot ends, is off: sums over the slots with a row
/// of their own.
#[derive(Debug, Clone, Copy, Default)]
struct SplitError {
    off: f64,
    wanted: f64,
}

impl SplitError {
    /// As a part of the demand that was believed.
    fn share(self) -> f64 {
        if self.wanted > 0.0 { self.off / self.wanted } else { 0.0 }
    }
}

impl Run {
    fn new(plant: RecordedHome, Options { planner, without, .. }: Options) -> Result<Self, PowerError> {
        let mut home = configuration(&plant)?;
        home.settings.reported_uncertainty = EXACT;
        let forecasters = match planner {
            Planner::Hub => Some(Forecasters::load(home.zone.clone(), sun_forecaster(&home)?)),
            Planner::Past | Planner::Persistence | Planner::Told | Planner::None => None,
        };
        let image = ProcessImage::empty(Uptime::default(), &home.settings);
        Ok(Self {
            state: Some(State::new(&home.settings)),
            forecasters,
            tally: Tally::default(),
            history: History::default(),
            now: image.now,
            image,
            planner,
            without,
            planned: None,
            curtailed: 0.0,
            split: SplitError::default(),
            plant,
            home,
        })
    }

    /// One cycle, after which the hub plans if it `may`; tells what the hub would have on.
    fn decide(&mut self, may: bool) -> [bool; 3] {
        self.look();
        let decision = self.cycle();
        if let Some(ended) = self.tally.add(&self.home.settings, &self.image, &decision, &mut self.history) {
            self.judge(&ended);
            self.forget(&ended);
        }
        if may {
            self.plan(&decision);
        }
        Tier::ALL.map(|tier| decision.loads[tier.index()].on)
    }

    /// The first minute of a row in which relays are to stay as they are: the hub plans, sees the sun of the
    /// row, and takes the cycles in which its pace lets all tiers be switched. What the tiers are about to draw
    /// it does not know.
    fn begin_row(&mut self) -> [bool; 3] {
        self.decide(false);
        self.image.sun = self.plant.sun_now().map(|value| Reading { value, at: self.image.now });
        let mut decision = self.cycle();
        self.plan(&decision);
        for power in self.image.loads.iter_mut().filter_map(|load| load.power.as_mut()) {
            // There is a meter, and it says nothing.
            power.value = f64::NAN;
        }
        for _ in 0..ROW_CYCLES {
            self.image.now = self.image.now.after(Seconds(ROW_CYCLE.as_secs_f64()));
            decision = self.cycle();
        }
        Tier::ALL.map(|tier| decision.loads[tier.index()].on)
    }

    /// Compares what is believed of a slot that ended with what the plant knows.
    fn judge(&mut self, ended: &EndedSlot) {
        let Some(wanted) = self.plant.wanted_at(ended.slot.start()) else { return };
        for (believed, wanted) in ended.tiers.iter().zip(wanted) {
            if let Some(believed) = believed {
                self.split.off += (f64::from(*believed) - wanted).abs();
                self.split.wanted += wanted;
            }
        }
    }

    /// Where nothing is imputed, what was shed was not wanted.
    fn forget(&mut self, ended: &EndedSlot) {
        if self.without != Some(Without::Imputation) {
            return;
        }
        for (history, measured) in self.history.tiers.iter_mut().zip(ended.tiers) {
            history.record(ended.slot, Some(measured.unwrap_or(0.0)));
        }
    }

    fn cycle(&mut self) -> Decision {
        let settings = &self.home.settings;
        let state = self.state.take().unwrap_or_else(|| State::new(settings));
        let (state, decision) = step(settings, state, &self.image);
        self.state = Some(state);
        decision
    }

    /// Moves the relays; they are read back when the next cycle looks.
    fn switch(&mut self, on: [bool; 3]) {
        for (tier, on) in on.into_iter().enumerate() {
            self.plant.permit(tier, on);
            self.image.loads[tier].supplied = Some(Reading { value: f64::from(u8::from(on)), at: Uptime(0) });
        }
    }

    /// The minute after a cycle.
    fn advance(&mut self) {
        self.plant.advance(CYCLE);
        self.now = self.now.after(Seconds(CYCLE.as_secs_f64()));
        self.image.now = self.now;
    }

    /// Freezes what may be known: the state of charge, what the tiers that are on draw, and the panels' power
    /// unless they were throttled.
    fn look(&mut self) {
        let (image, readings) = (&mut self.image, self.plant.readings());
        let now = image.now;
        let reading = |value| Some(Reading { value, at: now });
        let one_meter = self.plant.has_one_meter();
        let unix = self.plant.unix();
        let wall = WallTime { unix, source: TimeSource::Driven, uncertainty: Seconds::ZERO };
        image.wall = Some(wall);
        image.battery.charge = reading(readings.charge);
        let curtailed = self.plant.ledger().curtailed();
        let throttled = curtailed - self.curtailed > THROTTLED && self.without != Some(Without::Masking);
        image.sun = if throttled { None } else { reading(readings.pv_power) };
        self.curtailed = curtailed;
        image.load = reading(readings.load_power);
        for (load, power) in image.loads.iter_mut().zip(readings.phases) {
            load.power = if one_meter { None } else { reading(power) };
            load.supplied = load.supplied.map(|supplied| Reading { at: now, ..supplied });
        }
    }

    /// Has a plan made where a slot has begun; the next cycle finds it.
    fn plan(&mut self, decision: &Decision) {
        let slot = Slot::of(self.plant.unix());
        if self.planner == Planner::None || self.planned == Some(slot) {
            return;
        }
        self.planned = Some(slot);
        // Without a day of history there is no plan, and the reserve rule holds.
        let plan = match &mut self.forecasters {
            Some(_) => self.forecast(decision),
            None => self.plan_from_the_past(slot, decision),
        };
        self.image.plan = plan.or(self.image.plan.take());
    }

    fn forecast(&mut self, decision: &Decision) -> Option<Plan> {
        let settings = Arc::new(self.home.settings.clone());
        let job = Job::after(&settings, &self.image, decision, &self.history)?;
        let made = self.forecasters.as_mut()?.make(&job);
        made.forecasts.ok().map(|forecasts| forecasts.outlook.plan.clone())
    }

    fn plan_from_the_past(&self, slot: Slot, decision: &Decision) -> Option<Plan> {
        let input = PlanInput::after(&self.home.settings, &self.image, decision, &self.history)?;
        let outlook = match told::ahead(self.planner, self.plant.series(), slot) {
            Some(ahead) => plan_told(&self.home.settings, &PlanInput { sun_now: None, ..input }, &ahead),
            None => plan_without(&self.home.settings, &input, self.method_without()),
        };
        outlook.map(|outlook| outlook.plan)
    }

    fn method_without(&self) -> Option<planner::Part> {
        match self.without {
            Some(Without::Planner(part)) => Some(part),
            _ => None,
        }
    }
}

/// The configuration that this home's hub would have on the wire.
pub fn configuration(plant: &RecordedHome) -> Result<Home, PowerError> {
    Ok(Home::parse(plant.name(), &on_paper(&Plant::Recorded(Box::new(plant.clone())))?)?)
}

/// Writes switches as the scorer of the benchmark reads them.
pub fn write_switches(path: &Path, switches: &[[bool; 3]]) -> std::io::Result<()> {
    let mut text = String::from("critical_on,important_on,convenience_on\n");
    for [critical, important, convenience] in switches.iter().map(|row| row.map(u8::from)) {
        text += &format!("{critical},{important},{convenience}\n");
    }
    std::fs::write(path, text)
}
