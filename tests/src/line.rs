//! A bad line between a home and its broker, and the switch that takes it away. Where this user may, it is a real network:
//! a namespace for the broker, with packets that are delayed and lost (`tests/peers/line.py`). Elsewhere connections go
//! by a relay that delays, and breaks them after bytes by chance.

#![allow(
    missing_docs,
    clippy::missing_panics_doc,
    clippy::unwrap_used,
    clippy::disallowed_methods,
    reason = "a test's harness; real lines take real time"
)]

use std::io::{BufRead as _, BufReader, Write as _};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use rand::{RngExt as _, SeedableRng as _};
use rand_chacha::ChaCha8Rng;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;

/// One way takes so long, ms, give or take.
const DELAY_MS: (u32, u32) = (20, 10);
/// Packets that are lost of a hundred, each way.
const LOSS_PERCENT: u32 = 3;
/// Bytes of a connection of the relay that pass before it breaks, where it is one of those that break.
const BREAKS_AFTER: core::ops::Range<usize> = 40..60_000;

/// How a line is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Way {
    /// It carries, badly.
    Up,
    /// The home has no network, and knows it.
    Cut,
    /// Everything vanishes on the way.
    Silent,
}

/// A line.
pub struct Line(Form);

enum Form {
    Network { name: String, far: String, program: Child, says: Option<ChildStdin> },
    Relay { port: u16, way: watch::Sender<Way>, broken: Arc<Mutex<u32>> },
}

impl Line {
    /// A line as a network of its own; the reason where this machine does not let it.
    pub fn network(seed: u64) -> Result<Self, String> {
        let number = std::process::id();
        let name = format!("sk{number}");
        // 10.200.0.0/13 in nets of four addresses, by the number of the process.
        let net = |end: u32| {
            let place = 4 * (number % (1 << 17)) + end;
            format!("10.{}.{}.{}", 200 + (place >> 16), (place >> 8) & 255, place & 255)
        };
        let (near, far) = (net(1), net(2));
        let numbers = [DELAY_MS.0, DELAY_MS.1, LOSS_PERCENT].map(|number| number.to_string());
        let mut program = Command::new("python3");
        program.arg(concat!(env!("CARGO_MANIFEST_DIR"), "/peers/line.py"));
        program.args([&name, &near, &far]).args(numbers).arg((seed % (1 << 48)).to_string());
        program.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut program = program.spawn().map_err(|error| format!("python3: {error}"))?;
        let mut said = String::new();
        BufReader::new(program.stdout.take().unwrap()).read_line(&mut said).map_err(|it| it.to_string())?;
        if said.trim() != "ready" {
            let output = program.wait_with_output().map_err(|error| error.to_string())?;
            let why = String::from_utf8_lossy(&output.stderr);
            return Err(why.lines().last().unwrap_or("it did not start").to_owned());
        }
        let says = program.stdin.take();
        Ok(Self(Form::Network { name, far, program, says }))
    }

    /// A line to this port of this machine by way of a relay.
    pub async fn relay(to: u16, seed: u64) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let (way, watched) = watch::channel(Way::Up);
        let broken = Arc::new(Mutex::new(0));
        let count = Arc::clone(&broken);
        let mut random = ChaCha8Rng::seed_from_u64(seed);
        tokio::spawn(async move {
            while let Ok((near, _)) = listener.accept().await {
                let breaks = random.random_range(0..3) == 0;
                let limit = if breaks { random.random_range(BREAKS_AFTER) } else { usize::MAX };
                tokio::spawn(carry(near, to, watched.clone(), limit, Arc::clone(&count)));
            }
        });
        Self(Form::Relay { port, way, broken })
    }

    /// What it is, in words.
    pub fn describe(&self) -> String {
        let (delay, jitter) = DELAY_MS;
        match &self.0 {
            Form::Network { name, far, .. } => format!(
                "network namespace {name}, broker at {far}; each way {delay} ms, give or take {jitter}, and {LOSS_PERCENT} % of the packets lost"
            ),
            Form::Relay { port, .. } => format!(
                "relay on port {port}: each way {delay} ms; one connection in three breaks after 40 to 60,000 bytes"
            ),
        }
    }

    /// Namespace and address of the broker, where it has one of its own.
    pub fn namespace(&self) -> Option<(&str, &str)> {
        match &self.0 {
            Form::Network { name, far, .. } => Some((name, far)),
            Form::Relay { .. } => None,
        }
    }

    /// The port that the home's end of a relay is on.
    pub fn port(&self) -> Option<u16> {
        match &self.0 {
            Form::Network { .. } => None,
            Form::Relay { port, .. } => Some(*port),
        }
    }

    /// Connections that the relay broke.
    pub fn broken(&self) -> u32 {
        match &self.0 {
            Form::Network { .. } => 0,
            Form::Relay { broken, .. } => *broken.lock().unwrap(),
        }
    }

    /// From now on it is so.
    pub fn set(&mut self, to: Way) {
        match &mut self.0 {
            Form::Network { name, says, .. } => {
                let device = if to == Way::Cut { "down" } else { "up" };
                let done = Command::new("ip").args(["link", "set", name, device]).status();
                assert!(done.is_ok_and(|status| status.success()), "ip link set {name} {device}");
                let line = says.as_mut().unwrap();
                line.write_all(if to == Way::Up { b"up\n" } else { b"silent\n" }).unwrap();
            }
            Form::Relay { way, .. } => {
                way.send_replace(to);
            }
        }
    }
}

impl Drop for Line {
    fn drop(&mut self) {
        if let Form::Network { program, says, .. } = &mut self.0 {
            // It takes everything away when its input ends, with this process at the latest.
            drop(says.take());
            let _ = program.wait();
        }
    }
}

/// Carries a connection until either end, the switch or the limit ends it.
async fn carry(
    near: TcpStream,
    to: u16,
    mut way: watch::Receiver<Way>,
    limit: usize,
    broken: Arc<Mutex<u32>>,
) {
    if open(&mut way).await.is_none() {
        return;
    }
    let Ok(far) = TcpStream::connect(("127.0.0.1", to)).await else { return };
    let ((near_in, near_out), (far_in, far_out)) = (near.into_split(), far.into_split());
    let mut cut = way.clone();
    tokio::select! {
        () = pass(near_in, far_out, limit, way.clone()) => {}
        () = pass(far_in, near_out, limit, way) => {}
        _ = cut.wait_for(|way| *way == Way::Cut) => {}
    }
    if limit < usize::MAX {
        *broken.lock().unwrap() += 1;
    }
}

/// Waits while all vanishes; nothing where the line is cut.
async fn open(way: &mut watch::Receiver<Way>) -> Option<()> {
    let way = way.wait_for(|way| *way != Way::Silent).await.ok()?;
    (*way == Way::Up).then_some(())
}

async fn pass(
    mut from: OwnedReadHalf,
    mut to: OwnedWriteHalf,
    mut limit: usize,
    mut way: watch::Receiver<Way>,
) {
    let mut bytes = [0; 16_384];
    while let Ok(read @ 1..) = from.read(&mut bytes).await {
        tokio::time::sleep(Duration::from_millis(DELAY_MS.0.into())).await;
        let passed = read.min(limit);
        if open(&mut way).await.is_none() || to.write_all(&bytes[..passed]).await.is_err() || passed == limit
        {
            return;
        }
        limit -= passed;
    }
}
