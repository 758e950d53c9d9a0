//! A real broker (Mosquitto), a subscriber, and a line between hub and broker that breaks when a test says so.

#![allow(
    missing_docs,
    clippy::missing_panics_doc,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::disallowed_methods,
    reason = "a test's harness; real brokers take real time"
)]

use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use rand::{RngExt as _, SeedableRng as _};
use rand_chacha::ChaCha8Rng;
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use rumqttc::{AsyncClient, Event, MqttOptions, Packet, QoS};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use crate::house::free_port;

/// The broker's program, where Debian puts it: that folder is not on everybody's path.
pub const MOSQUITTO: &str = "/usr/sbin/mosquitto";

/// Whether there is a Mosquitto here.
pub fn is_installed() -> bool {
    Path::new(MOSQUITTO).exists()
}

/// A broker; killed without warning when it is dropped.
pub struct Broker {
    child: Option<Child>,
    config: PathBuf,
    namespace: Option<String>,
    /// Port of the plain listener.
    pub port: u16,
    /// Port of the secured listener, which wants a certificate of the client.
    pub secured: u16,
}

impl Broker {
    /// Starts a broker; with `certificates` (CA, its own, key) it has a secured listener.
    pub async fn start(folder: &Path, certificates: Option<[&Path; 3]>) -> Self {
        let (port, secured) = (free_port(), free_port());
        let mut text = format!("listener {port} 127.0.0.1\nallow_anonymous true\nmax_queued_messages 0\n");
        // As root it would become another user, who may not read the key.
        text += "user root\n";
        if let Some([ca, own, key]) = certificates {
            let [ca, own, key] = [ca, own, key].map(Path::display);
            text += &format!("listener {secured} 127.0.0.1\ncafile {ca}\ncertfile {own}\nkeyfile {key}\n");
            text += "require_certificate true\n";
        }
        let config = folder.join(format!("mosquitto-{port}.conf"));
        std::fs::write(&config, text).unwrap();
        let mut broker = Self { child: None, config, namespace: None, port, secured };
        broker.restart().await;
        broker
    }

    /// The broker of a fleet's folder, as `sunkeep-fleet provision` configured it, on its port.
    pub async fn of_fleet(fleet: &Path, port: u16) -> Self {
        Self::of_fleet_in(fleet, port, None, "").await
    }

    /// The same in a network namespace, with more lines in its configuration.
    pub async fn of_fleet_in(fleet: &Path, port: u16, namespace: Option<&str>, more: &str) -> Self {
        let text = std::fs::read_to_string(fleet.join("mosquitto.conf")).unwrap();
        let config = fleet.join("as-root.conf");
        // As root it would become another user, who may not read the key.
        std::fs::write(&config, format!("user root\n{text}{more}")).unwrap();
        let namespace = namespace.map(str::to_owned);
        let mut broker = Self { child: None, config, namespace, port, secured: port };
        broker.restart().await;
        broker
    }

    /// Starts it again, on the same ports.
    pub async fn restart(&mut self) {
        self.kill();
        let child = within(self.namespace.as_deref(), MOSQUITTO.as_ref())
            .arg("-c")
            .arg(&self.config)
            .stderr(Stdio::null())
            .spawn();
        let child = self.child.insert(child.expect("mosquitto is installed: tests/run does"));
        let number = child.id();
        for _ in 0..200 {
            if listens(number, self.port) {
                return;
            }
            tokio::time::sleep(Duration::from_millis(25)).await;
        }
        panic!("mosquitto does not listen on {}", self.port);
    }

    pub fn kill(&mut self) {
        if let Some(mut child) = self.child.take() {
            child.kill().unwrap();
            child.wait().unwrap();
        }
    }
}

/// A program, in a network namespace or none.
pub fn within(namespace: Option<&str>, program: &OsStr) -> Command {
    let Some(namespace) = namespace else { return Command::new(program) };
    let mut command = Command::new("ip");
    command.args(["netns", "exec", namespace]).arg(program);
    command
}

/// Whether somebody listens on this port in the network of this process, without a connection that it would see.
fn listens(process: u32, port: u16) -> bool {
    let listening = |line: &str| {
        let mut words = line.split_ascii_whitespace().skip(1);
        let (local, state) = (words.next().unwrap_or_default(), words.nth(1));
        state == Some("0A") && local.ends_with(&format!(":{port:04X}"))
    };
    ["tcp", "tcp6"].iter().any(|table| {
        let text = std::fs::read_to_string(format!("/proc/{process}/net/{table}")).unwrap_or_default();
        text.lines().any(listening)
    })
}

