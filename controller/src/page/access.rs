//! Who may change something: the PIN, sessions, and the machine itself where no PIN is set.

use std::net::{IpAddr, SocketAddr};
use std::sync::Mutex;

use axum::http::HeaderMap;
use sha2::{Digest as _, Sha256};
use subtle::ConstantTimeEq as _;
use sunkeep_models::quantity::Seconds;
use sunkeep_models::time::Uptime;

use super::attempts::Attempts;
use super::held::held;
use super::origin;
use super::sessions::{self, Sessions};

/// What a visitor may do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Access {
    /// Change, because no PIN is set and this is the machine itself.
    Open,
    /// Change, because the PIN was entered.
    Session,
    /// Change, once the PIN was entered.
    NeedsPin,
    /// Only look.
    Looks,
}

/// The outcome of entering a PIN.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Entered {
    /// It was right; this is the session's token.
    Right(String),
    /// There was none: a session that has ended meanwhile, or an empty field. This is no attempt.
    Nothing,
    /// It was wrong.
    Wrong,
    /// It was not looked at: so long there is no further attempt.
    Wait(Seconds),
    /// The system gives no randomness to make a session of.
    NoRandomness,
}

/// Guards changes.
pub(super) struct Guard {
    /// Digest of the PIN, so that comparing takes the same time whatever its length.
    pin: Option<[u8; 32]>,
    loopback: bool,
    inner: Mutex<Inner>,
}

#[derive(Default)]
struct Inner {
    sessions: Sessions,
    attempts: Attempts,
}

impl Guard {
    pub(super) fn new(pin: Option<&str>, listens: SocketAddr) -> Self {
        let pin = pin.map(|pin| Sha256::digest(pin.as_bytes()).into());
        Self { pin, loopback: listens.ip().is_loopback(), inner: Mutex::default() }
    }

    /// What this visitor may do. `act`: a person does something, the page does not only renew itself.
    pub(super) fn access(&self, headers: &HeaderMap, peer: IpAddr, now: Uptime, act: bool) -> Access {
        if self.pin.is_none() {
            let here = self.loopback && peer.to_canonical().is_loopback() && !origin::passed_on(headers);
            return if here { Access::Open } else { Access::Looks };
        }
        match sessions::token(headers) {
            Some(token) if held(&self.inner).sessions.holds(token, now, act) => Access::Session,
            _ => Access::NeedsPin,
        }
    }

    /// Takes a PIN. Looking and noting is one step, so that attempts at the same time count one by one.
    pub(super) fn enter(&self, pin: &str, peer: IpAddr, now: Uptime) -> Entered {
        let Some(right) = &self.pin else { return Entered::Wrong };
        if pin.is_empty() {
            return Entered::Nothing;
        }
        let mut inner = held(&self.inner);
        if let Some(wait) = inner.attempts.wait(peer, now) {
            return Entered::Wait(wait);
        }
        let entered: [u8; 32] = Sha256::digest(pin.trim().as_bytes()).into();
        if bool::from(entered.ct_eq(right)) {
            inner.attempts.succeeded(peer);
            return inner.sessions.open(now).map_or(Entered::NoRandomness, Entered::Right);
        }
        inner.attempts.failed(peer, now);
        tracing::warn!("a wrong PIN was entered from {peer}");
        inner.attempts.wait(peer, now).map_or(Entered::Wrong, Entered::Wait)
    }

    /// How long this visitor must wait before the next attempt, if at all.
    pub(super) fn wait(&self, peer: IpAddr, now: Uptime) -> Option<Seconds> {
        held(&self.inner).attempts.wait(peer, now)
    }

    /// Ends the visitor's session.
    pub(super) fn lock(&self, headers: &HeaderMap) {
        if let Some(token) = sessions::token(headers) {
            held(&self.inner).sessions.close(token);
        }
    }
}
