//! Offline training of forecast models.
