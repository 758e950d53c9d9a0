//! A home to look at: forecasts and two days past of plain curves, planned and decided by the real core.

#![allow(
    dead_code,
    unreachable_pub,
    clippy::expect_used,
    clippy::unnecessary_wraps,
    reason = "each user takes its own part, and what is published may be nothing"
)]

#[path = "../../core/tests/home/mod.rs"]
mod usual;

use std::f64::consts::PI;
use std::sync::Arc;
use std::time::Duration;

use sunkeep::config::Page;
use sunkeep::language::Language;
use sunkeep::uplink::Standing;
use sunkeep::view::{Counts, DeviceHealth, Forecasts, Meter, POINT_MINUTES, Point, View};
use sunkeep_core::evidence::History;
use sunkeep_core::image::{ProcessImage, Reading, Request};
use sunkeep_core::planner::{self, PlanInput, plan};
use sunkeep_core::settings::{Load, Pace, Settings, Tier};
use sunkeep_core::{State, step};
use sunkeep_models::battery::{BatterySpec, ChargeEstimator, Chemistry};
use sunkeep_models::forecast::Forecast;
use sunkeep_models::quantity::{AmpHours, Seconds};
use sunkeep_models::time::{HORIZON, Slot, TimeSource, Uptime, WallTime, Zone};
use tokio::net::TcpListener;
use tokio::sync::{mpsc, watch};

/// Friday, 2026-03-06, 20:10 in Nairobi.
pub const EVENING: i64 = 1_772_817_000;

/// A home that can be told what happens.
#[derive(Clone)]
pub struct Home {
    pub settings: Arc<Settings>,
    pub image: ProcessImage,
    pub view: View,
    state: State,
}

fn load(name: &str, label: &str, tier: Tier, nominal: f64) -> Load {
    Load { label: label.into(), ..usual::load(name, tier, nominal) }
}

pub fn loads() -> Vec<Load> {
    let mut hub = load("hub", "Hub and modem", Tier::Critical, 8.0);
    (hub.switchable, hub.powers_hub) = (false, true);
    vec![
        load("lights", "Lights", Tier::Critical, 18.0),
        load("fridge", "Medicine fridge", Tier::Critical, 35.0),
        hub,
        load("radio", "Radio and phones", Tier::Important, 20.0),
        load("tv", "TV", Tier::Convenience, 60.0),
        load("pump", "Water pump", Tier::Convenience, 250.0),
    ]
}

pub fn settings(loads: Vec<Load>) -> Settings {
    Settings {
        battery: BatterySpec::new(Chemistry::Lfp, AmpHours(150.0), 4),
        reported_uncertainty: 0.04,
        pace: Pace { cap: 2, settle: Seconds(5.0) },
        ..usual::settings(loads)
    }
}

/// Share of the day's strongest sun.
fn sun_share(hour: f64) -> f64 {
    ((hour - 6.5) / 12.0 * PI).sin().max(0.0) * f64::from(u8::from((6.5..18.5).contains(&hour)))
}

/// What the home uses, W.
fn use_share(hour: f64) -> f64 {
    let evening = (-(hour - 20.0).powi(2) / 5.0).exp();
    let morning = (-(hour - 7.0).powi(2) / 2.0).exp();
    0.35 + 0.75 * evening + 0.3 * morning
}

fn forecast(issued: Slot, zone: &Zone, watts: impl Fn(f64) -> [f64; 3]) -> Forecast {
    let slots = (0..HORIZON as i64).map(|slot| {
        let hour = zone.local(issued.plus(slot).start() + 900).second_of_day as f64 / 3600.0;
        watts(hour)
    });
    let all: Vec<_> = slots.collect();
    let quantile = |place: usize| all.iter().map(|watts| watts[place] as f32).collect();
    Forecast { issued, p10: quantile(0), p50: quantile(1), p90: quantile(2) }
}

impl Home {
    /// The home on a Friday evening with this charge.
    pub fn new(charge: f64) -> Self {
        Self::with(loads(), charge, EVENING)
    }

