//! One request and its reply, over a serial port or a TCP connection: opening, silence, deadlines, and what a
//! failure means. It knows no registers and no schedule.

use std::io;
use std::time::Duration;

use tokio::net::TcpStream;
use tokio::time::{Instant, timeout};
use tokio_modbus::client::{Client, Context, rtu, tcp};
use tokio_modbus::slave::{Slave, SlaveContext};
use tokio_modbus::{Error, ProtocolError, Request, Response};
use tokio_serial::{SerialPortBuilder, SerialStream};

use super::frame::Expected;
use super::line::{SharedLine, wire_now, wire_wait};
use super::settings::{LineSettings, RtuSettings, TcpSettings};
use crate::device_file::{Limits, Parity, ReadFunction, RelayWrite};

/// Longest wait for a TCP connection.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(3);
/// Longest wait for a line to fall silent before a request is sent all the same.
const SETTLE_BOUND: Duration = Duration::from_millis(250);

/// What is asked of a unit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Ask {
    /// Words or bits.
    Read { function: ReadFunction, address: u16, count: u16 },
    /// A relay.
    WriteCoil { address: u16, on: bool, how: RelayWrite },
}

/// How patiently it is asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Patience {
    pub(crate) reply_timeout: Duration,
    pub(crate) request_gap: Duration,
    pub(crate) longest_reply: Duration,
}

impl From<&Limits> for Patience {
    fn from(limits: &Limits) -> Self {
        Self {
            reply_timeout: Duration::from_millis(limits.reply_timeout_ms),
            request_gap: Duration::from_millis(limits.request_gap_ms),
            longest_reply: Duration::from_millis(limits.longest_reply_ms),
        }
    }
}

/// What a unit replied.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Reply {
    /// Registers; a bit is a word of 0 or 1.
    Words(Vec<u16>),
    /// The write was done.
    Written,
}

/// Why there is no reply.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Failure {
    /// The unit answered with this exception.
    Exception(u8),
    /// The unit did not answer, or not with the reply that was asked for; what came instead.
    NoReply(String),
    /// The port or the connection cannot be had; nobody on this bus can be asked.
    Down(String),
}

/// The way to the units of a bus. One request is in flight at a time.
pub(crate) struct Link {
    settings: LineSettings,
    open: Option<Open>,
    /// A reply may still come until then: nobody is asked before.
    silent_until: Option<Instant>,
}

enum Open {
    Rtu { line: SharedLine<SerialStream>, client: Context },
    Tcp { client: Context, used: bool },
}

/// What a call brought, before it is known what that means for the link.
pub(super) enum Called {
    Done(Result<Reply, u8>),
    TimedOut,
    Mismatch(String),
    Broken(io::Error),
}

impl Link {
    pub(crate) fn new(settings: LineSettings) -> Self {
        Self { settings, open: None, silent_until: None }
    }

    pub(crate) fn settings(&self) -> &LineSettings {
        &self.settings
    }

    /// Asks `unit` and waits for its reply, no longer than its patience and the bytes on the wire take, after
    /// waiting out a late reply to the request before.
    pub(crate) async fn transact(
        &mut self,
        unit: u8,
        ask: Ask,
        patience: Patience,
    ) -> Result<Reply, Failure> {
        let fresh = self.open.is_none();
        self.silence(patience).await?;
        let reused = !fresh && matches!(self.open, Some(Open::Tcp { used: true, .. }));
        let called = self.call(unit, ask, patience).await?;
        // Some servers close the connection after every reply. That shows in the request after, which is safe
        // to repeat once: reads change nothing, and a relay is told its state, not to toggle.
        let called = match called {
            Called::Broken(_) if reused => {
                self.open = None;
                self.call(unit, ask, patience).await?
            }
            called => called,
        };
        self.judge(called)
    }

    /// Bytes that come while nobody was asked, within `span`; of a serial line only.
    pub(crate) async fn listen(&mut self, span: Duration) -> Result<usize, Failure> {
        self.open().await?;
        match &self.open {
            Some(Open::Rtu { line, .. }) => {
                line.discard_until(wire_now() + span).await.map_err(|error| Failure::Down(error.to_string()))
            }
            _ => Ok(0),
        }
    }

