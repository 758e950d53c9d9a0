//! What the fleet tells a hub, with a real broker between them: commands are done once and answered, settings are tried and go
//! back by themselves, and what the home marked critical stays out of reach.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test may fail by panicking")]

use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use rumqttc::{AsyncClient, MqttOptions, QoS};
use serde_json::{Value, json};
use sunkeep_fleet::ingest::{Broker as Address, Tls};
use sunkeep_fleet::provision::{Request, provision};
use sunkeep_fleet::tell::{Became, TellError, Told, tell};
use sunkeep_models::wire::down::{Action, Command, Reported};
use sunkeep_simulator::home::HomeOptions;
use sunkeep_tests::broker::{Broker, Heard, listen};
use sunkeep_tests::house::{House, MIDNIGHT, free_port, set};
use sunkeep_tests::hub::{Hub, command};
use sunkeep_tests::ticks::{Driven, Ticks};
use sunkeep_tests::{pause, until};

/// The hub's program.
const HUB: &str = env!("CARGO_BIN_EXE_hub-under-test");
/// How long anything may take on a busy machine.
const PATIENCE: Duration = Duration::from_mins(1);
const COMMANDS: &str = "sunkeep/v1/home/down/command";
const DESIRED: &str = "sunkeep/v1/home/down/desired";

/// A home whose hub listens to a broker, and the fleet.
struct Fleet {
    house: House,
    config: PathBuf,
    ticks: Ticks,
    broker: Broker,
    client: AsyncClient,
    heard: Heard,
    minutes: u64,
}

impl Fleet {
    async fn new(charge: f64) -> Self {
        let usual = |folder| HomeOptions::usual(folder).over_tcp();
        let house = House::standing_still(5, charge, usual).await;
        let broker = Broker::start(house.dir(), None).await;
        let mut table = house.table();
        set(&mut table, "uplink", "broker", format!("mqtt://127.0.0.1:{}", broker.port));
        for (key, name) in [("site", "home"), ("hub", "home"), ("encoding", "json")] {
            set(&mut table, "uplink", key, name);
        }
        set(&mut table, "uplink", "listens", true);
        set(&mut table, "uplink", "telemetry_minutes", 5);
        set(&mut table, "uplink", "waits_for_sun_hours", 0);
        let config = house.write(&table);
        let heard = listen(broker.port).await;
        let client = publisher(broker.port);
        Self { house, config, ticks: Ticks::listen().await, broker, client, heard, minutes: 0 }
    }

    fn start(&self) -> Hub {
        let address = self.ticks.address();
        Hub::run_with(HUB, &self.config, self.house.page(), &["--lockstep", &address], &[])
    }

    /// Minutes pass, a cycle each.
    async fn live(&mut self, driven: &mut Driven, minutes: u64) {
        for _ in 0..minutes {
            self.minute(driven).await;
        }
    }

    async fn minute(&mut self, driven: &mut Driven) {
        self.minutes += 1;
        let unix = MIDNIGHT + 60 * self.minutes.cast_signed();
        driven.cycle(Duration::from_secs(60 * self.minutes), Some(unix)).await;
        self.house.home().advance(Duration::from_mins(1));
    }

    /// Lives on until something has come of what the hub sent.
    async fn live_until<T>(
        &mut self,
        driven: &mut Driven,
        what: &str,
        found: impl Fn(&Self) -> Option<T>,
    ) -> T {
        let start = sunkeep_tests::now();
        loop {
            if let Some(found) = found(self) {
                return found;
            }
            assert!(start.elapsed() < PATIENCE, "{what}; answers: {:#?}", self.answers());
            self.minute(driven).await;
            pause(Duration::from_millis(200)).await;
        }
    }

    async fn tell(&self, topic: &str, retain: bool, payload: String) {
        self.client.publish(topic, QoS::AtLeastOnce, retain, payload).await.unwrap();
    }

    async fn command(&self, id: &str, action: Action) {
        self.tell(COMMANDS, false, self.written(id, action)).await;
    }

