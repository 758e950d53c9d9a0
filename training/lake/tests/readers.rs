//! A lake that hubs and ingests of several versions have filled reads the same in DataFusion, `DuckDB` and pandas, each
//! asked as `fleet/INGEST.md` says; and training reads it.
//!
//! What is real: broker, ingest, files, readers. Hub 1 is two versions old and has few channels, hub 2 is of today and
//! has sent everything twice, hub 3 is a version ahead: it sends members, channels and a number of its version that
//! nobody knows. The files of hubs 4 and 5 are as an older and a newer ingest would have written them.
#![allow(clippy::unwrap_used, clippy::panic, unreachable_pub, dead_code, missing_docs, reason = "a test")]
#![allow(clippy::disallowed_methods, reason = "real processes take real time")]

#[path = "../../../fleet/tests/ingest/broker.rs"]
mod broker;
#[path = "../../../fleet/tests/ingest/hubs.rs"]
mod hubs;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use arrow_array::cast::AsArray as _;
use arrow_array::types::{Float32Type, Float64Type, Int64Type};
use arrow_array::{Array as _, ArrayRef, Float32Array, RecordBatch, StringArray};
use arrow_schema::{DataType, Field, Schema};
use datafusion::prelude::SessionContext;
use indicatif::ProgressBar;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Value, json};
use sunkeep_fleet::ingest::{self, Broker, Counts, Settings, Tls};
use sunkeep_fleet::lake::Lake;
use sunkeep_fleet::sites;
use sunkeep_lake::{Request, make_features};
use sunkeep_models::lake;
use sunkeep_models::wire::{Channel, Telemetry};

use broker::Mosquitto;
use hubs::{MINUTE, minutes, packed, plain, topic};

const PATIENCE: Duration = Duration::from_mins(1);

