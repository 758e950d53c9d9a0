//! GPIO lines in memory: a real line needs a board, and everything above the lines is tested on these.
#![allow(clippy::unwrap_used, missing_docs, dead_code, reason = "a test, and each takes what it needs")]

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use sunkeep::gpio::{Edge, Edges, GpioError, Lines};

/// A board with its lines in memory.
#[derive(Default)]
pub(crate) struct Board {
    pub edges: BTreeMap<u32, Edges>,
    pub levels: BTreeMap<u32, bool>,
    /// Every level that was ever set.
    pub set: Vec<(u32, bool)>,
    pub unplugged: bool,
    pub stuck: bool,
}

#[derive(Clone, Default)]
pub(crate) struct InMemory(Arc<Mutex<Board>>);

impl InMemory {
    pub(crate) fn board(&self) -> std::sync::MutexGuard<'_, Board> {
        self.0.lock().unwrap()
    }

    fn working(&self) -> Result<std::sync::MutexGuard<'_, Board>, GpioError> {
        let board = self.board();
        if board.unplugged {
            return Err(GpioError::Line { place: "chip".into(), problem: "gone".into() });
        }
        Ok(board)
    }
}

impl Lines for InMemory {
    fn take_edges(&mut self, line: u32) -> Result<Edges, GpioError> {
        Ok(self.working()?.edges.remove(&line).unwrap_or_default())
    }

    fn level(&mut self, line: u32) -> Result<bool, GpioError> {
        Ok(self.working()?.levels[&line])
    }

    fn set_level(&mut self, line: u32, high: bool) -> Result<(), GpioError> {
        let mut board = self.working()?;
        board.set.push((line, high));
        if !board.stuck {
            board.levels.insert(line, high);
        }
        Ok(())
    }
}

/// Pulses to ground of 30 ms that begin at these milliseconds.
pub(crate) fn pulses(at: impl IntoIterator<Item = u64>) -> Edges {
    let edge = |ms, high| Edge { at: Duration::from_millis(ms), high };
    let edges = at.into_iter().flat_map(|ms| [edge(ms, false), edge(ms + 30, true)]);
    Edges { edges: edges.collect(), lost: 0 }
}
