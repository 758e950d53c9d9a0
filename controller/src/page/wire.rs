//! Connections: how many, how long, how large. What is said over them is not known here.

use std::collections::HashMap;
use std::future::Future;
use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::Router;
use axum::extract::Extension;
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::timeout;

use super::held::held;

/// How long requests under way have when the page ends.
const FAREWELL: Duration = Duration::from_secs(2);
/// Pause after the system refused a connection (no file descriptors left), so that the loop does not spin.
const REFUSED_PAUSE: Duration = Duration::from_millis(200);

/// What clients may take of the hub.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Connections at a time.
    pub connections: usize,
    /// Connections at a time of one address that is not this machine.
    pub per_address: usize,
    /// Bytes of a request's head, and with it what a connection may buffer; at least 8192.
    pub head_bytes: usize,
    /// Header lines of a request.
    pub header_lines: usize,
    /// Bytes of a request's body.
    pub body_bytes: usize,
    /// How long a request's head may take to arrive, and a connection may idle.
    pub head_within: Duration,
    /// How long a request may take from its head to its answer.
    pub answer_within: Duration,
    /// How long a connection lives, whatever it does.
    pub life: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            connections: 48,
            per_address: 12,
            head_bytes: 16 * 1024,
            header_lines: 64,
            body_bytes: 1024,
            head_within: Duration::from_secs(10),
            answer_within: Duration::from_secs(10),
            life: Duration::from_mins(2),
        }
    }
}

/// Who is at the other end of a connection.
#[derive(Debug, Clone, Copy)]
pub(super) struct Peer(pub(super) SocketAddr);

/// Takes connections until `over` is ready. Those beyond the limits are closed at once.
pub(super) async fn accept(
    listener: TcpListener,
    routes: Router,
    limits: Limits,
    over: impl Future<Output = ()>,
) {
    let (ending, ends) = watch::channel(());
    let open = Arc::new(Mutex::new(HashMap::new()));
    let mut connections = JoinSet::new();
    tokio::pin!(over);
    loop {
        tokio::select! {
            () = &mut over => break,
            Some(_) = connections.join_next() => {}
            taken = listener.accept() => match taken {
                Ok((stream, peer)) => {
                    let place = Place::take(&open, peer.ip(), &limits);
                    if let (Some(place), true) = (place, connections.len() < limits.connections) {
                        let routes = routes.clone().layer(Extension(Peer(peer)));
                        connections.spawn(talk(stream, routes, limits, place, ends.clone()));
                    }
                }
                Err(error) => {
                    tracing::debug!("the page could not take a connection: {error}");
                    // Nothing of it is awaited but the pause: `timeout` over a future that never is ready.
                    let _ = timeout(REFUSED_PAUSE, std::future::pending::<()>()).await;
                }
            }
        }
    }
    drop((listener, ends));
    let _ = ending.send(());
    let _ = timeout(FAREWELL, async { while connections.join_next().await.is_some() {} }).await;
}

/// How a connection is read.
pub(super) fn http(limits: &Limits) -> http1::Builder {
    let mut http = http1::Builder::new();
    http.timer(TokioTimer::new())
        .header_read_timeout(limits.head_within)
        .max_buf_size(limits.head_bytes)
        .max_headers(limits.header_lines);
    http
}

/// One connection, for its life at most.
async fn talk(
    stream: TcpStream,
    routes: Router,
    limits: Limits,
    place: Place,
    mut ends: watch::Receiver<()>,
) {
    let connection = http(&limits).serve_connection(TokioIo::new(stream), TowerToHyperService::new(routes));
    tokio::pin!(connection);
    let ended = tokio::select! {
        _ = connection.as_mut() => true,
        _ = ends.changed() => false,
        _ = timeout(limits.life, std::future::pending::<()>()) => false,
    };
    if !ended {
        connection.as_mut().graceful_shutdown();
        let _ = timeout(FAREWELL, connection).await;
    }
    drop(place);
}

type Open = Arc<Mutex<HashMap<IpAddr, usize>>>;

/// A connection's place among those of its address; given back when dropped.
struct Place {
    open: Open,
    address: IpAddr,
}

impl Place {
    /// A place, unless the address has all it may have. Through loopback come all clients of a proxy.
    fn take(open: &Open, address: IpAddr, limits: &Limits) -> Option<Self> {
        let most = if address.is_loopback() { limits.connections } else { limits.per_address };
        let mut counts = held(open);
        let count = counts.entry(address).or_insert(0);
        if *count >= most {
            return None;
        }
        *count += 1;
        Some(Self { open: Arc::clone(open), address })
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut counts = held(&self.open);
        if let Some(count) = counts.get_mut(&self.address) {
            *count = count.saturating_sub(1);
            if *count == 0 {
                counts.remove(&self.address);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_gets_its_share_and_what_comes_through_loopback_may_have_all() {
        let (open, limits) =
            (Open::default(), Limits { connections: 5, per_address: 2, ..Limits::default() });
        let take = |address: &str| Place::take(&open, address.parse().unwrap(), &limits);
        let held: Vec<_> = (0..9).filter_map(|_| take("10.0.0.9")).collect();
        assert_eq!(held.len(), 2);
        assert!(take("10.0.0.8").is_some(), "others get theirs");
        assert_eq!((0..9).filter_map(|_| take("127.0.0.1")).collect::<Vec<_>>().len(), 5);
        drop(held);
        assert!(take("10.0.0.9").is_some(), "places come back");
        assert!(super::held(&open).is_empty(), "nothing is remembered of who has gone");
    }
}
