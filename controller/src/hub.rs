//! The cycle: read, freeze, decide, switch, record, publish.
//!
//! One call of [`Hub::cycle`] is one cycle. Everything else runs beside it: buses, forecasts, the journal's
//! writer and the page can be late or dead, and the cycle goes on with what it knows.

use std::sync::Arc;
use std::time::Duration;

use sunkeep_core::evidence::{History, Tally};
use sunkeep_core::image::{ProcessImage, Request};
use sunkeep_core::{Decision, Settings, State, step};
use sunkeep_models::pv::weather::WeatherForecast;
use sunkeep_models::time::{Slot, Zone};
use tokio::sync::{mpsc, watch};

use crate::bus_task::{BusTask, Report};
use crate::buses::Buses;
use crate::clock::{Now, SteadyClock, Step};
use crate::config::Home;
use crate::faults::{Fault, Faults};
use crate::forecasts::{Forecasting, Job, Learnt, Made};
use crate::journal::LastKnown;
use crate::language::{Clock, Language, sentence};
use crate::outputs::{Order, Outputs};
use crate::readings::Readings;
use crate::records::{Memory, Records, Reopening};
use crate::summary::Summary;
use crate::told::{self, Told};
use crate::uplink::{Source, Uplink};
use crate::view::{Counts, Forecasts, MOST_POINTS, POINT_MINUTES, Point, View};
use crate::watchdog::Watchdog;

/// How long a cycle waits for what runs beside it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Patience {
    /// For the buses to read what is due.
    pub readings: Duration,
    /// For relays to confirm.
    pub writes: Duration,
    /// Whether to wait for forecasts at all.
    pub forecasts: bool,
}

impl Patience {
    /// A cycle a second: what is late is taken in the next one.
    pub const REAL_TIME: Self =
        Self { readings: Duration::from_millis(500), writes: Duration::from_millis(300), forecasts: false };
    /// In step with a simulation nothing is late.
    pub const LOCKSTEP: Self =
        Self { readings: Duration::from_secs(30), writes: Duration::from_secs(30), forecasts: true };
}

/// Requests of persons that may wait for the next cycle.
const MOST_REQUESTS: usize = 16;
/// Weather forecasts that may wait for the next forecast of the sun.
const MOST_WEATHER: usize = 8;

/// The running hub.
pub struct Hub {
    home: Arc<Home>,
    settings: Arc<Settings>,
    zone: Arc<Zone>,
    site: Arc<str>,
    buses: Buses,
    reports: mpsc::Receiver<Report>,
    readings: Readings,
    outputs: Outputs,
    /// None until the first cycle has told the time.
    state: Option<State>,
    last: Option<LastKnown>,
    records: Option<Records>,
    /// Goes on trying while there is no journal.
    reopening: Reopening,
    page_fault: watch::Receiver<Option<String>>,
    outbox: watch::Sender<Option<Source>>,
    uplink: Option<Uplink>,
    told: Told,
    /// What the fleet asked for, for the next cycle.
    told_to_ask: Vec<Request>,
    /// The fleet asked for a new start.
    restart: bool,
    clock: SteadyClock,
    tally: Tally,
    history: History,
    planned: Option<Slot>,
    forecasting: Forecasting,
    forecasts: Option<Arc<Forecasts>>,
    /// What was learnt before this start, on its way to the forecasters.
    learnt: Option<Learnt>,
    /// Weather forecasts on their way to the forecaster of the sun.
    weather: Vec<WeatherForecast>,
    past: Arc<Vec<Point>>,
    asks: mpsc::Receiver<Request>,
    view: watch::Sender<Option<Arc<View>>>,
    faults: Faults,
    counts: Counts,
    summary: Summary,
    rounds: u64,
    watchdog: Option<Watchdog>,
}

