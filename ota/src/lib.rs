//! Verified, crash-safe installation of what comes over the air.