impl Drop for Broker {
    fn drop(&mut self) {
        self.kill();
    }
}

/// All that a subscriber got: topic and payload.
pub type Heard = Arc<Mutex<Vec<(String, Vec<u8>)>>>;

/// Subscribes to everything of Sunkeep; returns when the broker has said yes.
pub async fn listen(port: u16) -> Heard {
    let heard = Heard::default();
    let mut options = MqttOptions::new("listener", "127.0.0.1", port);
    options.set_max_packet_size(1 << 20, 1 << 20).set_keep_alive(Duration::from_secs(20));
    let (client, mut polled) = AsyncClient::new(options, 8);
    client.subscribe("#", QoS::AtLeastOnce).await.unwrap();
    let (ready, subscribed) = tokio::sync::oneshot::channel();
    let mut ready = Some(ready);
    let into = Arc::clone(&heard);
    tokio::spawn(async move {
        let _client = client;
        while let Ok(event) = polled.poll().await {
            match event {
                Event::Incoming(Packet::SubAck(_)) => drop(ready.take().map(|ready| ready.send(()))),
                Event::Incoming(Packet::Publish(message)) => {
                    into.lock().unwrap().push((message.topic, message.payload.to_vec()));
                }
                _ => {}
            }
        }
    });
    subscribed.await.unwrap();
    heard
}

/// A line to a port that breaks after a number of bytes by chance, again and again, while `breaks` are left.
pub async fn breaking_line(to: u16, seed: u64, mut breaks: u32) -> (u16, Arc<Mutex<u32>>) {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let broken = Arc::new(Mutex::new(0));
    let count = Arc::clone(&broken);
    let mut random = ChaCha8Rng::seed_from_u64(seed);
    tokio::spawn(async move {
        while let Ok((near, _)) = listener.accept().await {
            let Ok(far) = TcpStream::connect(("127.0.0.1", to)).await else { continue };
            let limits = if breaks > 0 {
                [random.random_range(40..4000), random.random_range(4..200)]
            } else {
                [usize::MAX; 2]
            };
            breaks = breaks.saturating_sub(1);
            let ((near_in, near_out), (far_in, far_out)) = (near.into_split(), far.into_split());
            // The line is gone as soon as one way has reached its limit: an acknowledgement may be on the other.
            tokio::select! {
                () = pass(near_in, far_out, limits[0]) => {}
                () = pass(far_in, near_out, limits[1]) => {}
            }
            if limits[0] < usize::MAX {
                *count.lock().unwrap() += 1;
            }
        }
    });
    (port, broken)
}

async fn pass(
    mut from: tokio::net::tcp::OwnedReadHalf,
    mut to: tokio::net::tcp::OwnedWriteHalf,
    mut limit: usize,
) {
    let mut bytes = [0; 1500];
    while let Ok(read @ 1..) = from.read(&mut bytes).await {
        let passed = read.min(limit);
        if to.write_all(&bytes[..passed]).await.is_err() || passed == limit {
            return;
        }
        limit -= passed;
    }
}

/// An authority that signs certificates.
pub struct Authority {
    issuer: CertifiedIssuer<'static, KeyPair>,
}

impl Authority {
    pub fn new(name: &str) -> Self {
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.distinguished_name.push(rcgen::DnType::CommonName, name);
        Self { issuer: CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap() }
    }

    pub fn pem(&self) -> String {
        self.issuer.pem()
    }

    /// Signs a certificate for a name that holds in these years; writes it and its key beside one another.
    pub fn sign(&self, folder: &Path, file: &str, name: &str, years: (i32, i32)) -> (PathBuf, PathBuf) {
        let mut params = CertificateParams::new(vec![name.into()]).unwrap();
        params.not_before = rcgen::date_time_ymd(years.0, 1, 1);
        params.not_after = rcgen::date_time_ymd(years.1, 1, 1);
        params.distinguished_name.push(rcgen::DnType::CommonName, name);
        let key = KeyPair::generate().unwrap();
        let certificate = params.signed_by(&key, &self.issuer).unwrap();
        let paths = (folder.join(format!("{file}.pem")), folder.join(format!("{file}.key")));
        write_secret(&paths.0, &certificate.pem());
        write_secret(&paths.1, &key.serialize_pem());
        paths
    }
}

/// Writes a file that nobody else may read.
pub fn write_secret(path: &Path, text: &str) {
    use std::os::unix::fs::PermissionsExt as _;
    std::fs::write(path, text).unwrap();
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o600)).unwrap();
}
