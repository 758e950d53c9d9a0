//! Forecasts and plan, made beside the cycle: late, wrong or dead, they stop nothing.
//!
//! A thread of its own loads the models and answers one job at a time. What it learns of the home is handed
//! out once a day to be written down, and comes back at the next start.

use std::collections::BTreeMap;
use std::fmt::Display;
use std::sync::Arc;
use std::sync::mpsc::{SyncSender, sync_channel};

use serde::de::DeserializeOwned;
use sunkeep_core::care::Needs;
use sunkeep_core::evidence::History;
use sunkeep_core::planner::{self, PlanInput, plan};
use sunkeep_core::settings::Tier;
use sunkeep_core::{Decision, ProcessImage, Settings};
use sunkeep_models::adaptation::{self, Adaptation, AdaptiveForecaster};
use sunkeep_models::battery::ChargeBounds;
use sunkeep_models::factory;
use sunkeep_models::forecast::{Forecast, ForecastError, Forecaster as _};
use sunkeep_models::history::SlotHistory;
use sunkeep_models::pv::PvForecaster;
use sunkeep_models::pv::adaptive::{AdaptivePv, PvAdaptation};
use sunkeep_models::pv::weather::{Weather, WeatherForecast};
use sunkeep_models::quantity::{Seconds, Watts};
use sunkeep_models::sun::{Location, PvArray, SunError};
use sunkeep_models::time::{HORIZON, Slot, Uptime, Zone};
use tokio::sync::mpsc;

use crate::config::Home;
use crate::view::Forecasts;

/// What a forecast and a plan are made from.
#[derive(Debug, Clone)]
pub struct Job {
    /// What the home is and what its owner wants.
    pub settings: Arc<Settings>,
    /// The slot that has begun.
    pub issued: Slot,
    /// Time of the image.
    pub now: Uptime,
    /// How much of the slot has passed.
    pub into_slot: Seconds,
    /// How full the battery is.
    pub charge: ChargeBounds,
    /// Power the panels deliver now, where nothing throttles them.
    pub sun_now: Option<Watts>,
    /// What the battery needs.
    pub needs: Needs,
    /// The past.
    pub history: History,
    /// What was learnt before this start, where that has only now been found.
    pub learnt: Option<Learnt>,
    /// Weather forecasts that have come since the last job.
    pub weather: Vec<WeatherForecast>,
}

impl Job {
    /// The job after a cycle; `None` while nobody knows the time.
    pub fn after(
        settings: &Arc<Settings>,
        image: &ProcessImage,
        decision: &Decision,
        history: &History,
    ) -> Option<Self> {
        let PlanInput { issued, now, into_slot, charge, sun_now, needs, .. } =
            PlanInput::after(settings, image, decision, history)?;
        let (settings, history) = (Arc::clone(settings), history.clone());
        Some(Self {
            settings,
            issued,
            now,
            into_slot,
            charge,
            sun_now,
            needs,
            history,
            learnt: None,
            weather: Vec::new(),
        })
    }
}

/// Name under which it is kept what was learnt of the sun.
const SUN: &str = "sun";
/// And what was foretold of the weather.
const WEATHER: &str = "weather";

/// What was learnt of a home: encoded; that of its demand by [`Demand::word`], that of its sun as `sun`.
pub type Learnt = BTreeMap<String, Vec<u8>>;

/// What became of a job.
#[derive(Debug)]
pub struct Made {
    /// The forecasts, or why there are none.
    pub forecasts: Result<Arc<Forecasts>, ForecastError>,
    /// The load forecasts that the ONNX model made.
    pub onnx: Vec<(Demand, Forecast)>,
    /// How many load forecasts a baseline made.
    pub baselines: u64,
    /// What was learnt of the home, to be written down; once a day.
    pub learnt: Option<Learnt>,
}

/// Whose demand a load forecast is of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Demand {
    /// That of a tier; background work counts as convenience.
    Of(Tier),
    /// That of all together.
    Total,
}

