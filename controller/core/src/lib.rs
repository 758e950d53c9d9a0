//! The decision core of the hub.