    async fn silence(&mut self, patience: Patience) -> Result<(), Failure> {
        self.open().await?;
        let until = self.silent_until.take();
        let Some(Open::Rtu { line, .. }) = &self.open else {
            if let Some(until) = until {
                wire_wait(until).await;
            }
            return Ok(());
        };
        let gap = match &self.settings {
            LineSettings::Rtu(rtu) => rtu.frame_gap().max(patience.request_gap),
            LineSettings::Tcp(_) => patience.request_gap,
        };
        let drained = async {
            if let Some(until) = until {
                line.discard_until(until).await?;
            }
            line.settle(gap, SETTLE_BOUND.max(gap)).await
        };
        let drained = drained.await;
        drained.map(|_| ()).map_err(|error| self.broken(&error))
    }

    async fn call(&mut self, unit: u8, ask: Ask, patience: Patience) -> Result<Called, Failure> {
        self.open().await?;
        let on_wire = match &self.settings {
            LineSettings::Rtu(rtu) => rtu.duration_of(8 + reply_length(ask)),
            LineSettings::Tcp(_) => Duration::ZERO,
        };
        let sent = wire_now();
        let client = match &mut self.open {
            Some(Open::Rtu { line, client }) => {
                line.begin();
                client
            }
            Some(Open::Tcp { client, used }) => {
                *used = true;
                client
            }
            None => return Err(Failure::Down("the line is closed".into())),
        };
        client.set_slave(Slave(unit));
        let called = timeout(patience.reply_timeout + on_wire, client.call(request(ask))).await;
        let called = called.map_or(Called::TimedOut, |result| read_result(ask, result));
        if matches!(called, Called::TimedOut | Called::Mismatch(_)) {
            self.silent_until = Some(sent + patience.longest_reply.max(patience.reply_timeout) + on_wire);
        }
        if !matches!(called, Called::Done(_))
            && let Some(Open::Rtu { line, client }) = &mut self.open
        {
            // What the client had half read belongs to nobody.
            *client = rtu::attach(line.clone());
        }
        Ok(called)
    }

    fn judge(&mut self, called: Called) -> Result<Reply, Failure> {
        let rtu = match &self.open {
            Some(Open::Rtu { line, .. }) => Some(line.account()),
            _ => None,
        };
        match (called, rtu) {
            (Called::Done(result), _) => result.map_err(Failure::Exception),
            (Called::Broken(error), Some(_)) => Err(self.broken(&error)),
            (Called::TimedOut, Some(came)) => Err(Failure::NoReply(came)),
            (Called::Mismatch(what), Some(_)) => Err(Failure::NoReply(what)),
            (Called::Broken(error), None) => {
                self.open = None;
                Err(Failure::NoReply(format!("the connection was closed ({error})")))
            }
            // A late reply on a kept connection would be taken for a mismatch, and so on for ever.
            (Called::TimedOut, None) => {
                self.open = None;
                Err(Failure::NoReply("nothing came".into()))
            }
            (Called::Mismatch(what), None) => {
                self.open = None;
                Err(Failure::NoReply(what))
            }
        }
    }

    fn broken(&mut self, error: &io::Error) -> Failure {
        self.open = None;
        Failure::Down(format!("{} broke: {error}", self.place()))
    }

    fn place(&self) -> String {
        match &self.settings {
            LineSettings::Rtu(rtu) => rtu.path.display().to_string(),
            LineSettings::Tcp(tcp) => format!("{}:{}", tcp.host, tcp.port),
        }
    }

    async fn open(&mut self) -> Result<(), Failure> {
        if self.open.is_none() {
            let open = match &self.settings {
                LineSettings::Rtu(rtu) => open_serial(rtu),
                LineSettings::Tcp(tcp) => connect(tcp).await,
            };
            self.open = Some(open.map_err(Failure::Down)?);
        }
        Ok(())
    }
}

fn open_serial(settings: &RtuSettings) -> Result<Open, String> {
    let path = settings.path.display();
    let builder: SerialPortBuilder = tokio_serial::new(settings.path.to_string_lossy(), settings.baud)
        .data_bits(tokio_serial::DataBits::Eight)
        .flow_control(tokio_serial::FlowControl::None)
        .parity(match settings.parity {
            Parity::None => tokio_serial::Parity::None,
            Parity::Even => tokio_serial::Parity::Even,
            Parity::Odd => tokio_serial::Parity::Odd,
        })
        .stop_bits(if settings.stop_bits == 2 {
            tokio_serial::StopBits::Two
        } else {
            tokio_serial::StopBits::One
        });
    let port = SerialStream::open(&builder).map_err(|error| format!("cannot open {path}: {error}"))?;
    let line = SharedLine::new(port, settings.echo);
    let client = rtu::attach(line.clone());
    Ok(Open::Rtu { line, client })
}

