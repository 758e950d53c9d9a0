//! Whatever may arrive: both forms, repeats, and what nobody should have sent.

use std::collections::BTreeMap;

use rand::{Rng as _, SeedableRng as _};
use rand_chacha::ChaCha8Rng;
use sunkeep_models::lake;
use sunkeep_models::wire::Field;
use tempfile::TempDir;

use crate::broker::Mosquitto;
use crate::hubs::{MINUTE, event, happened, minutes, packed, plain, sender, topic};
use crate::process::Ingest;
use crate::rows::{Row, batches, files, identities, rows};
use crate::{now_ms, wait_until};

const HOUR: i64 = 60 * MINUTE;

/// A plain record of another version, with members that this one does not know.
fn of_version(version: u64, sequence: i64) -> Vec<u8> {
    let record = plain(minutes(4, 1, sequence..sequence + 1, None)).remove(0);
    let mut record: serde_json::Value = serde_json::from_slice(&record).unwrap();
    record["v"] = version.into();
    record["mood"] = "bright".into();
    record.to_string().into_bytes()
}

fn digits(hub: u32) -> String {
    format!("{:032x}", u128::from_be_bytes(sender(hub).store))
}

/// The rows of a hub by their sequence.
fn of_hub(all: &[(std::path::PathBuf, Row)], hub: u32) -> BTreeMap<i64, (String, Row)> {
    let name = format!("hub-{hub}");
    let own = all.iter().filter(|(_, row)| row["hub"] == name);
    own.map(|(path, row)| {
        (row["sequence"].parse().unwrap(), (path.parent().unwrap().display().to_string(), row.clone()))
    })
    .collect()
}

/// What is taken; the last of the first minutes of hub 1 ends at `end`.
fn sound(now: i64, end: i64) -> Vec<(String, Vec<u8>)> {
    let telemetry = |hub, bytes| (topic(hub, "telemetry"), bytes);
    let mut sent = vec![telemetry(1, packed(minutes(1, 3, 0..90, Some(end))))];
    sent.extend(plain(minutes(2, 1, 0..6, None)).into_iter().map(|record| telemetry(2, record)));
    // The same again, as it was, in part, and in the other form.
    sent.push(telemetry(1, packed(minutes(1, 3, 0..90, Some(end)))));
    sent.push(telemetry(1, packed(minutes(1, 3, 80..95, Some(end + 5 * MINUTE)))));
    sent.push(telemetry(2, packed(minutes(2, 1, 0..6, None))));
    // A version one newer is read, clocks that were not set are not believed.
    sent.push(telemetry(4, of_version(2, 0)));
    sent.push(telemetry(5, packed(minutes(5, 1, 0..1, Some(now + 48 * HOUR)))));
    sent.push(telemetry(5, packed(minutes(5, 1, 1..2, Some(3 * HOUR)))));
    sent.push(telemetry(5, packed(minutes(5, 1, 2..3, Some(now + 23 * HOUR)))));
    let facts = [
        ("load", Field::Text("the \"pump\"".into())),
        ("left", Field::Number(0.31)),
        ("on", Field::Flag(false)),
    ];
    let learnt = |wall| {
        [
            ("boot", Field::Number(1.0)),
            ("boot_wall_ms", Field::Number(wall)),
            ("uncertainty_ms", Field::Number(1500.0)),
            ("source", Field::Text("ntp".into())),
        ]
    };
    let events = vec![
        event(1, 0, Some(end), "switched", &facts),
        event(1, 1, None, "time_learnt", &learnt(end as f64)),
        event(1, 2, None, "time_learnt", &learnt(5.0)),
        event(1, 3, Some(5), "switched", &[]),
    ];
    sent.push((topic(2, "decisions"), happened(2, events.clone())));
    sent.push((topic(2, "alerts"), happened(2, events)));
    sent
}