/// What a hub is put together from.
pub struct Parts {
    /// The home.
    pub home: Arc<Home>,
    /// What it is connected to, running.
    pub buses: Buses,
    /// What the buses report.
    pub reports: mpsc::Receiver<Report>,
    /// What the last run left behind.
    pub memory: Memory,
    /// The journal, or why it could not be opened.
    pub records: Result<Records, String>,
    /// Why the page cannot be served, while it cannot.
    pub page_fault: watch::Receiver<Option<String>>,
    /// The forecasting thread.
    pub forecasting: Forecasting,
    /// Where the uplink is told of the journal.
    pub outbox: watch::Sender<Option<Source>>,
    /// The uplink; none where the configuration has none.
    pub uplink: Option<Uplink>,
    /// What persons ask for.
    pub asks: mpsc::Receiver<Request>,
    /// Where the view is published.
    pub view: watch::Sender<Option<Arc<View>>>,
    /// What restarts a hub that hangs.
    pub watchdog: Watchdog,
}

impl Hub {
    /// Puts the hub together.
    pub fn new(parts: Parts) -> Self {
        let home = parts.home;
        let mut readings = Readings::new(&home.wiring);
        readings.totals().restore(&parts.memory.counters);
        let mut faults = Faults::default();
        let records = parts.records.map_err(|why| faults.set(Fault::Journal, Some(why))).ok();
        let told = Told::new(Arc::clone(&home));
        let mut hub = Self {
            settings: Arc::new(home.settings.clone()),
            zone: Arc::new(home.zone.clone()),
            site: home.name.as_str().into(),
            readings,
            outputs: Outputs::new(&home.wiring),
            buses: parts.buses,
            reports: parts.reports,
            state: None,
            last: parts.memory.last,
            records,
            reopening: Reopening::new(Arc::clone(&home)),
            page_fault: parts.page_fault,
            outbox: parts.outbox,
            uplink: parts.uplink,
            told,
            told_to_ask: Vec::new(),
            restart: false,
            clock: SteadyClock::default(),
            tally: Tally::default(),
            history: parts.memory.history,
            planned: None,
            forecasting: parts.forecasting,
            forecasts: None,
            learnt: None,
            weather: Vec::new(),
            past: Arc::new(parts.memory.past),
            asks: parts.asks,
            view: parts.view,
            faults,
            counts: Counts::default(),
            summary: Summary::default(),
            rounds: 0,
            watchdog: Some(parts.watchdog),
            home,
        };
        if let Some(kept) = parts.memory.told {
            hub.recall(&kept);
        }
        hub.tell_uplink();
        hub
    }

    /// Tells the uplink of the journal, where there is one.
    fn tell_uplink(&self) {
        self.outbox.send_replace(self.records.as_ref().map(Records::outbox));
    }

    /// Reads all relays once before the first cycle, so that it takes them as they are; at most as long as
    /// `patience`, for protection must not wait for a board that is dead.
    pub async fn look_at_relays(&mut self, now: Now, patience: Duration) {
        // Each try waits for the boards that are slow to start; a dead one costs all of them.
        const TRIES: u32 = 12;
        for _ in 0..TRIES {
            if self.readings.all_relays_read() {
                return;
            }
            self.read(now, patience / TRIES).await;
        }
    }

    /// Runs one cycle.
    pub async fn cycle(&mut self, now: Now, patience: Patience) {
        let now = self.tell_time(now);
        self.read(now, patience.readings).await;
        let image = Arc::new(self.freeze(now));
        let before = match self.state.take() {
            Some(state) => state,
            None => Memory::state(self.last.take(), &self.settings, now),
        };
        let (state, decision) = step(&self.settings, before.clone(), &image);
        self.state = Some(state);
        let decision = Arc::new(decision);
        let orders = self.outputs.orders(&self.home.wiring, &self.readings, &decision, now.uptime);
        self.switch(&orders, now, patience.writes).await;
        self.count(&image, &decision);
        self.write_down(&before, &image, &decision);
        self.look_back(&image, &decision);
        self.look_ahead(&image, &decision, patience).await;
        self.faults.set(Fault::Page, self.page_fault.borrow().clone());
        self.listen(&image, &decision);
        self.publish(image, decision);
        if let Some(watchdog) = &mut self.watchdog {
            watchdog.feed(now.uptime);
        }
    }

