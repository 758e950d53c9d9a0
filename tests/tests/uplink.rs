//! What the journal holds reaches a real broker: over lines that break, through an outage, secured without a clock.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test may fail by panicking")]

#[path = "../../controller/tests/journal_home/mod.rs"]
mod journal_home;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use journal_home::{Home, seed};
use sunkeep::config::{Encoding, Journal, TlsFiles, Uplink};
use sunkeep::journal::outbox::Outbox;
use sunkeep::journal::{EventPoint, Lane, MinutePoint};
use sunkeep::records::Records;
use sunkeep::uplink::{self, Source, Standing};
use sunkeep_core::step;
use sunkeep_models::wire::Message;
use sunkeep_tests::broker::{Authority, Broker, Heard, breaking_line, listen, write_secret};
use tempfile::TempDir;
use tokio::sync::watch;

/// Minutes that go together.
const GATHERED: u64 = 15;
/// How long anything may take on a busy machine.
const PATIENCE: Duration = Duration::from_mins(3);

fn config(port: u16, encoding: Encoding) -> Uplink {
    Uplink {
        host: "127.0.0.1".into(),
        port,
        tls: None,
        hub: "hub-7".into(),
        site: "kisumu-7".into(),
        topic: "sunkeep/v1/{hub}/up/{lane}".into(),
        listens: false,
        topic_down: "sunkeep/v1/{hub}/down/{kind}".into(),
        encoding,
        template: None,
        telemetry_minutes: GATHERED as u16,
        waits_for_sun_hours: 0,
        month_bytes: None,
        keep_alive_s: 20,
    }
}

/// A hub that writes a journal.
struct Recorded {
    home: Home,
    records: Records,
    path: PathBuf,
    _folder: TempDir,
}

impl Recorded {
    fn new(seed: u64) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("journal.sqlite");
        let home = Home::new(seed);
        let journal = Journal { path: path.clone(), max_bytes: 64 << 20 };
        let (records, _) = Records::open(&journal, &home.settings, "").unwrap();
        Self { home, records, path, _folder: folder }
    }

    /// Lives through minutes, a cycle every five seconds.
    fn live(&mut self, minutes: u32) {
        for _ in 0..minutes * 12 {
            self.home.look(5000);
            let before = self.home.state.clone();
            let (state, decision) = step(&self.home.settings, before.clone(), &self.home.image);
            self.records.cycle(&self.home.settings, &before, &self.home.image, &decision);
            self.home.state = state;
        }
        assert!(self.records.flush(Duration::from_mins(1)));
    }

    fn source(&self) -> Source {
        self.records.outbox()
    }

    fn outbox(&self) -> Outbox {
        Outbox::open(&self.path).unwrap()
    }

    fn minutes(&self) -> BTreeMap<i64, MinutePoint> {
        self.outbox().minutes(0, 1_000_000).unwrap().into_iter().collect()
    }

    fn events(&self) -> BTreeMap<(Lane, i64), EventPoint> {
        let of = |lane| self.outbox().events(lane, 0, 1_000_000).unwrap();
        Lane::ALL[..3]
            .iter()
            .flat_map(|lane| of(*lane).into_iter().map(|(n, event)| ((*lane, n), event)))
            .collect()
    }
}

async fn until(standing: &mut watch::Receiver<Standing>, what: &str, is: impl Fn(&Standing) -> bool) {
    let waited = tokio::time::timeout(PATIENCE, standing.wait_for(|standing| is(standing))).await;
    let waited = waited.map(|waited| waited.map(|standing| standing.clone()));
    assert!(matches!(waited, Ok(Ok(_))), "{what}: {:?}", standing.borrow().clone());
}

/// What a subscriber got, record by record; a record that came twice must have come the same.
#[derive(Default)]
struct Got {
    telemetry: BTreeMap<i64, BTreeMap<String, f64>>,
    events: BTreeMap<(String, i64), String>,
    /// Records that came more than once.
    repeats: usize,
}