    fn written(&self, id: &str, action: Action) -> String {
        let expires = MIDNIGHT + 60 * self.minutes.cast_signed() + 86_400;
        Command { id: id.into(), expires, action }.write()
    }

    /// All answers that have come, in order.
    fn answers(&self) -> Vec<Value> {
        let heard = self.heard.lock().unwrap();
        let answers = heard.iter().filter(|(topic, _)| topic == "sunkeep/v1/home/up/answers");
        answers
            .map(|(_, payload)| serde_json::from_slice::<Value>(payload).unwrap()["fields"].take())
            .collect()
    }

    fn answer(&self, id: &str, outcome: &str) -> Option<Value> {
        self.answers().into_iter().find(|answer| answer["id"] == id && answer["outcome"] == outcome)
    }

    /// The newest report.
    fn reported(&self) -> Option<Reported> {
        let heard = self.heard.lock().unwrap();
        let newest = heard.iter().rfind(|(topic, _)| topic == "sunkeep/v1/home/up/twin/reported");
        newest.map(|(_, payload)| Reported::read(payload).unwrap())
    }

    fn reports(&self, version: u64, state: &str) -> Option<Reported> {
        self.reported().filter(|reported| reported.version == version && reported.state == state)
    }

    async fn desire(&self, version: u64, set: Value) {
        self.tell(DESIRED, true, json!({ "v": 1, "version": version, "set": set }).to_string()).await;
    }
}

fn publisher(port: u16) -> AsyncClient {
    let mut options = MqttOptions::new("fleet", "127.0.0.1", port);
    options.set_keep_alive(Duration::from_secs(20));
    let (client, mut polled) = AsyncClient::new(options, 8);
    // A broker that is away is waited for.
    tokio::spawn(async move {
        loop {
            if polled.poll().await.is_err() {
                pause(Duration::from_millis(100)).await;
            }
        }
    });
    client
}

fn load<'a>(view: &'a Value, name: &str) -> &'a Value {
    view["loads"].as_array().unwrap().iter().find(|load| load["name"] == name).unwrap()
}

async fn connected(hub: &Hub) -> Value {
    hub.view_when("the broker answers", PATIENCE, |view| view["uplink"]["connected"] == true).await
}