impl Demand {
    /// All there are.
    pub const ALL: [Self; 4] =
        [Self::Of(Tier::Critical), Self::Of(Tier::Important), Self::Of(Tier::Convenience), Self::Total];

    /// Its name: that of the tier, or `total`.
    pub fn word(self) -> &'static str {
        match self {
            Self::Of(tier) => tier.word(),
            Self::Total => "total",
        }
    }

    fn history(self, history: &History) -> &SlotHistory {
        match self {
            Self::Of(tier) => &history.tiers[tier.place().min(2)],
            Self::Total => &history.total,
        }
    }
}

/// The cycle's end of the forecasting thread.
#[derive(Debug)]
pub struct Forecasting {
    jobs: SyncSender<Job>,
    made: mpsc::Receiver<Made>,
    waiting: bool,
}

impl Forecasting {
    /// Starts the thread; it loads the models first, and what was learnt before.
    pub fn start(zone: Zone, sun: PvForecaster, learnt: Learnt) -> std::io::Result<Self> {
        let (jobs, queue) = sync_channel::<Job>(1);
        let (results, made) = mpsc::channel(1);
        std::thread::Builder::new().name("forecasts".into()).spawn(move || {
            let mut forecasters = Forecasters::load(zone, sun);
            forecasters.restore(&learnt);
            drop(learnt);
            while let Ok(job) = queue.recv() {
                let made = forecasters.make(&job);
                if results.blocking_send(made).is_err() {
                    return;
                }
            }
        })?;
        Ok(Self { jobs, made, waiting: false })
    }

    /// Whether a job would be taken: the last one is answered.
    pub fn is_free(&self) -> bool {
        !self.waiting
    }

    /// Hands over a job; false while the last is not answered yet.
    pub fn ask(&mut self, job: Job) -> bool {
        if self.waiting || self.jobs.try_send(job).is_err() {
            return false;
        }
        self.waiting = true;
        true
    }

    /// The answer, if it is there.
    pub fn poll(&mut self) -> Option<Made> {
        let made = self.made.try_recv().ok()?;
        self.waiting = false;
        Some(made)
    }

    /// Waits for the answer to what was asked last.
    pub async fn wait(&mut self) -> Option<Made> {
        if !self.waiting {
            return None;
        }
        let made = self.made.recv().await;
        self.waiting = false;
        made
    }
}

/// The load forecasters of the home, the forecaster of the sun, and the planner that uses both.
pub struct Forecasters {
    zone: Zone,
    /// In the order of [`Demand::ALL`].
    loads: [AdaptiveForecaster; 4],
    sun: AdaptivePv,
    /// What was foretold of the weather, as it became known.
    weather: Weather,
    /// What stands in for it.
    plain_sun: PvForecaster,
    /// The local day on which what was learnt was last handed out.
    handed_out: Option<i64>,
}

impl Forecasters {
    /// Loads the factory model; where that is refused the home's own profiles stand in, and the log says so.
    pub fn load(zone: Zone, sun: PvForecaster) -> Self {
        let model = factory::load_model()
            .inspect_err(|error| {
                tracing::error!("the factory load model is refused, this home's profiles stand in: {error}");
            })
            .ok()
            .map(Arc::new);
        let loads = Demand::ALL.map(|_| AdaptiveForecaster::new(model.clone(), Adaptation::default()));
        let learning = AdaptivePv::new(sun.array, PvAdaptation::default());
        Self { zone, loads, sun: learning, weather: Weather::default(), plain_sun: sun, handed_out: None }
    }