fn got(heard: &Heard) -> Got {
    let mut got = Got::default();
    for (topic, payload) in heard.lock().unwrap().iter() {
        let lane = topic.strip_prefix("sunkeep/v1/hub-7/up/").expect("its topic");
        let message = Message::read(payload).expect("a message");
        assert_eq!((&*message.from().site, &*message.from().hub), ("kisumu-7", "hub-7"));
        match message {
            Message::Telemetry(telemetry) => {
                assert_eq!(lane, "telemetry");
                for (record, stamp) in telemetry.stamps.iter().enumerate() {
                    let value = |channel: &sunkeep_models::wire::Channel| {
                        Some((channel.name.clone(), channel.value(record)?))
                    };
                    let values: BTreeMap<_, _> = telemetry.channels.iter().filter_map(value).collect();
                    if let Some(before) = got.telemetry.insert(stamp.sequence, values.clone()) {
                        got.repeats += 1;
                        assert_eq!(before, values, "record {}", stamp.sequence);
                    }
                }
            }
            Message::Events { events, .. } => {
                for event in events {
                    let told = format!("{} {:?}", event.what, event.fields);
                    got.repeats +=
                        usize::from(got.events.insert((lane.into(), event.stamp.sequence), told).is_some());
                }
            }
        }
    }
    got
}

/// All that the journal holds came, and as it stands there.
fn compare(recorded: &Recorded, heard: &Heard) -> Got {
    let (got, minutes, events) = (got(heard), recorded.minutes(), recorded.events());
    assert!(minutes.len() >= 100 && events.len() >= 5, "{} minutes, {} events", minutes.len(), events.len());
    // The newest minutes still gather.
    let gather = minutes.len() - got.telemetry.len();
    assert!(
        gather < GATHERED as usize,
        "{gather} are missing: {:?} and {:?}",
        got.telemetry.keys(),
        minutes.keys()
    );
    let came = minutes.iter().take(got.telemetry.len());
    assert!(got.telemetry.keys().eq(came.clone().map(|(number, _)| number)), "{:?}", got.telemetry.keys());
    for (number, minute) in came {
        let channels = &got.telemetry[number];
        for (name, value) in
            [("battery_v", minute.volts), ("pv_w", minute.sun), ("load_w", minute.demand.total)]
        {
            let near = match (channels.get(name), value) {
                (Some(read), Some(value)) => (read - f64::from(value)).abs() < 1e-3,
                (read, value) => read.is_none() && value.is_none(),
            };
            assert!(near, "{name} of {number}: {:?} and {value:?}", channels.get(name));
        }
        let tv = channels["load.tv.on"] > 0.5;
        assert_eq!(tv, minute.loads[3].on, "the television in minute {number}");
    }
    let lanes: Vec<_> = events.keys().map(|(lane, number)| (lane.word().to_owned(), *number)).collect();
    assert!(got.events.keys().eq(lanes.iter()), "{:?} and {lanes:?}", got.events.keys());
    assert!(got.events.values().any(|event| event.starts_with("switched")), "{:?}", got.events);
    assert!(got.events.values().any(|event| event.starts_with("time_learnt")), "{:?}", got.events);
    got
}

async fn every_record_arrives(encoding: Encoding) {
    let seed = seed();
    let folder = tempfile::tempdir().unwrap();
    let broker = Broker::start(folder.path(), None).await;
    let heard = listen(broker.port).await;
    let (line, broken) = breaking_line(broker.port, seed, 8).await;
    let mut recorded = Recorded::new(seed);
    recorded.live(150);
    let (_outbox, source) = watch::channel(Some(recorded.source()));
    let (_view, view) = watch::channel(None);
    let mut standing = uplink::start(config(line, encoding), source, view).unwrap().standing;
    until(&mut standing, "the first records", |standing| standing.acknowledged > 20).await;
    // The home goes on living meanwhile.
    recorded.live(150);
    let all = (recorded.minutes().len() + recorded.events().len()) as u64;
    until(&mut standing, "the last records", |standing| standing.acknowledged + GATHERED > all).await;
    println!("{} breaks, {:?}", broken.lock().unwrap(), standing.borrow().clone());
    assert!(*broken.lock().unwrap() >= 3, "the line was too good");
    let got = compare(&recorded, &heard);
    println!("{} records came more than once", got.repeats);
    assert!(recorded.records.flush(Duration::from_mins(1)));
    let sent = recorded.outbox().sent(Lane::Telemetry).unwrap();
    assert_eq!(Some(&sent), got.telemetry.keys().last(), "the journal knows what was acknowledged");
}

#[tokio::test]
async fn every_record_arrives_however_often_the_line_breaks() {
    every_record_arrives(Encoding::Compact).await;
}

#[tokio::test]
async fn every_record_arrives_in_the_plain_form_too() {
    every_record_arrives(Encoding::Json).await;
}

