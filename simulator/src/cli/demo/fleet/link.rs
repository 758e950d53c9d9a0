//! The link between a home and the broker, and the plug that is pulled: a relay for connections.

use std::net::{Ipv4Addr, SocketAddr};

use anyhow::Context as _;
use tokio::io::copy_bidirectional;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;

/// A link; it is there until this is dropped.
pub(super) struct Link {
    /// The home's end.
    pub(super) port: u16,
    up: watch::Sender<bool>,
}

impl Link {
    /// Opens one to this port.
    pub(super) async fn open(to: u16) -> anyhow::Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.context("cannot open a link")?;
        let port = listener.local_addr().context("cannot open a link")?.port();
        let (up, watched) = watch::channel(true);
        tokio::spawn(serve(listener, SocketAddr::from((Ipv4Addr::LOCALHOST, to)), watched));
        Ok(Self { port, up })
    }

    pub(super) fn is_up(&self) -> bool {
        *self.up.borrow()
    }

    /// Pulls it, or puts it back.
    pub(super) fn set(&self, up: bool) {
        self.up.send_replace(up);
    }
}

async fn serve(listener: TcpListener, to: SocketAddr, mut up: watch::Receiver<bool>) {
    loop {
        let near = tokio::select! {
            accepted = listener.accept() => accepted,
            // The link is gone.
            () = ended(&mut up) => return,
        };
        // Whoever comes while it is pulled is turned away.
        let (Ok((near, _)), true) = (near, *up.borrow()) else { continue };
        tokio::spawn(carry(near, to, up.clone()));
    }
}

async fn ended(up: &mut watch::Receiver<bool>) {
    while up.changed().await.is_ok() {}
}

async fn carry(mut near: TcpStream, to: SocketAddr, mut up: watch::Receiver<bool>) {
    let Ok(mut far) = TcpStream::connect(to).await else { return };
    tokio::select! {
        // Either end may close it.
        _ = copy_bidirectional(&mut near, &mut far) => {}
        _ = up.wait_for(|up| !up) => {}
    }
}
