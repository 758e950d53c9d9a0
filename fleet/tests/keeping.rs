//! What is older than it is kept goes, and a site that is erased is nowhere; whoever is killed in between.
#![allow(clippy::unwrap_used, clippy::panic, missing_docs, unreachable_pub, dead_code, reason = "a test")]

#[path = "ingest/hubs.rs"]
mod hubs;
#[path = "ingest/rows.rs"]
mod rows;

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::sync::Arc;
use std::time::Duration;

use arrow_array::{
    ArrayRef, BinaryArray, Int64Array, RecordBatch, StringArray, TimestampMillisecondArray, new_null_array,
};
use arrow_schema::SchemaRef;
use object_store::memory::InMemory;
use rand::{RngExt as _, SeedableRng as _};
use rand_chacha::ChaCha8Rng;
use sunkeep_fleet::clock::{now_ms, rest, steady};
use sunkeep_fleet::lake::{Compaction, Erasure, Lake, prune};
use sunkeep_models::lake::{
    self, CORRECTIONS, EVENTS, QUARANTINE, SITES, TELEMETRY, WEATHER, WEATHER_FORECASTS,
};

const HOUR: i64 = 3_600_000;
const DAY: i64 = 24 * HOUR;

/// Rows of a table that has sites: of each the site and a number.
fn table(schema: &SchemaRef, rows: &[(i64, i64)]) -> RecordBatch {
    let text = |of: &dyn Fn(&(i64, i64)) -> String| -> ArrayRef {
        Arc::new(StringArray::from_iter_values(rows.iter().map(of)))
    };
    let columns = schema.fields().iter().map(|field| match field.name().as_str() {
        "site" => text(&|row| format!("site-{}", row.0)),
        "hub" => text(&|row| format!("hub-{}", row.0)),
        "store" => text(&|row| format!("{:032x}", row.0)),
        "zone" => text(&|_| "UTC".into()),
        "what" => text(&|_| "switched".into()),
        "place" => text(&|_| "p".into()),
        "wall" | "boot_wall" | "start" | "issued" => {
            let walls = TimestampMillisecondArray::from_iter_values(rows.iter().map(|row| row.1 * 60_000));
            Arc::new(walls.with_timezone("UTC")) as ArrayRef
        }
        _ if !field.is_nullable() => Arc::new(Int64Array::from_iter_values(rows.iter().map(|row| row.1))),
        _ => new_null_array(field.data_type(), rows.len()),
    });
    RecordBatch::try_new(schema.clone(), columns.collect()).unwrap()
}

fn quarantined(messages: &[(String, Vec<u8>)]) -> RecordBatch {
    let columns: Vec<ArrayRef> = vec![
        Arc::new(
            TimestampMillisecondArray::from_iter_values(messages.iter().map(|_| 0)).with_timezone("UTC"),
        ),
        Arc::new(StringArray::from_iter_values(messages.iter().map(|message| &message.0))),
        Arc::new(StringArray::from_iter_values(messages.iter().map(|_| "a reason"))),
        Arc::new(Int64Array::from_iter_values(messages.iter().map(|message| message.1.len() as i64))),
        Arc::new(BinaryArray::from_iter_values(messages.iter().map(|message| &message.1))),
    ];
    RecordBatch::try_new(lake::quarantine(), columns).unwrap()
}

/// What was refused: of hub 1, of others that speak of site 1, and of hub 2; the last three stay.
fn refused() -> Vec<(String, Vec<u8>)> {
    let topic = |hub: u32| hubs::topic(hub, "telemetry");
    let of_site_1 = hubs::packed(hubs::minutes(1, 1, 0..2, None));
    vec![
        (topic(1), b"garbage".to_vec()),
        (topic(2), of_site_1.clone()),
        (topic(2), b"{\"v\":1,\"site\":\"site-1\",".to_vec()),
        (topic(2), hubs::packed(hubs::minutes(2, 1, 0..2, None))),
        (topic(11), of_site_1[..of_site_1.len() / 2].to_vec()),
        ("elsewhere/hub-1".into(), b"\"site-11\"".to_vec()),
    ]
}

