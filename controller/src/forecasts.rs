//! Forecasts and plan, made beside the cycle: late, wrong or dead, they stop nothing.
//!
//! A thread of its own loads the models and answers one job at a time.

use std::sync::Arc;
use std::sync::mpsc::{SyncSender, sync_channel};

use sunkeep_core::Settings;
use sunkeep_core::evidence::History;
use sunkeep_core::planner::{PlanInput, plan};
use sunkeep_core::settings::Tier;
use sunkeep_models::baseline::{Persistence, SameSlotProfile};
use sunkeep_models::battery::ChargeBounds;
use sunkeep_models::factory;
use sunkeep_models::forecast::{Forecast, ForecastError, Forecaster};
use sunkeep_models::history::SlotHistory;
use sunkeep_models::onnx::OnnxForecaster;
use sunkeep_models::pv::PvForecaster;
use sunkeep_models::quantity::{Seconds, Watts};
use sunkeep_models::sun::{Location, PvArray, SunError};
use sunkeep_models::time::{HORIZON, Slot, Uptime, Zone};
use tokio::sync::mpsc;

use crate::config::Home;
use crate::view::Forecasts;

/// What a forecast and a plan are made from.
#[derive(Debug, Clone)]
pub struct Job {
    /// The slot that has begun.
    pub issued: Slot,
    /// Time of the image.
    pub now: Uptime,
    /// How much of the slot has passed.
    pub into_slot: Seconds,
    /// How full the battery is.
    pub charge: ChargeBounds,
    /// The past.
    pub history: History,
}

/// What became of a job.
#[derive(Debug)]
pub struct Made {
    /// The forecasts, or why there are none.
    pub forecasts: Result<Arc<Forecasts>, ForecastError>,
    /// The load forecasts that the ONNX model made.
    pub onnx: Vec<(Demand, Forecast)>,
    /// How many load forecasts a baseline made.
    pub baselines: u64,
}

/// Whose demand a load forecast is of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Demand {
    /// That of a tier; background work counts as convenience.
    Of(Tier),
    /// That of all together.
    Total,
}

/// The cycle's end of the forecasting thread.
#[derive(Debug)]
pub struct Forecasting {
    jobs: SyncSender<Job>,
    made: mpsc::Receiver<Made>,
    waiting: bool,
}

impl Forecasting {
    /// Starts the thread; it loads the models first.
    pub fn start(settings: Arc<Settings>, zone: Zone, sun: PvForecaster) -> std::io::Result<Self> {
        let (jobs, queue) = sync_channel::<Job>(1);
        let (results, made) = mpsc::channel(1);
        std::thread::Builder::new().name("forecasts".into()).spawn(move || {
            let forecasters = Forecasters::load(settings, zone, sun);
            while let Ok(job) = queue.recv() {
                let made = forecasters.make(&job);
                if results.blocking_send(made).is_err() {
                    return;
                }
            }
        })?;
        Ok(Self { jobs, made, waiting: false })
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

/// The load model with what stands in for it, the forecaster of the sun, and the planner that uses both.
pub struct Forecasters {
    settings: Arc<Settings>,
    zone: Zone,
    /// The factory load model; none where it was refused.
    onnx: Option<OnnxForecaster>,
    sun: PvForecaster,
}

impl Forecasters {
    /// Loads the factory model; where that is refused, baselines stand in, and the log says so.
    pub fn load(settings: Arc<Settings>, zone: Zone, sun: PvForecaster) -> Self {
        let onnx = factory::load_model()
            .inspect_err(|error| {
                tracing::error!("the factory load model is refused, baselines stand in: {error}");
            })
            .ok();
        Self { settings, zone, onnx, sun }
    }

    /// Makes all forecasts of a job, and the plan.
    pub fn make(&self, job: &Job) -> Made {
        let (mut onnx, mut baselines) = (Vec::new(), 0);
        let forecasts = self.forecasts(job, &mut onnx, &mut baselines).map(Arc::new);
        Made { forecasts, onnx, baselines }
    }

    fn forecasts(
        &self,
        job: &Job,
        onnx: &mut Vec<(Demand, Forecast)>,
        baselines: &mut u64,
    ) -> Result<Forecasts, ForecastError> {
        let mut load = |history: &SlotHistory, of: Demand| {
            if matches!(of, Demand::Of(tier) if idle(&self.settings, tier)) {
                return Ok(nothing(job.issued));
            }
            let (forecast, by_model) = self.load_forecast(history, job.issued)?;
            if by_model {
                onnx.push((of, forecast.clone()));
            } else {
                *baselines += 1;
            }
            Ok(forecast)
        };
        let [critical, important, convenience] = &job.history.tiers;
        let critical = load(critical, Demand::Of(Tier::Critical))?;
        let important = load(important, Demand::Of(Tier::Important))?;
        let convenience = load(convenience, Demand::Of(Tier::Convenience))?;
        let total = load(&job.history.total, Demand::Total)?;
        let by_model = onnx.iter().any(|(of, _)| *of == Demand::Total);
        let input = PlanInput {
            issued: job.issued,
            now: job.now,
            into_slot: job.into_slot,
            charge: job.charge,
            demand: [critical, important, convenience],
            sun: self.sun.forecast(&job.history.sun, job.issued, &self.zone)?,
        };
        let outlook = plan(&self.settings, &input);
        let load_by = if by_model { "onnx" } else { "baseline" }.to_owned();
        Ok(Forecasts { load: total, sun: input.sun, load_by, outlook })
    }

    /// The model's forecast, or that of the first baseline that has enough to go by. True if by the model.
    fn load_forecast(&self, history: &SlotHistory, issued: Slot) -> Result<(Forecast, bool), ForecastError> {
        let by_model = self.onnx.as_ref().map(|onnx| onnx.forecast(history, issued, &self.zone));
        if let Some(Ok(forecast)) = by_model {
            return Ok((forecast, true));
        }
        SameSlotProfile
            .forecast(history, issued, &self.zone)
            .or_else(|_| Persistence.forecast(history, issued, &self.zone))
            .map(|forecast| (forecast, false))
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

/// Whether a home has no load in this tier.
fn idle(settings: &Settings, tier: Tier) -> bool {
    !settings.loads.iter().any(|load| load.tier.place().min(2) == tier.place())
}

fn nothing(issued: Slot) -> Forecast {
    Forecast { issued, p10: vec![0.0; HORIZON], p50: vec![0.0; HORIZON], p90: vec![0.0; HORIZON] }
}
