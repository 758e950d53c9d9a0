//! Tests against real time on a machine that others use, too: what fails while the machine stalled is tried again;
//! what fails on a machine that kept time has failed.

#![allow(dead_code, reason = "not every test lives in real time")]

use std::fs::File;
use std::io::{Read, Write};
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use super::{clock, pause, pty};

/// Tries of one test.
const TRIES: usize = 5;
/// Often enough to see what delays a reply.
const BEAT_MS: u64 = 5;
/// Pauses inside a frame and the silence that ends it are told apart within some tens of milliseconds.
const STALL: Duration = Duration::from_millis(20);

/// Watches how late a byte comes through a line of its own: sleeping threads wake in time on machines where the
/// bytes of a pseudo-terminal, which a thread of the system carries, do not.
struct Watch {
    over: Arc<AtomicBool>,
    thread: JoinHandle<Duration>,
}

impl Watch {
    fn start() -> Self {
        let over = Arc::new(AtomicBool::new(false));
        let told = Arc::clone(&over);
        let thread = std::thread::spawn(move || {
            let (mut far, path) = pty();
            let mut near = File::options().read(true).write(true).open(path).unwrap();
            let mut longest = Duration::ZERO;
            while !told.load(Ordering::Relaxed) {
                let sent = clock();
                far.write_all(b".").unwrap();
                near.read_exact(&mut [0]).unwrap();
                pause(BEAT_MS);
                longest = longest.max(sent.elapsed());
            }
            longest
        });
        Self { over, thread }
    }

    fn longest(self) -> Duration {
        self.over.store(true, Ordering::Relaxed);
        self.thread.join().unwrap()
    }
}

/// Runs a test in a runtime of its own, and again if it failed while the machine stalled.
pub fn steady(test: impl AsyncFn()) {
    for tried in 1..=TRIES {
        let watch = Watch::start();
        let ran = catch_unwind(AssertUnwindSafe(|| {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            runtime.block_on(test());
        }));
        let longest = watch.longest();
        match ran {
            Ok(()) => return,
            Err(_) if tried < TRIES && longest > STALL => {
                println!("try {tried} failed on a machine that stalled for {longest:.0?}: once more");
            }
            Err(failed) => resume_unwind(failed),
        }
    }
}
