//! Watchdogs that restart a hub which hangs: systemd's, and the board's where there is one.
//!
//! They are fed by a completed cycle and by nothing else: a hub whose page still answers while its cycle
//! stands still must be restarted.

use std::fs::{File, OpenOptions};
use std::io::Write as _;
use std::path::{Path, PathBuf};

use sd_notify::NotifyState;
use sunkeep_models::quantity::Seconds;
use sunkeep_models::time::Uptime;

/// Least time between two feedings: the shortest timeout of a board's watchdog is some ten seconds.
const EVERY: Seconds = Seconds(1.0);

/// What is fed.
#[derive(Debug)]
pub struct Watchdog {
    board: Option<(PathBuf, File)>,
    fed: Option<Uptime>,
    ready: bool,
}

impl Watchdog {
    /// Opens the board's watchdog, which begins to count at once; a hub that cannot open it runs on without.
    pub fn open(board: Option<&Path>) -> Self {
        let board = board.and_then(|path| match OpenOptions::new().write(true).open(path) {
            Ok(file) => Some((path.to_owned(), file)),
            Err(error) => {
                tracing::warn!("the board's watchdog {} cannot be opened: {error}", path.display());
                None
            }
        });
        Self { board, fed: None, ready: false }
    }

    /// A cycle is complete.
    pub fn feed(&mut self, now: Uptime) {
        if self.fed.is_some_and(|fed| now.since(fed) < EVERY) {
            return;
        }
        self.fed = Some(now);
        if !self.ready {
            self.ready = true;
            tell(&[NotifyState::Ready]);
        }
        tell(&[NotifyState::Watchdog]);
        if let Some((path, file)) = &mut self.board
            && let Err(error) = file.write_all(b"\0")
        {
            tracing::warn!("the board's watchdog {} takes no food: {error}", path.display());
            self.board = None;
        }
    }

    /// The hub stops in an orderly way. The board's watchdog is told so with its magic letter, or it would
    /// restart a board that somebody is working on.
    pub fn stop(mut self) {
        tell(&[NotifyState::Stopping]);
        if let Some((_, file)) = &mut self.board {
            // Where the driver ignores the letter (`nowayout`), the board restarts, as its owner set it up.
            let _ = file.write_all(b"V");
        }
    }
}

/// Tells systemd, if it is there: outside of a service this does nothing.
fn tell(state: &[NotifyState<'_>]) {
    if let Err(error) = sd_notify::notify(state) {
        tracing::debug!("systemd does not listen: {error}");
    }
}
