//! A plain Modbus master for tests: raw bytes on a socket or a serial line, with deadlines.
#![allow(dead_code, reason = "each test file uses its part")]

use core::time::Duration;
use std::fs::{File, OpenOptions};
use std::io::{Read, Write};
use std::net::TcpStream;
use std::sync::mpsc::{Receiver, channel};
use std::time::Instant;

use sunkeep_simulator::home::{BusSpec, HomeOptions, RunningHome, Transport};
use sunkeep_simulator::plant::{HomeSpec, Plant, SolarHome};

/// Midnight in Nairobi.
pub(crate) const START: i64 = 1_740_776_400;

/// The home of seed 1, five hours into its first day.
pub(crate) fn plant() -> Plant {
    let spec = HomeSpec::from_seed(1, START);
    let mut home = SolarHome::new(spec).expect("a zone that exists");
    home.advance(Duration::from_hours(5));
    Plant::Synthetic(Box::new(home))
}

/// Starts a home with these buses and no folder.
pub(crate) async fn start(buses: Vec<BusSpec>) -> RunningHome {
    let options = HomeOptions { buses, dir: None, burst_pause: Duration::from_millis(250) };
    RunningHome::start(plant(), &options).await.expect("a home")
}

/// A bus named `bus` with these units.
pub(crate) fn bus(transport: Transport, units: &[(u8, sunkeep_simulator::device::Model)]) -> Vec<BusSpec> {
    vec![BusSpec::new("bus", transport, units)]
}

#[expect(clippy::disallowed_methods, reason = "a test of real lines measures real time")]
pub(crate) fn now() -> Instant {
    Instant::now()
}

/// CRC-16 of Modbus, by the table-free method.
pub(crate) fn crc(bytes: &[u8]) -> [u8; 2] {
    let mut crc = 0xFFFF_u16;
    for byte in bytes {
        crc ^= u16::from(*byte);
        for _ in 0..8 {
            let carry = crc & 1 == 1;
            crc >>= 1;
            if carry {
                crc ^= 0xA001;
            }
        }
    }
    crc.to_le_bytes()
}

/// A request to read, with unit and without checksum.
pub(crate) fn read(unit: u8, function: u8, start: u16, count: u16) -> Vec<u8> {
    let ([s1, s0], [c1, c0]) = (start.to_be_bytes(), count.to_be_bytes());
    vec![unit, function, s1, s0, c1, c0]
}

/// Modbus TCP, one request at a time.
pub(crate) struct Tcp {
    stream: TcpStream,
    transaction: u16,
}

impl Tcp {
    pub(crate) fn connect(address: &str) -> Self {
        Self { stream: TcpStream::connect(address).expect("a connection"), transaction: 0 }
    }

    /// Sends a request and returns its transaction number.
    pub(crate) fn send(&mut self, body: &[u8]) -> u16 {
        self.transaction += 1;
        let mut message = self.transaction.to_be_bytes().to_vec();
        message.extend([0, 0]);
        message.extend((body.len() as u16).to_be_bytes());
        message.extend(body);
        self.stream.write_all(&message).expect("sending");
        self.transaction
    }

    /// The next message within ten seconds: transaction number and body.
    pub(crate) fn receive(&mut self) -> Option<(u16, Vec<u8>)> {
        self.stream.set_read_timeout(Some(Duration::from_secs(10))).expect("a timeout");
        let mut header = [0; 6];
        self.stream.read_exact(&mut header).ok()?;
        let mut body = vec![0; usize::from(u16::from_be_bytes([header[4], header[5]]))];
        self.stream.read_exact(&mut body).ok()?;
        Some((u16::from_be_bytes([header[0], header[1]]), body))
    }

    pub(crate) fn ask(&mut self, body: &[u8]) -> Option<Vec<u8>> {
        let sent = self.send(body);
        self.receive().map(|(transaction, body)| {
            assert_eq!(transaction, sent);
            body
        })
    }
}

/// A serial line, with the moments at which bytes arrived.
pub(crate) struct Line {
    file: File,
    arrived: Receiver<(Instant, Vec<u8>)>,
}

impl Line {
    pub(crate) fn open(path: &str) -> Self {
        let file = OpenOptions::new().read(true).write(true).open(path).expect("the line");
        let mut reader = file.try_clone().expect("a second handle");
        let (sender, arrived) = channel();
        std::thread::spawn(move || {
            let mut buffer = [0; 512];
            while let Ok(count @ 1..) = reader.read(&mut buffer) {
                if sender.send((now(), buffer[..count].to_vec())).is_err() {
                    return;
                }
            }
        });
        Self { file, arrived }
    }

    pub(crate) fn send(&mut self, body: &[u8]) {
        let mut frame = body.to_vec();
        frame.extend(crc(body));
        self.file.write_all(&frame).expect("sending");
    }

    /// Everything that arrives until the line is silent for `silence`, piece by piece.
    pub(crate) fn pieces(&self, silence: Duration) -> Vec<(Instant, Vec<u8>)> {
        let mut pieces = Vec::new();
        while let Ok(piece) = self.arrived.recv_timeout(silence) {
            pieces.push(piece);
        }
        pieces
    }

    /// Everything that arrives until `enough` says so; the test fails after ten seconds.
    pub(crate) fn until(&self, enough: impl Fn(&[u8]) -> bool) -> Vec<u8> {
        let end = now() + Duration::from_secs(10);
        let mut bytes = Vec::new();
        while !enough(&bytes) {
            let left = end.checked_duration_since(now()).unwrap_or_default();
            let piece = self.arrived.recv_timeout(left);
            bytes.extend(piece.unwrap_or_else(|_| panic!("only {bytes:02x?} within ten seconds")).1);
        }
        bytes
    }

    /// Whether the line ends within a second.
    pub(crate) fn hung_up(&self) -> bool {
        self.arrived.recv_timeout(Duration::from_secs(1))
            == Err(std::sync::mpsc::RecvTimeoutError::Disconnected)
    }

    /// The next `count` bytes.
    pub(crate) fn exactly(&self, count: usize) -> Vec<u8> {
        self.until(|bytes| bytes.len() >= count)
    }

    /// Asks, and returns the answer without its checksum.
    pub(crate) fn ask(&mut self, body: &[u8]) -> Vec<u8> {
        self.send(body);
        let mut bytes = self.until(|bytes| {
            bytes
                .split_at_checked(bytes.len().saturating_sub(2))
                .is_some_and(|(answer, sum)| answer.len() >= 3 && crc(answer) == sum)
        });
        bytes.truncate(bytes.len() - 2);
        bytes
    }

    /// Asks, and nobody answers for 300 ms.
    pub(crate) fn ask_in_vain(&mut self, body: &[u8]) {
        self.send(body);
        let pieces = self.pieces(Duration::from_millis(300));
        assert!(pieces.is_empty(), "{pieces:02x?}");
    }
}
