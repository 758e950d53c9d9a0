//! A way in for the fuzzer: connections to the page on which somebody says anything at all. Everything
//! behind the socket is the page's own.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use axum::extract::Extension;
use hyper_util::rt::TokioIo;
use hyper_util::service::TowerToHyperService;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, duplex};

use super::wire::{Peer, http};
use super::{Limits, Server, room, routes};

/// Bytes that wait between the two ends of a connection.
const PIPE: usize = 64 * 1024;

/// The page, answering without a socket.
pub struct Answering {
    routes: axum::Router,
    limits: Limits,
}

impl std::fmt::Debug for Answering {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Answering").field("limits", &self.limits).finish_non_exhaustive()
    }
}

impl Answering {
    /// The page of `server` as if it listened at `local`.
    pub fn new(server: Server, local: SocketAddr) -> Self {
        let limits = server.limits;
        let view = server.view.borrow().clone();
        let seen = Arc::new(Mutex::new(room::Seen { view, at: (server.clock)() }));
        let room = room::Room::new(server, local, seen);
        Self { routes: routes::router(Arc::new(room)).routes, limits }
    }

    /// One connection from `peer` that sends these bytes and no more; what it is answered.
    pub async fn answer(&self, peer: SocketAddr, sent: &[u8]) -> Vec<u8> {
        let (mut client, hub) = duplex(PIPE);
        let routes = self.routes.clone().layer(Extension(Peer(peer)));
        let connection =
            http(&self.limits).serve_connection(TokioIo::new(hub), TowerToHyperService::new(routes));
        let mut answer = Vec::new();
        let talk = async {
            // The hub may have hung up before the last byte, or answer nothing that can be read.
            let _ = client.write_all(&sent[..sent.len().min(PIPE)]).await;
            let _ = client.shutdown().await;
            let _ = client.read_to_end(&mut answer).await;
        };
        let _ = tokio::join!(connection, talk);
        answer
    }
}
