//! The serial line as tokio-modbus sees it: a transport that hands on nothing but the reply to the pending
//! request. It drops what came unasked, garbage, frames of other units and its own echo.
//!
//! The port is shared between the transport, which the client owns, and the link, which drains the line
//! between requests. One transaction runs at a time, so the lock is never waited for.

use std::future::poll_fn;
use std::io;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::Instant;

use super::frame::{Expected, Hunter, MAX_FRAME};

/// The moment on the clock of the wire.
#[expect(
    clippy::disallowed_methods,
    reason = "silence on a wire is real time, also when the hub's clock is driven"
)]
pub(crate) fn wire_now() -> Instant {
    Instant::now()
}

/// Waits on the clock of the wire.
#[expect(
    clippy::disallowed_methods,
    reason = "silence on a wire is real time, also when the hub's clock is driven"
)]
pub(crate) async fn wire_wait(until: Instant) {
    tokio::time::sleep(until.saturating_duration_since(wire_now())).await;
}

#[derive(Debug)]
struct Line<P> {
    port: P,
    echo: bool,
    /// What was written of the pending request.
    request: Vec<u8>,
    expected: Option<Expected>,
    hunter: Hunter,
    /// The reply, and how much of it was handed on.
    reply: Vec<u8>,
    handed: usize,
    last_activity: Instant,
}

/// A port with our line discipline on it.
#[derive(Debug)]
pub(crate) struct SharedLine<P>(Arc<Mutex<Line<P>>>);

impl<P> Clone for SharedLine<P> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

impl<P: AsyncRead + AsyncWrite + Unpin> SharedLine<P> {
    pub(crate) fn new(port: P, echo: bool) -> Self {
        Self(Arc::new(Mutex::new(Line {
            port,
            echo,
            request: Vec::new(),
            expected: None,
            hunter: Hunter::default(),
            reply: Vec::new(),
            handed: 0,
            last_activity: wire_now(),
        })))
    }

    fn line(&self) -> MutexGuard<'_, Line<P>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Drops what the line carries until it has been silent for `gap`, but never longer than `bound` (then
    /// somebody talks all the time, and the hunt must cope). Returns how many bytes were dropped.
    pub(crate) async fn settle(&self, gap: Duration, bound: Duration) -> io::Result<usize> {
        let end = wire_now() + bound;
        let mut dropped = 0;
        loop {
            // What is already there is dropped even where the silence has lasted long enough.
            let waited = self.line().last_activity + gap;
            let until = waited.max(wire_now() + Duration::from_micros(200)).min(end);
            match tokio::time::timeout_at(until, self.discard()).await {
                Ok(count) => dropped += count?,
                Err(_) => return Ok(dropped),
            }
            if wire_now() >= end {
                return Ok(dropped);
            }
        }
    }

    /// Drops everything until `until`.
    pub(crate) async fn discard_until(&self, until: Instant) -> io::Result<usize> {
        let mut dropped = 0;
        while let Ok(count) = tokio::time::timeout_at(until, self.discard()).await {
            dropped += count?;
        }
        Ok(dropped)
    }

    async fn discard(&self) -> io::Result<usize> {
        poll_fn(|cx| {
            let mut line = self.line();
            let mut space = [0; MAX_FRAME];
            line.poll_port(cx, &mut space)
        })
        .await
    }

    /// Forgets the last request; what is written next is the pending one.
    pub(crate) fn begin(&self) {
        let mut line = self.line();
        line.request.clear();
        line.expected = None;
        line.reply.clear();
        line.handed = 0;
        line.hunter.start(None);
    }

    /// What came instead of the reply.
    pub(crate) fn account(&self) -> String {
        self.line().hunter.account()
    }
}

impl<P: AsyncRead + AsyncWrite + Unpin> Line<P> {
    fn poll_port(&mut self, cx: &mut Context<'_>, space: &mut [u8]) -> Poll<io::Result<usize>> {
        let mut buffer = ReadBuf::new(space);
        ready!(Pin::new(&mut self.port).poll_read(cx, &mut buffer))?;
        let count = buffer.filled().len();
        if count == 0 {
            return Poll::Ready(Err(io::Error::new(io::ErrorKind::UnexpectedEof, "the port was closed")));
        }
        self.last_activity = wire_now();
        Poll::Ready(Ok(count))
    }

    fn poll_reply(&mut self, cx: &mut Context<'_>, out: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        while self.handed == self.reply.len() {
            let mut space = [0; MAX_FRAME];
            let count = ready!(self.poll_port(cx, &mut space))?;
            self.hunter.push(&space[..count]);
            if let Some(frame) = self.expected.as_ref().and_then(|expected| self.hunter.find(expected)) {
                self.expected = None;
                self.reply = frame;
                self.handed = 0;
            }
        }
        let rest = &self.reply[self.handed..];
        let count = rest.len().min(out.remaining());
        out.put_slice(&rest[..count]);
        self.handed += count;
        Poll::Ready(Ok(()))
    }
}

impl<P: AsyncRead + AsyncWrite + Unpin> AsyncRead for SharedLine<P> {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, out: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        self.line().poll_reply(cx, out)
    }
}

impl<P: AsyncRead + AsyncWrite + Unpin> AsyncWrite for SharedLine<P> {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let mut line = self.line();
        let count = ready!(Pin::new(&mut line.port).poll_write(cx, bytes))?;
        line.request.extend_from_slice(&bytes[..count]);
        line.last_activity = wire_now();
        Poll::Ready(Ok(count))
    }

    /// Does not wait until the bits have left: that call blocks the thread, and the deadline allows for it.
    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        let mut line = self.line();
        if line.expected.is_none() {
            line.expected = Expected::of(&line.request);
            let echo = line.echo.then(|| line.request.clone());
            line.hunter.start(echo);
        }
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.line().port).poll_shutdown(cx)
    }
}