fn wait_until(what: &str, mut is_so: impl FnMut() -> bool) {
    let begun = Instant::now();
    while !is_so() {
        assert!(begun.elapsed() < PATIENCE, "waited in vain until {what}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

fn rest(time: Duration) {
    std::thread::sleep(time);
}

fn signal(process: &Child, signal: Signal) {
    kill_process(Pid::from_child(process), signal).unwrap();
}

fn repository() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).ancestors().nth(2).unwrap().to_owned()
}

/// The interpreter that has the packages of `tests/requirements.txt`.
fn python() -> PathBuf {
    let python = std::env::var_os("SUNKEEP_PYTHON")
        .map_or_else(|| repository().join(".venv/bin/python"), PathBuf::from);
    assert!(
        python.is_file(),
        "{} is missing. Make it with: python3 -m venv .venv && .venv/bin/pip install -r tests/requirements.txt \
         (or name another interpreter in SUNKEEP_PYTHON)",
        python.display()
    );
    python
}

#[test]
#[ignore = "the body of a process that the other test starts"]
fn the_body_of_an_ingest() {
    let Ok(lake) = std::env::var("LAKE") else { return };
    let settings = Settings {
        broker: Broker::new(&std::env::var("BROKER").unwrap(), "one", "ingest", 200, &Tls::default())
            .unwrap(),
        lake: Lake::open(&lake).unwrap(),
        flush_every: Duration::from_millis(300),
        flush_rows: 1000,
    };
    ingest::run(settings, &Arc::new(Counts::default())).unwrap();
}

/// An ingest, as a process of its own.
struct Ingest(Child);

impl Ingest {
    fn start(lake: &Path, broker: &str) -> Self {
        let mut command = Command::new(std::env::current_exe().unwrap());
        command
            .args(["--exact", "the_body_of_an_ingest", "--ignored"])
            .env("LAKE", lake)
            .env("BROKER", broker);
        Self(command.stdout(Stdio::null()).spawn().unwrap())
    }
}

impl Drop for Ingest {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Of a hub that is two versions old: it knows of load and sun, and of no time.
fn old() -> Telemetry {
    let mut telemetry = minutes(1, 1, 0..30, None);
    telemetry.channels.retain(|channel| ["load_w", "pv_w"].contains(&channel.name.as_str()));
    telemetry
}

/// Of a hub that is a version ahead.
fn new(end: i64) -> Telemetry {
    let mut telemetry = minutes(3, 1, 0..30, Some(end));
    let channel = |name: &str, value: fn(i64) -> i64| Channel {
        name: name.into(),
        parts: 10,
        values: (0..30).map(|sequence| Some(value(sequence))).collect(),
    };
    telemetry.channels.push(channel("breeze_w", |sequence| 10 * sequence));
    telemetry.channels.push(channel("load.pump.current_a", |sequence| sequence));
    telemetry
}

/// Gives a compact message the number of the next version, and members that nobody knows: a text, and a map of lists.
fn of_next_version(bytes: &[u8]) -> Vec<u8> {
    let mut cbor = zstd::bulk::decompress(bytes, 1 << 20).unwrap();
    assert_eq!(cbor[..4], [0xa6, 0x61, b'v', 1], "a map of six, the version first");
    (cbor[0], cbor[3]) = (0xa8, 2);
    cbor.extend(b"\x64mood\x66bright\x64more\xa1\x61a\x82\x01\xf6");
    zstd::bulk::compress(&cbor, 3).unwrap()
}

/// What a reader should see of a message.
fn told(telemetry: &Telemetry) -> Vec<Value> {
    let one = |record: usize| {
        let value = |name: &str| {
            let channel = telemetry.channels.iter().find(|channel| channel.name == name);
            channel.and_then(|channel| channel.value(record)).map(|value| (value * 1000.0).round() as i64)
        };
        let load = |name: &str| {
            let on = value(&format!("load.{name}.on")).map(|on| on > 0);
            let w = value(&format!("load.{name}.w"));
            (on.is_some() || w.is_some()).then(|| json!([name, on, w]))
        };
        let loads: Vec<Value> = ["pump", "television"].into_iter().filter_map(load).collect();
        let more = ["breeze_w", "load.pump.current_a", "tank_c"]
            .into_iter()
            .filter_map(|name| Some(json!([name, value(name)?])));
        let stamp = telemetry.stamps[record];
        json!({
            "hub": telemetry.from.hub, "boot": stamp.boot, "sequence": stamp.sequence, "wall": stamp.wall_ms,
            "load_w": value("load_w"), "battery_v": value("battery_v"), "breeze_w": null,
            "loads": loads, "more": more.collect::<Vec<_>>(),
        })
    };
    (0..telemetry.stamps.len()).map(one).collect()
}

/// Rows in one order.
fn in_order(rows: Vec<Value>) -> BTreeMap<(String, i64), Value> {
    rows.into_iter()
        .map(|row| ((row["hub"].as_str().unwrap().to_owned(), row["sequence"].as_i64().unwrap()), row))
        .collect()
}

/// The rows of a hub as ingest has filed them.
fn filed(lake: &Lake, hub: &str) -> Vec<RecordBatch> {
    let files = lake.list(lake::TELEMETRY).unwrap();
    let batches = files.iter().flat_map(|file| {
        ParquetRecordBatchReaderBuilder::try_new(lake.read(&file.name).unwrap()).unwrap().build().unwrap()
    });
    let own = |rows: &RecordBatch| {
        let is_own =
            rows.column_by_name("hub").unwrap().as_string::<i32>().iter().map(|name| Some(name == Some(hub)));
        arrow_select::filter::filter_record_batch(rows, &is_own.collect()).unwrap()
    };
    batches.map(|rows| own(&rows.unwrap())).filter(|rows| rows.num_rows() > 0).collect()
}

/// Files the rows of hub 2 as those of another hub, as another version of ingest would have.
fn file_as(lake: &Lake, number: u32, change: impl Fn(&RecordBatch) -> RecordBatch) {
    for (place, rows) in filed(lake, "hub-2").into_iter().enumerate() {
        let schema = rows.schema();
        let columns = schema.fields().iter().zip(rows.columns()).map(|(field, column)| -> ArrayRef {
            let name = match field.name().as_str() {
                "hub" => format!("hub-{number}"),
                "site" => format!("site-{number}"),
                _ => return column.clone(),
            };
            Arc::new(StringArray::from_iter_values((0..rows.num_rows()).map(|_| &name)))
        });
        let rows = RecordBatch::try_new(schema.clone(), columns.collect()).unwrap();
        let wall = rows
            .column_by_name("wall")
            .unwrap()
            .as_primitive::<arrow_array::types::TimestampMillisecondType>();
        let folder = lake::hour_folder(wall.value(0));
        lake.write(&format!("telemetry/{folder}/of-{number}-{place}.parquet"), &change(&rows)).unwrap();
    }
}

fn older(rows: &RecordBatch) -> RecordBatch {
    let gone = ["loads", "more", "thinned_of", "battery_v", "wall_source"];
    let stays = |place: &usize| !gone.contains(&rows.schema().field(*place).name().as_str());
    rows.project(&(0..rows.num_columns()).filter(stays).collect::<Vec<_>>()).unwrap()
}

fn newer(rows: &RecordBatch) -> RecordBatch {
    let mut fields: Vec<_> = rows.schema().fields().iter().cloned().collect();
    // Not at the end: a column is found by its name.
    fields.insert(0, Arc::new(Field::new("breeze_w", DataType::Float32, true)));
    let mut columns = rows.columns().to_vec();
    columns.insert(0, Arc::new((0..rows.num_rows()).map(|_| Some(7.5)).collect::<Float32Array>()));
    RecordBatch::try_new(Arc::new(Schema::new(fields)), columns).unwrap()
}

/// What is expected of those two.
fn of_other_ingests(of_today: &[Value]) -> Vec<Value> {
    let as_hub = |number: u32, change: &dyn Fn(&mut Value)| {
        let rows = of_today.iter().cloned().map(|mut row| {
            row["hub"] = format!("hub-{number}").into();
            change(&mut row);
            row
        });
        rows.collect::<Vec<_>>()
    };
    let mut rows = as_hub(4, &|row| {
        (row["battery_v"], row["loads"], row["more"]) = (Value::Null, json!([]), json!([]));
    });
    rows.extend(as_hub(5, &|row| row["breeze_w"] = 7500.into()));
    rows
}

/// The lake; and what stands in it, each record once.
fn lake_of_versions(folder: &Path) -> Option<BTreeMap<(String, i64), Value>> {
    let broker = Mosquitto::start("")?;
    let path = folder.join("lake");
    let mut ingest = Ingest::start(&path, &broker.url());
    let end = sunkeep_fleet::clock::now_ms() / MINUTE * MINUTE;
    let today = minutes(2, 1, 0..30, Some(end));
    let first = [
        (topic(1, "telemetry"), packed(old())),
        (topic(2, "telemetry"), packed(today.clone())),
        (topic(3, "telemetry"), of_next_version(&packed(new(end)))),
    ];
    broker.publish("hubs", &first);
    let lake = Lake::open(&path.display().to_string()).unwrap();
    let rows = |hub| filed(&lake, hub).iter().map(RecordBatch::num_rows).sum::<usize>();
    wait_until("all is filed", || ["hub-1", "hub-2", "hub-3"].iter().all(|hub| rows(hub) >= 30));
    // Again, in the other form, by another ingest, which does not know what this one has filed: files hold them twice.
    signal(&ingest.0, Signal::TERM);
    assert!(ingest.0.wait().unwrap().success());
    ingest = Ingest::start(&path, &broker.url());
    let again: Vec<_> =
        plain(today.clone()).into_iter().map(|bytes| (topic(2, "telemetry"), bytes)).collect();
    broker.publish("hubs", &again);
    wait_until("it is filed again", || rows("hub-2") >= 60);
    signal(&ingest.0, Signal::TERM);
    assert!(ingest.0.wait().unwrap().success());
    assert!(lake.list(lake::QUARANTINE).unwrap().is_empty());
    file_as(&lake, 4, older);
    file_as(&lake, 5, newer);

    let of_today = told(&today);
    let mut all = told(&old());
    all.extend(told(&new(end)));
    all.extend(of_other_ingests(&of_today));
    all.extend(of_today);
    Some(in_order(all))
}

/// As DataFusion reads it, asked as the document says.
fn by_datafusion(lake: &Path) -> Vec<Value> {
    let document = std::fs::read_to_string(repository().join("fleet/INGEST.md")).unwrap();
    let between = |from: &str, to: &str| document.split(from).nth(1).unwrap().split(to).next().unwrap();
    let table =
        between("it has made of the folder (`", "`").replace("'lake/", &format!("'{}/", lake.display()));
    let query = between("```sql\n", "```");
    let from =
        format!("read_parquet({}", query.split("read_parquet(").nth(1).unwrap().split("))").next().unwrap());
    let query = query.replace(&format!("{from})"), "telemetry");
    let columns =
        "hub, boot, sequence, CAST(wall AS BIGINT) AS wall, load_w, battery_v, breeze_w, loads, more";
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    let batches = runtime.block_on(async {
        let engine = SessionContext::new();
        engine.sql(&table).await.unwrap().collect().await.unwrap();
        engine.sql(&format!("SELECT {columns} FROM ({query})")).await.unwrap().collect().await.unwrap()
    });
    batches
        .iter()
        .flat_map(|rows| (0..rows.num_rows()).map(|row| of_arrow(rows, row)).collect::<Vec<_>>())
        .collect()
}

/// A row of these columns.
fn of_arrow(rows: &RecordBatch, row: usize) -> Value {
    let thousandths = |value: f64| (value * 1000.0).round() as i64;
    let number = |column: usize| {
        let values = rows.column(column).as_primitive::<Float32Type>();
        values.is_valid(row).then(|| thousandths(values.value(row).into()))
    };
    let whole = |column: usize| {
        let values = rows.column(column).as_primitive::<Int64Type>();
        values.is_valid(row).then(|| values.value(row))
    };
    let text = |array: &ArrayRef, row: usize| match array.data_type() {
        DataType::Utf8View => array.as_string_view().value(row).to_owned(),
        _ => array.as_string::<i32>().value(row).to_owned(),
    };
    let items = |column: usize| {
        let lists = rows.column(column).as_list::<i32>();
        lists.is_valid(row).then(|| lists.value(row)).into_iter().flat_map(|items| {
            (0..items.len()).map(|item| (items.as_struct().columns().to_vec(), item)).collect::<Vec<_>>()
        })
    };
    let mut loads: Vec<Value> = items(7)
        .map(|(parts, item)| {
            let (on, w) = (parts[1].as_boolean(), parts[2].as_primitive::<Float32Type>());
            let on = on.is_valid(item).then(|| on.value(item));
            let w = w.is_valid(item).then(|| thousandths(w.value(item).into()));
            json!([text(&parts[0], item), on, w])
        })
        .collect();
    loads.sort_by_key(|load| load[0].as_str().map(str::to_owned));
    let more = items(8).map(|(parts, item)| {
        json!([text(&parts[0], item), thousandths(parts[1].as_primitive::<Float64Type>().value(item))])
    });
    let mut more: Vec<Value> = more.collect();
    more.sort_by_key(|one| one[0].as_str().map(str::to_owned));
    json!({
        "hub": text(rows.column(0), row), "boot": whole(1), "sequence": whole(2), "wall": whole(3),
        "load_w": number(4), "battery_v": number(5), "breeze_w": number(6), "loads": loads, "more": more,
    })
}

fn compare(reader: &str, rows: Vec<Value>, expected: &BTreeMap<(String, i64), Value>) {
    assert_eq!(rows.len(), expected.len(), "{reader}: each record once");
    let rows = in_order(rows);
    for (key, row) in expected {
        assert_eq!(rows.get(key), Some(row), "{reader}: {key:?}");
    }
    println!("{reader}: {} records as they were sent", rows.len());
}

#[test]
fn three_readers_see_what_hubs_of_three_versions_have_sent() {
    let folder = tempfile::tempdir().unwrap();
    let Some(expected) = lake_of_versions(folder.path()) else { return };
    let lake = folder.path().join("lake");
    assert_eq!(expected.len(), 5 * 30);
    compare("DataFusion", by_datafusion(&lake), &expected);
    let script = repository().join("tests/peers/lake_readers.py");
    let document = repository().join("fleet/INGEST.md");
    let ran = Command::new(python()).arg(script).arg(&lake).arg(document).output().unwrap();
    assert!(ran.status.success(), "{}", String::from_utf8_lossy(&ran.stderr));
    let read: BTreeMap<String, Vec<Value>> = serde_json::from_slice(&ran.stdout).unwrap();
    assert_eq!(read.len(), 2);
    for (reader, rows) in read {
        compare(&reader, rows, &expected);
    }

    // Training, with the table of sites that the fleet writes.
    let fleet = folder.path().join("fleet");
    std::fs::create_dir(&fleet).unwrap();
    let names = "site-1\nsite-2\nsite-3\nsite-4\nsite-5\n";
    std::fs::write(fleet.join("sites.csv"), format!("site\n{names}")).unwrap();
    sites::publish(&fleet, &Lake::open(&lake.display().to_string()).unwrap(), Some("Africa/Nairobi"))
        .unwrap();
    let request = Request {
        lake: lake.display().to_string(),
        out: folder.path().join("tables"),
        memory: 256 << 20,
        spill: 1 << 30,
        cluster: None,
        issues: 1000,
        sites_per_pass: 1000,
        leave_out_broken: false,
        restart: false,
    };
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    let (report, _) = runtime.block_on(make_features(&request, &ProgressBar::hidden())).unwrap();
    let counted = |name: &str| report.counts.get(name);
    println!("training: {:?}", report.counts);
    assert_eq!(
        [counted("records"), counted("repeated"), counted("conflicting"), counted("untimed")],
        [150, 90, 0, 30]
    );
}
