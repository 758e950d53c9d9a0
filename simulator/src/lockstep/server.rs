//! The simulator's end of the lock-step socket.

use core::time::Duration;
use std::net::SocketAddr;

use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};

use super::messages::{FromHub, LONGEST_LINE, Tick, ToHub, VERSION};
use crate::home::RunningHome;

/// How many steps are made, and how long one is.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Schedule {
    /// Simulated length of a step.
    pub step: Duration,
    /// Number of steps.
    pub ticks: u64,
    /// How long the hub may take to come, and to answer, in real time.
    pub patience: Duration,
    /// Least length of a step in real time; zero runs as fast as hub and machine can.
    pub pace: Duration,
}

/// Why the two fell out of step.
#[derive(Debug, thiserror::Error)]
pub enum LockstepError {
    /// The socket failed.
    #[error("the lock-step socket: {0}")]
    Socket(#[from] std::io::Error),
    /// The hub said something else than was expected.
    #[error("the hub said {said:?} at tick {tick}, expected {expected}")]
    Unexpected {
        /// What came; at most its first 200 bytes.
        said: String,
        /// Number of the tick.
        tick: u64,
        /// What should have come.
        expected: &'static str,
    },
    /// The hub went away for good.
    #[error("the hub went away before the run was over")]
    Gone,
    /// The hub stayed silent.
    #[error("no hub answered at tick {tick} within {} s", .patience.as_secs())]
    Silent {
        /// Number of the tick.
        tick: u64,
        /// How long was waited.
        patience: Duration,
    },
}

/// The socket, listening.
pub struct Server {
    listener: TcpListener,
}

/// How a connection ended.
enum Ended {
    /// The run is over; the hub's summary.
    Complete(serde_json::Value),
    /// The hub went away.
    Gone,
}

impl Server {
    /// Listens on this port of the loopback interface; 0 takes a free one.
    pub async fn bind(port: u16) -> Result<Self, LockstepError> {
        Ok(Self { listener: TcpListener::bind(SocketAddr::from(([127, 0, 0, 1], port))).await? })
    }

    /// Where it listens.
    pub fn address(&self) -> Result<SocketAddr, LockstepError> {
        Ok(self.listener.local_addr()?)
    }

    /// Runs the schedule with whichever hub connects, and returns the hub's summary. `after_step` is called
    /// after each step with the number of steps made.
    pub async fn run(
        &self,
        home: &RunningHome,
        schedule: Schedule,
        mut after_step: impl FnMut(u64),
    ) -> Result<serde_json::Value, LockstepError> {
        let mut made = 0;
        loop {
            let (stream, _) = tokio::time::timeout(schedule.patience, self.listener.accept())
                .await
                .map_err(|_| LockstepError::Silent { tick: made + 1, patience: schedule.patience })??;
            if let Ended::Complete(summary) =
                connection(stream, home, schedule, &mut made, &mut after_step).await?
            {
                return Ok(summary);
            }
        }
    }
}

async fn connection(
    stream: TcpStream,
    home: &RunningHome,
    schedule: Schedule,
    made: &mut u64,
    after_step: &mut impl FnMut(u64),
) -> Result<Ended, LockstepError> {
    stream.set_nodelay(true)?;
    let (reader, mut writer) = stream.into_split();
    let mut reader = BufReader::new(reader);
    match listen(&mut reader, schedule.patience, *made + 1).await? {
        Some((FromHub::Hello(hello), _)) if hello.version == VERSION => {}
        Some((_, line)) => return Err(unexpected(&line, *made + 1, "{\"hello\":{\"version\":1}}")),
        None => return Ok(Ended::Gone),
    }
    let first = *made;
    let mut pace = pace(schedule.pace);
    while *made < schedule.ticks {
        if let Some(pace) = &mut pace {
            pace.tick().await;
        }
        let n = *made + 1;
        let uptime_ms = (*made - first) * schedule.step.as_millis() as u64;
        if !say(&mut writer, &ToHub::Tick(Tick { n, uptime_ms, unix: Some(home.unix()) })).await {
            return Ok(Ended::Gone);
        }
        match listen(&mut reader, schedule.patience, n).await? {
            Some((FromHub::Done { n: done }, _)) if done == n => {}
            Some((_, line)) => return Err(unexpected(&line, n, "done with the number of the tick")),
            None => return Ok(Ended::Gone),
        }
        home.advance(schedule.step);
        *made += 1;
        after_step(*made);
    }
    if !say(&mut writer, &ToHub::Stop {}).await {
        return Ok(Ended::Gone);
    }
    match listen(&mut reader, schedule.patience, *made).await? {
        Some((FromHub::Summary(summary), _)) => Ok(Ended::Complete(summary)),
        Some((_, line)) => Err(unexpected(&line, *made, "a summary")),
        None => Ok(Ended::Gone),
    }
}

/// Ticks of a run that is slowed down; nothing where it is not.
fn pace(pace: Duration) -> Option<tokio::time::Interval> {
    let mut pace = (!pace.is_zero()).then(|| tokio::time::interval(pace))?;
    pace.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    Some(pace)
}

fn unexpected(line: &str, tick: u64, expected: &'static str) -> LockstepError {
    LockstepError::Unexpected { said: line.chars().take(200).collect(), tick, expected }
}

/// Whether the hub was there to hear it.
async fn say(writer: &mut OwnedWriteHalf, message: &ToHub) -> bool {
    let Ok(mut line) = serde_json::to_vec(message) else { return false };
    line.push(b'\n');
    writer.write_all(&line).await.is_ok()
}

/// The next message with its line; nothing if the hub has gone.
async fn listen(
    reader: &mut BufReader<OwnedReadHalf>,
    patience: Duration,
    tick: u64,
) -> Result<Option<(FromHub, String)>, LockstepError> {
    let mut line = String::new();
    let mut bounded = reader.take(LONGEST_LINE);
    match tokio::time::timeout(patience, bounded.read_line(&mut line)).await {
        Err(_) => Err(LockstepError::Silent { tick, patience }),
        // A connection that was reset, or closed within a line, is a hub that died.
        Ok(Err(error)) if error.kind() == std::io::ErrorKind::InvalidData => {
            Err(unexpected("bytes that are no text", tick, "a line of JSON"))
        }
        Ok(Err(_) | Ok(0)) => Ok(None),
        Ok(Ok(read)) if !line.ends_with('\n') && (read as u64) < LONGEST_LINE => Ok(None),
        Ok(Ok(_)) => match serde_json::from_str(&line) {
            Ok(message) => Ok(Some((message, line))),
            Err(_) => Err(unexpected(&line, tick, "hello, done or summary")),
        },
    }
}