    /// Switches what is to be switched when the hub is stopped, and writes down what is left.
    pub async fn stop(&mut self, now: Now) {
        let orders = Outputs::at_stop(&self.home.wiring, &self.readings);
        self.switch(&orders, now, Duration::from_secs(2)).await;
        self.leave();
    }

    /// What the run came to so far.
    pub fn summary(&self) -> serde_json::Value {
        self.summary.json(&self.settings, self.counts)
    }

    fn tell_time(&mut self, now: Now) -> Now {
        let (now, step) = self.clock.steady(now);
        let sentence = match step {
            Step::None => None,
            Step::Unknown if now.wall.is_none() => {
                Some("The time of day is unknown: there are no forecasts until a clock is set.".into())
            }
            Step::Unknown => Some("The clock shows no plausible time: the hub counts on by itself.".into()),
            Step::Doubted(by) => {
                Some(format!("The clock jumped by {by} s: the hub counts on by itself until that lasts."))
            }
            Step::Taken(by) => {
                tracing::info!("the clock was set by {by} s and has stayed so");
                self.planned = None;
                None
            }
        };
        self.faults.set(Fault::Clock, sentence);
        now
    }

    /// Whether the fleet asked for a new start.
    pub fn is_to_restart(&self) -> bool {
        self.restart
    }

    /// Writes down what is left, and leaves every relay as it is: another run goes on at once.
    pub fn leave(&mut self) {
        if let Some(records) = self.records.take() {
            records.close(Duration::from_secs(5));
        }
        if let Some(watchdog) = self.watchdog.take() {
            watchdog.stop();
        }
    }

    /// Goes on from what the fleet told before.
    fn recall(&mut self, kept: &[u8]) {
        if let Some(home) = self.told.recall(kept) {
            self.adopt(home);
        }
    }

    /// Takes in what the fleet sends, and carries it out.
    fn listen(&mut self, image: &ProcessImage, decision: &Decision) {
        let Some(uplink) = &mut self.uplink else { return };
        let devices = self.readings.health();
        let cycle = told::Cycle {
            settings: &self.settings,
            image,
            decision,
            devices: &devices,
            faults: self.faults.count_without_clock(),
            broker_has: uplink.standing.borrow().reported,
        };
        let outcome = self.told.listen(&cycle, || uplink.heard.try_recv().ok());
        if let Some(records) = &mut self.records {
            records.answer(image, outcome.answers, outcome.kept);
        }
        if let Some(report) = outcome.report {
            uplink.report.send_replace(Some(report));
        }
        for order in outcome.orders {
            self.obey(order);
        }
    }

    fn obey(&mut self, order: told::Order) {
        match order {
            told::Order::Adopt(home) => self.adopt(home),
            told::Order::Restart => self.restart = true,
            told::Order::Probe => self.buses.tasks.iter().for_each(BusTask::try_silent),
            told::Order::Ask(request) => self.told_to_ask.push(request),
            told::Order::Weather(forecasts) => {
                self.weather.extend(forecasts);
                let over = self.weather.len().saturating_sub(MOST_WEATHER);
                self.weather.drain(..over);
            }
            told::Order::Again(again) => {
                // An uplink that has too much to send again already lets this go: what is missed is asked for anew.
                let _ = self.uplink.as_ref().map(|uplink| uplink.again.try_send(again));
            }
        }
    }

