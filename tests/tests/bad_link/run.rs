//! The run itself: a home that lives minute by minute, and what goes wrong beside it.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use sunkeep_tests::broker::Broker;
use sunkeep_tests::disk::{Filling, SmallDisk};
use sunkeep_tests::house::{House, MIDNIGHT, free_port, set};
use sunkeep_tests::hub::Hub;
use sunkeep_tests::line::{Line, Way};
use sunkeep_tests::ticks::{Driven, Ticks};
use sunkeep_tests::{now, pause};

use crate::lake_side::{HUB, Identity, Ingest, Office, Records, held, joined};
use crate::operator::Operator;
use crate::plan::{Mishap, Parameters, plan};

/// How long anything may take on a busy machine.
pub(crate) const PATIENCE: Duration = Duration::from_mins(3);
/// The sizes of the small disks, MB.
const JOURNAL_DISK: u32 = 160;
const LAKE_DISK: u32 = 400;
/// Names of the processes of ingest.
const NAMES: [&str; 2] = ["one", "two"];
/// Cycles between two looks at what is missing, at the end.
const LOOKS: u64 = 30;

/// What journals held, as far as it was seen: after each kill of the hub, and at the end.
#[derive(Default)]
pub(crate) struct Seen {
    /// Minutes, events.
    pub(crate) records: [Records; 2],
    pub(crate) alerts: BTreeSet<Identity>,
    /// Went with the card, unsent.
    pub(crate) lost_with_card: usize,
    pub(crate) given_up: i64,
    /// The journal that was read last, and all of them.
    pub(crate) store: String,
    pub(crate) stores: BTreeSet<String>,
    /// Newest numbers of the journal that were read.
    newest: [i64; 2],
}

impl Seen {
    /// Reads what is new in a journal that nobody writes.
    fn read(&mut self, journal: &std::path::Path) -> [BTreeSet<Identity>; 2] {
        let held = held(journal, self.newest);
        self.newest = held.newest;
        self.store.clone_from(&held.store);
        self.stores.insert(held.store);
        self.given_up = self.given_up.max(held.given_up);
        for (all, new) in self.records.iter_mut().zip(held.records) {
            all.extend(new);
        }
        self.alerts.extend(held.alerts);
        held.unsent
    }

    /// The card goes, and what only it had.
    fn card_goes(&mut self, journal: &std::path::Path) {
        self.read(journal);
        self.newest = [0, 0];
        let unsent = self.read(journal);
        self.lost_with_card = self.forget(&unsent);
        self.newest = [0, 0];
    }

    fn forget(&mut self, gone: &[BTreeSet<Identity>; 2]) -> usize {
        for (records, gone) in self.records.iter_mut().zip(gone) {
            records.retain(|identity, _| !gone.contains(identity));
        }
        self.alerts.retain(|identity| !gone[1].contains(identity));
        gone.iter().map(BTreeSet::len).sum()
    }
}

/// All that runs.
pub(crate) struct Run {
    parameters: Parameters,
    house: House,
    config: PathBuf,
    journal: PathBuf,
    pub(crate) office: Office,
    pub(crate) line: Line,
    broker: Broker,
    ingests: [Option<Ingest>; 2],
    ticks: Ticks,
    hub: Hub,
    driven: Driven,
    /// Cycles of this start of the hub.
    cycles: u64,
    pub(crate) minutes: u64,
    clock: Option<i64>,
    /// When who is down comes back: the ingests, the broker; and when the broker forgets.
    back: [Option<u64>; 3],
    forgets: Option<u64>,
    disks: [Option<SmallDisk>; 2],
    full: [Option<Filling>; 2],
    pub(crate) seen: Seen,
    pub(crate) operator: Operator,
    _folder: tempfile::TempDir,
}