async fn connect(settings: &TcpSettings) -> Result<Open, String> {
    let TcpSettings { host, port } = settings;
    let stream = timeout(CONNECT_TIMEOUT, TcpStream::connect((host.as_str(), *port))).await;
    let stream = match stream {
        Ok(Ok(stream)) => stream,
        Ok(Err(error)) => return Err(format!("cannot connect to {host}:{port}: {error}")),
        Err(_) => {
            let seconds = CONNECT_TIMEOUT.as_secs();
            return Err(format!("cannot connect to {host}:{port}: no answer within {seconds} s"));
        }
    };
    // A request is one small packet that must not wait for another.
    stream.set_nodelay(true).map_err(|error| format!("{host}:{port}: {error}"))?;
    Ok(Open::Tcp { client: tcp::attach(stream), used: false })
}

pub(super) fn request(ask: Ask) -> Request<'static> {
    match ask {
        Ask::Read { function: ReadFunction::Coils, address, count } => Request::ReadCoils(address, count),
        Ask::Read { function: ReadFunction::DiscreteInputs, address, count } => {
            Request::ReadDiscreteInputs(address, count)
        }
        Ask::Read { function: ReadFunction::HoldingRegisters, address, count } => {
            Request::ReadHoldingRegisters(address, count)
        }
        Ask::Read { function: ReadFunction::InputRegisters, address, count } => {
            Request::ReadInputRegisters(address, count)
        }
        Ask::WriteCoil { address, on, how: RelayWrite::SingleCoil } => Request::WriteSingleCoil(address, on),
        Ask::WriteCoil { address, on, how: RelayWrite::MultipleCoils } => {
            Request::WriteMultipleCoils(address, vec![on].into())
        }
    }
}

fn reply_length(ask: Ask) -> usize {
    let Ask::Read { function, address, count } = ask else { return 8 };
    let ([high, low], [first, second]) = (address.to_be_bytes(), count.to_be_bytes());
    Expected::of(&[0, function.code(), high, low, first, second]).map_or(8, |expected| expected.length())
}

pub(super) fn read_result(ask: Ask, result: tokio_modbus::Result<Response>) -> Called {
    match result {
        Ok(Err(exception)) => Called::Done(Err(exception.into())),
        Ok(Ok(response)) => match read_response(ask, response) {
            Ok(reply) => Called::Done(Ok(reply)),
            Err(what) => Called::Mismatch(what),
        },
        Err(Error::Protocol(error)) => Called::Mismatch(match error {
            ProtocolError::HeaderMismatch { message, .. } => {
                format!("a reply to another request came ({message})")
            }
            ProtocolError::FunctionCodeMismatch { request, result } => {
                format!("a reply to another function came (asked {request}, came {result:?})")
            }
        }),
        Err(Error::Transport(error)) if error.kind() == io::ErrorKind::InvalidData => {
            Called::Mismatch(format!("a reply that breaks the protocol came ({error})"))
        }
        Err(Error::Transport(error)) => Called::Broken(error),
    }
}

/// The reply, if it has the length and the repeated fields that the request calls for.
fn read_response(ask: Ask, response: Response) -> Result<Reply, String> {
    match (ask, response) {
        (
            Ask::Read { count, .. },
            Response::ReadHoldingRegisters(words) | Response::ReadInputRegisters(words),
        ) if words.len() == usize::from(count) => Ok(Reply::Words(words)),
        (Ask::Read { count, .. }, Response::ReadCoils(bits) | Response::ReadDiscreteInputs(bits))
            if bits.len() == usize::from(count).next_multiple_of(8) =>
        {
            Ok(Reply::Words(bits.into_iter().take(count.into()).map(u16::from).collect()))
        }
        (
            Ask::WriteCoil { address, on, how: RelayWrite::SingleCoil },
            Response::WriteSingleCoil(at, value),
        ) if (at, value) == (address, on) => Ok(Reply::Written),
        (Ask::WriteCoil { address, .. }, Response::WriteMultipleCoils(at, 1)) if at == address => {
            Ok(Reply::Written)
        }
        (ask, response) => Err(format!("asked {ask:?}, came {response:?}")),
    }
}
