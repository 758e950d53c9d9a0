//! The line to the broker: TCP, TLS where it is wanted, and a count of every byte. The MQTT client is handed one end of
//! a local socket, for it offers no way to count, nor to judge certificates without a clock.

use std::io;
use std::path::PathBuf;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use rustls::pki_types::ServerName;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf, copy_bidirectional};
use tokio::net::{TcpStream, UnixListener};
use tokio::task::JoinHandle;
use tokio_rustls::TlsConnector;

use super::meter::Meter;
use super::tls;
use crate::config::Uplink;

/// How long the broker may take to be connected to, and to secure the line.
const PATIENCE: Duration = Duration::from_secs(30);

/// Why there is no line.
#[derive(Debug, thiserror::Error)]
pub(super) enum LinkError {
    #[error(transparent)]
    Tls(#[from] tls::TlsError),
    #[error("{host}:{port} cannot be reached: {source}")]
    Unreachable { host: String, port: u16, source: io::Error },
    #[error("{host}:{port} does not answer within {} s", PATIENCE.as_secs())]
    Silent { host: String, port: u16 },
    #[error("the line to {host}:{port} cannot be secured: {source}")]
    Unsecured { host: String, port: u16, source: io::Error },
    #[error("cannot open a local socket: {0}")]
    Local(io::Error),
}

/// An open line.
#[derive(Debug)]
pub(super) struct Link {
    /// Where the MQTT client finds it: a name that no file has.
    pub(super) name: String,
    relay: JoinHandle<()>,
}

impl Drop for Link {
    fn drop(&mut self) {
        self.relay.abort();
    }
}

/// Opens the line.
pub(super) async fn open(config: &Uplink, meter: &Arc<Meter>) -> Result<Link, LinkError> {
    let (host, port) = (config.host.clone(), config.port);
    let secured = config.tls.as_ref().map(tls::config).transpose()?;
    let connect = async {
        let unreachable = |source| LinkError::Unreachable { host: host.clone(), port, source };
        let tcp = TcpStream::connect((&*host, port)).await.map_err(unreachable)?;
        tcp.set_nodelay(true).map_err(unreachable)?;
        let counted = Counted { line: tcp, meter: Arc::clone(meter) };
        let Some(secured) = secured else { return Ok::<_, LinkError>(Line::Plain(counted)) };
        let unsecured = |source| LinkError::Unsecured { host: host.clone(), port, source };
        let name = ServerName::try_from(host.clone()).map_err(|error| unsecured(io::Error::other(error)))?;
        let line = TlsConnector::from(secured).connect(name, counted).await.map_err(unsecured)?;
        Ok(Line::Secured(Box::new(line)))
    };
    let line = tokio::time::timeout(PATIENCE, connect).await;
    relay(line.map_err(|_| LinkError::Silent { host: host.clone(), port })??)
}

enum Line {
    Plain(Counted),
    Secured(Box<tokio_rustls::client::TlsStream<Counted>>),
}

/// Hands the line to whoever of this process asks first.
fn relay(line: Line) -> Result<Link, LinkError> {
    let mut chance = [0_u8; 16];
    getrandom::fill(&mut chance).map_err(|error| LinkError::Local(io::Error::other(error)))?;
    let chance = u128::from_le_bytes(chance);
    // A leading zero: an abstract name, which goes with its socket.
    let name = format!("\0sunkeep-uplink-{chance:032x}");
    let listener = UnixListener::bind(PathBuf::from(&name)).map_err(LinkError::Local)?;
    let relay = tokio::spawn(async move {
        let ours = i32::try_from(std::process::id()).ok();
        let mut local = loop {
            match listener.accept().await {
                Ok((local, _)) if local.peer_cred().is_ok_and(|peer| peer.pid() == ours) => break local,
                // Somebody else guessed 128 bits.
                Ok(_) => {}
                Err(_) => return,
            }
        };
        drop(listener);
        // Either end may break the line; the client sees that it ended.
        let _ = match line {
            Line::Plain(mut line) => copy_bidirectional(&mut local, &mut line).await,
            Line::Secured(mut line) => copy_bidirectional(&mut local, &mut line).await,
        };
    });
    Ok(Link { name, relay })
}

/// A line whose bytes are counted.
#[derive(Debug)]
struct Counted {
    line: TcpStream,
    meter: Arc<Meter>,
}

impl AsyncRead for Counted {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buf.filled().len();
        let read = Pin::new(&mut self.line).poll_read(cx, buf);
        self.meter.came_in(buf.filled().len() - before);
        read
    }
}

impl AsyncWrite for Counted {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.line).poll_write(cx, bytes);
        if let Poll::Ready(Ok(bytes)) = written {
            self.meter.went_out(bytes);
        }
        written
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.line).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.line).poll_shutdown(cx)
    }
}