impl Run {
    pub(crate) async fn begin(parameters: Parameters) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let port = free_port();
        let line = open_line(&parameters, port).await;
        println!("line: {}", line.describe());
        let host = line.namespace().map_or("localhost", |(_, address)| address).to_owned();
        let namespace = line.namespace().map(|(name, _)| name.to_owned());
        let broker = format!("mqtts://{host}:{port}");
        let fleet = folder.path().join("fleet");
        let (house, config) = joined(&fleet, &broker, 5, 0.6).await;
        let disks = [SmallDisk::of(JOURNAL_DISK), SmallDisk::of(LAKE_DISK)];
        let place = |disk: &Option<SmallDisk>, name: &str| {
            disk.as_ref().map_or_else(|| folder.path().join(name), |disk| disk.path(name))
        };
        let journal = place(&disks[0], "journal.sqlite");
        let mut table: toml::Table = std::fs::read_to_string(&config).unwrap().parse().unwrap();
        set(&mut table, "journal", "path", journal.display().to_string());
        set(&mut table, "journal", "max_mb", 64);
        set(&mut table, "uplink", "waits_for_sun_hours", 0);
        // In the hub's time this is an hour.
        set(&mut table, "uplink", "keep_alive_s", 5);
        if let Some(port) = line.port() {
            set(&mut table, "uplink", "broker", format!("mqtts://localhost:{port}"));
        }
        let config = house.write(&table);
        let office = Office { fleet, lake: place(&disks[1], "lake"), broker, namespace };
        std::fs::create_dir_all(&office.lake).unwrap();
        let saves = "autosave_on_changes true\nautosave_interval 1\n";
        let broker = Broker::of_fleet_in(&office.fleet, port, office.namespace.as_deref(), saves).await;
        let ingests = NAMES.map(|name| Some(Ingest::start(&office, name)));
        let ticks = Ticks::listen().await;
        let hub = Hub::run_with(HUB, &config, house.page(), &["--lockstep", &ticks.address()], &[]);
        let driven = ticks.hub().await;
        Self {
            parameters,
            house,
            config,
            journal,
            office,
            line,
            broker,
            ingests,
            ticks,
            hub,
            driven,
            cycles: 0,
            minutes: 0,
            clock: Some(0),
            back: [None; 3],
            forgets: None,
            disks,
            full: [None, None],
            seen: Seen::default(),
            operator: Operator::default(),
            _folder: folder,
        }
    }

    /// Lives through all days.
    pub(crate) async fn live(&mut self) {
        let plan = plan(&self.parameters);
        let mut next = plan.iter().peekable();
        let tick = Duration::from_secs_f64(60.0 / self.parameters.speed);
        let mut due = now();
        while self.minutes < self.parameters.minutes() {
            while let Some((_, mishap)) = next.next_if(|(minute, _)| *minute <= self.minutes) {
                self.happens(*mishap).await;
            }
            self.come_back().await;
            self.minute().await;
            due = self.keep_pace(due + tick).await;
            if self.minutes.is_multiple_of(1440) {
                let view = self.hub.view().await.unwrap_or_default();
                self.say(&format!("waiting {}", view["uplink"]["waiting"]));
                self.ask_for_missing();
            }
        }
    }

    /// Asks the hub for what is missing in the lake; whether something is.
    fn ask_for_missing(&mut self) -> bool {
        let missing = Operator::missing(&self.office, &self.seen.store);
        for missing in &missing {
            self.say(&format!("missing {:?}: {:?} {:?}", missing.count, missing.before, missing.between));
        }
        if self.parameters.asks() {
            self.operator.ask(&self.office, &missing, MIDNIGHT + 60 * self.minutes.cast_signed());
        }
        !missing.is_empty()
    }

    /// Waits until it is time for the next minute. What was late is not caught up with.
    async fn keep_pace(&self, due: Instant) -> Instant {
        let now = now();
        if due > now {
            pause(due - now).await;
        }
        due.max(now)
    }

    /// One cycle, and a minute in the home.
    async fn minute(&mut self) {
        let unix = self.clock.map(|wrong| MIDNIGHT + 60 * self.minutes.cast_signed() + wrong);
        self.driven.cycle(Duration::from_secs(60 * self.cycles), unix).await;
        self.house.home().advance(Duration::from_mins(1));
        self.cycles += 1;
        self.minutes += 1;
    }

    fn say(&self, what: &str) {
        let minute = self.minutes;
        println!("day {} {:02}:{:02} {what}", minute / 1440 + 1, minute % 1440 / 60, minute % 60);
    }

    async fn happens(&mut self, mishap: Mishap) {
        self.say(&format!("{mishap:?}"));
        match mishap {
            Mishap::Line(way) => {
                let view = self.hub.view().await.unwrap_or_default();
                println!("    {}", view["uplink"]);
                self.line.set(way);
            }
            Mishap::KillHub => self.kill_hub().await,
            Mishap::KillIngest(which, minutes) => {
                self.ingests[which].take().iter_mut().for_each(Ingest::kill);
                self.back[which] = Some(self.minutes + minutes);
            }
            Mishap::KillBroker(minutes) => {
                self.broker.kill();
                self.back[2] = Some(self.minutes + minutes);
            }
            Mishap::Forget => {
                self.ingests = [None, None];
                self.forgets = Some(self.minutes + self.parameters.up_minutes * 2 / 3);
                self.back[..2].fill(self.forgets.map(|at| at + 5));
            }
            Mishap::JournalDisk(full) => self.fill(0, full),
            Mishap::LakeDisk(full) => self.fill(1, full),
            Mishap::Clock(wrong) => self.clock = wrong,
            Mishap::NewCard => self.new_card().await,
            Mishap::Empty => self.house.set_charge(0.06),
        }
    }

    /// Who was down for long enough comes back.
    async fn come_back(&mut self) {
        let over = |at: &mut Option<u64>, now: u64| at.take_if(|at| *at <= now).is_some();
        for (which, name) in NAMES.iter().enumerate() {
            if over(&mut self.back[which], self.minutes) && self.ingests[which].is_none() {
                self.ingests[which] = Some(Ingest::start(&self.office, name));
            }
        }
        if over(&mut self.forgets, self.minutes) {
            self.broker.kill();
            let _ = std::fs::remove_file(self.office.fleet.join("mosquitto.db"));
            self.broker.restart().await;
            self.back[2] = None;
            self.say("the broker has forgotten");
        }
        if over(&mut self.back[2], self.minutes) {
            self.broker.restart().await;
        }
    }

    fn fill(&mut self, which: usize, full: bool) {
        let disk = self.disks[which].as_ref().filter(|_| full);
        self.full[which] = disk.map(SmallDisk::fill);
    }

    async fn start_hub(&mut self) {
        let address = self.ticks.address();
        self.hub = Hub::run_with(HUB, &self.config, self.house.page(), &["--lockstep", &address], &[]);
        self.driven = self.ticks.hub().await;
        self.cycles = 0;
    }

    async fn kill_hub(&mut self) {
        self.hub.kill().await;
        // Nobody reads a journal on a full disk: SQLite wants a little room for that.
        if self.full[0].is_none() {
            self.seen.read(&self.journal);
        }
        self.start_hub().await;
    }

    async fn new_card(&mut self) {
        self.hub.kill().await;
        self.full[0] = None;
        self.seen.card_goes(&self.journal);
        for end in ["", "-wal", "-shm"] {
            let _ = std::fs::remove_file(format!("{}{end}", self.journal.display()));
        }
        self.start_hub().await;
    }

    /// All is well again: what waits goes, to the last record, and the hub ends in an orderly way.
    pub(crate) async fn all_is_well(&mut self) {
        self.full = [None, None];
        self.clock = Some(0);
        self.line.set(Way::Up);
        self.broker.restart().await;
        for (ingest, name) in self.ingests.iter_mut().zip(NAMES) {
            ingest.get_or_insert_with(|| Ingest::start(&self.office, name));
        }
        let view = self.hub.view().await.unwrap_or_default();
        self.say(&format!("all is well again; waiting {}", view["uplink"]["waiting"]));
        self.hub.kill().await;
        self.seen.read(&self.journal);
        let mut table: toml::Table = std::fs::read_to_string(&self.config).unwrap().parse().unwrap();
        set(&mut table, "uplink", "telemetry_minutes", 1);
        self.config = self.house.write(&table);
        self.start_hub().await;
        let began = now();
        loop {
            for _ in 0..LOOKS {
                self.minute().await;
                pause(Duration::from_millis(100)).await;
            }
            let view = self.hub.view().await.unwrap_or_default();
            let drained =
                view["uplink"]["connected"] == true && view["uplink"]["waiting"].as_u64() < Some(30);
            if drained && !(self.ask_for_missing() && self.parameters.asks()) {
                break;
            }
            assert!(began.elapsed() < PATIENCE, "what waited did not go, or is missing: {}", view["uplink"]);
        }
        self.driven.stop().await;
        self.hub.ended(PATIENCE).await;
        let unsent = self.seen.read(&self.journal);
        let unsent = self.seen.forget(&unsent);
        assert!(unsent < 60, "{unsent} records wait at the end");
    }

    /// Ends ingest.
    pub(crate) fn end_ingests(&mut self) {
        self.ingests = [None, None];
    }
}

async fn open_line(parameters: &Parameters, port: u16) -> Line {
    if !parameters.relay {
        match Line::network(parameters.seed) {
            Ok(line) => return line,
            Err(why) => println!("no network namespace here ({why}): a relay instead"),
        }
    }
    Line::relay(port, parameters.seed).await
}
