//! A bus on a serial line: several units share it, each answers to its own number, and nobody else does.

use std::io;
use std::sync::Arc;

use core::time::Duration;

use super::fault::{BABBLE, Fault};
use super::pdu::Request;
use super::pty::Pty;
use super::rtu::{Finder, LONGEST_FRAME, encode};
use super::wait;
use crate::world::{Shared, Verdict, lock};

/// Silence after which an unfinished request is forgotten.
const SILENCE: Duration = Duration::from_millis(100);

/// Serves bus number `bus` until the line breaks.
pub(crate) async fn serve(pty: Arc<Pty>, world: Shared, bus: usize, pause: Duration) -> io::Result<()> {
    let mut finder = Finder::default();
    let mut buffer = [0_u8; LONGEST_FRAME];
    loop {
        let babble = lock(&world).babble(bus);
        match tokio::time::timeout(babble.unwrap_or(SILENCE), pty.read(&mut buffer)).await {
            Ok(read) => finder.push(&buffer[..read?]),
            Err(_) => {
                finder.clear();
                if babble.is_some() {
                    pty.write(BABBLE).await?;
                }
            }
        }
        while let Some(frame) = finder.next() {
            let Some(request) = Request::decode(&frame.pdu) else { continue };
            let verdict = lock(&world).ask(bus, frame.unit, &request, pause);
            if let Verdict::Answer { pdu, pause, fault } = verdict {
                deliver(&pty, frame.unit, &pdu, pause, fault).await?;
            }
        }
    }
}

async fn deliver(
    pty: &Arc<Pty>,
    unit: u8,
    pdu: &[u8],
    pause: Option<crate::device::Pause>,
    fault: Fault,
) -> io::Result<()> {
    let mut frame = encode(unit, pdu);
    match fault {
        Fault::Slow(delay) => {
            let line = Arc::clone(pty);
            // The line is free meanwhile, and this answer falls into whatever is asked then.
            tokio::spawn(async move {
                wait(delay).await;
                // A line that broke meanwhile is noticed by the bus itself.
                let _ = line.write(&frame).await;
            });
            return Ok(());
        }
        Fault::WrongCheck => {
            if let Some(last) = frame.last_mut() {
                *last ^= 0x55;
            }
        }
        Fault::Babbling(_) => pty.write(BABBLE).await?,
        Fault::None | Fault::Dead | Fault::Lying(_) | Fault::Busy => {}
    }
    let (first, rest) = match pause {
        Some(pause) if pause.after_bytes < frame.len() => frame.split_at(pause.after_bytes),
        _ => (frame.as_slice(), &[][..]),
    };
    pty.write(first).await?;
    if let (false, Some(pause)) = (rest.is_empty(), pause) {
        wait(pause.lasts).await;
        pty.write(rest).await?;
    }
    Ok(())
}
