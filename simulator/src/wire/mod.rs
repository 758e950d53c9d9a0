//! The simulator's side of the wire: Modbus requests in, answers out, over TCP and over a serial line that
//! is a pty, with the faults that lines and devices have. What devices answer is not decided here.

pub mod fault;
pub mod pdu;
pub(crate) mod pty;
mod rtu;
pub(crate) mod serial;
pub(crate) mod tcp;

use core::time::Duration;

/// Waits on the wire's own time: pauses within frames and late answers are physical, not simulated.
#[expect(clippy::disallowed_methods, reason = "wire timing is the stated exception")]
pub(crate) async fn wait(span: Duration) {
    tokio::time::sleep(span).await;
}