/// A lake of sites 0 to 3 and 11, in so many hours.
fn filled(lake: &Lake, hours: i64) {
    let of_hour = |hour: i64| -> Vec<(i64, i64)> {
        [0, 1, 11, 2, 3].iter().flat_map(|site| (0..40).map(move |row| (*site, hour * 60 + row))).collect()
    };
    for hour in 0..hours {
        let folder = lake::hour_folder(hour * HOUR);
        let rows = of_hour(hour);
        lake.write(&format!("{TELEMETRY}/{folder}/a.parquet"), &table(&lake::filed_telemetry(), &rows))
            .unwrap();
        let (own, others): (Vec<_>, Vec<_>) = rows.into_iter().partition(|row| row.0 == 1);
        lake.write(&format!("{TELEMETRY}/{folder}/own.parquet"), &table(&lake::filed_telemetry(), &own))
            .unwrap();
        lake.write(&format!("{EVENTS}/{folder}/b.parquet"), &table(&lake::events(), &others)).unwrap();
        lake.write(&format!("{EVENTS}/{folder}/own.parquet"), &table(&lake::events(), &own)).unwrap();
    }
    lake.write(&format!("{CORRECTIONS}/c.parquet"), &table(&lake::corrections(), &of_hour(0))).unwrap();
    let sites = [0, 1, 11, 2, 3].map(|site| (site, 0));
    lake.write(&format!("{SITES}/fleet.parquet"), &table(&lake::sites(), &sites)).unwrap();
    lake.write(&format!("{WEATHER}/p/1970-01.parquet"), &table(&lake::weather(), &[(0, 0)])).unwrap();
    let folder = lake::hour_folder(0);
    lake.write(&format!("{QUARANTINE}/{folder}/q.parquet"), &quarantined(&refused())).unwrap();
}

/// Every row of a lake as text, by table; those of the site apart.
fn all(lake: &Path) -> [BTreeMap<String, u64>; 2] {
    let mut found = [BTreeMap::new(), BTreeMap::new()];
    for table in [TELEMETRY, EVENTS, CORRECTIONS, SITES, WEATHER] {
        for (_, row) in rows::rows(lake, table) {
            let own = usize::from(row.get("site").is_some_and(|site| site == "site-1"));
            *found[own].entry(format!("{table} {row:?}")).or_default() += 1;
        }
    }
    found
}

fn command(at: &Path, arguments: &str) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_sunkeep-fleet"));
    command.current_dir(at).args(arguments.split_whitespace());
    command.stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

fn said(output: &Output) -> String {
    format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}

fn run(at: &Path, arguments: &str) -> String {
    let output = command(at, arguments).output().unwrap();
    assert!(output.status.success(), "{arguments}: {}", said(&output));
    said(&output)
}

/// The bytes of every file of a folder.
fn bytes(folder: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    rows::files(folder, "").into_iter().map(|path| (path.clone(), fs::read(path).unwrap())).collect()
}