    /// The home at 45 %, with little sun to come: the TV has to wait.
    pub fn dull() -> Self {
        let mut home = Self::new(0.45);
        home.forecast(0.6);
        home.run(60);
        home
    }

    pub fn with(loads: Vec<Load>, charge: f64, unix: i64) -> Self {
        let zone = Zone::named("Africa/Nairobi").expect("a zone");
        let settings = Arc::new(settings(loads));
        let mut state = State::new(&settings);
        state.charge = ChargeEstimator::unknown();
        let now = Uptime::from_seconds(200_000);
        let mut image = ProcessImage::empty(now, &settings);
        image.utc_offset = 3 * 3600;
        image.wall = Some(WallTime { unix, source: TimeSource::System, uncertainty: Seconds(2.0) });
        let hour = zone.local(unix).second_of_day as f64 / 3600.0;
        let (sun, used) = (420.0 * sun_share(hour), 110.0 * use_share(hour));
        let read = |value: f64| Some(Reading { value, at: now });
        image.battery.charge = read(charge);
        image.battery.voltage = read(12.6 + 0.9 * charge);
        image.battery.power = read(sun - used);
        image.battery.current = read((sun - used) / 13.1);
        image.battery.temperature = read(24.0);
        (image.sun, image.load) = (read(sun), read(used));
        let mut home = Self {
            view: View {
                site: "Wanjiku family".into(),
                zone: Arc::new(zone),
                language: Language::default(),
                settings: Arc::clone(&settings),
                image: Arc::new(image.clone()),
                decision: Arc::new(step(&settings, state.clone(), &image).1),
                forecasts: None,
                past: Arc::new(past(unix, charge)),
                devices: Arc::new(devices()),
                meters: Arc::new(vec![Meter { name: "main".into(), wh: 12_340.0 }]),
                faults: Arc::default(),
                uplink: Some(tokio::sync::watch::channel(Standing { waiting: 12, ..Standing::default() }).1),
                counts: Counts {
                    cycles: 199_940,
                    sheds: 14,
                    restores: 12,
                    onnx_forecasts: 110,
                    baseline_forecasts: 4,
                },
            },
            settings,
            image,
            state,
        };
        home.run(3);
        home.forecast(1.0);
        home.run(60);
        home
    }

    /// Makes forecasts and a plan; `sun` scales what the sun will bring.
    pub fn forecast(&mut self, sun: f64) {
        let Some(wall) = self.image.wall else { return };
        let (issued, zone) = (Slot::of(wall.unix), Arc::clone(&self.view.zone));
        let day = |hour: f64, peak: f64| {
            let share = sun_share(hour) * sun * peak;
            [share * 0.45, share * 0.85, share]
        };
        let demand = |share: f64| {
            forecast(issued, &zone, move |hour| {
                let watts = 110.0 * use_share(hour) * share;
                [watts * 0.7, watts, watts * 1.35]
            })
        };
        let sun = forecast(issued, &zone, |hour| day(hour, 420.0));
        let input = PlanInput {
            issued,
            now: self.image.now,
            into_slot: Seconds((wall.unix - issued.start()) as f64),
            charge: self.view.decision.charge,
            forecasts: Some(planner::Forecasts {
                demand: [demand(0.5), demand(0.2), demand(0.3)],
                sun: sun.clone(),
            }),
            history: &History::default(),
            sun_now: None,
            needs: sunkeep_core::care::Needs::default(),
        };
        let outlook = plan(&self.settings, &input).expect("the forecasts describe days");
        self.image.plan = Some(outlook.plan.clone());
        let load = demand(1.0);
        let (skill, sun_skill) = (Some(0.23), Some(0.17));
        let forecasts = Forecasts { load, sun, load_by: "adaptive".into(), skill, sun_skill, outlook };
        self.view.forecasts = Some(Arc::new(forecasts));
    }

    /// One cycle a second, all devices answering.
    pub fn run(&mut self, seconds: u64) {
        for _ in 0..seconds {
            self.cycle();
        }
    }

