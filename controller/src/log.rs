//! The hub's log: lines on standard error, which systemd keeps.

use tracing_subscriber::EnvFilter;

/// Starts logging; `SUNKEEP_LOG` filters it (`info` unless told). Times are left to whoever keeps the log,
/// for the hub's own clock may be wrong.
pub fn start() {
    let filter = EnvFilter::try_from_env("SUNKEEP_LOG").unwrap_or_else(|_| EnvFilter::new("info"));
    let subscriber = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .without_time()
        .with_target(false)
        .with_writer(std::io::stderr)
        .with_ansi(std::io::IsTerminal::is_terminal(&std::io::stderr()));
    // A second start (tests) keeps the first.
    let _ = subscriber.try_init();
}