#[test]
fn a_site_that_is_erased_is_nowhere_and_the_others_are_whole() {
    let folder = tempfile::tempdir().unwrap();
    let at = folder.path();
    fs::write(at.join("told.csv"), "site,zone\nsite-1,UTC\nsite-11,UTC\n").unwrap();
    run(at, "provision --fleet f --broker mqtts://localhost:8883 --names told.csv");
    let lake = Lake::open(&at.join("lake").display().to_string()).unwrap();
    filled(&lake, 3);
    let [others, own] = all(&at.join("lake"));
    assert!(!own.is_empty() && others.len() > 300);
    let before = bytes(&at.join("lake"));
    let key = fs::read_to_string(at.join("f/hubs/site-1.toml")).unwrap();

    let told = run(at, "erase site-1 --lake lake --fleet f --dry-run");
    let expected = "40 of corrections, 120 of events, 3 of quarantine, 1 of sites, 240 of telemetry; files: 6 rewritten, 6 removed";
    assert!(told.contains(&format!("rows that would go: {expected}")), "{told}");
    assert!(told.contains("would be taken back and their keys removed: hub-1, site-1"), "{told}");
    assert_eq!(bytes(&at.join("lake")), before, "nothing is done");
    assert_eq!(fs::read_to_string(at.join("f/hubs/site-1.toml")).unwrap(), key);

    // A draft of somebody who was killed long ago.
    let draft = at.join("lake").join(TELEMETRY).join(".draft-x.half");
    fs::write(&draft, "site-1").unwrap();
    let old = std::time::SystemTime::UNIX_EPOCH + Duration::from_secs(1_000_000_000);
    fs::File::options().write(true).open(&draft).unwrap().set_modified(old).unwrap();
    let told = run(at, "erase site-1 --lake lake --fleet f");
    assert!(told.contains(&format!("rows that are gone: {expected}; 1 drafts removed")), "{told}");
    assert_eq!(all(&at.join("lake")), [others.clone(), BTreeMap::new()]);
    let kept: Vec<String> =
        rows::rows(&at.join("lake"), QUARANTINE).into_iter().map(|row| row.1["topic"].clone()).collect();
    assert_eq!(kept, [hubs::topic(2, "telemetry"), hubs::topic(11, "telemetry"), "elsewhere/hub-1".into()]);
    assert!(!at.join(format!("lake/{EVENTS}/{}/own.parquet", lake::hour_folder(0))).exists());
    let traces = Command::new("grep")
        .args(["-rlE", "site-1\\b"])
        .arg(at.join("lake"))
        .arg(at.join("f"))
        .output()
        .unwrap();
    assert_eq!(said(&traces), "", "not a trace in any file");

    // The folder of the fleet has forgotten it, and its certificate stays taken back.
    let inventory = fs::read_to_string(at.join("f/inventory.csv")).unwrap();
    assert!(inventory.contains("\nerased,erased,") && inventory.contains("site-11"), "{inventory}");
    let serial = inventory.split("erased,erased,").nth(1).unwrap().split(',').next().unwrap();
    let list = Command::new("openssl")
        .args(["crl", "-noout", "-text", "-in"])
        .arg(at.join("f/ca.crl"))
        .output()
        .unwrap();
    assert!(said(&list).to_lowercase().contains(serial), "{}", said(&list));
    assert!(at.join("f/hubs/site-11.toml").exists());

    // Once more: there is nothing left to do. And files that were rewritten go together with others as before.
    let again = bytes(&at.join("lake"));
    assert!(run(at, "erase site-1 --lake lake --fleet f").contains("rows that are gone: none"));
    assert_eq!(bytes(&at.join("lake")), again);
    let one = table(&lake::filed_telemetry(), &[(9, 0)]);
    lake.write(&format!("{TELEMETRY}/{}/z.parquet", lake::hour_folder(0)), &one).unwrap();
    rest(Duration::from_millis(5));
    let done = Compaction::before(now_ms()).run(&lake).unwrap();
    assert_eq!((done.left.clone(), done.rows), (Vec::new(), 161), "{done:?}");
    // The name is free again.
    fs::write(at.join("again.csv"), "site-1\n").unwrap();
    run(at, "provision --fleet f --broker mqtts://localhost:8883 --names again.csv");
}

#[test]
fn an_erasure_that_is_killed_loses_nothing_of_others_and_can_be_done_again() {
    let seed = now_ms() as u64;
    println!("seed {seed}");
    let mut chance = ChaCha8Rng::seed_from_u64(seed);
    let folder = tempfile::tempdir().unwrap();
    let at = folder.path();
    let lake = Lake::open(&at.join("lake").display().to_string()).unwrap();
    filled(&lake, 40);
    let [others, own] = all(&at.join("lake"));
    // How long one takes that nobody disturbs.
    let other = tempfile::tempdir().unwrap();
    filled(&Lake::open(&other.path().join("lake").display().to_string()).unwrap(), 40);
    let begun = steady();
    run(other.path(), "erase site-1 --lake lake");
    let whole = begun.elapsed();
    let (mut kills, mut halves) = (0, 0);
    for _ in 0..12 {
        let mut process = command(at, "erase site-1 --lake lake").spawn().unwrap();
        rest(whole.mul_f64(chance.random_range(0.0..0.3)));
        let finished = process.try_wait().unwrap().is_some();
        process.kill().unwrap();
        process.wait().unwrap();
        kills += u32::from(!finished);
        let [now_others, now_own] = all(&at.join("lake"));
        assert_eq!(now_others, others, "after {kills} kills");
        halves += u32::from(!now_own.is_empty() && now_own != own);
        // The rows tell which hubs are the site's: once they are gone nobody could tell what in quarantine is.
        if now_own != own {
            assert_eq!(rows::rows(&at.join("lake"), QUARANTINE).len(), 3);
        }
    }
    println!("{kills} kills of a run of {whole:?}; {halves} times some of it was gone and some was not");
    run(at, "erase site-1 --lake lake");
    assert_eq!(all(&at.join("lake")), [others, BTreeMap::new()]);
    let kept = rows::rows(&at.join("lake"), QUARANTINE);
    assert_eq!(kept.len(), 3);
}

