//! A hub joins a fleet with what the operator's tool made, and a real broker knows it from all others.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test may fail by panicking")]

use std::ffi::OsStr;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

use sunkeep::config::{Home, Journal};
use sunkeep::records::Records;
use sunkeep::uplink::{self, Standing};
use sunkeep_fleet::provision::{Request, provision, revoke};
use sunkeep_tests::broker::Broker;
use sunkeep_tests::house::free_port;
use sunkeep_tests::hub::command;
use sunkeep_tests::pause;
use tokio::sync::watch;

/// The hub's program.
const HUB: &str = env!("CARGO_BIN_EXE_hub-under-test");
/// A home of the handbook: two loads and nothing measured.
const EXAMPLE: &str = include_str!("../../controller/hub.example.toml");
/// How long anything may take on a busy machine.
const PATIENCE: Duration = Duration::from_mins(1);

/// A fleet of three.
fn fleet(folder: &Path, port: u16) {
    let sites = ["a", "b", "c"].map(Into::into).to_vec();
    let broker = format!("mqtts://localhost:{port}");
    let request = Request { fleet: folder.into(), broker, sites, until_year: 2036 };
    assert_eq!(provision(&request, |_| ()).unwrap().entries.len(), 3);
    let again = provision(&request, |_| ()).unwrap_err();
    assert_eq!(again.to_string(), "a is in the inventory already");
    let more = Request { sites: vec!["d".into()], ..request };
    assert_eq!(provision(&more, |_| ()).unwrap().entries.len(), 4, "the same authority signs on");
}

/// Has a hub join with its bundle; where its configuration is.
async fn join(fleet: &Path, hub: &str) -> std::path::PathBuf {
    let folder = fleet.join(format!("home-{hub}"));
    std::fs::create_dir_all(&folder).unwrap();
    let config = folder.join("hub.toml");
    std::fs::write(&config, EXAMPLE).unwrap();
    for told in ["has joined", "is renewed"] {
        let bundle = fleet.join(format!("hubs/{hub}.toml"));
        let arguments = [OsStr::new("join"), bundle.as_os_str(), OsStr::new("--config"), config.as_os_str()];
        let output = command(HUB, &arguments).await;
        let said = String::from_utf8_lossy(&output.stdout).into_owned();
        assert!(output.status.success() && said.contains(told), "{said} {output:?}");
    }
    config
}

/// How the uplink of a configuration stands once it has tried.
async fn tried(config: &Path) -> Standing {
    let home = Home::read(config).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let journal = Journal { path: folder.path().join("journal.sqlite"), max_bytes: 64 << 20 };
    let (records, _) = Records::open(&journal, &home.settings, &home.text).unwrap();
    let (_outbox, source) = watch::channel(Some(records.outbox()));
    let (_view, view) = watch::channel::<Option<Arc<sunkeep::view::View>>>(None);
    let mut standing = uplink::start(home.uplink.expect("an uplink"), source, view).unwrap().standing;
    let waited = standing.wait_for(|standing| standing.connected || !standing.why.is_empty());
    tokio::time::timeout(PATIENCE, waited).await.unwrap().unwrap().clone()
}

/// A client of Mosquitto's own, with the certificate of a hub or of ingest.
fn client(program: &str, fleet: &Path, port: u16, [certificate, key]: [&Path; 2], topic: &str) -> Command {
    let mut command = Command::new(program);
    command.args(["-h", "localhost", "-p", &port.to_string(), "-q", "1", "-t", topic, "--cafile"]);
    command.arg(fleet.join("ca.pem")).arg("--cert").arg(certificate).arg("--key").arg(key);
    command
}

#[tokio::test]
async fn a_hub_joins_writes_to_its_own_topics_and_is_taken_back() {
    let folder = tempfile::tempdir().unwrap();
    let (fleet_folder, port) = (folder.path(), free_port());
    fleet(fleet_folder, port);
    let config = join(fleet_folder, "a").await;
    let broker = Broker::of_fleet(fleet_folder, port).await;
    assert!(tried(&config).await.connected, "{:?}", tried(&config).await);

    // The other hub's topic swallows what this one writes; who listens hears the second message only.
    let (ingest_certificate, ingest_key) = (fleet_folder.join("ingest.pem"), fleet_folder.join("ingest.key"));
    let ingest = [&*ingest_certificate, &*ingest_key];
    let mut listener = client("mosquitto_sub", fleet_folder, port, ingest, "sunkeep/v1/+/up/#");
    let listener = listener.args(["-v", "-C", "1", "-W", "60"]).stdout(Stdio::piped()).spawn().unwrap();
    pause(Duration::from_secs(2)).await;
    let home = config.parent().unwrap();
    let (certificate, key) = (home.join("hub.pem"), home.join("hub.key"));
    for (topic, text) in [("sunkeep/v1/b/up/alerts", "not mine"), ("sunkeep/v1/a/up/alerts", "mine")] {
        let mut publish = client("mosquitto_pub", fleet_folder, port, [&certificate, &key], topic);
        assert!(publish.args(["-m", text]).status().unwrap().success());
    }
    let heard = listener.wait_with_output().unwrap();
    assert_eq!(String::from_utf8_lossy(&heard.stdout), "sunkeep/v1/a/up/alerts mine\n");

    drop(broker);
    revoke(fleet_folder, "a").unwrap();
    assert!(revoke(fleet_folder, "a").unwrap_err().to_string().contains("taken back before"));
    let _broker = Broker::of_fleet(fleet_folder, port).await;
    let standing = tried(&config).await;
    assert!(!standing.connected, "{standing:?}");
    let other = join(fleet_folder, "b").await;
    assert!(tried(&other).await.connected, "the others stay");
}

#[tokio::test]
async fn a_bundle_that_does_not_fit_changes_nothing() {
    let folder = tempfile::tempdir().unwrap();
    fleet(folder.path(), 8883);
    let config = join(folder.path(), "a").await;
    let before = std::fs::read(&config).unwrap();
    let broken = folder.path().join("broken.toml");
    std::fs::write(&broken, "broker = 7\nkey = \"secret\"\n").unwrap();
    for (bundle, why) in
        [(folder.path().join("hubs/b.toml"), "remove the table first"), (broken, "no bundle of a hub")]
    {
        let arguments = [OsStr::new("join"), bundle.as_os_str(), OsStr::new("--config"), config.as_os_str()];
        let output = command(HUB, &arguments).await;
        let said = String::from_utf8_lossy(&output.stdout).into_owned();
        assert!(output.status.code() == Some(1) && said.contains(why), "{said}");
        assert!(!said.contains("secret"), "{said}");
    }
    assert_eq!(std::fs::read(&config).unwrap(), before);
    for secret in ["ca.key", "broker.key", "hubs/a.toml", "home-a/hub.key"] {
        let mode = std::fs::metadata(folder.path().join(secret)).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600, "{secret}");
    }
}
