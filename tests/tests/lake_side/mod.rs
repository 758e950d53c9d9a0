//! The fleet's side of a test from homes to the lake: ingest as processes that can be killed, what is in the lake, what a
//! journal holds, a home that has joined.

#![allow(dead_code, reason = "each test file uses its part")]

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::{Child, Stdio};
use std::sync::Arc;
use std::time::Duration;

use arrow_array::cast::AsArray as _;
use arrow_array::types::Int64Type;
use arrow_array::{Array as _, RecordBatch};
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use sunkeep::journal::Lane;
use sunkeep::journal::outbox::Outbox;
use sunkeep_fleet::ingest::{self, Broker as Address, Counts, Settings, Tls};
use sunkeep_fleet::lake::Lake;
use sunkeep_fleet::provision::{Request, provision};
use sunkeep_simulator::home::HomeOptions;
use sunkeep_tests::broker::within;
use sunkeep_tests::house::House;
use sunkeep_tests::hub::command;

/// The hub's program.
pub(crate) const HUB: &str = env!("CARGO_BIN_EXE_hub-under-test");
/// Records that are read of a journal at a time.
const AT_ONCE: usize = 10_000;

/// Store, boot, sequence.
pub(crate) type Identity = (String, i64, i64);

/// Records by their identity; of each the uptime at its end, ms, and what else tells it apart.
pub(crate) type Records = BTreeMap<Identity, (i64, String)>;

/// How the processes of ingest reach broker and lake.
#[derive(Clone)]
pub(crate) struct Office {
    pub(crate) fleet: PathBuf,
    pub(crate) lake: PathBuf,
    /// `mqtts://HOST:PORT`.
    pub(crate) broker: String,
    pub(crate) namespace: Option<String>,
}

/// An ingest, killed when it is dropped.
pub(crate) struct Ingest(Child);

impl Ingest {
    /// Starts one under this name: this same test program, as [`body`].
    pub(crate) fn start(office: &Office, name: &str) -> Self {
        let program = std::env::current_exe().unwrap();
        let mut command = within(office.namespace.as_deref(), program.as_os_str());
        command.args(["--exact", "the_body_of_an_ingest", "--ignored", "--nocapture"]);
        command.env("FLEET", &office.fleet).env("LAKE", &office.lake);
        command.env("BROKER", &office.broker).env("NAME", name);
        Self(command.stdout(Stdio::null()).spawn().unwrap())
    }

    /// Kills it without warning.
    pub(crate) fn kill(&mut self) {
        self.0.kill().unwrap();
        self.0.wait().unwrap();
    }
}

