//! Runs a driver beside the cycle: rounds of reading when the cycle asks for one, and relay writes before
//! anything that is queued.
//!
//! ```text
//!   cycle --- round --->  task: write? write. else next due transaction. nothing due: round done.
//!   cycle --- write --->   |
//!   cycle <-- reports -----+
//! ```

use std::sync::Arc;

use sunkeep_models::time::Uptime;
use tokio::sync::{Notify, mpsc, watch};

use crate::driver::{Driver, Event, Output};

/// Transactions of one round at the most; a bus that never runs out of due work lets go here.
const MOST_TRANSACTIONS: usize = 1024;
/// Writes that may wait: every load of a home twice.
const WRITES: usize = 128;

/// A request to read everything that is due.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
struct Round {
    number: u64,
    now: Uptime,
}

/// A request to switch an output.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Write {
    output: Output,
    energised: bool,
    now: Uptime,
}

/// What a task has to say to the cycle.
#[derive(Debug)]
pub enum Report {
    /// What a transaction brought.
    Events(Vec<Event>),
    /// Everything that was due in this round has been asked.
    RoundDone {
        /// Which task.
        task: usize,
        /// Which round.
        round: u64,
    },
    /// A write was carried out, or failed; its events came before.
    WriteDone,
}

/// The cycle's end of a task.
#[derive(Debug)]
pub struct BusTask {
    rounds: watch::Sender<Round>,
    writes: mpsc::Sender<Write>,
    afresh: Arc<Notify>,
}

impl BusTask {
    /// Starts a task around a driver. `task` is its number in reports.
    pub fn start<D: Driver + 'static>(driver: D, task: usize, reports: mpsc::Sender<Report>) -> Self {
        let (rounds, wanted) = watch::channel(Round::default());
        let (writes, queue) = mpsc::channel(WRITES);
        let afresh = Arc::new(Notify::new());
        tokio::spawn(serve(driver, task, wanted, queue, Arc::clone(&afresh), reports));
        Self { rounds, writes, afresh }
    }

    /// Asks for a round. One that is still under way goes on with the new time.
    pub fn round(&self, number: u64, now: Uptime) {
        self.rounds.send_replace(Round { number, now });
    }

    /// Has devices that are silent tried in the next round, however long they were to be left alone.
    pub fn try_silent(&self) {
        self.afresh.notify_one();
    }

    /// Asks for an output to be switched; false if too many writes wait already.
    pub fn write(&self, output: Output, energised: bool, now: Uptime) -> bool {
        self.writes.try_send(Write { output, energised, now }).is_ok()
    }
}

async fn serve<D: Driver>(
    mut driver: D,
    task: usize,
    mut rounds: watch::Receiver<Round>,
    mut writes: mpsc::Receiver<Write>,
    afresh: Arc<Notify>,
    reports: mpsc::Sender<Report>,
) {
    loop {
        let alive = tokio::select! {
            biased;
            write = writes.recv() => match write {
                Some(write) => perform(&mut driver, write, &reports).await,
                None => false,
            },
            () = afresh.notified() => {
                driver.try_silent();
                true
            }
            changed = rounds.changed() => match changed {
                Ok(()) => run_round(&mut driver, task, &mut rounds, &mut writes, &reports).await,
                Err(_) => false,
            },
        };
        if !alive {
            return;
        }
    }
}

/// Reads what is due, one transaction at a time; false when nobody listens any more.
async fn run_round<D: Driver>(
    driver: &mut D,
    task: usize,
    rounds: &mut watch::Receiver<Round>,
    writes: &mut mpsc::Receiver<Write>,
    reports: &mpsc::Sender<Report>,
) -> bool {
    for _ in 0..MOST_TRANSACTIONS {
        while let Ok(write) = writes.try_recv() {
            if !perform(driver, write, reports).await {
                return false;
            }
        }
        let now = rounds.borrow_and_update().now;
        let Some(events) = driver.next(now).await else { break };
        if !events.is_empty() && reports.send(Report::Events(events)).await.is_err() {
            return false;
        }
    }
    let round = rounds.borrow().number;
    reports.send(Report::RoundDone { task, round }).await.is_ok()
}

async fn perform<D: Driver>(driver: &mut D, write: Write, reports: &mpsc::Sender<Report>) -> bool {
    let events = driver.write(write.output, write.energised, write.now).await;
    reports.send(Report::Events(events)).await.is_ok() && reports.send(Report::WriteDone).await.is_ok()
}