/// What is not taken, and how the reason begins.
fn unsound() -> Vec<(String, Vec<u8>, &'static str)> {
    let mut random = vec![0; 200 << 10];
    ChaCha8Rng::seed_from_u64(1).fill_bytes(&mut random);
    let nothing = vec![0; 64 << 20];
    let bomb = zstd::bulk::compress(&nothing, 19).unwrap();
    // One that says neither its length nor that it wants much memory.
    let mut quiet = zstd::Encoder::new(Vec::new(), 3).unwrap();
    quiet.window_log(18).unwrap();
    std::io::Write::write_all(&mut quiet, &nothing).unwrap();
    let quiet = quiet.finish().unwrap();
    vec![
        (topic(1, "telemetry"), packed(minutes(3, 1, 0..2, None)), "publishes as another"),
        (topic(1, "telemetry"), b"garbage".to_vec(), "it cannot be unpacked"),
        (topic(1, "telemetry"), b"{\"v\":1".to_vec(), "it is not the JSON"),
        (topic(1, "telemetry"), Vec::new(), "it cannot be unpacked"),
        (topic(1, "telemetry"), random, "it cannot be unpacked"),
        (topic(1, "telemetry"), bomb, "it cannot be unpacked: Frame requires too much memory"),
        (topic(1, "telemetry"), quiet, "4194305 for the length of the unpacked message"),
        (topic(1, "telemetry"), vec![b'{'; 400 << 10], "409600 for the length of the message"),
        (topic(4, "telemetry"), of_version(0, 1), "its version is 0"),
        (topic(1, "gossip"), b"{}".to_vec(), "no lane is called"),
    ]
}

#[test]
fn each_record_is_a_row_and_what_is_none_is_in_quarantine() {
    let Some(broker) = Mosquitto::start("") else { return };
    let folder = TempDir::new().unwrap();
    let lake = folder.path().join("lake");
    let mut ingest = Ingest::subscribed(folder.path(), "one", &broker.url(), &["--flush-seconds", "2"]);
    let now = now_ms();
    // The last ends half an hour after an hour has begun, an hour or two ago.
    let end = now / HOUR * HOUR - HOUR / 2;
    let (mut sent, refused) = (sound(now, end), unsound());
    sent.extend(refused.iter().map(|(topic, bytes, _)| (topic.clone(), bytes.clone())));
    // Longer than is ever asked for: the broker keeps it to itself, and the rest comes.
    sent.push((topic(1, "telemetry"), vec![b'{'; 2 << 20]));
    sent.push((topic(6, "telemetry"), packed(minutes(6, 1, 0..1, None))));
    broker.publish("hubs", &sent);
    wait_until("the last one is filed", || {
        identities(&lake, lake::TELEMETRY).keys().any(|identity| identity.0 == "hub-6")
    });
    assert!(ingest.stop().success(), "{}", ingest.log());

    let all = rows(&lake, lake::TELEMETRY);
    let telemetry_rows = 95 + 6 + 1 + 3 + 1;
    assert_eq!(all.len(), telemetry_rows, "each record is in the lake once");
    check_measured(&of_hub(&all, 1), end);
    check_unset_clocks(&all, now);
    check_events(&lake, end);
    check_quarantine(&lake, &refused);
    let counted = [
        ("messages", sent.len() - 1),
        ("records", telemetry_rows),
        ("events", 4),
        ("corrections", 1),
        ("corrections refused", 1),
        ("repeats", 90 + 10 + 6 + 4),
        ("walls refused", 2 + 1),
        ("refused", refused.len()),
        ("refused and not kept", 0),
        ("acknowledged", sent.len() - 1),
        ("files", files(&lake, "").len()),
    ];
    for (name, expected) in counted {
        assert_eq!(ingest.count(name), expected as u64, "{name}");
    }
}

fn check_quarantine(lake: &std::path::Path, refused: &[(String, Vec<u8>, &str)]) {
    let kept: Vec<Row> = rows(lake, lake::QUARANTINE).into_iter().map(|(_, row)| row).collect();
    for (topic, bytes, reason) in refused {
        let length = format!("{} bytes", bytes.len().min(64 << 10));
        let found = kept.iter().filter(|row| {
            row["topic"] == *topic && row["reason"].starts_with(reason) && row["bytes"] == length
        });
        assert_eq!(found.count(), 1, "{reason} in {kept:#?}");
    }
    assert_eq!(kept.len(), refused.len());
}

