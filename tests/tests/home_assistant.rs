//! A home as Home Assistant finds it: over a real broker, held against its own schemas and templates.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test may fail by panicking")]

use std::collections::BTreeMap;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use rumqttc::{AsyncClient, MqttOptions, QoS};
use serde_json::{Value, json};
use sunkeep_simulator::home::HomeOptions;
use sunkeep_tests::broker::{Broker, listen};
use sunkeep_tests::house::{House, MIDNIGHT, set};
use sunkeep_tests::hub::Hub;
use sunkeep_tests::ticks::{Driven, Ticks};
use sunkeep_tests::{pause, until};

/// The hub's program.
const HUB: &str = env!("CARGO_BIN_EXE_hub-under-test");
/// How long anything may take on a busy machine.
const PATIENCE: Duration = Duration::from_mins(1);

async fn minutes(driven: &mut Driven, house: &House, from: u64, upto: u64) {
    for minute in from..upto {
        driven.cycle(Duration::from_secs(60 * minute), Some(MIDNIGHT + 60 * minute.cast_signed())).await;
        house.home().advance(Duration::from_mins(1));
    }
}

/// What a broker keeps for whoever comes now.
async fn retained(port: u16) -> BTreeMap<String, String> {
    let heard = listen(port).await;
    let mut seen = 0;
    loop {
        pause(Duration::from_millis(300)).await;
        let heard = heard.lock().unwrap();
        if heard.len() == seen {
            let text = |payload: &[u8]| String::from_utf8(payload.to_vec()).unwrap();
            return heard.iter().map(|(topic, payload)| (topic.clone(), text(payload))).collect();
        }
        seen = heard.len();
    }
}

/// What Home Assistant makes of it, by entity.
fn shown(retained: &BTreeMap<String, String>) -> BTreeMap<String, Value> {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    let python = std::env::var_os("SUNKEEP_HOME_ASSISTANT_PYTHON")
        .map_or_else(|| here.join("../.venv/home-assistant/bin/python"), PathBuf::from);
    let command = Command::new(&python)
        .arg(here.join("peers/home_assistant.py"))
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn();
    let mut peer = command.unwrap_or_else(|error| {
        panic!("{}: {error}; tests/run makes it", python.display());
    });
    let mut input = peer.stdin.take().unwrap();
    for (topic, payload) in retained {
        writeln!(input, "{}", json!({ "topic": topic, "payload": payload })).unwrap();
    }
    drop(input);
    let output = peer.wait_with_output().unwrap();
    assert!(output.status.success(), "see its reason above");
    let lines = String::from_utf8(output.stdout).unwrap();
    let entities = lines.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
    entities.map(|entity| (entity["entity"].as_str().unwrap().to_owned(), entity)).collect()
}

#[tokio::test]
async fn home_assistant_finds_a_home_and_forgets_what_is_gone() {
    let house = House::standing_still(5, 0.8, |folder| HomeOptions::usual(folder).over_tcp()).await;
    let broker = Broker::start(house.dir(), None).await;
    let mut table = house.table();
    set(&mut table, "home_assistant", "broker", format!("mqtt://127.0.0.1:{}", broker.port));
    set(&mut table, "home_assistant", "hub", "a clinic/east");
    set(&mut table, "home_assistant", "every_s", 1);
    let config = house.write(&table);
    // What an earlier configuration left with the broker, and what is another's.
    let options = MqttOptions::new("before", "127.0.0.1", broker.port);
    let (client, mut events) = AsyncClient::new(options, 8);
    tokio::spawn(async move { while events.poll().await.is_ok() {} });
    let gone = "homeassistant/sensor/a_clinic_east/load_oven_w/config";
    let others = "homeassistant/sensor/neighbour/load_oven_w/config";
    for topic in [gone, others] {
        client.publish(topic, QoS::AtLeastOnce, true, "{}").await.unwrap();
    }

    let ticks = Ticks::listen().await;
    let mut hub = Hub::run_with(HUB, &config, house.page(), &["--lockstep", &ticks.address()], &[]);
    let mut driven = ticks.hub().await;
    minutes(&mut driven, &house, 1, 4).await;
    let mut kept = BTreeMap::new();
    until("announced, and what is gone taken back", PATIENCE, async || {
        kept = retained(broker.port).await;
        !kept.contains_key(gone) && kept.contains_key("sunkeep/a_clinic_east/state")
    })
    .await;
    assert!(kept.remove(others).is_some(), "another home is none of its business");
    let view = hub.view().await.unwrap();
    let entities = shown(&kept);
    let loads = view["loads"].as_array().unwrap();
    assert_eq!(entities.len(), 7 + 1 + 2 * loads.len());
    let number = |entity: &str| entities[entity]["state"].as_str().unwrap().parse::<f64>().unwrap();
    let charge = view["battery"]["charge_best"].as_f64().unwrap() * 100.0;
    assert!((number("charge") - charge).abs() < 1.0, "{charge}: {}", entities["charge"]);
    assert!((number("battery_v") - view["battery"]["voltage_v"].as_f64().unwrap()).abs() < 0.1);
    assert_eq!(entities["protection"]["state"], "OFF");
    for load in loads {
        let entity = &entities[&format!("load_{}", load["name"].as_str().unwrap())];
        let state = if load["on"] == true { "ON" } else { "OFF" };
        assert_eq!((&entity["state"], &entity["attributes"]["reason"]), (&json!(state), &load["reason"]));
    }

    // Home Assistant comes up and has forgotten everything.
    let heard = listen(broker.port).await;
    pause(Duration::from_millis(500)).await;
    heard.lock().unwrap().clear();
    client.publish("homeassistant/status", QoS::AtMostOnce, false, "online").await.unwrap();
    until("announced anew", PATIENCE, async || {
        let heard = heard.lock().unwrap();
        let announced = heard.iter().filter(|(topic, _)| topic.ends_with("/config"));
        announced.count() >= entities.len()
    })
    .await;

    hub.kill().await;
    until("the broker says that it is gone", PATIENCE, async || {
        retained(broker.port).await["sunkeep/a_clinic_east/online"] == "offline"
    })
    .await;
}
