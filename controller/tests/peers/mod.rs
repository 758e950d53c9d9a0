//! Peers of the drivers' tests: pymodbus as an independent device, and devices that misbehave, on real
//! pseudo-terminals and sockets.
#![allow(dead_code, unreachable_pub, missing_docs, reason = "each test uses its part")]
#![allow(clippy::unwrap_used, clippy::panic, reason = "a peer that cannot play its part fails the test")]

pub mod steady;

use std::fs::File;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
use sunkeep::device_file::{DeviceFile, Parity};
use sunkeep::driver::{Channel, DeviceId, Driver, Event};
use sunkeep::modbus::{
    BusSettings, DeviceSettings, LineSettings, ModbusBus, Relay, RtuSettings, TcpSettings, Wanted,
};
use sunkeep_models::quantity::Seconds;
use sunkeep_models::time::Uptime;

#[expect(clippy::disallowed_methods, reason = "a peer on a real line lives in real time")]
pub fn pause(milliseconds: u64) {
    std::thread::sleep(Duration::from_millis(milliseconds));
}

/// A pause in which others on the same thread go on.
#[expect(clippy::disallowed_methods, reason = "a peer on a real line lives in real time")]
pub async fn rest(milliseconds: u64) {
    tokio::time::sleep(Duration::from_millis(milliseconds)).await;
}

#[expect(clippy::disallowed_methods, reason = "a peer on a real line lives in real time")]
pub fn clock() -> Instant {
    Instant::now()
}

pub fn crc(bytes: &[u8]) -> u16 {
    bytes.iter().fold(0xFFFF, |sum, &byte| {
        (0..8).fold(sum ^ u16::from(byte), |sum, _| if sum & 1 == 1 { sum >> 1 ^ 0xA001 } else { sum >> 1 })
    })
}

pub fn framed(body: &[u8]) -> Vec<u8> {
    [body, &crc(body).to_le_bytes()].concat()
}

/// A request as a peer sees it, without checksum or header.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Asked {
    pub unit: u8,
    pub function: u8,
    pub address: u16,
    pub count: u16,
}

impl Asked {
    fn of(body: &[u8]) -> Self {
        let word = |at: usize| u16::from_be_bytes([body[at], body[at + 1]]);
        Self { unit: body[0], function: body[1], address: word(2), count: word(4) }
    }

    /// The reply, without checksum: words by address for a read, the repeated request for a write.
    pub fn reply(&self, word: impl Fn(u16) -> u16) -> Vec<u8> {
        let mut body = vec![self.unit, self.function];
        match self.function {
            1 | 2 => {
                body.push(self.count.div_ceil(8) as u8);
                let mut bytes = vec![0; usize::from(self.count.div_ceil(8))];
                for at in 0..self.count {
                    bytes[usize::from(at / 8)] |= u8::from(word(self.address + at) != 0) << (at % 8);
                }
                body.extend(bytes);
            }
            3 | 4 => {
                body.push((2 * self.count) as u8);
                body.extend((0..self.count).flat_map(|at| word(self.address + at).to_be_bytes()));
            }
            _ => body.extend([self.address.to_be_bytes(), self.count.to_be_bytes()].concat()),
        }
        body
    }

    pub fn exception(&self, code: u8) -> Vec<u8> {
        vec![self.unit, self.function | 0x80, code]
    }
}

/// An honest answer: the word at an address is the address plus ten times the unit.
pub fn honest(asked: &Asked) -> Vec<Act> {
    vec![Act::Frame(asked.reply(|address| address + 10 * u16::from(asked.unit)))]
}

/// What an honest unit 1 says at 0x10.
pub const A: f64 = 26.0;

/// What a peer does about a request.
#[derive(Debug, Clone)]
pub enum Act {
    /// Sends these bytes, whatever they are.
    Raw(Vec<u8>),
    /// Sends this with its checksum or header.
    Frame(Vec<u8>),
    /// Waits, in ms.
    Wait(u64),
    /// Closes the connection (TCP).
    Close,
    /// Sends this with a wrong transaction id (TCP).
    Stale(Vec<u8>),
}

