//! The home under test: a plant that moves in real time on real buses, and what an installer would write
//! down of it.

use core::time::Duration;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use sunkeep_simulator::home::{HomeOptions, RunningHome};
use sunkeep_simulator::hub_config::{HubOptions, hub_toml};
use sunkeep_simulator::plant::{BatterySpec, Chemistry, HomeSpec, Plant, SolarHome};
use tempfile::TempDir;
use tokio::task::AbortHandle;

/// Midnight in Nairobi, 1 March 2026: nothing shines on the panels while a test runs.
pub const MIDNIGHT: i64 = 1_772_312_400;
/// The relays of the critical loads: lights, radio, medicine fridge.
pub const CRITICAL: core::ops::Range<usize> = 0..3;
/// Contacts when everything is off: the first six loads are wired normally closed, the last two open.
pub const ALL_OFF: [bool; 8] = [true, true, true, true, true, true, false, false];
/// Contacts when everything is on.
pub const ALL_ON: [bool; 8] = [false, false, false, false, false, false, true, true];

/// A home, its folder, and the port of its hub's page.
pub struct House {
    home: Arc<RunningHome>,
    dir: TempDir,
    seed: u64,
    page: u16,
    mover: Option<AbortHandle>,
}

/// How many requests the relay board had seen at a moment.
#[derive(Debug, Clone, Copy)]
pub struct Mark(u64);

/// The home of this seed with a battery of known make, this full.
pub fn plant(seed: u64, charge: f64, start: i64) -> Plant {
    let mut spec = HomeSpec::from_seed(seed, start);
    spec.battery = BatterySpec {
        chemistry: Chemistry::Lfp,
        cells: 8,
        capacity: 100.0,
        resistance: 0.015,
        initial: charge,
    };
    spec.charger = sunkeep_simulator::plant::ChargerSpec::usual(&spec.battery, 40.0);
    Plant::Synthetic(Box::new(SolarHome::new(spec).expect("a zone that exists")))
}

/// A port that nobody listens on now.
pub fn free_port() -> u16 {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    listener.local_addr().expect("its address").port()
}

impl House {
    /// A home on the usual four buses that lives in real time.
    pub async fn start(seed: u64, charge: f64) -> Self {
        let mut house = Self::standing_still(seed, charge, HomeOptions::usual).await;
        house.live();
        house
    }

    /// A home on these buses whose time stands still until something moves it.
    pub async fn standing_still(
        seed: u64,
        charge: f64,
        options: impl FnOnce(Option<PathBuf>) -> HomeOptions,
    ) -> Self {
        let dir = tempfile::tempdir().expect("a folder");
        let options = options(Some(dir.path().to_owned()));
        let home = RunningHome::start(plant(seed, charge, MIDNIGHT), &options).await.expect("a home");
        let page = free_port();
        println!("seed {seed}, page 127.0.0.1:{page}");
        for bus in home.buses() {
            println!("bus {} at {}", bus.name, bus.address);
        }
        Self { home: Arc::new(home), dir, seed, page, mover: None }
    }

    /// From now on the home lives in real time.
    pub fn live(&mut self) {
        let home = Arc::clone(&self.home);
        let step = Duration::from_millis(500);
        let mover = tokio::spawn(async move {
            loop {
                crate::pause(step).await;
                home.advance(step);
            }
        });
        self.mover = Some(mover.abort_handle());
    }

    /// The home itself.
    pub fn home(&self) -> &RunningHome {
        &self.home
    }

    /// The folder of the test.
    pub fn dir(&self) -> &Path {
        self.dir.path()
    }

    /// Where the hub's journal is.
    pub fn journal(&self) -> PathBuf {
        self.dir().join("journal.sqlite")
    }

    /// Port of the hub's page.
    pub fn page(&self) -> u16 {
        self.page
    }

    /// Pulls a bus out. The link to a serial line goes with it, as udev's does: the system gives the number of
    /// a closed pseudo-terminal to the next who asks, and that may be another test.
    pub fn unplug(&self, bus: &str) {
        assert!(self.home.unplug(bus), "no bus {bus}");
    }

