//! The clock of an operator's machine, which is set: the only place of this crate that asks what time it is,
//! and that waits.

use core::time::Duration;
use std::time::{Instant, SystemTime, UNIX_EPOCH};

/// Ms since 1970; 0 where the machine believes in an earlier year.
#[expect(clippy::disallowed_methods, reason = "an operator's machine has a clock; receipts are dated by it")]
pub fn now_ms() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_millis()).unwrap_or(i64::MAX)
}

/// A moment to measure from; never jumps.
#[expect(clippy::disallowed_methods, reason = "the fleet lives by real time")]
pub fn steady() -> Instant {
    Instant::now()
}

/// Lets a thread that has nothing else to do wait.
#[expect(clippy::disallowed_methods, reason = "only threads that write files wait here")]
pub fn rest(time: Duration) {
    std::thread::sleep(time);
}

/// Lets a task wait.
#[expect(clippy::disallowed_methods, reason = "the fleet lives by real time")]
pub async fn pause(time: Duration) {
    tokio::time::sleep(time).await;
}