type Log = Arc<Mutex<Vec<Asked>>>;

/// Requests of a log that match.
pub fn count(log: &Log, matches: impl Fn(&Asked) -> bool) -> usize {
    log.lock().unwrap().iter().filter(|asked| matches(asked)).count()
}

/// A pseudo-terminal: the far end, and the path a program opens as its serial port.
pub fn pty() -> (File, PathBuf) {
    let master = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY).unwrap();
    grantpt(&master).unwrap();
    unlockpt(&master).unwrap();
    let path = PathBuf::from(ptsname(&master, Vec::new()).unwrap().into_string().unwrap());
    let port = File::options().read(true).write(true).open(&path).unwrap();
    let mut modes = rustix::termios::tcgetattr(&port).unwrap();
    modes.make_raw();
    rustix::termios::tcsetattr(&port, rustix::termios::OptionalActions::Now, &modes).unwrap();
    (File::from(master), path)
}

/// Reads what is there; nothing while nobody holds the other end.
fn read_some(file: &mut File, space: &mut [u8]) -> usize {
    file.read(space).unwrap_or_else(|_| {
        pause(1);
        0
    })
}

/// Devices on a serial line, played by `serve`.
pub struct RtuPeer {
    pub path: PathBuf,
    pub log: Log,
    line: File,
}

impl RtuPeer {
    pub fn start(mut serve: impl FnMut(&Asked) -> Vec<Act> + Send + 'static) -> Self {
        let (line, path) = pty();
        let log = Log::default();
        let (mut reader, mut writer, seen) =
            (line.try_clone().unwrap(), line.try_clone().unwrap(), log.clone());
        std::thread::spawn(move || {
            let mut kept: Vec<u8> = Vec::new();
            let mut space = [0; 256];
            loop {
                let got = read_some(&mut reader, &mut space);
                if got == 0 && Arc::strong_count(&seen) == 1 {
                    return;
                }
                kept.extend(&space[..got]);
                let length = if kept.get(1) == Some(&15) { 10 } else { 8 };
                if kept.len() < length {
                    continue;
                }
                let request: Vec<u8> = kept.drain(..length).collect();
                assert_eq!(
                    crc(&request[..length - 2]).to_le_bytes(),
                    request[length - 2..],
                    "{request:02X?}"
                );
                let asked = Asked::of(&request);
                seen.lock().unwrap().push(asked.clone());
                for act in serve(&asked) {
                    match act {
                        Act::Raw(bytes) => writer.write_all(&bytes).unwrap(),
                        Act::Frame(body) => writer.write_all(&framed(&body)).unwrap(),
                        Act::Wait(milliseconds) => pause(milliseconds),
                        Act::Close | Act::Stale(_) => unreachable!("a serial line has no connection"),
                    }
                }
            }
        });
        Self { path, log, line }
    }

    /// Sends bytes that nobody asked for.
    pub fn say(&self, bytes: &[u8]) {
        (&self.line).write_all(bytes).unwrap();
    }

    pub fn settings(&self) -> LineSettings {
        rtu(self.path.clone())
    }
}

pub fn rtu(path: PathBuf) -> LineSettings {
    LineSettings::Rtu(RtuSettings { path, baud: 115_200, parity: Parity::None, stop_bits: 1, echo: false })
}

/// A Modbus TCP server, played by `serve`; every connection is served.
pub struct TcpPeer {
    pub port: u16,
    pub log: Log,
    pub connections: Arc<Mutex<usize>>,
}

