//! Simulator and hub in step: the messages as agreed, a hub that dies and comes back, and one that says
//! nonsense.
#![allow(clippy::expect_used, clippy::panic, reason = "helpers of a test fail by panicking")]

mod common;

use core::time::Duration;

use common::{bus, start};
use sunkeep_simulator::device::Model;
use sunkeep_simulator::home::Transport;
use sunkeep_simulator::lockstep::{LockstepError, Schedule, Server};
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader, Lines};
use tokio::net::TcpStream;
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};

const SCHEDULE: Schedule = Schedule {
    step: Duration::from_mins(1),
    ticks: 5,
    patience: Duration::from_secs(5),
    pace: Duration::ZERO,
};

struct Hub {
    lines: Lines<BufReader<OwnedReadHalf>>,
    writer: OwnedWriteHalf,
}

impl Hub {
    async fn connect(server: &Server) -> Self {
        let stream = TcpStream::connect(server.address().expect("an address")).await.expect("a connection");
        let (reader, writer) = stream.into_split();
        Self { lines: BufReader::new(reader).lines(), writer }
    }

    async fn say(&mut self, line: &str) {
        self.writer.write_all(format!("{line}\n").as_bytes()).await.expect("sending");
    }

    async fn hear(&mut self) -> String {
        self.lines.next_line().await.expect("a line").expect("more lines")
    }
}

#[tokio::test]
async fn ticks_wait_for_the_hub_and_the_plant_with_them() {
    let home = start(bus(Transport::Tcp, &[(100, Model::VictronSystem)])).await;
    let server = Server::bind(0).await.expect("a port");
    let began = home.unix();
    let hub = async {
        let mut hub = Hub::connect(&server).await;
        hub.say(r#"{"hello":{"version":1}}"#).await;
        for n in 1..=5_i64 {
            let (uptime, unix) = ((n - 1) * 60_000, began + (n - 1) * 60);
            let tick = format!(r#"{{"tick":{{"n":{n},"uptime_ms":{uptime},"unix":{unix}}}}}"#);
            assert_eq!(hub.hear().await, tick);
            tokio::task::yield_now().await;
            assert_eq!(home.unix(), unix, "the plant stands still until the hub is done");
            hub.say(&format!(r#"{{"done":{{"n":{n}}}}}"#)).await;
        }
        assert_eq!(hub.hear().await, r#"{"stop":{}}"#);
        hub.say(r#"{"summary":{"sheds":3}}"#).await;
    };
    let mut steps = Vec::new();
    let (summary, ()) = tokio::join!(server.run(&home, SCHEDULE, |made| steps.push(made)), hub);
    assert_eq!(summary.expect("a summary"), serde_json::json!({"sheds": 3}));
    assert_eq!(steps, [1, 2, 3, 4, 5]);
    assert_eq!(home.unix(), began + 300);
}

#[tokio::test]
async fn a_hub_that_died_gets_the_tick_again() {
    let home = start(bus(Transport::Tcp, &[(100, Model::VictronSystem)])).await;
    let server = Server::bind(0).await.expect("a port");
    let began = home.unix();
    let hub = async {
        let mut first = Hub::connect(&server).await;
        first.say(r#"{"hello":{"version":1}}"#).await;
        first.hear().await;
        first.say(r#"{"done":{"n":1}}"#).await;
        first.hear().await;
        drop(first);
        let mut second = Hub::connect(&server).await;
        second.say(r#"{"hello":{"version":1}}"#).await;
        for n in 2..=5_i64 {
            let (uptime, unix) = ((n - 2) * 60_000, began + (n - 1) * 60);
            let tick = format!(r#"{{"tick":{{"n":{n},"uptime_ms":{uptime},"unix":{unix}}}}}"#);
            assert_eq!(second.hear().await, tick);
            second.say(&format!(r#"{{"done":{{"n":{n}}}}}"#)).await;
        }
        second.hear().await;
        second.say(r#"{"summary":null}"#).await;
    };
    let (summary, ()) = tokio::join!(server.run(&home, SCHEDULE, |_| {}), hub);
    assert_eq!(summary.expect("a summary"), serde_json::Value::Null);
}

#[tokio::test]
async fn nonsense_is_refused_with_what_was_expected() {
    let home = start(bus(Transport::Tcp, &[(100, Model::VictronSystem)])).await;
    for (first, then, expected) in [
        (r#"{"hello":{"version":2}}"#, None, "version"),
        ("GET / HTTP/1.1", None, "hello"),
        (r#"{"hello":{"version":1}}"#, Some(r#"{"done":{"n":7}}"#), "number of the tick"),
    ] {
        let server = Server::bind(0).await.expect("a port");
        let hub = async {
            let mut hub = Hub::connect(&server).await;
            hub.say(first).await;
            if let Some(then) = then {
                hub.hear().await;
                hub.say(then).await;
            }
            // Stay connected until the simulator has made up its mind.
            hub.lines.next_line().await.ok();
        };
        let (result, ()) = tokio::join!(server.run(&home, SCHEDULE, |_| {}), hub);
        let error = result.expect_err("a refusal");
        assert!(error.to_string().contains(expected), "{error}");
    }
}

#[tokio::test]
async fn a_hub_that_never_comes_is_not_waited_for_for_ever() {
    let home = start(bus(Transport::Tcp, &[(100, Model::VictronSystem)])).await;
    let server = Server::bind(0).await.expect("a port");
    let schedule = Schedule { patience: Duration::from_millis(50), ..SCHEDULE };
    let result = server.run(&home, schedule, |_| {}).await;
    assert!(matches!(result, Err(LockstepError::Silent { tick: 1, .. })), "{result:?}");
}
