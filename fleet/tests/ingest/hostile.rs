//! Hubs that mean harm, each with a good certificate, at a broker as `provision` configures it: what they do is refused
//! or kept apart, and counted; and a hub that means well is served as if they were not there.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use rumqttc::v5::mqttbytes::QoS;
use rumqttc::v5::mqttbytes::v5::{Packet, PubAckReason};
use rumqttc::v5::{AsyncClient, Event, EventLoop, MqttOptions};
use rumqttc::{Outgoing, TlsConfiguration, Transport};
use sunkeep_models::bundle::Bundle;
use sunkeep_models::lake::{EVENTS, QUARANTINE, TELEMETRY};
use sunkeep_models::wire::{Message, Telemetry, compact};
use tempfile::TempDir;

use crate::broker::Mosquitto;
use crate::hubs::{MINUTE, minutes, packed, plain, topic};
use crate::process::Ingest;
use crate::rows::{Row, identities, rows};
use crate::{now_ms, rest, wait_until};

/// Publishes of a flood.
const FLOOD: usize = 10_000;
/// What the broker may need at most while it is attacked, kB. It holds what ingest has not acknowledged.
const BROKER_KB: u64 = 100 << 10;
/// What ingest may need at most, kB.
const INGEST_KB: u64 = 300 << 10;
/// How long the hub that means well may wait for an acknowledgement.
const PATIENT: Duration = Duration::from_secs(10);

/// A fleet of hubs with numbers from 1.
struct Fleet {
    folder: TempDir,
    port: u16,
}

impl Fleet {
    fn new(hubs: u32) -> Self {
        let folder = TempDir::new().unwrap();
        let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let names: Vec<String> = (1..=hubs).map(|hub| format!("hub-{hub}\n")).collect();
        fs::write(folder.path().join("names"), names.concat()).unwrap();
        let made = Command::new(env!("CARGO_BIN_EXE_sunkeep-fleet"))
            .current_dir(folder.path())
            .args(["provision", "--fleet", "f", "--names", "names", "--broker"])
            .arg(format!("mqtts://localhost:{port}"))
            .output()
            .unwrap();
        assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
        Self { folder, port }
    }

    fn file(&self, name: &str) -> PathBuf {
        self.folder.path().join("f").join(name)
    }

    fn bundle(&self, hub: u32) -> Bundle {
        toml::from_str(&fs::read_to_string(self.file(&format!("hubs/hub-{hub}.toml"))).unwrap()).unwrap()
    }

    /// How a hub connects, with its own certificate.
    fn hub(&self, hub: u32) -> MqttOptions {
        let bundle = self.bundle(hub);
        let mut options = MqttOptions::new(format!("hub-{hub}"), "localhost", self.port);
        options.set_keep_alive(Duration::from_secs(20));
        options.set_transport(Transport::Tls(TlsConfiguration::Simple {
            ca: bundle.ca.into_bytes(),
            alpn: None,
            client_auth: Some((bundle.certificate.into_bytes(), bundle.key.into_bytes())),
        }));
        options
    }

    fn ingest(&self) -> Ingest {
        let file = |name: &str| self.file(name).display().to_string();
        let (ca, certificate, key) = (file("ca.pem"), file("ingest.pem"), file("ingest.key"));
        let fleet = self.folder.path().join("f").display().to_string();
        let mut arguments = vec!["--ca", &ca, "--certificate", &certificate, "--key", &key];
        arguments.extend(["--fleet", &fleet, "--flush-seconds", "1"]);
        let url = format!("mqtts://localhost:{}", self.port);
        Ingest::subscribed(self.folder.path(), "one", &url, &arguments)
    }

    fn lake(&self) -> PathBuf {
        self.folder.path().join("lake")
    }
}

/// Minutes of a hub, of the site that bears its name.
fn own(hub: u32, sequences: core::ops::Range<i64>, end: Option<i64>) -> Telemetry {
    let mut telemetry = minutes(hub, 1, sequences, end);
    telemetry.from.site.clone_from(&telemetry.from.hub);
    telemetry
}

fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap()
}

