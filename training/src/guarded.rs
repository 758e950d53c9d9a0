//! The Parquet reader panics on some spoiled files. Here that becomes an error like its others.

use std::panic::{AssertUnwindSafe, catch_unwind};

use parquet::errors::ParquetError;

/// Reads, and tells of a panic as of an error. What was being read is not to be used any more then. A program
/// that was built to end at a panic (the release profile) ends at it.
pub(crate) fn guarded<T>(read: impl FnOnce() -> Result<T, ParquetError>) -> Result<T, ParquetError> {
    catch_unwind(AssertUnwindSafe(read)).unwrap_or_else(|panic| {
        let why = panic.downcast_ref::<String>().cloned();
        let why = why.or_else(|| panic.downcast_ref::<&str>().map(|why| (*why).to_owned()));
        Err(ParquetError::General(format!("the reader gave up: {}", why.unwrap_or_default())))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    #[allow(clippy::panic, reason = "it is what is looked at")]
    fn a_panic_is_an_error() {
        let spoiled = guarded::<()>(|| panic!("no {}", "dictionary")).unwrap_err();
        assert_eq!(spoiled.to_string(), "Parquet error: the reader gave up: no dictionary");
        assert_eq!(guarded(|| Ok(3)).unwrap(), 3);
    }
}