    /// Goes on with what was learnt before.
    pub fn restore(&mut self, learnt: &Learnt) {
        for (of, forecaster) in Demand::ALL.into_iter().zip(&mut self.loads) {
            let Some(bytes) = learnt.get(of.word()) else { continue };
            match read(bytes, Adaptation::checked) {
                Ok(state) => forecaster.restore(state),
                Err(error) => tracing::warn!("what was learnt of {} demand is lost: {error}", of.word()),
            }
        }
        match learnt.get(SUN).map(|bytes| read(bytes, PvAdaptation::checked)) {
            Some(Ok(state)) => self.sun.restore(state),
            Some(Err(error)) => tracing::warn!("what was learnt of the sun is lost: {error}"),
            None => {}
        }
        // What was foretold comes again with the next forecasts.
        let weather = learnt.get(WEATHER).and_then(|bytes| postcard::from_bytes::<Weather>(bytes).ok());
        self.weather = weather.unwrap_or_default();
    }

    /// Learns what the past tells, makes all forecasts of a job, and the plan.
    pub fn make(&mut self, job: &Job) -> Made {
        if let Some(learnt) = &job.learnt {
            self.restore(learnt);
        }
        job.weather.iter().for_each(|forecast| self.weather.add(forecast.clone()));
        for (of, forecaster) in Demand::ALL.into_iter().zip(&mut self.loads) {
            forecaster.learn(of.history(&job.history), job.issued, &self.zone);
        }
        self.sun.learn_with(&job.history.sun, &self.weather, job.issued, &self.zone);
        let (mut onnx, mut baselines) = (Vec::new(), 0);
        let forecasts = self.forecasts(job, &mut onnx, &mut baselines).map(Arc::new);
        Made { forecasts, onnx, baselines, learnt: self.hand_out(job.issued) }
    }

    fn forecasts(
        &self,
        job: &Job,
        onnx: &mut Vec<(Demand, Forecast)>,
        baselines: &mut u64,
    ) -> Result<Forecasts, ForecastError> {
        let mut load = |of: Demand, forecaster: &AdaptiveForecaster| {
            if matches!(of, Demand::Of(tier) if idle(&job.settings, tier)) {
                return Ok((nothing(job.issued), adaptation::NAME));
            }
            let (forecast, by) = forecaster.forecast_by(of.history(&job.history), job.issued, &self.zone)?;
            if by == adaptation::NAME && forecaster.has_model() {
                onnx.push((of, forecast.clone()));
            } else {
                *baselines += 1;
            }
            Ok::<_, ForecastError>((forecast, by))
        };
        let [critical, important, convenience, total] = &self.loads;
        let mut tier = |tier: Tier, forecaster: &AdaptiveForecaster| match load(Demand::Of(tier), forecaster)
        {
            Ok((forecast, _)) => Ok(forecast),
            Err(error) => match usual(&job.history.tiers[tier.place()], job.issued) {
                Some(usual) => Ok(usual),
                // Nobody plans for lights of which nothing is known; another tier that was never on is tried.
                None if tier == Tier::Critical => Err(error),
                None => Ok(nothing(job.issued)),
            },
        };
        let demand = [
            tier(Tier::Critical, critical)?,
            tier(Tier::Important, important)?,
            tier(Tier::Convenience, convenience)?,
        ];
        let skill = total.skill();
        let (total, by) = load(Demand::Total, total)
            .unwrap_or_else(|_| (together(&demand, job.issued), "sum of the tiers"));
        let sun = self.sunlight(&job.history.sun, job.issued)?;
        let input = PlanInput {
            issued: job.issued,
            now: job.now,
            into_slot: job.into_slot,
            charge: job.charge,
            forecasts: Some(planner::Forecasts { demand, sun: sun.clone() }),
            history: &job.history,
            sun_now: job.sun_now,
            needs: job.needs,
        };
        let Some(outlook) = plan(&job.settings, &input) else {
            let why = "there is no day to go by".into();
            return Err(ForecastError::Unusable { method: "plan".into(), why });
        };
        let sun_skill = self.sun.skill();
        Ok(Forecasts { load: total, sun, load_by: by.into(), skill, sun_skill, outlook })
    }