/// Publishes all, and says what the broker has answered to each; shorter where it has closed the connection.
fn publish(options: MqttOptions, qos: QoS, messages: Vec<(String, Vec<u8>)>) -> Vec<PubAckReason> {
    runtime().block_on(async {
        let (client, mut events) = AsyncClient::new(options, 64);
        let all = messages.len();
        let sending = {
            let client = client.clone();
            tokio::spawn(async move {
                for (topic, payload) in messages {
                    client.publish(topic, qos, false, payload).await.unwrap();
                }
            })
        };
        let (mut reasons, mut written) = (Vec::new(), 0);
        while reasons.len() < all && (qos == QoS::AtLeastOnce || written < all) {
            let event = events.poll().await;
            let rest: Vec<Event> = match event {
                Ok(event) => vec![event],
                Err(_) => {
                    sending.abort();
                    reasons.extend(core::mem::take(&mut events.state.events).iter().filter_map(answer));
                    return reasons;
                }
            };
            written +=
                rest.iter().filter(|event| matches!(event, Event::Outgoing(Outgoing::Publish(_)))).count();
            reasons.extend(rest.iter().filter_map(answer));
        }
        client.disconnect().await.unwrap();
        while events.poll().await.is_ok() {}
        reasons
    })
}

fn answer(event: &Event) -> Option<PubAckReason> {
    match event {
        Event::Incoming(Packet::PubAck(answer)) => Some(answer.reason),
        _ => None,
    }
}

/// The hub that means well: publishes a minute of telemetry every few milliseconds, and waits for each to be taken.
fn honest(options: MqttOptions, stop: Arc<AtomicBool>) -> JoinHandle<(i64, Duration)> {
    async fn taken(events: &mut EventLoop) {
        loop {
            if let Some(reason) = answer(&events.poll().await.unwrap()) {
                assert_eq!(reason, PubAckReason::Success);
                return;
            }
        }
    }
    std::thread::spawn(move || {
        runtime().block_on(async {
            let (client, mut events) = AsyncClient::new(options, 8);
            let (mut sequence, mut longest) = (0, Duration::ZERO);
            while !stop.load(Ordering::Relaxed) {
                let payload = packed(own(1, sequence..sequence + 1, None));
                let begun = begun();
                client.publish(topic(1, "telemetry"), QoS::AtLeastOnce, false, payload).await.unwrap();
                taken(&mut events).await;
                longest = longest.max(begun.elapsed());
                sequence += 1;
                rest(Duration::from_millis(20));
            }
            (sequence, longest)
        })
    })
}

#[allow(clippy::disallowed_methods, reason = "real processes take real time")]
fn begun() -> Instant {
    Instant::now()
}

/// Peak of resident memory of a process, kB.
fn peak_kb(process: u32) -> u64 {
    let status = fs::read_to_string(format!("/proc/{process}/status")).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
    line.trim().trim_end_matches(" kB").parse().unwrap()
}

/// What a hub publishes on its own topic and nobody takes: the message, and how the reason begins.
fn unsound(hub: u32) -> Vec<(Vec<u8>, &'static str)> {
    let of_another = packed(own(1, 900_000..900_001, None));
    let mut of_anothers_site = own(hub, 900_000..900_001, None);
    of_anothers_site.from.site = "hub-1".into();
    let zstd = |bytes: &[u8]| zstd::bulk::compress(bytes, 3).unwrap();
    let version = |version: serde_json::Value| {
        let mut record: serde_json::Value =
            serde_json::from_slice(&plain(own(hub, 0..1, None)).remove(0)).unwrap();
        record["v"] = version;
        record.to_string().into_bytes()
    };
    // A map whose length nobody tells; one that says it has a billion members; a message that is cut off.
    let whole = zstd::bulk::decompress(&packed(own(hub, 0..5, None)), 1 << 20).unwrap();
    vec![
        (of_another, "publishes as another"),
        (packed(of_anothers_site), "speaks for another site"),
        (zstd(&[0xbf, 0xff]), "it is not the CBOR"),
        (zstd(&[0xba, 0x3b, 0x9a, 0xca, 0x00]), "1000000000 for the length of the message"),
        (zstd(&whole[..whole.len() - 9]), "it is not the CBOR"),
        (version(0.into()), "its version is 0"),
        (version("one".into()), "it is not the JSON"),
        (version((-1).into()), "it is not the JSON"),
    ]
}