/// Messages as another maker's meter sends them: of minutes one for each power that was measured, and nothing of events.
#[tokio::test]
async fn a_template_shapes_messages_and_no_record_is_passed_over() {
    const METER: &str = r#"{% for name, value in values|items if value is not none and name|unit == "W" %}
{"id":"{{ hub }}","msgId":{{ sequence }},"date":"{{ wall }}","payload":{"type":"{{ name }}","value":{{ value }},"unity":"W"}}
{% endfor %}"#;
    let seed = seed();
    let folder = tempfile::tempdir().unwrap();
    let broker = Broker::start(folder.path(), None).await;
    let heard = listen(broker.port).await;
    let (line, broken) = breaking_line(broker.port, seed, 3).await;
    let mut recorded = Recorded::new(seed);
    recorded.live(40);
    let (_outbox, source) = watch::channel(Some(recorded.source()));
    let (_view, view) = watch::channel(None);
    let config = Uplink { template: Some(METER.into()), ..config(line, Encoding::Json) };
    let mut standing = uplink::start(config, source, view).unwrap().standing;
    let all = (recorded.minutes().len() + recorded.events().len()) as u64;
    until(&mut standing, "all records", |standing| standing.acknowledged + GATHERED > all).await;
    println!("{} breaks, {:?}", broken.lock().unwrap(), standing.borrow().clone());
    let mut sun = BTreeMap::new();
    for (topic, payload) in heard.lock().unwrap().iter() {
        assert_eq!(topic, "sunkeep/v1/hub-7/up/telemetry", "events give no message");
        let message: serde_json::Value = serde_json::from_slice(payload).expect("JSON");
        if message["payload"]["type"] == "pv_w" {
            sun.insert(message["msgId"].as_i64().unwrap(), message["payload"]["value"].as_f64().unwrap());
        }
    }
    let minutes = recorded.minutes();
    let sent: Vec<_> = minutes.iter().filter(|(number, _)| sun.contains_key(number)).collect();
    assert!(sent.len() as u64 + 2 * GATHERED > minutes.len() as u64, "{} of {}", sent.len(), minutes.len());
    let newest = *sun.keys().last().unwrap();
    for (number, minute) in minutes.range(..=newest) {
        let wanted = minute.sun.map(f64::from);
        let near = |read: f64| wanted.is_some_and(|wanted| (read - wanted).abs() < 0.06);
        assert!(sun.get(number).map_or(wanted.is_none(), |read| near(*read)), "minute {number}: {wanted:?}");
    }
}

/// No broker for a while, then one that is killed and comes back: what it never acknowledged comes again.
#[tokio::test]
async fn an_outage_delays_and_loses_nothing() {
    let seed = seed();
    let folder = tempfile::tempdir().unwrap();
    let mut broker = Broker::start(folder.path(), None).await;
    broker.kill();
    let mut recorded = Recorded::new(seed);
    recorded.live(60);
    let (_outbox, source) = watch::channel(Some(recorded.source()));
    let (_view, view) = watch::channel(None);
    let mut standing = uplink::start(config(broker.port, Encoding::Compact), source, view).unwrap().standing;
    until(&mut standing, "no broker", |standing| standing.why.contains("cannot be reached")).await;
    broker.restart().await;
    let first = listen(broker.port).await;
    let all = (recorded.minutes().len() + recorded.events().len()) as u64;
    until(&mut standing, "a broker", |standing| standing.acknowledged + GATHERED > all).await;
    broker.kill();
    recorded.live(60);
    until(&mut standing, "no broker again", |standing| !standing.connected).await;
    broker.restart().await;
    let second = listen(broker.port).await;
    let all = (recorded.minutes().len() + recorded.events().len()) as u64;
    until(&mut standing, "a broker again", |standing| standing.acknowledged + GATHERED > all).await;
    first.lock().unwrap().extend(second.lock().unwrap().drain(..));
    compare(&recorded, &first);
}

/// A broker acknowledges what nobody takes, and drops it. The hub hears the reason, says so, and sends it again.
#[tokio::test]
async fn what_nobody_takes_is_kept() {
    let seed = seed();
    let folder = tempfile::tempdir().unwrap();
    let broker = Broker::start(folder.path(), None).await;
    let mut recorded = Recorded::new(seed);
    recorded.live(120);
    let (_outbox, source) = watch::channel(Some(recorded.source()));
    let (_view, view) = watch::channel(None);
    let mut standing = uplink::start(config(broker.port, Encoding::Compact), source, view).unwrap().standing;
    until(&mut standing, "nobody", |standing| standing.why.contains("nobody is subscribed to it")).await;
    assert!(standing.borrow().connected && standing.borrow().acknowledged == 0, "{:?}", standing.borrow());
    let heard = listen(broker.port).await;
    let all = (recorded.minutes().len() + recorded.events().len()) as u64;
    until(&mut standing, "somebody", |standing| standing.acknowledged + GATHERED > all).await;
    compare(&recorded, &heard);
    assert!(standing.borrow().why.is_empty(), "{:?}", standing.borrow());
}

