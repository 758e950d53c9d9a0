//! The hub in step with a simulation: another system drives its clock and waits for every cycle.
//!
//! Newline-delimited JSON over a TCP socket. The hub says hello; each tick tells it the time; it answers
//! `done` when the cycle is complete, outputs written and forecasts made; at the end it gives its summary.
//! These are the hub's own types: it knows nothing of what drives it.

use serde::{Deserialize, Serialize};
use sunkeep_models::quantity::Seconds;
use sunkeep_models::time::{TimeSource, Uptime, WallTime};
use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::TcpStream;
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};

use crate::clock::Now;

const VERSION: u32 = 1;
/// Longest line, bytes.
const LONGEST: u64 = 64 * 1024;

#[derive(Debug, Serialize)]
#[serde(rename_all = "snake_case")]
enum Says<'a> {
    Hello { version: u32 },
    Done { n: u64 },
    Summary(&'a serde_json::Value),
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Hears {
    Tick { n: u64, uptime_ms: u64, unix: Option<i64> },
    Stop {},
}

/// Why the hub fell out of step.
#[derive(Debug, thiserror::Error)]
pub enum LockstepError {
    /// The socket failed.
    #[error("lock-step socket {address}: {source}")]
    Socket {
        /// Where it leads.
        address: String,
        /// What the system said.
        source: std::io::Error,
    },
    /// The other side spoke in another way.
    #[error("lock-step socket: read {read:?}, expected a tick or a stop: {source}")]
    Speech {
        /// What came, shortened.
        read: String,
        /// What the parser said.
        source: serde_json::Error,
    },
}

/// What a line of the other side says: the number of a tick and the time it tells; `None` for a stop.
pub fn heard(line: &str) -> Result<Option<(u64, Now)>, LockstepError> {
    let heard = serde_json::from_str(line)
        .map_err(|source| LockstepError::Speech { read: line.chars().take(200).collect(), source })?;
    Ok(match heard {
        Hears::Stop {} => None,
        Hears::Tick { n, uptime_ms, unix } => {
            // A simulation may play a home without a clock.
            let wall =
                unix.map(|unix| WallTime { unix, source: TimeSource::Driven, uncertainty: Seconds::ZERO });
            Some((n, Now { uptime: Uptime(uptime_ms), wall }))
        }
    })
}

/// A connection that drives this hub.
#[derive(Debug)]
pub struct Lockstep {
    address: String,
    lines: BufReader<OwnedReadHalf>,
    writer: OwnedWriteHalf,
    tick: u64,
}

impl Lockstep {
    /// Connects and says hello.
    pub async fn connect(address: &str) -> Result<Self, LockstepError> {
        let socket = |source| LockstepError::Socket { address: address.into(), source };
        let stream = TcpStream::connect(address).await.map_err(socket)?;
        stream.set_nodelay(true).map_err(socket)?;
        let (reader, writer) = stream.into_split();
        let mut this = Self { address: address.into(), lines: BufReader::new(reader), writer, tick: 0 };
        this.say(&Says::Hello { version: VERSION }).await?;
        Ok(this)
    }

    /// Waits for the next tick; `None` when the run is over. Cancel-safe only between lines: the caller stops
    /// for good when it cancels.
    pub async fn tick(&mut self) -> Result<Option<Now>, LockstepError> {
        let mut line = String::new();
        let read = (&mut self.lines).take(LONGEST).read_line(&mut line).await;
        let read = read.map_err(|source| LockstepError::Socket { address: self.address.clone(), source })?;
        if read == 0 {
            return Ok(None);
        }
        let Some((tick, now)) = heard(&line)? else { return Ok(None) };
        self.tick = tick;
        Ok(Some(now))
    }

    /// Tells that the cycle of the last tick is complete.
    pub async fn done(&mut self) -> Result<(), LockstepError> {
        self.say(&Says::Done { n: self.tick }).await
    }

    /// Gives the summary of the run.
    pub async fn summary(&mut self, summary: &serde_json::Value) -> Result<(), LockstepError> {
        self.say(&Says::Summary(summary)).await
    }

    async fn say(&mut self, what: &Says<'_>) -> Result<(), LockstepError> {
        let mut line = serde_json::to_vec(what)
            .map_err(|source| LockstepError::Speech { read: String::new(), source })?;
        line.push(b'\n');
        let sent = self.writer.write_all(&line).await;
        sent.map_err(|source| LockstepError::Socket { address: self.address.clone(), source })
    }
}