impl TcpPeer {
    pub fn start(serve: impl FnMut(&Asked) -> Vec<Act> + Send + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let (log, connections) = (Log::default(), Arc::new(Mutex::new(0)));
        let serve = Arc::new(Mutex::new(serve));
        let (seen, counted) = (log.clone(), Arc::clone(&connections));
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                *counted.lock().unwrap() += 1;
                let (seen, serve) = (seen.clone(), Arc::clone(&serve));
                std::thread::spawn(move || {
                    // A hub that gives up closes its end, and then this end is done too.
                    let _ = serve_connection(&mut stream.unwrap(), &seen, &*serve);
                });
            }
        });
        Self { port, log, connections }
    }

    pub fn settings(&self) -> LineSettings {
        LineSettings::Tcp(TcpSettings { host: "127.0.0.1".into(), port: self.port })
    }
}

fn serve_connection(
    stream: &mut TcpStream,
    seen: &Log,
    serve: &Mutex<impl FnMut(&Asked) -> Vec<Act>>,
) -> std::io::Result<()> {
    loop {
        let mut header = [0; 6];
        stream.read_exact(&mut header)?;
        let mut body = vec![0; usize::from(u16::from_be_bytes([header[4], header[5]]))];
        stream.read_exact(&mut body)?;
        let asked = Asked::of(&body);
        seen.lock().unwrap().push(asked.clone());
        let acts = serve.lock().unwrap()(&asked);
        let send = |stream: &mut TcpStream, id: [u8; 2], body: &[u8]| {
            let length = (body.len() as u16).to_be_bytes();
            stream.write_all(&[&id, &[0, 0], length.as_slice(), body].concat())
        };
        for act in acts {
            match act {
                Act::Raw(bytes) => stream.write_all(&bytes)?,
                Act::Frame(body) => send(stream, [header[0], header[1]], &body)?,
                Act::Stale(body) => send(stream, [header[0] ^ 0x55, header[1]], &body)?,
                Act::Wait(milliseconds) => pause(milliseconds),
                Act::Close => return Ok(()),
            }
        }
    }
}

/// pymodbus as a device; killed when dropped.
pub struct Pymodbus(Child);

impl Pymodbus {
    pub fn start(kind: &str, place: &str) -> Self {
        let here = PathBuf::from(env!("CARGO_MANIFEST_DIR"));
        let python = std::env::var_os("SUNKEEP_PYTHON")
            .map_or_else(|| here.join("../.venv/bin/python"), PathBuf::from);
        let script = here.join("tests/peers/pymodbus_device.py");
        let mut child = Command::new(&python)
            .arg(&script)
            .args([kind, place])
            .stdout(Stdio::piped())
            .spawn()
            .unwrap_or_else(|error| {
                panic!(
                    "{} does not run ({error}): make it with `python3 -m venv .venv && .venv/bin/pip install \
                     pymodbus pyserial`, or name another interpreter in SUNKEEP_PYTHON",
                    python.display()
                )
            });
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
        assert_eq!(line.trim(), "ready", "{} {kind} {place} did not start", script.display());
        Self(child)
    }
}