fn secured(port: u16, ca: &Path, own: &(PathBuf, PathBuf)) -> Uplink {
    let tls = TlsFiles { ca: ca.into(), own: Some(own.clone()) };
    Uplink { host: "localhost".into(), tls: Some(tls), ..config(port, Encoding::Compact) }
}

/// How an uplink stands once it has tried.
async fn tried(config: Uplink) -> Standing {
    let recorded = Recorded::new(1);
    let (_outbox, source) = watch::channel(Some(recorded.source()));
    let (_view, view) = watch::channel(None);
    let mut standing = uplink::start(config, source, view).unwrap().standing;
    until(&mut standing, "a try", |standing| standing.connected || !standing.why.is_empty()).await;
    standing.borrow().clone()
}

/// A certificate is judged by the time that is known for certain. The clock of this machine plays no part: what begins
/// in four years is trusted, what ended before this software was made is not.
#[tokio::test]
async fn a_broker_is_trusted_by_its_authority_and_without_a_clock() {
    let folder = tempfile::tempdir().unwrap();
    let (authority, other) = (Authority::new("ours"), Authority::new("another"));
    let file = |name: &str| folder.path().join(name);
    write_secret(&file("ca.pem"), &authority.pem());
    write_secret(&file("other.pem"), &other.pem());
    write_secret(&file("both.pem"), &format!("{}{}", other.pem(), authority.pem()));
    let own = authority.sign(folder.path(), "hub", "hub-7", (2020, 2040));
    let cases = [
        ("valid", "localhost", (2020, 2040), "ca.pem", None),
        ("begins later", "localhost", (2030, 2040), "ca.pem", None),
        ("ended", "localhost", (2020, 2024), "ca.pem", Some("expired")),
        ("another authority", "localhost", (2020, 2040), "other.pem", Some("UnknownIssuer")),
        ("one takes over from the other", "localhost", (2020, 2040), "both.pem", None),
        ("another name", "example.org", (2020, 2040), "ca.pem", Some("not valid for name")),
    ];
    for (case, name, years, ca, refusal) in cases {
        let (certificate, key) = authority.sign(folder.path(), "broker", name, years);
        let broker = Broker::start(folder.path(), Some([&file("ca.pem"), &certificate, &key])).await;
        let standing = tried(secured(broker.secured, &file(ca), &own)).await;
        println!("{case}: {standing:?}");
        match refusal {
            None => assert!(standing.connected, "{case}: {standing:?}"),
            Some(why) => assert!(!standing.connected && standing.why.contains(why), "{case}: {standing:?}"),
        }
        assert!(standing.bytes_out > 100 && standing.bytes_in > 100, "{case}: {standing:?}");
    }
}

#[tokio::test]
async fn a_key_that_others_may_read_is_refused_and_so_is_a_hub_without_one() {
    use std::os::unix::fs::PermissionsExt as _;
    let folder = tempfile::tempdir().unwrap();
    let authority = Authority::new("ours");
    let ca = folder.path().join("ca.pem");
    write_secret(&ca, &authority.pem());
    let own = authority.sign(folder.path(), "hub", "hub-7", (2020, 2040));
    let (certificate, key) = authority.sign(folder.path(), "broker", "localhost", (2020, 2040));
    let broker = Broker::start(folder.path(), Some([&ca, &certificate, &key])).await;
    std::fs::set_permissions(&own.1, std::fs::Permissions::from_mode(0o640)).unwrap();
    let standing = tried(secured(broker.secured, &ca, &own)).await;
    assert!(standing.why.contains("others may read this key (mode 640); expected 600"), "{standing:?}");
    let nobody =
        Uplink { tls: Some(TlsFiles { ca, own: None }), ..secured(broker.secured, Path::new(""), &own) };
    let standing = tried(nobody).await;
    assert!(!standing.connected, "{standing:?}");
    println!("{standing:?}");
}