#[test]
fn a_file_that_cannot_be_read_is_named_and_the_inventory_waits() {
    let folder = tempfile::tempdir().unwrap();
    let at = folder.path();
    fs::write(at.join("told.csv"), "site,zone\nsite-1,UTC\n").unwrap();
    run(at, "provision --fleet f --broker mqtts://localhost:8883 --names told.csv");
    filled(&Lake::open(&at.join("lake").display().to_string()).unwrap(), 2);
    let spoiled = at.join(format!("lake/{EVENTS}/{}/own.parquet", lake::hour_folder(0)));
    fs::write(&spoiled, "PAR1").unwrap();
    let output = command(at, "erase site-1 --lake lake --fleet f").output().unwrap();
    assert_eq!(output.status.code(), Some(1));
    let expected = format!("may still hold rows of site-1: {EVENTS}/{}/own.parquet", lake::hour_folder(0));
    assert!(said(&output).contains(&expected), "{}", said(&output));
    assert!(fs::read_to_string(at.join("f/inventory.csv")).unwrap().contains("site-1,site-1,"));
    fs::remove_file(spoiled).unwrap();
    run(at, "erase site-1 --lake lake --fleet f");
    assert!(all(&at.join("lake"))[1].is_empty());
    let refused = command(at, "erase ../x --lake lake").output().unwrap();
    assert!(said(&refused).contains("is no name of a site"), "{}", said(&refused));
}

#[test]
fn a_store_in_a_cloud_is_erased_and_pruned_too() {
    let lake = Lake::in_store(Arc::new(InMemory::new()), "some/lake".into()).unwrap();
    filled(&lake, 3);
    let erasure = Erasure { site: "site-1", hubs: std::collections::BTreeSet::new(), dry_run: false };
    let done = erasure.run(&lake, now_ms()).unwrap();
    assert_eq!((done.rows.values().sum::<u64>(), done.removed, done.left.len()), (404, 6, 0));
    assert_eq!(erasure.run(&lake, now_ms()).unwrap().rows.len(), 0);
    let done = prune(&lake, TELEMETRY, 2 * HOUR, false).unwrap();
    assert_eq!((done.files, done.kept), (2, 1));
    assert_eq!(lake.list(TELEMETRY).unwrap().len(), 1);
}

#[test]
fn what_is_older_than_it_is_kept_goes_table_by_table() {
    let folder = tempfile::tempdir().unwrap();
    let at = folder.path();
    let lake = Lake::open(&at.join("lake").display().to_string()).unwrap();
    let now = now_ms();
    let tables = [
        (TELEMETRY, lake::filed_telemetry()),
        (EVENTS, lake::events()),
        (WEATHER_FORECASTS, lake::weather_forecasts()),
    ];
    for (name, schema) in &tables {
        // The first is over since a moment less than ten days: its hour is not.
        for ago in [10 * DAY - HOUR, 10 * DAY + HOUR, 20 * DAY, 400 * DAY] {
            let file = format!("{name}/{}/x.parquet", lake::hour_folder(now - ago));
            lake.write(&file, &table(schema, &[(1, 1)])).unwrap();
        }
    }
    lake.write(&format!("{TELEMETRY}/elsewhere.parquet"), &table(&tables[0].1, &[(1, 1)])).unwrap();
    let count = |table: &str| rows::files(&at.join("lake"), table).len();
    let keep = "prune --lake lake --keep-days 10 --table telemetry --table weather_forecasts";
    let told = run(at, &format!("{keep} --dry-run"));
    assert!(
        told.contains("telemetry: 3 files with ") && told.contains("would go, 1 stay; 1 are in no folder"),
        "{told}"
    );
    assert_eq!(count(""), 13);
    let told = run(at, keep);
    assert!(told.contains("weather_forecasts: 3 files with ") && told.contains("are gone"), "{told}");
    assert_eq!([TELEMETRY, EVENTS, WEATHER_FORECASTS].map(count), [2, 4, 1]);
    assert!(
        at.join(format!("lake/{TELEMETRY}/{}/x.parquet", lake::hour_folder(now - 10 * DAY + HOUR))).exists()
    );
    let year = lake::hour_folder(now - 400 * DAY);
    assert!(!at.join(format!("lake/{TELEMETRY}/{year}")).exists(), "no empty folders stay");
    assert!(run(at, keep).contains("telemetry: 0 files"));
    let refused = command(at, "prune --lake lake --keep-days 10 --table sites").output().unwrap();
    assert_eq!(refused.status.code(), Some(2), "{}", said(&refused));
}