    /// Goes on under other settings of the same home; what it is connected to stays.
    fn adopt(&mut self, home: Arc<Home>) {
        self.settings = Arc::new(home.settings.clone());
        self.state = self.state.take().map(|state| state.under(&self.settings));
        // What was gathered of this slot was of other tiers, and there is no plan under these settings yet.
        self.tally = Tally::default();
        self.planned = None;
        if let Some(records) = &self.records {
            records.keep_settings(&self.settings, &home.text);
        }
        if let (Some(uplink), Some(config)) = (&self.uplink, &home.uplink) {
            uplink.config.send_if_modified(|now| {
                let news = now != config;
                now.clone_from(config);
                news
            });
        }
        self.reopening = Reopening::new(Arc::clone(&home));
        self.home = home;
    }

    /// Has every bus read what is due, and takes in what they report until all are done or time is up.
    async fn read(&mut self, now: Now, patience: Duration) {
        self.rounds += 1;
        let round = self.rounds;
        for task in &self.buses.tasks {
            task.round(round, now.uptime);
        }
        let mut waiting = vec![true; self.buses.tasks.len()];
        let collect = async {
            while waiting.contains(&true) {
                match self.reports.recv().await {
                    Some(Report::Events(events)) => {
                        self.readings.take_all(events);
                    }
                    Some(Report::RoundDone { task, round: done }) if done == round => waiting[task] = false,
                    Some(Report::RoundDone { .. } | Report::WriteDone) => {}
                    None => return false,
                }
            }
            true
        };
        if tokio::time::timeout(patience, collect).await == Ok(false) {
            self.faults.set(Fault::Bus, Some("The buses are no longer read: their task has ended.".into()));
        }
    }

    fn freeze(&mut self, now: Now) -> ProcessImage {
        let mut requests = std::mem::take(&mut self.told_to_ask);
        while requests.len() < MOST_REQUESTS
            && let Ok(request) = self.asks.try_recv()
        {
            requests.push(request);
        }
        let plan = self.forecasts.as_ref().map(|forecasts| forecasts.outlook.plan.clone());
        self.readings.freeze(now, &self.zone, &self.settings, &self.home.wiring, requests, plan)
    }

    /// Has relays switched and waits for their confirmation, but no longer than `patience`.
    async fn switch(&mut self, orders: &[Order], now: Now, patience: Duration) {
        let mut waiting = 0_usize;
        for order in orders {
            let task = self.buses.task_of.iter().find(|(output, _)| *output == order.output);
            if let Some((_, task)) = task
                && self.buses.tasks[*task].write(order.output, order.energised, now.uptime)
            {
                waiting += 1;
            }
        }
        let collect = async {
            while waiting > 0 {
                match self.reports.recv().await {
                    Some(Report::Events(events)) => {
                        self.readings.take_all(events);
                    }
                    Some(Report::WriteDone) => waiting -= 1,
                    Some(Report::RoundDone { .. }) => {}
                    None => return,
                }
            }
        };
        // A relay that is late is taken in the next cycle, and shows as unconfirmed until then.
        let _ = tokio::time::timeout(patience, collect).await;
    }

    fn count(&mut self, image: &ProcessImage, decision: &Decision) {
        self.counts.cycles += 1;
        let clock = Clock { unix: image.wall.map(|wall| wall.unix), utc_offset: image.utc_offset };
        for change in &decision.changes {
            self.summary.changed(change);
            *(if change.on { &mut self.counts.restores } else { &mut self.counts.sheds }) += 1;
            let number = usize::from(change.load);
            let (load, decided) = (&self.settings.loads[number], &decision.loads[number]);
            // The log is for those who look after the hub.
            let sentence = sentence(Language::English, load, decided, clock);
            tracing::info!("{sentence}");
        }
    }

    /// Writes the cycle down; where there is no journal, one is sought.
    fn write_down(&mut self, before: &State, image: &ProcessImage, decision: &Decision) {
        if self.records.is_none()
            && let Some((records, memory)) = self.reopening.poll(image.now)
        {
            self.readings.totals().restore(&memory.counters);
            let recent = std::mem::replace(&mut self.history, memory.history);
            self.history.absorb(&recent);
            self.learnt = Some(memory.learnt);
            self.records = Some(records);
            if let Some(kept) = memory.told {
                self.recall(&kept);
            }
            self.tell_uplink();
        }
        let Some(records) = &mut self.records else { return };
        records.cycle(&self.settings, before, image, decision);
        if let Some(totals) = self.readings.totals().news() {
            records.counters(totals);
        }
        self.faults.set(Fault::Journal, records.fault());
    }

