//! A way in for the fuzzer: one request and its reply, over a line or connection whose every byte somebody
//! else chose. Everything that a received byte passes through is the hub's own; only the port is not there.

use std::collections::VecDeque;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio_modbus::client::{Client as _, rtu, tcp};
use tokio_modbus::slave::{Slave, SlaveContext as _};

use super::line::SharedLine;
use super::link::{Ask, Called, Reply, read_result, request};
use crate::device_file::{ReadFunction, RelayWrite};

/// A request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Asked {
    /// Unit id.
    pub unit: u8,
    /// 1 to 4 read, 5 and 15 switch a coil; others ask nothing.
    pub function: u8,
    /// First register or coil.
    pub address: u16,
    /// Registers or coils that are read; odd switches a coil on.
    pub count: u16,
}

impl Asked {
    fn ask(self) -> Option<Ask> {
        let Self { function, address, count, .. } = self;
        let write = |how| Ask::WriteCoil { address, on: count % 2 == 1, how };
        match function {
            5 => Some(write(RelayWrite::SingleCoil)),
            15 => Some(write(RelayWrite::MultipleCoils)),
            _ => Some(Ask::Read { function: ReadFunction::from_code(function)?, address, count }),
        }
    }
}

/// What a serial line that carries `pieces` is understood to reply: words of a read (bits as 0 or 1), none
/// for a write; `None` where there is no reply. `echo`: the adapter hands back what was sent.
pub async fn over_rtu(asked: Asked, echo: bool, pieces: Vec<Vec<u8>>) -> Option<Vec<u16>> {
    let line = SharedLine::new(Pieces(pieces.into()), echo);
    line.begin();
    let words = exchange(asked, rtu::attach(line.clone())).await;
    let _ = line.account();
    words
}

/// As [`over_rtu`], over a TCP connection.
pub async fn over_tcp(asked: Asked, pieces: Vec<Vec<u8>>) -> Option<Vec<u16>> {
    exchange(asked, tcp::attach(Pieces(pieces.into()))).await
}

async fn exchange(asked: Asked, mut client: tokio_modbus::client::Context) -> Option<Vec<u16>> {
    let ask = asked.ask()?;
    client.set_slave(Slave(asked.unit));
    match read_result(ask, client.call(request(ask)).await) {
        Called::Done(Ok(Reply::Words(words))) => Some(words),
        Called::Done(Ok(Reply::Written)) => Some(Vec::new()),
        _ => None,
    }
}

/// A port that brings these pieces, one a read, and then is closed. What is written to it is lost.
#[derive(Debug)]
struct Pieces(VecDeque<Vec<u8>>);

impl AsyncRead for Pieces {
    fn poll_read(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
        out: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if let Some(mut piece) = self.0.pop_front() {
            let rest = piece.split_off(piece.len().min(out.remaining()));
            out.put_slice(&piece);
            if !rest.is_empty() {
                self.0.push_front(rest);
            }
        }
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Pieces {
    fn poll_write(self: Pin<&mut Self>, _: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Poll::Ready(Ok(bytes.len()))
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}