#[test]
fn hubs_that_mean_harm_harm_nobody() {
    // TLS by the one provider that there is.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let fleet = Fleet::new(9);
    let Some(broker) = Mosquitto::of_fleet(&fleet.file(""), fleet.port) else { return };
    let mut ingest = fleet.ingest();
    let stop = Arc::new(AtomicBool::new(false));
    let well = honest(fleet.hub(1), stop.clone());
    let now = now_ms();
    rest(Duration::from_millis(500));

    // As another, on the other's topic: the broker says no, and nothing of it comes through.
    let forged = packed(own(1, 500_000..500_001, None));
    let reasons = publish(fleet.hub(2), QoS::AtLeastOnce, vec![(topic(1, "telemetry"), forged.clone())]);
    assert_eq!(reasons, [PubAckReason::NotAuthorized]);
    let down = vec![("sunkeep/v1/hub-1/down/weather".to_owned(), b"{}".to_vec())];
    assert_eq!(publish(fleet.hub(2), QoS::AtLeastOnce, down), [PubAckReason::NotAuthorized]);
    publish(fleet.hub(2), QoS::AtMostOnce, vec![(topic(1, "telemetry"), forged); 3]);

    // As another or with what is no message, on its own topic.
    let refused = unsound(3);
    let sent: Vec<_> = refused.iter().map(|(bytes, _)| (topic(3, "telemetry"), bytes.clone())).collect();
    assert_eq!(publish(fleet.hub(3), QoS::AtLeastOnce, sent), vec![PubAckReason::Success; refused.len()]);

    // Replays: the same twenty minutes again and again.
    let replayed = vec![(topic(4, "telemetry"), packed(own(4, 0..20, Some(now)))); 200];
    assert_eq!(publish(fleet.hub(4), QoS::AtLeastOnce, replayed).len(), 200);

    // A time to come, and versions to come: the one is not believed, the others are read.
    let future = own(5, 0..1, Some(now + 10 * 365 * 24 * 60 * MINUTE));
    let later = Message::Telemetry(own(5, 1..2, Some(now)));
    let later: serde_json::Value =
        serde_json::from_str(&sunkeep_models::wire::json::write(&later)[0].replace("\"v\":1", "\"v\":9"))
            .unwrap();
    let sent = [compact::write(&Message::Telemetry(future)).unwrap(), later.to_string().into_bytes()];
    let sent = sent.map(|bytes| (topic(5, "telemetry"), bytes)).to_vec();
    assert_eq!(publish(fleet.hub(5), QoS::AtLeastOnce, sent).len(), 2);

    // 100 MB: the broker ends the connection before it has read them.
    let large = fleet.folder.path().join("large");
    fs::File::create(&large).unwrap().set_len(100 << 20).unwrap();
    let bundle = fleet.bundle(6);
    let (certificate, key) = (fleet.folder.path().join("6.pem"), fleet.folder.path().join("6.key"));
    fs::write(&certificate, bundle.certificate).unwrap();
    fs::write(&key, bundle.key).unwrap();
    let mut pub_large = Command::new("mosquitto_pub");
    pub_large.args(["-V", "mqttv311", "-h", "localhost", "-p", &fleet.port.to_string(), "-q", "1", "-t"]);
    pub_large.arg(topic(6, "telemetry")).arg("-f").arg(&large).arg("--cafile").arg(fleet.file("ca.pem"));
    let output = pub_large.arg("--cert").arg(certificate).arg("--key").arg(key).output().unwrap();
    assert!(!output.status.success(), "it was taken: {output:?}");

    // Floods, at both qualities of service.
    let garbage = |hub: u32, bytes: usize| vec![(topic(hub, "telemetry"), vec![0x55; bytes]); FLOOD];
    let floods = [(7, QoS::AtMostOnce, 2000), (8, QoS::AtLeastOnce, 200)].map(|(hub, qos, bytes)| {
        let (options, garbage) = (fleet.hub(hub), garbage(hub, bytes));
        std::thread::spawn(move || publish(options, qos, garbage).len())
    });
    let [_, acknowledged] = floods.map(|flood| flood.join().unwrap());
    assert_eq!(acknowledged, FLOOD);

    // The last words of a hub that comes after all that.
    publish(fleet.hub(9), QoS::AtLeastOnce, vec![(topic(9, "telemetry"), packed(own(9, 0..1, None)))]);
    wait_until("the last one is filed", || {
        identities(&fleet.lake(), TELEMETRY).keys().any(|identity| identity.0 == "hub-9")
    });
    stop.store(true, Ordering::Relaxed);
    let (sequences, longest) = well.join().unwrap();
    let lake = fleet.lake();
    wait_until("all of the hub that means well is filed", || of_hub(&lake, 1).len() as i64 >= sequences);
    let kept = [peak_kb(broker.id()), peak_kb(ingest.process.id())];
    println!(
        "{sequences} messages of the hub that means well, the slowest in {longest:?}; broker and ingest at most {kept:?} kB"
    );
    assert!(longest < PATIENT && sequences > 20, "{sequences} messages, the slowest took {longest:?}");
    assert!(kept[0] < BROKER_KB && kept[1] < INGEST_KB, "{kept:?}");
    assert!(ingest.stop().success(), "{}", ingest.log());
    check(&lake, &ingest, sequences, &refused);
}