    /// Adds the cycle to the slot it belongs to, and to the last two days.
    fn look_back(&mut self, image: &ProcessImage, decision: &Decision) {
        let ended = self.tally.add(&self.settings, image, decision, &mut self.history);
        if let Some(ended) = ended {
            self.summary.measured(&ended);
            if let Some(records) = &self.records {
                records.slot(&ended);
            }
        }
        let Some(wall) = image.wall else { return };
        let unix = wall.unix - wall.unix.rem_euclid(POINT_MINUTES * 60);
        if self.past.last().is_some_and(|last| last.unix >= unix && last.unix - unix < 86_400) {
            return;
        }
        let fresh = |reading| image.fresh(&self.settings, reading).map(|value| value as f32);
        let point = Point {
            unix,
            low: decision.charge.low.ratio() as f32,
            best: decision.charge.best.ratio() as f32,
            high: decision.charge.high.ratio() as f32,
            sun: fresh(image.sun),
            load: fresh(image.load),
        };
        let past = Arc::make_mut(&mut self.past);
        past.push(point);
        let over = past.len().saturating_sub(MOST_POINTS);
        past.drain(..over);
    }

    /// Takes forecasts that are ready, and asks for new ones when a slot has begun.
    async fn look_ahead(&mut self, image: &ProcessImage, decision: &Decision, patience: Patience) {
        if let Some(made) = self.forecasting.poll() {
            self.take_forecasts(made);
        }
        let Some(wall) = image.wall else { return };
        let slot = Slot::of(wall.unix);
        if self.planned == Some(slot) || !self.forecasting.is_free() {
            return;
        }
        let Some(job) = Job::after(&self.settings, image, decision, &self.history) else { return };
        let (learnt, weather) = (self.learnt.take(), std::mem::take(&mut self.weather));
        let asked = self.forecasting.ask(Job { learnt, weather, ..job });
        if asked {
            self.planned = Some(slot);
        }
        if asked
            && patience.forecasts
            && let Some(made) = self.forecasting.wait().await
        {
            self.take_forecasts(made);
        }
    }

    fn take_forecasts(&mut self, made: Made) {
        self.counts.onnx_forecasts += made.onnx.len() as u64;
        self.counts.baseline_forecasts += made.baselines;
        if let (Some(learnt), Some(records)) = (made.learnt, &self.records) {
            records.learnt(learnt);
        }
        for (demand, forecast) in &made.onnx {
            self.summary.forecast(*demand, forecast);
        }
        match made.forecasts {
            Ok(forecasts) => {
                self.forecasts = Some(forecasts);
                self.faults.set(Fault::Forecast, None);
            }
            Err(error) => {
                let sentence = format!("No forecast yet, fixed reserves hold: {error}.");
                self.faults.set(Fault::Forecast, Some(sentence));
            }
        }
    }

    fn publish(&mut self, image: Arc<ProcessImage>, decision: Arc<Decision>) {
        self.view.send_replace(Some(Arc::new(View {
            site: Arc::clone(&self.site),
            zone: Arc::clone(&self.zone),
            language: self.home.page.language,
            settings: Arc::clone(&self.settings),
            image,
            decision,
            forecasts: self.forecasts.clone(),
            past: Arc::clone(&self.past),
            devices: self.readings.health(),
            meters: self.readings.totals().meters(),
            faults: self.faults.sentences(),
            uplink: self.uplink.as_ref().map(|uplink| uplink.standing.clone()),
            counts: self.counts,
        })));
    }
}
