//! The page of the hub: what a household sees of it, and the one thing a person may ask of it, to keep a
//! load on for an hour.
//!
//! Everything shown comes from the [`View`] that is published after every cycle; every wish goes through a
//! bounded channel into the next cycle. Nothing here decides, and a page that is slow, attacked or dead
//! does not touch the cycle.
//!
//! # Who may see, who may change
//!
//! Whoever reaches the address may look. Changes are guarded:
//!
//! | the configuration says | changes |
//! |---|---|
//! | a PIN | need the PIN, on loopback too; it opens a session for that browser |
//! | no PIN, listening on loopback | allowed from this machine, unless a proxy passed the request on |
//! | no PIN, listening elsewhere | refused |
//!
//! - A session is a random 256-bit cookie (`HttpOnly`, `SameSite=Strict`). It ends 15 minutes after the last
//!   act of a person (the page renewing itself is none), after 8 hours at the latest, with the hub, or when
//!   the person locks it. At most 8 exist; a ninth ends the one unused for longest.
//! - After 3 wrong PINs an address waits 5 s, and twice as long after each further one, up to an hour. After
//!   10 wrong PINs from all addresses together everybody waits, up to 5 minutes. Open sessions go on.
//! - Every request must name a host that nobody else can point at the hub: an IP address, `localhost` or the
//!   machine's own name. Every change must come from a page of that very host.
//!
//! The page speaks plain HTTP: on a network that others can listen to, put a TLS proxy before it.
//!
//! # Bounds
//!
//! See [`Limits`]: connections, their life, headers, bodies and the time of a request all have one.

mod access;
mod api;
mod api_fields;
mod ask;
mod attempts;
mod chart;
mod charts;
#[cfg(feature = "fuzzing")]
pub mod fuzzing;
mod headers;
mod held;
mod loads;
mod night;
mod origin;
mod parts;
mod room;
mod routes;
mod sessions;
mod shell;
mod wire;
mod words;

use std::future::Future;
use std::io;
use std::sync::Arc;

use sunkeep_core::image::Request;
use sunkeep_models::time::Uptime;
use tokio::net::TcpListener;
use tokio::sync::{mpsc, watch};

use crate::clock::{Clock as _, SystemClock};
use crate::config::Page;
use crate::view::View;

pub use wire::Limits;

/// Time as people live it: never jumps, and is never driven by a simulation.
pub type PeopleClock = Arc<dyn Fn() -> Uptime + Send + Sync>;

/// The page, ready to be served.
pub struct Server {
    /// Where it listens and its PIN.
    pub page: Page,
    /// What the hub last published.
    pub view: watch::Receiver<Option<Arc<View>>>,
    /// Takes wishes into the next cycle.
    pub ask: mpsc::Sender<Request>,
    /// Measures sessions, waits and the age of the view.
    pub clock: PeopleClock,
    /// What a client may take.
    pub limits: Limits,
}

impl std::fmt::Debug for Server {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        // The PIN stays out of logs.
        f.debug_struct("Server")
            .field("listen", &self.page.listen)
            .field("limits", &self.limits)
            .finish_non_exhaustive()
    }
}

/// Serves the page until the hub, which publishes the view, is gone.
///
/// # Errors
/// When the listener has no address. Errors of single connections end those and nothing else.
pub async fn serve(
    listener: TcpListener,
    page: Page,
    view: watch::Receiver<Option<Arc<View>>>,
    ask: mpsc::Sender<Request>,
) -> io::Result<()> {
    let clock: PeopleClock = Arc::new(|| SystemClock.now().uptime);
    Server { page, view, ask, clock, limits: Limits::default() }.serve(listener, std::future::pending()).await
}

impl Server {
    /// Serves on `listener` until `shutdown` is ready or the hub, which publishes the view, is gone.
    /// Requests under way have two seconds to end.
    ///
    /// # Errors
    /// When the listener has no address. Errors of single connections end those and nothing else.
    pub async fn serve(self, listener: TcpListener, shutdown: impl Future<Output = ()>) -> io::Result<()> {
        let local = listener.local_addr()?;
        let mut hub = self.view.clone();
        let seen =
            Arc::new(std::sync::Mutex::new(room::Seen { view: hub.borrow().clone(), at: (self.clock)() }));
        let limits = self.limits;
        let router = routes::router(Arc::new(room::Room::new(self, local, Arc::clone(&seen))));
        let clock = router.clock;
        let watching = async {
            while hub.changed().await.is_ok() {
                let view = hub.borrow_and_update().clone();
                *held::held(&seen) = room::Seen { view, at: clock() };
            }
        };
        let over = async {
            tokio::select! {
                () = watching => {}
                () = shutdown => {}
            }
        };
        wire::accept(listener, router.routes, limits, over).await;
        Ok(())
    }
}