impl Drop for Ingest {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// What the process of an ingest does; nothing where this is no such process.
pub(crate) fn body() {
    let Ok(fleet) = std::env::var("FLEET").map(PathBuf::from) else { return };
    let of = |name: &str| std::env::var(name).unwrap();
    let file = |name: &str| Some(fleet.join(name));
    let tls = Tls { ca: file("ca.pem"), certificate: file("ingest.pem"), key: file("ingest.key") };
    let settings = Settings {
        broker: Address::new(&of("BROKER"), &of("NAME"), "ingest", 200, &tls).unwrap(),
        lake: Lake::open(&of("LAKE")).unwrap(),
        flush_every: Duration::from_secs(1),
        flush_rows: 300,
    };
    ingest::run(settings, &Arc::new(Counts::default())).unwrap();
}

/// A home whose hub has joined a fleet that is made for it.
pub(crate) async fn joined(fleet: &Path, broker: &str, seed: u64, charge: f64) -> (House, PathBuf) {
    let request =
        Request { fleet: fleet.into(), broker: broker.into(), sites: vec!["home".into()], until_year: 2036 };
    provision(&request, |_| ()).unwrap();
    let house = House::standing_still(seed, charge, |folder| HomeOptions::usual(folder).over_tcp()).await;
    let config = house.write(&house.table());
    let bundle = fleet.join("hubs/home.toml");
    let arguments = [OsStr::new("join"), bundle.as_os_str(), OsStr::new("--config"), config.as_os_str()];
    assert!(command(HUB, &arguments).await.status.success());
    (house, config)
}

/// What a table of the lake holds of one identity.
#[derive(Debug, Default)]
pub(crate) struct Stored {
    /// Rows.
    pub(crate) copies: u32,
    /// What its rows say, each once.
    pub(crate) says: Vec<(i64, String)>,
    /// None of its rows has a wall time.
    pub(crate) timeless: bool,
}

/// What is in a table of the lake.
pub(crate) fn stored(lake: &Path, table: &str) -> BTreeMap<Identity, Stored> {
    let mut seen: BTreeMap<Identity, Stored> = BTreeMap::new();
    for path in files(&lake.join(table)) {
        // A compaction or the end of a draft may be beside this.
        let Ok(file) = std::fs::File::open(&path) else { continue };
        for batch in ParquetRecordBatchReaderBuilder::try_new(file).unwrap().build().unwrap() {
            add(&batch.unwrap(), &mut seen);
        }
    }
    seen
}

fn add(batch: &RecordBatch, seen: &mut BTreeMap<Identity, Stored>) {
    let number = |name: &str| batch.column_by_name(name).unwrap().as_primitive::<Int64Type>().clone();
    let store = batch.column_by_name("store").unwrap().as_string::<i32>();
    let (boot, sequence, uptime) = (number("boot"), number("sequence"), number("uptime_ms"));
    let wall = batch.column_by_name("wall").unwrap();
    let (span, what) = (batch.column_by_name("span_ms"), batch.column_by_name("what"));
    for row in 0..batch.num_rows() {
        let identity = (store.value(row).to_owned(), boot.value(row), sequence.value(row));
        let else_ = match (span, what) {
            (Some(span), _) => span.as_primitive::<Int64Type>().value(row).to_string(),
            (_, Some(what)) => what.as_string::<i32>().value(row).to_owned(),
            _ => String::new(),
        };
        let entry = seen.entry(identity).or_insert_with(|| Stored { timeless: true, ..Stored::default() });
        entry.copies += 1;
        entry.timeless &= wall.is_null(row);
        let says = (uptime.value(row), else_);
        if !entry.says.contains(&says) {
            entry.says.push(says);
        }
    }
}

/// Whether a table has any file.
pub(crate) fn is_empty(lake: &Path, table: &str) -> bool {
    files(&lake.join(table)).is_empty()
}

/// The Parquet files below a folder.
fn files(folder: &Path) -> Vec<PathBuf> {
    let (mut open, mut found) = (vec![folder.to_owned()], Vec::new());
    while let Some(folder) = open.pop() {
        for entry in std::fs::read_dir(folder).into_iter().flatten() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                open.push(path);
            } else if path.extension() == Some(OsStr::new("parquet")) {
                found.push(path);
            }
        }
    }
    found
}

/// What a journal holds after these numbers of minutes and events, and whether it knows each to be acknowledged.
pub(crate) struct Held {
    pub(crate) store: String,
    /// Minutes, events.
    pub(crate) records: [Records; 2],
    /// The newest number of each.
    pub(crate) newest: [i64; 2],
    /// Those of them that it does not know to be acknowledged.
    pub(crate) unsent: [BTreeSet<Identity>; 2],
    /// Records that were given up.
    pub(crate) given_up: i64,
    /// Which of the events are alerts.
    pub(crate) alerts: Vec<Identity>,
}

/// Reads what a journal holds after these numbers.
pub(crate) fn held(journal: &Path, after: [i64; 2]) -> Held {
    let outbox = Outbox::open(journal).unwrap();
    let store = outbox.store().to_string();
    let identity = |boot: u32, number: i64| (store.clone(), i64::from(boot), number);
    let (mut newest, mut alerts) = (after, Vec::new());
    let (mut records, mut unsent) = ([Records::new(), Records::new()], [BTreeSet::new(), BTreeSet::new()]);
    let sent = outbox.sent(Lane::Telemetry).unwrap();
    loop {
        let minutes = outbox.minutes(newest[0], AT_ONCE).unwrap();
        let Some((last, _)) = minutes.last() else { break };
        newest[0] = *last;
        for (number, minute) in minutes {
            let identity = identity(minute.stamp.boot, number);
            if number > sent {
                unsent[0].insert(identity.clone());
            }
            let says = (minute.stamp.uptime.0.cast_signed(), minute.span_ms.to_string());
            records[0].insert(identity, says);
        }
    }
    for lane in Lane::ALL.into_iter().filter(|lane| *lane != Lane::Telemetry) {
        let sent = outbox.sent(lane).unwrap();
        for (number, event) in outbox.events(lane, after[1], 1_000_000).unwrap() {
            let identity = identity(event.stamp.boot, number);
            if lane == Lane::Alerts {
                alerts.push(identity.clone());
            }
            if number > sent {
                unsent[1].insert(identity.clone());
            }
            newest[1] = newest[1].max(number);
            records[1].insert(identity, (event.stamp.uptime.0.cast_signed(), event.what));
        }
    }
    Held { store, records, newest, unsent, given_up: outbox.given_up().unwrap(), alerts }
}
