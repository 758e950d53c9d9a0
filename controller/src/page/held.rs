//! Locks of the page.

use std::sync::{Mutex, MutexGuard, PoisonError};

/// Takes a lock. No code panics while it holds one; and if it did, what it holds is still worth showing.
pub(super) fn held<T>(lock: &Mutex<T>) -> MutexGuard<'_, T> {
    lock.lock().unwrap_or_else(PoisonError::into_inner)
}
