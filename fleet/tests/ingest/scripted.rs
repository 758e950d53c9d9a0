//! Moments that a real broker does not come to when a test wants it to: the broker's part is spoken byte by byte.

use std::io::{Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::time::Duration;

use sunkeep_models::lake::TELEMETRY;
use tempfile::TempDir;

use crate::faults::{QUICK, is_there, messages};
use crate::hubs::{minutes, plain, topic};
use crate::process::Ingest;
use crate::rows::identities;
use crate::wait_until;

/// Welcome; the session is new, and there are no properties.
const WELCOME: [u8; 5] = [0x20, 3, 0, 0, 0];
const CONNECT: u8 = 1;
const PUBACK: u8 = 4;
const SUBSCRIBE: u8 = 8;

/// The next packet: its kind and what follows the length. `None` where none comes in time.
fn next(connection: &mut TcpStream) -> Option<(u8, Vec<u8>)> {
    let mut byte = || {
        let mut byte = [0];
        connection.read_exact(&mut byte).ok().map(|()| byte[0])
    };
    let kind = byte()? >> 4;
    let (mut length, mut shift) = (0, 0);
    loop {
        let part = byte()?;
        length |= usize::from(part & 0x7F) << shift;
        shift += 7;
        if part & 0x80 == 0 {
            break;
        }
    }
    let mut rest = vec![0; length];
    connection.read_exact(&mut rest).unwrap();
    Some((kind, rest))
}

fn publish(connection: &mut TcpStream, packet: u16, topic: &str, payload: &[u8]) {
    let mut rest = (topic.len() as u16).to_be_bytes().to_vec();
    rest.extend(topic.as_bytes());
    rest.extend(packet.to_be_bytes());
    rest.push(0);
    rest.extend(payload);
    let mut bytes = vec![0x32];
    let mut length = rest.len();
    loop {
        let more = if length > 0x7F { 0x80 } else { 0 };
        bytes.push((length & 0x7F) as u8 | more);
        length >>= 7;
        if length == 0 {
            break;
        }
    }
    bytes.extend(rest);
    connection.write_all(&bytes).unwrap();
}

/// Takes a connection, and the subscription that comes by it.
fn welcome(broker: &TcpListener) -> TcpStream {
    let (mut connection, _) = broker.accept().unwrap();
    connection.set_read_timeout(Some(Duration::from_secs(5))).unwrap();
    assert_eq!(next(&mut connection).unwrap().0, CONNECT);
    connection.write_all(&WELCOME).unwrap();
    let (kind, rest) = next(&mut connection).unwrap();
    assert_eq!(kind, SUBSCRIBE);
    connection.write_all(&[0x90, 4, rest[0], rest[1], 0, 1]).unwrap();
    connection
}

/// A packet number of a connection that is gone may be that of another message on the next one.
#[test]
fn what_one_connection_brought_is_not_acknowledged_on_the_next() {
    let folder = TempDir::new().unwrap();
    let broker = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("mqtt://{}", broker.local_addr().unwrap());
    let ingest = Ingest::start(folder.path(), "one", &url, &["--flush-seconds", "2"]);
    let (sent, records) = messages(1..2, 2);
    let mut first = welcome(&broker);
    publish(&mut first, 5, &sent[0].0, &sent[0].1);
    publish(&mut first, 6, &sent[1].0, &sent[1].1);
    drop(first);
    let mut second = welcome(&broker);
    wait_until("both are filed", || is_there(&folder.path().join("lake"), &records));
    second.set_read_timeout(Some(Duration::from_millis(700))).unwrap();
    assert_eq!(next(&mut second), None, "{}", ingest.log());
    // The same numbers, of other messages.
    let (sent, records) = messages(2..3, 2);
    publish(&mut second, 6, &sent[0].0, &sent[0].1);
    publish(&mut second, 5, &sent[1].0, &sent[1].1);
    second.set_read_timeout(Some(Duration::from_secs(5))).unwrap();
    for packet in [6, 5] {
        let (kind, rest) = next(&mut second).unwrap();
        assert_eq!((kind, &rest[..2]), (PUBACK, [0, packet].as_slice()));
        assert!(is_there(&folder.path().join("lake"), &records), "acknowledged before it was durable");
    }
}

/// As Mosquitto 2.0 does to a session that is taken up again.
#[test]
fn a_broker_that_sends_more_than_it_may_is_read_more_slowly() {
    let folder = TempDir::new().unwrap();
    let broker = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("mqtt://{}", broker.local_addr().unwrap());
    let ingest = Ingest::start(folder.path(), "one", &url, &["--in-flight", "10"]);
    let mut connection = welcome(&broker);
    let records = plain(minutes(1, 1, 0..500, None));
    for (packet, record) in (1..).zip(&records) {
        publish(&mut connection, packet, &topic(1, "telemetry"), record);
    }
    let mut acknowledged: Vec<u16> = (0..500)
        .map(|_| {
            let (kind, rest) = next(&mut connection).unwrap_or_else(|| panic!("{}", ingest.log()));
            assert_eq!(kind, PUBACK);
            u16::from_be_bytes([rest[0], rest[1]])
        })
        .collect();
    acknowledged.sort_unstable();
    assert!(acknowledged.iter().copied().eq(1..=500));
    assert_eq!(identities(&folder.path().join("lake"), TELEMETRY).len(), 500);
    assert_eq!(ingest.log().matches("connected").count(), 1);
}

#[test]
fn a_name_that_is_taken_over_is_given_up() {
    let folder = TempDir::new().unwrap();
    let broker = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("mqtt://{}", broker.local_addr().unwrap());
    let mut ingest = Ingest::start(folder.path(), "same", &url, &QUICK);
    let mut connection = welcome(&broker);
    // Good-bye: session taken over.
    connection.write_all(&[0xE0, 2, 0x8E, 0]).unwrap();
    assert_eq!(ingest.ended().code(), Some(1));
    assert!(
        ingest.log().contains("--name of its own") && !ingest.log().contains("next try"),
        "{}",
        ingest.log()
    );
}

#[test]
fn who_is_not_welcome_is_told_why() {
    for (code, reason) in [(0x87, "NotAuthorized"), (0x84, "UnsupportedProtocolVersion")] {
        let folder = TempDir::new().unwrap();
        let broker = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("mqtt://{}", broker.local_addr().unwrap());
        let mut ingest = Ingest::start(folder.path(), "one", &url, &QUICK);
        let (mut connection, _) = broker.accept().unwrap();
        assert_eq!(next(&mut connection).unwrap().0, CONNECT);
        connection.write_all(&[0x20, 3, 0, code, 0]).unwrap();
        assert_eq!(ingest.ended().code(), Some(1));
        assert!(
            ingest.log().contains(&format!("{url}: it refuses this client: {reason}")),
            "{}",
            ingest.log()
        );
    }
}