fn check_measured(own: &BTreeMap<i64, (String, Row)>, end: i64) {
    assert_eq!(own.keys().copied().collect::<Vec<_>>(), (0..95).collect::<Vec<_>>());
    for (sequence, (folder, row)) in own {
        let wall = end - (89 - sequence) * MINUTE;
        assert_eq!(*folder, format!("telemetry/{}", lake::hour_folder(wall)));
        let expected = [
            ("site", "site-1".to_owned()),
            ("store", digits(1)),
            ("boot", "3".into()),
            ("uptime_ms", (sequence * MINUTE).to_string()),
            ("span_ms", MINUTE.to_string()),
            ("wall", wall.to_string()),
            ("wall_source", "-".into()),
            ("load_w", ((1000 + sequence) as f32 / 10.0).to_string()),
            ("pv_w", if sequence % 3 > 0 { (*sequence as f32 / 10.0).to_string() } else { "-".into() }),
            ("battery_v", ((1250 + sequence % 7) as f32 / 100.0).to_string()),
            ("battery_a", "-".into()),
            ("throttled", (sequence % 2 == 1).to_string()),
            ("critical_on", "true".into()),
            ("important_on", "-".into()),
            ("thinned_of", if sequence % 5 == 0 { "3".into() } else { "-".into() }),
            ("more", "[tank_c 41.2]".into()),
            (
                "loads",
                format!(
                    "[{}television {} {}]",
                    if sequence % 2 == 0 { "pump - 5.5; " } else { "" },
                    sequence % 2 == 1,
                    (*sequence % 600) as f32 / 10.0
                ),
            ),
        ];
        for (name, expected) in expected {
            assert_eq!(row[name], expected, "{name} of {sequence}");
        }
    }
}

fn check_unset_clocks(all: &[(std::path::PathBuf, Row)], now: i64) {
    let receipt: Vec<String> =
        [now, now + HOUR].map(|hour| format!("telemetry/{}", lake::hour_folder(hour))).to_vec();
    let own = of_hub(all, 5);
    for (sequence, claimed) in [(0, now + 48 * HOUR), (1, 3 * HOUR)] {
        let (folder, row) = &own[&sequence];
        assert!(receipt.contains(folder), "{folder}");
        assert_eq!(row["wall"], "-");
        assert_eq!(row["more"], format!("[tank_c 41.2; refused_wall_ms {claimed}]"));
    }
    let (folder, row) = &own[&2];
    assert_eq!(*folder, format!("telemetry/{}", lake::hour_folder(now + 23 * HOUR)));
    assert_eq!(row["wall"], (now + 23 * HOUR).to_string());
    for (folder, row) in of_hub(all, 2).values() {
        assert!(receipt.contains(folder) && row["wall"] == "-", "{folder}");
    }
}

fn check_events(lake: &std::path::Path, end: i64) {
    let all = rows(lake, lake::EVENTS);
    let events: Vec<&Row> = all.iter().map(|(_, row)| row).collect();
    let of = |sequence: &str| events.iter().find(|row| row["sequence"] == sequence).unwrap();
    assert_eq!(events.len(), 4);
    assert_eq!(of("0")["fields"], r#"{"left":0.31,"load":"the \"pump\"","on":false}"#);
    assert_eq!((of("0")["wall"].as_str(), of("0")["what"].as_str()), (end.to_string().as_str(), "switched"));
    assert!(events.iter().all(|row| row["lane"] == "decisions" && row["store"] == digits(2)));
    assert_eq!(of("3")["fields"], r#"{"refused_wall_ms":5}"#);
    let corrections = rows(lake, lake::CORRECTIONS);
    let (_, row) = &corrections[0];
    let values = ["hub", "boot", "boot_wall", "uncertainty_ms", "source"].map(|name| row[name].as_str());
    assert_eq!(values, ["hub-2", "1", end.to_string().as_str(), "1500", "ntp"]);
    assert_eq!(corrections.len(), 1);
    // What training reads is there, in the types it expects.
    for table in [lake::TELEMETRY, lake::EVENTS, lake::CORRECTIONS, lake::QUARANTINE] {
        let schema = lake::table(table).unwrap();
        for path in files(lake, table) {
            let found = batches(&path)[0].schema();
            for field in schema.fields() {
                assert_eq!(found.field_with_name(field.name()).unwrap().data_type(), field.data_type());
            }
        }
    }
}
