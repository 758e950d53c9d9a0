//! A clock that the test drives: it tells the hub the time of every cycle, true or not.

use core::time::Duration;

use sunkeep_simulator::lockstep::{FromHub, Tick, ToHub};
use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader, Lines};
use tokio::net::TcpListener;
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};

/// How long the hub may take over anything.
const PATIENCE: Duration = Duration::from_secs(30);

/// Waits for a hub.
pub struct Ticks(TcpListener);

/// A hub that waits for its next cycle.
pub struct Driven {
    lines: Lines<BufReader<OwnedReadHalf>>,
    writer: OwnedWriteHalf,
    number: u64,
}

impl Ticks {
    /// Listens on a free port.
    pub async fn listen() -> Self {
        Self(TcpListener::bind("127.0.0.1:0").await.expect("a port"))
    }

    /// Where.
    pub fn address(&self) -> String {
        self.0.local_addr().expect("its address").to_string()
    }

    /// The hub that connects.
    pub async fn hub(&self) -> Driven {
        let accepted = tokio::time::timeout(PATIENCE, self.0.accept()).await;
        let (stream, _) = accepted.expect("a hub in time").expect("a hub");
        stream.set_nodelay(true).expect("a socket");
        let (reader, writer) = stream.into_split();
        let mut driven = Driven { lines: BufReader::new(reader).lines(), writer, number: 0 };
        assert!(matches!(driven.hears().await, FromHub::Hello(_)), "a hub says hello first");
        driven
    }
}

impl Driven {
    async fn hears(&mut self) -> FromHub {
        let line = tokio::time::timeout(PATIENCE, self.lines.next_line()).await;
        let line = line.expect("an answer in time").expect("a line").expect("a hub that is there");
        serde_json::from_str(&line).unwrap_or_else(|error| panic!("{line}: {error}"))
    }

    async fn says(&mut self, message: &ToHub) {
        let mut line = serde_json::to_vec(message).expect("JSON");
        line.push(b'\n');
        self.writer.write_all(&line).await.expect("a hub that is there");
    }

    /// Has it run a cycle at this time.
    pub async fn cycle(&mut self, uptime: Duration, unix: Option<i64>) {
        self.number += 1;
        let uptime_ms = u64::try_from(uptime.as_millis()).expect("a short run");
        self.says(&ToHub::Tick(Tick { n: self.number, uptime_ms, unix })).await;
        let n = self.number;
        assert_eq!(self.hears().await, FromHub::Done { n });
    }

    /// Ends the run.
    pub async fn stop(&mut self) -> serde_json::Value {
        self.says(&ToHub::Stop {}).await;
        match self.hears().await {
            FromHub::Summary(summary) => summary,
            other => panic!("{other:?} instead of a summary"),
        }
    }
}
