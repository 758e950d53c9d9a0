//! End-to-end, fault, conformance and peer tests.
