//! The hub in a synthetic home, without wire: its own settings, its own `step`, its own plans.

use sunkeep::config::Home;
use sunkeep_core::care::Care;
use sunkeep_core::evidence::{History, Tally};
use sunkeep_core::image::{ProcessImage, Reading};
use sunkeep_core::planner::{PlanInput, plan};
use sunkeep_core::{Decision, Settings, State, step};
use sunkeep_models::quantity::Seconds;
use sunkeep_models::time::{Slot, TimeSource, Uptime, WallTime};

use super::{CYCLE, LifetimeError};
use crate::hub_config::on_paper;
use crate::plant::{Plant, SolarHome};

/// How wrong the state of charge may be: it is told exactly, as to the other policies, and this is rounding.
const EXACT: f64 = 0.002;

/// The hub's parts in step.
pub(super) struct Hub {
    settings: Settings,
    state: Option<State>,
    tally: Tally,
    history: History,
    image: ProcessImage,
    planned: Option<Slot>,
    /// Loads with a relay: those of the home, in its order.
    relays: usize,
}

impl Hub {
    pub(super) fn new(home: &SolarHome, care: bool) -> Result<Self, LifetimeError> {
        let mut settings = configuration(home)?.settings;
        settings.reported_uncertainty = EXACT;
        if !care {
            settings.care = Care::none();
        }
        Ok(Self {
            state: Some(State::new(&settings)),
            tally: Tally::default(),
            history: History::default(),
            image: ProcessImage::empty(Uptime::default(), &settings),
            planned: None,
            relays: home.spec().appliances.len(),
            settings,
        })
    }

    /// A cycle: looks, decides, switches, and plans where a slot has begun.
    pub(super) fn cycle(&mut self, home: &mut SolarHome) {
        self.look(home);
        let state = self.state.take().unwrap_or_else(|| State::new(&self.settings));
        let (state, decision) = step(&self.settings, state, &self.image);
        self.tally.add(&self.settings, &self.image, &decision, &mut self.history);
        for (place, load) in decision.loads.iter().enumerate().take(self.relays) {
            home.permit(place, load.on);
            let value = f64::from(u8::from(load.on));
            self.image.loads[place].supplied = Some(Reading { value, at: self.image.now });
        }
        self.plan(home.unix(), &decision);
        self.state = Some(state);
        self.image.now = self.image.now.after(Seconds(CYCLE.as_secs_f64()));
    }

    /// Freezes what the devices of such a home would say; each load has a meter of its own.
    fn look(&mut self, home: &SolarHome) {
        let (image, readings) = (&mut self.image, home.readings());
        let now = image.now;
        let reading = |value| Some(Reading { value, at: now });
        let unix = home.unix();
        image.wall = Some(WallTime { unix, source: TimeSource::Driven, uncertainty: Seconds::ZERO });
        image.battery.voltage = reading(readings.battery_voltage);
        image.battery.current = reading(readings.battery_current);
        image.battery.temperature = reading(readings.air_temperature);
        image.battery.charge = reading(readings.charge);
        image.sun = reading(readings.pv_power);
        image.load = reading(readings.load_power);
        for (place, load) in image.loads.iter_mut().enumerate().take(self.relays) {
            load.power = reading(home.drawn(place));
            load.supplied = load.supplied.map(|supplied| Reading { at: now, ..supplied });
        }
    }

    fn plan(&mut self, unix: i64, decision: &Decision) {
        let slot = Slot::of(unix);
        if self.planned == Some(slot) {
            return;
        }
        self.planned = Some(slot);
        let input = PlanInput::after(&self.settings, &self.image, decision, &self.history);
        let made = input.and_then(|input| plan(&self.settings, &input)).map(|outlook| outlook.plan);
        self.image.plan = made.or(self.image.plan.take());
    }
}

/// The configuration that this home's hub would have on the wire.
fn configuration(home: &SolarHome) -> Result<Home, LifetimeError> {
    Ok(Home::parse("simulated", &on_paper(&Plant::Synthetic(Box::new(home.clone())))?)?)
}