/// Sequences of a hub.
fn of_hub(lake: &Path, hub: u32) -> BTreeSet<i64> {
    let name = format!("hub-{hub}");
    identities(lake, TELEMETRY)
        .into_keys()
        .filter(|identity| identity.0 == name)
        .map(|identity| identity.3)
        .collect()
}

fn check(lake: &Path, ingest: &Ingest, sequences: i64, refused: &[(Vec<u8>, &str)]) {
    // Of the hub that means well all, and nothing that another has said in its name.
    assert!(of_hub(lake, 1).into_iter().eq(0..sequences));
    let sites: BTreeSet<_> =
        rows(lake, TELEMETRY).into_iter().map(|(_, row)| (row["hub"].clone(), row["site"].clone())).collect();
    assert!(sites.iter().all(|(hub, site)| hub == site), "{sites:?}");
    assert_eq!(of_hub(lake, 3), BTreeSet::new());
    assert!(of_hub(lake, 4).into_iter().eq(0..20));
    assert_eq!(of_hub(lake, 5).len(), 2);
    let future: Vec<Row> = rows(lake, TELEMETRY)
        .into_iter()
        .map(|(_, row)| row)
        .filter(|row| row["hub"] == "hub-5" && row["sequence"] == "0")
        .collect();
    assert!(future.len() == 1 && future[0]["wall"] == "-" && future[0]["more"].contains("refused_wall_ms"));
    assert!(rows(lake, EVENTS).is_empty());

    let quarantine: Vec<Row> = rows(lake, QUARANTINE).into_iter().map(|(_, row)| row).collect();
    let of = |hub: u32| quarantine.iter().filter(|row| row["topic"] == topic(hub, "telemetry")).count();
    for (_, reason) in refused {
        assert!(quarantine.iter().any(|row| row["reason"].starts_with(reason)), "{reason}");
    }
    assert_eq!([1, 2, 3, 4, 5, 6, 9].map(of), [0, 0, refused.len(), 0, 0, 0, 0]);
    // A flood fills its own share and no more; what the hour's turn may double.
    assert!([7, 8].map(of).iter().all(|kept| (20..=40).contains(kept)), "{:?}", [7, 8].map(of));
    let (counted, unkept) = (ingest.count("refused"), ingest.count("refused and not kept"));
    let lost = ingest.count("dropped");
    println!(
        "{counted} refused, {unkept} of them not kept, {lost} dropped; {} repeats",
        ingest.count("repeats")
    );
    assert!(counted >= (FLOOD + refused.len()) as u64, "a flood at QoS 1 is counted whole");
    assert!(counted + lost <= (2 * FLOOD + refused.len()) as u64);
    assert_eq!(counted - unkept, quarantine.len() as u64);
    assert_eq!(ingest.count("walls refused"), 1);
    // What came again in one batch is dropped; across batches compaction does it.
    let filed: u64 = identities(lake, TELEMETRY)
        .iter()
        .filter(|(identity, _)| identity.0 == "hub-4")
        .map(|(_, times)| times)
        .sum();
    assert_eq!(ingest.count("repeats") + filed, 200 * 20);
}
