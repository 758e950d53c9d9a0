//! Browsers in which the PIN was entered: random cookies, few of them, that end.

use sha2::{Digest as _, Sha256};
use sunkeep_models::quantity::Seconds;
use sunkeep_models::time::Uptime;

use super::words;

/// Sessions at a time.
const MOST: usize = 8;
/// A session ends so long after the last act of a person.
const IDLE: Seconds = Seconds(15.0 * 60.0);
/// And so long after it began, whatever happens.
pub(super) const LIFE: Seconds = Seconds(8.0 * 3600.0);

/// Name of the cookie.
const COOKIE: &str = "sunkeep";

/// Open sessions. Only digests of tokens are kept, so that looking one up takes no time that tells of it.
#[derive(Debug, Default)]
pub(super) struct Sessions {
    open: Vec<Session>,
}

#[derive(Debug, Clone, Copy)]
struct Session {
    token: [u8; 32],
    began: Uptime,
    used: Uptime,
}

impl Session {
    fn holds(&self, now: Uptime) -> bool {
        now.since(self.used) < IDLE && now.since(self.began) < LIFE
    }
}

impl Sessions {
    /// Opens a session and returns its token; `None` when the system gives no randomness.
    pub(super) fn open(&mut self, now: Uptime) -> Option<String> {
        let mut random = [0_u8; 32];
        getrandom::fill(&mut random).ok()?;
        let token = words::hex(&random);
        self.open.retain(|session| session.holds(now));
        if self.open.len() >= MOST
            && let Some(place) = (0..self.open.len()).min_by_key(|&place| self.open[place].used)
        {
            self.open.swap_remove(place);
        }
        self.open.push(Session { token: digest(&token), began: now, used: now });
        Some(token)
    }

    /// Whether this token opens anything. `act` is whether a person does something, which keeps the session
    /// from idling.
    pub(super) fn holds(&mut self, token: &str, now: Uptime, act: bool) -> bool {
        self.open.retain(|session| session.holds(now));
        let token = digest(token);
        let Some(session) = self.open.iter_mut().find(|session| session.token == token) else {
            return false;
        };
        if act {
            session.used = now;
        }
        true
    }

    /// Ends a session.
    pub(super) fn close(&mut self, token: &str) {
        let token = digest(token);
        self.open.retain(|session| session.token != token);
    }
}

fn digest(token: &str) -> [u8; 32] {
    Sha256::digest(token.as_bytes()).into()
}

/// The token among a request's cookies.
pub(super) fn token(headers: &axum::http::HeaderMap) -> Option<&str> {
    headers
        .get_all(axum::http::header::COOKIE)
        .iter()
        .filter_map(|line| line.to_str().ok())
        .flat_map(|line| line.split(';'))
        .find_map(|pair| pair.trim().strip_prefix(COOKIE)?.strip_prefix('='))
}

/// The header that hands a token to the browser.
pub(super) fn cookie(token: &str) -> String {
    format!("{COOKIE}={token}; HttpOnly; SameSite=Strict; Path=/; Max-Age={:.0}", LIFE.0)
}

/// The header that takes it back.
pub(super) fn no_cookie() -> String {
    format!("{COOKIE}=; HttpOnly; SameSite=Strict; Path=/; Max-Age=0")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: f64) -> Uptime {
        Uptime::from_seconds(10).after(Seconds(seconds))
    }

    #[test]
    fn a_session_ends_when_nobody_acts_though_the_page_renews_itself() {
        let mut sessions = Sessions::default();
        let token = sessions.open(at(0.0)).unwrap();
        for minute in 1..15 {
            assert!(sessions.holds(&token, at(f64::from(minute) * 60.0), false));
        }
        assert!(!sessions.holds(&token, at(15.0 * 60.0), false));
    }

    #[test]
    fn a_session_ends_after_its_life_though_somebody_acts() {
        let mut sessions = Sessions::default();
        let token = sessions.open(at(0.0)).unwrap();
        let mut minutes = 0.0;
        while minutes * 60.0 < LIFE.0 - 1.0 {
            assert!(sessions.holds(&token, at(minutes * 60.0), true), "after {minutes} min");
            minutes += 10.0;
        }
        assert!(!sessions.holds(&token, at(LIFE.0), true));
    }

    #[test]
    fn a_ninth_session_ends_the_one_unused_for_longest() {
        let mut sessions = Sessions::default();
        let tokens: Vec<_> = (0..8).map(|n| sessions.open(at(f64::from(n))).unwrap()).collect();
        assert!(sessions.holds(&tokens[0], at(20.0), true));
        sessions.open(at(21.0)).unwrap();
        assert_eq!(sessions.open.len(), MOST);
        assert!(sessions.holds(&tokens[0], at(22.0), false));
        assert!(!sessions.holds(&tokens[1], at(22.0), false));
    }

    #[test]
    fn tokens_differ_and_a_closed_one_opens_nothing() {
        let mut sessions = Sessions::default();
        let (one, two) = (sessions.open(at(0.0)).unwrap(), sessions.open(at(0.0)).unwrap());
        assert_ne!(one, two);
        assert_eq!(one.len(), 64);
        sessions.close(&one);
        assert!(!sessions.holds(&one, at(1.0), true));
        assert!(sessions.holds(&two, at(1.0), true));
    }
}