    /// Exchanges the battery for one that is this full.
    pub fn set_charge(&self, charge: f64) {
        let unix = self.home.unix();
        self.home.with_plant(|plant| *plant = self::plant(self.seed, charge, unix));
        // So that its instruments have something to show.
        self.home.advance(Duration::from_millis(100));
    }

    /// Contacts of the relay board: whether each coil is energised.
    pub fn coils(&self) -> [bool; 8] {
        self.home.outputs().coils
    }

    /// The bus and unit of the relay board.
    fn board(&self) -> (String, u8) {
        let boards = self.home.buses().iter().flat_map(|bus| bus.units.iter().map(move |unit| (bus, unit)));
        let mut boards =
            boards.filter(|(_, unit)| unit.model == sunkeep_simulator::device::Model::RelayBoard8);
        boards.next().map(|(bus, unit)| (bus.name.clone(), unit.unit)).expect("a relay board")
    }

    /// From here on writes are counted.
    pub fn mark(&self) -> Mark {
        let (bus, unit) = self.board();
        Mark(self.home.traffic(&bus, unit).expect("the board").requests)
    }

    /// Coils that were written since the mark, in order, with the value. Fails if it is too long ago to know.
    pub fn writes_since(&self, Mark(mark): Mark) -> Vec<(u16, bool)> {
        let (bus, unit) = self.board();
        let traffic = self.home.traffic(&bus, unit).expect("the board");
        let since = usize::try_from(traffic.requests - mark).expect("a small number");
        assert!(since <= traffic.recent.len(), "{since} requests since the mark: too many to remember");
        let recent = traffic.recent.iter().skip(traffic.recent.len() - since);
        recent
            .filter_map(|(function, at, value)| match function {
                5 => Some((*at, *value == 0xFF00)),
                15 => panic!("several coils were written at once"),
                _ => None,
            })
            .collect()
    }

    /// The hub's configuration as an installer would write it.
    pub fn table(&self) -> toml::Table {
        let options = HubOptions {
            page: format!("127.0.0.1:{}", self.page),
            pin: None,
            journal: self.journal().display().to_string(),
        };
        let text = self.home.with_plant(|plant| hub_toml(plant, self.home.buses(), &options));
        text.expect("a configuration").parse().expect("TOML")
    }

    /// The same with short waits, so that a test sees in seconds what takes minutes in a home.
    pub fn quick_table(&self) -> toml::Table {
        let mut table = self.table();
        set(&mut table, "limits", "hold_s", 1.0);
        set(&mut table, "limits", "recovery_hold_s", 3.0);
        set(&mut table, "pace", "settle_s", 1.0);
        for load in table["load"].as_array_mut().expect("loads") {
            let load = load.as_table_mut().expect("a load");
            load.insert("min_off_s".into(), 2.0.into());
            load.insert("min_on_s".into(), 0.0.into());
        }
        table
    }

    /// Writes a configuration.
    pub fn write(&self, table: &toml::Table) -> PathBuf {
        let path = self.dir().join("hub.toml");
        std::fs::write(&path, toml::to_string(table).expect("TOML")).expect("writing hub.toml");
        path
    }
}

/// Sets a key of a section.
pub fn set(table: &mut toml::Table, section: &str, key: &str, value: impl Into<toml::Value>) {
    let section = table.entry(section).or_insert_with(|| toml::Table::new().into());
    section.as_table_mut().expect("a section").insert(key.into(), value.into());
}

/// Adds an entry to a list of tables.
pub fn add(table: &mut toml::Table, list: &str, text: &str) {
    let entry: toml::Table = text.parse().expect("TOML");
    let list = table.entry(list).or_insert_with(|| Vec::<toml::Value>::new().into());
    list.as_array_mut().expect("a list").push(entry.into());
}

impl Drop for House {
    fn drop(&mut self) {
        if let Some(mover) = &self.mover {
            mover.abort();
        }
    }
}