#[tokio::test]
async fn a_command_is_done_once_and_answered() {
    let mut fleet = Fleet::new(0.95).await;
    let mut hub = fleet.start();
    let mut driven = fleet.ticks.hub().await;
    fleet.live(&mut driven, 2).await;
    let view = connected(&hub).await;
    let tier = |tier: &str| {
        let loads = view["loads"].as_array().unwrap();
        loads.iter().find(|load| load["tier"] == tier).expect(tier)["name"].as_str().unwrap().to_owned()
    };
    let (critical, waits) = (tier("critical"), tier("convenience"));

    let keep = |minutes| Action::KeepOn { load: waits.clone(), minutes };
    fleet.command("keep", keep(240)).await;
    fleet.live_until(&mut driven, "kept on", |fleet| fleet.answer("keep", "done")).await;
    fleet.live(&mut driven, 2).await;
    assert!(
        !load(&hub.view().await.unwrap(), &waits)["kept_on_for_s"].is_null(),
        "{:#?}",
        load(&hub.view().await.unwrap(), &waits)
    );

    // The same once more, what it may not do, and what nobody can read.
    fleet.command("keep", keep(240)).await;
    fleet.command("critical", Action::KeepOn { load: critical.clone(), minutes: 30 }).await;
    fleet.command("unpin", Action::Release { load: critical }).await;
    fleet.command("long", keep(1000)).await;
    fleet.tell(COMMANDS, false, r#"{"v":1,"id":"x","do":"switch_off"}"#.into()).await;
    for id in ["critical", "unpin", "long", ""] {
        fleet.live_until(&mut driven, id, |fleet| fleet.answer(id, "refused")).await;
    }
    fleet.command("release", Action::Release { load: waits.clone() }).await;
    fleet.live_until(&mut driven, "released", |fleet| fleet.answer("release", "done")).await;
    let kept = fleet.answers().iter().filter(|answer| answer["id"] == "keep").count();
    assert_eq!(kept, 1, "{:#?}", fleet.answers());

    fleet.command("probe", Action::Probe).await;
    let probed = fleet.live_until(&mut driven, "probed", |fleet| fleet.answer("probe", "done")).await;
    let devices = probed.as_object().unwrap().iter().filter(|(name, _)| name.starts_with("device."));
    assert!(
        devices.clone().count() >= 3 && devices.clone().all(|(_, says)| says == "answers"),
        "{probed:#?}"
    );
    let start = MIDNIGHT + 3600;
    let weather = json!({ "v": 1, "kind": "weather", "place": "here", "issued": start, "start": start,
        "irradiance_w_m2": [0, 12, 300], "cloud_percent": [100, 80, 5] });
    fleet.tell("sunkeep/v1/home/down/weather", true, weather.to_string()).await;
    fleet
        .live_until(&mut driven, "weather", |_| {
            (hub.said(&["weather forecast for 3 hours"]) > 0).then_some(())
        })
        .await;
    fleet.tell("sunkeep/v1/home/down/weather", true, weather.to_string()).await;
    fleet.live(&mut driven, 5).await;
    assert_eq!(hub.said(&["weather forecast for 3 hours"]), 1, "once for each issue");
    hub.kill().await;
}

#[tokio::test]
async fn a_retained_restart_never_loops() {
    let mut fleet = Fleet::new(0.8).await;
    let mut hub = fleet.start();
    let mut driven = fleet.ticks.hub().await;
    fleet.live(&mut driven, 2).await;
    connected(&hub).await;
    let coils = fleet.house.coils();
    fleet.tell(COMMANDS, true, fleet.written("restart", Action::Restart)).await;
    // It leaves after the cycle in which it has heard of it, and calls again as the same process.
    until("it heard", PATIENCE, async || {
        let heard = hub.said(&["asked to restart"]) > 0;
        if !heard {
            fleet.minute(&mut driven).await;
        }
        heard
    })
    .await;
    let mut driven = fleet.ticks.hub().await;
    assert_eq!(fleet.house.coils(), coils, "no relay moved");
    fleet.live_until(&mut driven, "back", |fleet| fleet.answer("restart", "done")).await;
    // The broker hands the command out again with every connection.
    connected(&hub).await;
    fleet.live(&mut driven, 5).await;
    pause(Duration::from_secs(1)).await;
    fleet.live(&mut driven, 5).await;
    assert_eq!(hub.said(&["starting anew"]), 1);
    fleet.command("again", Action::Restart).await;
    let refused = fleet.live_until(&mut driven, "too early", |fleet| fleet.answer("again", "refused")).await;
    assert!(refused["why"].as_str().unwrap().contains("day"), "{refused}");
    hub.kill().await;
}

#[tokio::test]
async fn settings_are_tried_kept_over_a_start_and_taken_back() {
    let mut fleet = Fleet::new(0.8).await;
    let mut hub = fleet.start();
    let mut driven = fleet.ticks.hub().await;
    fleet.live(&mut driven, 2).await;
    let view = connected(&hub).await;
    let loads = view["loads"].as_array().unwrap();
    let name = |tier: &str| {
        loads.iter().find(|load| load["tier"] == tier).unwrap()["name"].as_str().unwrap().to_owned()
    };
    let (critical, waits) = (format!("load.{}.tier", name("critical")), name("convenience"));

    fleet.desire(1, json!({ &critical: "background", "uplink.telemetry_minutes": 10 })).await;
    let refused = fleet.live_until(&mut driven, "refused", |fleet| fleet.reports(1, "refused")).await;
    assert!(refused.reasons[0].why.contains("critical"), "{refused:?}");
    assert_eq!(refused.in_force, 0, "whole or not at all");

    fleet
        .desire(2, json!({ format!("load.{waits}.tier"): "important", "uplink.telemetry_minutes": 10 }))
        .await;
    fleet.live_until(&mut driven, "on trial", |fleet| fleet.reports(2, "trial")).await;
    fleet.live_until(&mut driven, "applied", |fleet| fleet.reports(2, "applied")).await;
    assert_eq!(load(&hub.view().await.unwrap(), &waits)["tier"], "important");

    hub.kill().await;
    let mut hub = fleet.start();
    let mut driven = fleet.ticks.hub().await;
    fleet.live(&mut driven, 2).await;
    assert_eq!(load(&hub.view().await.unwrap(), &waits)["tier"], "important", "a power cut changes nothing");
    connected(&hub).await;

    // A document after which the broker is gone is taken back, and tried again when it is there.
    fleet.desire(3, json!({ "uplink.telemetry_minutes": 20 })).await;
    until("on trial", PATIENCE, async || {
        let begun = hub.said(&["version 3, are on trial"]) > 0;
        if !begun {
            fleet.minute(&mut driven).await;
        }
        begun
    })
    .await;
    fleet.broker.kill();
    fleet.live(&mut driven, 32).await;
    assert_eq!(load(&hub.view().await.unwrap(), &waits)["tier"], "important", "version 2 holds again");
    fleet.broker.restart().await;
    fleet.heard = listen(fleet.broker.port).await;
    fleet.desire(3, json!({ "uplink.telemetry_minutes": 20 })).await;
    fleet.live_until(&mut driven, "applied in the end", |fleet| fleet.reports(3, "applied")).await;
    assert_eq!(
        load(&hub.view().await.unwrap(), &waits)["tier"],
        "convenience",
        "what version 3 does not name is as in the file"
    );
    hub.kill().await;
}

/// Identities of the records of a kind that have come, with how often.
fn came(fleet: &Fleet, lane: &str) -> std::collections::BTreeMap<i64, u32> {
    let topic = format!("sunkeep/v1/home/up/{lane}");
    let mut came = std::collections::BTreeMap::new();
    for (_, payload) in fleet.heard.lock().unwrap().iter().filter(|(heard, _)| *heard == topic) {
        let record: Value = serde_json::from_slice(payload).unwrap();
        *came.entry(record["sequence"].as_i64().unwrap()).or_default() += 1;
    }
    came
}

#[tokio::test]
async fn what_the_fleet_misses_is_sent_again_once_the_hub_is_there() {
    let mut fleet = Fleet::new(0.8).await;
    let mut hub = fleet.start();
    let mut driven = fleet.ticks.hub().await;
    fleet.live(&mut driven, 32).await;
    connected(&hub).await;
    until("it has come", PATIENCE, async || came(&fleet, "telemetry").len() >= 20).await;
    let store: [u8; 16] = {
        let heard = fleet.heard.lock().unwrap();
        let (_, payload) = heard.iter().find(|(topic, _)| topic.ends_with("telemetry")).unwrap();
        let record: Value = serde_json::from_slice(payload).unwrap();
        let digits = record["store"].as_str().unwrap();
        std::array::from_fn(|at| u8::from_str_radix(&digits[2 * at..2 * at + 2], 16).unwrap())
    };
    // An orderly end writes down what was acknowledged: what was not would come anyway.
    driven.stop().await;
    hub.ended(PATIENCE).await;

    // The broker keeps what is said to a hub that is away.
    let resend = |store, telemetry, from, upto| Action::Resend { store, telemetry, from, upto };
    fleet.command("minutes", resend(store, true, 5, 9)).await;
    fleet.command("events", resend(store, false, 1, 50)).await;
    fleet.command("other", resend([0; 16], true, 1, 50)).await;
    let before = (came(&fleet, "telemetry"), came(&fleet, "decisions"));
    let mut hub = fleet.start();
    let mut driven = fleet.ticks.hub().await;
    for (id, least) in [("minutes", 5), ("events", 1), ("other", 0)] {
        let done = fleet.live_until(&mut driven, id, |fleet| fleet.answer(id, "done")).await;
        assert!(done["records"].as_f64().unwrap() >= f64::from(least), "{done}");
        assert!(id != "other" || done["records"] == 0.0, "{done}");
    }
    for (sequence, count) in came(&fleet, "telemetry") {
        let expected =
            before.0.get(&sequence).copied().unwrap_or(0).max(1) + u32::from((5..=9).contains(&sequence));
        assert!(count >= expected, "minute {sequence} came {count} times");
        assert!((5..=9).contains(&sequence) || count <= expected + 1, "minute {sequence} came {count} times");
    }
    let again = |(sequence, count): (&i64, &u32)| came(&fleet, "decisions")[sequence] > *count;
    assert!(before.1.iter().all(again), "{:?}", before.1);
    hub.kill().await;
}

/// A home whose hub has joined a fleet.
async fn joined(fleet: &Path, port: u16) -> (House, PathBuf) {
    let broker = format!("mqtts://localhost:{port}");
    let request = Request { fleet: fleet.into(), broker, sites: vec!["home".into()], until_year: 2036 };
    provision(&request, |_| ()).unwrap();
    let house = House::standing_still(5, 0.8, |folder| HomeOptions::usual(folder).over_tcp()).await;
    let config = house.write(&house.table());
    let bundle = fleet.join("hubs/home.toml");
    let arguments = [OsStr::new("join"), bundle.as_os_str(), OsStr::new("--config"), config.as_os_str()];
    assert!(command(HUB, &arguments).await.status.success());
    (house, config)
}

#[tokio::test]
async fn an_operator_tells_a_hub_over_the_secured_line() {
    let folder = tempfile::tempdir().unwrap();
    let port = free_port();
    let (house, config) = joined(folder.path(), port).await;
    let _broker = Broker::of_fleet(folder.path(), port).await;
    let of = |name: &str| {
        let file = |end: &str| Some(folder.path().join(format!("{name}.{end}")));
        let tls = Tls { ca: Some(folder.path().join("ca.pem")), certificate: file("pem"), key: file("key") };
        Address::new(&format!("mqtts://localhost:{port}"), &format!("{name}-tells"), "none", 20, &tls)
            .unwrap()
    };
    let (operator, stranger) = (of("operator"), of("ingest"));
    let say = |broker: &Address, id: &str, expires: i64| {
        let (broker, id) = (broker.clone(), id.to_owned());
        let told = Told::Command(Command { id, expires, action: Action::Probe }, 3600);
        tokio::task::spawn_blocking(move || tell(&broker, "home", &told, Duration::from_secs(40)))
    };
    let later = MIDNIGHT + 86_400;
    let nobody = say(&operator, "early", later).await.unwrap();
    assert!(matches!(nobody, Err(TellError::Nobody { .. })), "{nobody:?}");

    let ticks = Ticks::listen().await;
    let mut hub = Hub::run_with(HUB, &config, house.page(), &["--lockstep", &ticks.address()], &[]);
    let mut driven = ticks.hub().await;
    let mut second = 0;
    let mut asked = None;
    // An ingest, so that the hub's answers have somebody who takes them, is not needed: the operator listens.
    let became = loop {
        second += 10;
        driven.cycle(Duration::from_secs(second), Some(MIDNIGHT + second.cast_signed())).await;
        pause(Duration::from_millis(100)).await;
        let connected = hub.view().await.is_some_and(|view| view["uplink"]["connected"] == true);
        match asked.take() {
            None if connected => asked = Some(say(&operator, "probe", later)),
            Some(done) if done.is_finished() => break done.await.unwrap(),
            other => asked = other,
        }
        assert!(second < 10_000, "no answer");
    };
    let Ok(Became::Done(beside)) = &became else { panic!("{became:?}") };
    assert!(beside.len() >= 3, "{beside:?}");
    let refused = say(&stranger, "stranger", later).await.unwrap();
    assert!(matches!(refused, Err(TellError::Refused { .. })), "{refused:?}");
    hub.kill().await;
}