    /// One cycle, with relays that do as they are told.
    pub fn cycle(&mut self) {
        let second = Seconds(1.0);
        self.image.now = self.image.now.after(second);
        let now = self.image.now;
        if let Some(wall) = &mut self.image.wall {
            wall.unix += 1;
        }
        for reading in self.image.readings_mut().flatten() {
            reading.at = now;
        }
        let (state, decision) = step(&self.settings, self.state.clone(), &self.image);
        self.image.requests.clear();
        for (number, load) in decision.loads.iter().enumerate() {
            let readings = &mut self.image.loads[number];
            readings.supplied = Some(Reading { value: f64::from(u8::from(load.on)), at: now });
            let watts = if load.on { self.settings.loads[number].nominal.0 * 0.93 } else { 0.0 };
            readings.power = (number != 4).then_some(Reading { value: watts, at: now });
        }
        self.state = state;
        self.view.image = Arc::new(self.image.clone());
        self.view.decision = Arc::new(decision);
        self.view.counts.cycles += 1;
    }

    pub fn ask(&mut self, request: Request) {
        self.image.requests.push(request);
    }

    pub fn publish(&self) -> Option<Arc<View>> {
        Some(Arc::new(self.view.clone()))
    }
}

/// Serves the page as the hub does, with a cycle a second behind it that takes wishes up.
pub async fn serve(listener: TcpListener, page: Page, mut home: Home) -> std::io::Result<()> {
    let (publish, view) = watch::channel(home.publish());
    let (ask, mut asked) = mpsc::channel(16);
    let mut second = tokio::time::interval(Duration::from_secs(1));
    let cycles = async {
        loop {
            second.tick().await;
            while let Ok(request) = asked.try_recv() {
                home.ask(request);
            }
            home.cycle();
            publish.send_replace(home.publish());
        }
    };
    tokio::select! {
        served = sunkeep::page::serve(listener, page, view, ask) => served,
        () = cycles => Ok(()),
    }
}

fn devices() -> Vec<DeviceHealth> {
    [
        ("charger", "EPEver Tracer AN", Some(true), ""),
        ("meter", "Eastron SDM120", Some(true), ""),
        ("relays", "Relay board, eight coils", Some(true), ""),
        (
            "thermometer",
            "XY-MD02",
            Some(false),
            "No reply for 12 min; check its wiring and that its address is 4.",
        ),
    ]
    .into_iter()
    .map(|(name, model, answers, why)| DeviceHealth {
        name: name.into(),
        model: model.into(),
        answers,
        why: why.into(),
    })
    .collect()
}

/// Two days that end now with this charge. Clouds come and go; the hub was off for an hour.
fn past(unix: i64, charge: f64) -> Vec<Point> {
    let step = POINT_MINUTES * 60;
    let count = 2 * 24 * 60 / POINT_MINUTES;
    let mut level = charge;
    let mut points: Vec<Point> = (0..count)
        .map(|back| {
            let unix = unix.div_euclid(step) * step - back * step;
            let hour = (unix + 3 * 3600).rem_euclid(86_400) as f64 / 3600.0;
            let flicker = 1.0 - 0.45 * ((back as f64 * 0.37).sin() * (back as f64 * 0.051).cos()).abs();
            let sun = 420.0 * sun_share(hour) * flicker;
            let used = 110.0 * use_share(hour) * (0.85 + 0.3 * (back as f64 * 0.7).sin().abs());
            level = (level - (sun * 0.9 - used) * (step as f64 / 3600.0) / 1920.0).clamp(0.16, 0.99);
            let width = 0.02 + 0.05 * (back as f64 / 90.0).sin().abs();
            Point {
                unix,
                low: (level - width).max(0.0) as f32,
                best: level as f32,
                high: (level + width).min(1.0) as f32,
                sun: (!(300..330).contains(&back)).then_some(sun as f32),
                load: Some(used as f32),
            }
        })
        .filter(|point| !(400..412).contains(&((unix - point.unix) / step)))
        .collect();
    points.reverse();
    points
}
