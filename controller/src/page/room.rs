//! What all answers share: the last view and its age, the guard, the charts, and the way to the hub.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use sunkeep_core::image::Request;
use sunkeep_models::quantity::Seconds;
use sunkeep_models::time::Uptime;
use tokio::sync::{mpsc, watch};

use super::access::Guard;
use super::charts::Charts;
use super::held::held;
use super::wire::Limits;
use super::{PeopleClock, Server, origin};
use crate::language::Language;
use crate::view::View;

/// A view older than this means that the hub is stuck: it publishes one a second.
pub(super) const OLD: Seconds = Seconds(5.0);

/// The last view and when it came.
#[derive(Debug, Clone)]
pub(super) struct Seen {
    pub(super) view: Option<Arc<View>>,
    pub(super) at: Uptime,
}

/// What all answers share.
pub(super) struct Room {
    pub(super) guard: Guard,
    pub(super) clock: PeopleClock,
    pub(super) ask: mpsc::Sender<Request>,
    pub(super) hub: watch::Receiver<Option<Arc<View>>>,
    pub(super) charts: Charts,
    seen: Arc<Mutex<Seen>>,
    pub(super) machine: String,
    pub(super) limits: Limits,
    pub(super) language: Language,
}

impl Room {
    pub(super) fn new(server: Server, local: SocketAddr, seen: Arc<Mutex<Seen>>) -> Self {
        Self {
            guard: Guard::new(server.page.pin.as_deref(), local),
            clock: server.clock,
            ask: server.ask,
            hub: server.view,
            charts: Charts::default(),
            seen,
            machine: origin::machine(),
            limits: server.limits,
            language: server.page.language,
        }
    }

    /// Now, as people live it.
    pub(super) fn now(&self) -> Uptime {
        (self.clock)()
    }

    /// The last view and its age.
    pub(super) fn look(&self) -> (Option<Arc<View>>, Seconds) {
        let seen = held(&self.seen).clone();
        (seen.view, self.now().since(seen.at))
    }
}
