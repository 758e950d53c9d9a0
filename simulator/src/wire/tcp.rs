//! A bus behind Modbus TCP: a GX device, or a gateway to a serial line.

use std::io;
use std::sync::Arc;

use core::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::tcp::OwnedWriteHalf;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Mutex;
use tokio::task::JoinSet;

use super::fault::{BABBLE, Fault};
use super::pdu::{Exception, Request};
use super::wait;
use crate::world::{Shared, Verdict, lock};

/// Connections served at a time; more wait.
const MOST_CONNECTIONS: usize = 16;
/// Header before the unit: transaction, protocol, length.
const HEADER: usize = 6;
/// Longest rest of a message after the header: unit and 253 bytes.
const LONGEST: usize = 254;

/// Serves bus number `bus` until the listener breaks.
pub(crate) async fn serve(
    listener: TcpListener,
    world: Shared,
    bus: usize,
    pause: Duration,
) -> io::Result<()> {
    // Dropped with this task, and every connection with it.
    let mut connections = JoinSet::new();
    loop {
        if connections.len() >= MOST_CONNECTIONS {
            // A connection that broke is the hub's affair; it will open another.
            let _ = connections.join_next().await;
        }
        let (stream, _) = listener.accept().await?;
        while connections.try_join_next().is_some() {}
        connections.spawn(connection(stream, Arc::clone(&world), bus, pause));
    }
}

async fn connection(stream: TcpStream, world: Shared, bus: usize, pause: Duration) -> io::Result<()> {
    stream.set_nodelay(true)?;
    let (mut reader, writer) = stream.into_split();
    let writer = Arc::new(Mutex::new(writer));
    loop {
        let mut header = [0_u8; HEADER];
        reader.read_exact(&mut header).await?;
        let length = usize::from(u16::from_be_bytes([header[4], header[5]]));
        if header[2..4] != [0, 0] || !(2..=LONGEST).contains(&length) {
            return Ok(()); // Not Modbus: nothing sensible can follow on this connection.
        }
        let mut body = vec![0_u8; length];
        reader.read_exact(&mut body).await?;
        let Some(request) = Request::decode(&body[1..]) else { continue };
        let (pdu, fault) = match lock(&world).ask(bus, body[0], &request, pause) {
            Verdict::Silence => continue,
            Verdict::NoSuchUnit { gx } => {
                let exception = if gx { Exception::GatewayPath } else { Exception::GatewayTarget };
                (request.encode_reply(&Err(exception)), Fault::None)
            }
            Verdict::Answer { pdu, fault, .. } => (pdu, fault),
        };
        deliver(&writer, [header[0], header[1]], body[0], &pdu, fault).await?;
    }
}

async fn deliver(
    writer: &Arc<Mutex<OwnedWriteHalf>>,
    transaction: [u8; 2],
    unit: u8,
    pdu: &[u8],
    fault: Fault,
) -> io::Result<()> {
    let mut message = transaction.to_vec();
    message.extend([0, 0]);
    message.extend((pdu.len() as u16 + 1).to_be_bytes());
    message.push(unit);
    message.extend(pdu);
    match fault {
        Fault::Slow(delay) => {
            let writer = Arc::clone(writer);
            tokio::spawn(async move {
                wait(delay).await;
                // The hub may have gone; then nobody misses the answer.
                let _ = writer.lock().await.write_all(&message).await;
            });
            return Ok(());
        }
        Fault::WrongCheck => message[1] ^= 0x55,
        Fault::Babbling(_) => writer.lock().await.write_all(BABBLE).await?,
        Fault::None | Fault::Dead | Fault::Lying(_) | Fault::Busy => {}
    }
    writer.lock().await.write_all(&message).await
}