impl Drop for Pymodbus {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// A port that is free now.
pub fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

/// Two ports wired to each other, as a null modem would.
pub fn wired_ports() -> (PathBuf, PathBuf) {
    let ((left, left_path), (right, right_path)) = (pty(), pty());
    for (mut from, mut to) in [
        (left.try_clone().unwrap(), right.try_clone().unwrap()),
        (right.try_clone().unwrap(), left.try_clone().unwrap()),
    ] {
        std::thread::spawn(move || {
            let mut space = [0; 256];
            loop {
                let got = read_some(&mut from, &mut space);
                if got > 0 {
                    to.write_all(&space[..got]).unwrap();
                }
            }
        });
    }
    (left_path, right_path)
}

/// A device file with one word at 0x10, one at 0x11, a low-first pair at 0x12, a lone optional word at 0x30,
/// and eight relays.
pub fn small_device(limits: &str) -> Arc<DeviceFile> {
    let text = format!(
        r#"
name = "test device"
vendor = "test"
source = "test"
verified = true
limits = {{ max_registers = 10, {limits} }}
register = [
  {{ name = "a", function = 3, address = 0x10, type = "u16", min = 0, max = 1000 }},
  {{ name = "b", function = 3, address = 0x11, type = "i16", scale = 0.1, min = -100, max = 100 }},
  {{ name = "pair", function = 3, address = 0x12, type = "u32", word_order = "low_first", min = 0, max = 1e7 }},
  {{ name = "extra", function = 3, address = 0x30, type = "u16", min = 0, max = 1000, optional = true }},
  {{ name = "input", function = 4, address = 0x10, type = "u16", min = 0, max = 1000 }},
]
relays = {{ count = 8, first = 0, read_function = 1, write_function = 5 }}
"#
    );
    Arc::new(DeviceFile::parse("small", &text).unwrap())
}

/// Long enough for a busy machine to answer in time, short enough to wait for.
pub const QUICK: &str = "reply_timeout_ms = 800, longest_reply_ms = 1600";
/// A reply after this comes too late for `QUICK`, but before it is given up for good, ms.
pub const LATE: u64 = 1200;

/// Settings of a device whose registers go to channels `unit * 10` and on.
pub fn device(unit: u8, file: &Arc<DeviceFile>, wanted: &[&str], period: f64) -> DeviceSettings {
    let wanted = wanted.iter().enumerate().map(|(at, register)| Wanted {
        register: (*register).to_owned(),
        channel: Channel(u16::from(unit) * 10 + at as u16),
        period: Seconds(period),
    });
    DeviceSettings {
        id: DeviceId(unit.into()),
        name: format!("device {unit}"),
        unit,
        file: Arc::clone(file),
        allow_unverified: false,
        wanted: wanted.collect(),
        relays: Vec::new(),
        contact_period: Seconds(10.0),
    }
}

pub fn with_relays(mut device: DeviceSettings, relays: &[(u16, u16)]) -> DeviceSettings {
    let relay = |&(output, index)| Relay { output: sunkeep::driver::Output(output), index };
    device.relays = relays.iter().map(relay).collect();
    device
}

pub fn bus(line: LineSettings, devices: Vec<DeviceSettings>) -> ModbusBus {
    ModbusBus::new(BusSettings { name: "test".into(), line, devices }).unwrap()
}

/// Drives the bus through the seconds `from..to` of its own clock, as fast as the line allows.
pub async fn drive(bus: &mut ModbusBus, from: u64, to: u64) -> Vec<Event> {
    let mut events = Vec::new();
    for second in from..to {
        let mut left = 200;
        while let Some(more) = bus.next(Uptime::from_seconds(second)).await {
            events.extend(more);
            left -= 1;
            assert!(left > 0, "the bus does not come to rest at {second} s");
        }
    }
    events
}

/// Values of a channel, in order.
pub fn values(events: &[Event], wanted: u16) -> Vec<f64> {
    let value = |event: &Event| match event {
        Event::Measured { channel, value, .. } if channel.0 == wanted => Some(*value),
        _ => None,
    };
    events.iter().filter_map(value).collect()
}

/// What was said of a device: "answers", "silent: ..." or "doubtful: ...".
pub fn said(events: &[Event], of: u8) -> Vec<String> {
    let says = |event: &Event| match event {
        Event::Answers(device) if device.0 == u16::from(of) => Some("answers".to_owned()),
        Event::Silent { device, why } if device.0 == u16::from(of) => Some(format!("silent: {why}")),
        Event::Doubtful { device, why } if device.0 == u16::from(of) => Some(format!("doubtful: {why}")),
        _ => None,
    };
    events.iter().filter_map(says).collect()
}

/// States of a contact, in order.
pub fn contacts(events: &[Event], of: u16) -> Vec<Option<bool>> {
    let state = |event: &Event| match event {
        Event::Contact { output, energised, .. } if output.0 == of => Some(*energised),
        _ => None,
    };
    events.iter().filter_map(state).collect()
}