    /// The forecast of the sun; where the one that learns fails, by the clear-sky index alone, or by the same
    /// slot of other days.
    fn sunlight(&self, history: &SlotHistory, issued: Slot) -> Result<Forecast, ForecastError> {
        let or = |other: PvForecaster| {
            move |error: ForecastError| {
                tracing::debug!("another forecast of the sun stands in: {error}");
                other.forecast(history, issued, &self.zone)
            }
        };
        let learning = self.sun.forecast_with(history, &self.weather, issued, &self.zone);
        learning.or_else(or(self.plain_sun.clone())).or_else(or(PvForecaster { array: None }))
    }

    /// What was learnt, when a local day has begun; not at the first job, which has hardly learnt anything.
    fn hand_out(&mut self, issued: Slot) -> Option<Learnt> {
        let day = self.zone.local(issued.start()).day;
        let before = self.handed_out.replace(day)?;
        (before != day).then(|| {
            let loads = Demand::ALL.into_iter().zip(&self.loads).filter_map(|(of, forecaster)| {
                let bytes = postcard::to_stdvec(forecaster.state()).ok()?;
                Some((of.word().to_owned(), bytes))
            });
            let sun = postcard::to_stdvec(self.sun.state()).ok().map(|bytes| (SUN.to_owned(), bytes));
            let told = (self.weather != Weather::default()).then_some(&self.weather);
            let weather = told.and_then(|weather| postcard::to_stdvec(weather).ok());
            let weather = weather.map(|bytes| (WEATHER.to_owned(), bytes));
            loads.chain(sun).chain(weather).collect()
        })
    }
}

/// The forecaster of the sun, with the array where the site and the panels are described.
pub fn sun_forecaster(home: &Home) -> Result<PvForecaster, SunError> {
    let (Some((latitude, longitude)), Some(panels)) = (home.place, home.panels) else {
        return Ok(PvForecaster { array: None });
    };
    let place = Location::new(latitude, longitude)?;
    let array = PvArray::new(place, Watts(panels.peak_w), panels.tilt_deg, panels.azimuth_deg)?;
    Ok(PvForecaster { array: Some(array) })
}

/// Reads a stored state and checks it.
fn read<State: DeserializeOwned, Unsound: Display>(
    bytes: &[u8],
    checked: impl FnOnce(State) -> Result<State, Unsound>,
) -> Result<State, String> {
    let state = postcard::from_bytes::<State>(bytes).map_err(|error| error.to_string())?;
    checked(state).map_err(|error| error.to_string())
}

/// Whether a home has no load in this tier.
fn idle(settings: &Settings, tier: Tier) -> bool {
    !settings.loads.iter().any(|load| load.tier.place().min(2) == tier.place())
}

/// A demand of which little was measured lately, as that of a tier that is shed for days: the mean of what was, as
/// uncertain as half and twice; `None` where nothing was.
fn usual(history: &SlotHistory, issued: Slot) -> Option<Forecast> {
    let measured = || history.iter().filter_map(|(_, watts)| watts);
    let mean = measured().sum::<f32>() / measured().count() as f32;
    let flat = |watts: f32| vec![watts; HORIZON];
    mean.is_finite().then(|| Forecast {
        issued,
        p10: flat(mean / 2.0),
        p50: flat(mean),
        p90: flat(mean * 2.0),
    })
}

/// The demand of all tiers, as though all were high at the same time: the widest that can be.
fn together(demand: &[Forecast; 3], issued: Slot) -> Forecast {
    let sum = |of: fn(&Forecast) -> &Vec<f32>| {
        let at = |slot: usize| demand.iter().filter_map(|forecast| of(forecast).get(slot)).sum();
        (0..HORIZON).map(at).collect()
    };
    Forecast {
        issued,
        p10: sum(|forecast| &forecast.p10),
        p50: sum(|forecast| &forecast.p50),
        p90: sum(|forecast| &forecast.p90),
    }
}

fn nothing(issued: Slot) -> Forecast {
    Forecast { issued, p10: vec![0.0; HORIZON], p50: vec![0.0; HORIZON], p90: vec![0.0; HORIZON] }
}
