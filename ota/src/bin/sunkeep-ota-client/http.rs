//! As much HTTP as the suite's server on the loopback needs: one GET a connection, no more bytes than allowed.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::time::Duration;

use anyhow::{Context, bail};

/// How long a silent server is waited for.
const PATIENCE: Duration = Duration::from_secs(10);
/// Longest head of an answer, bytes.
const HEAD_CAP: u64 = 16 << 10;

/// The body at an address, cut one byte after `cap`; nothing where there is none.
pub(crate) fn get(url: &str, cap: usize) -> anyhow::Result<Option<Vec<u8>>> {
    let rest = url.strip_prefix("http://").with_context(|| format!("{url} is no http address"))?;
    let (host, path) = rest.split_once('/').unwrap_or((rest, ""));
    let mut stream = TcpStream::connect(host).with_context(|| format!("connecting to {host}"))?;
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.write_all(format!("GET /{path} HTTP/1.0\r\nHost: {host}\r\n\r\n").as_bytes())?;
    let mut reader = BufReader::new(stream);
    let mut head = (&mut reader).take(HEAD_CAP);
    let mut status = String::new();
    head.read_line(&mut status)?;
    loop {
        let mut line = String::new();
        if head.read_line(&mut line)? == 0 {
            bail!("{url}: the answer has no end of its head");
        }
        if line.trim_end().is_empty() {
            break;
        }
    }
    match status.split(' ').nth(1) {
        Some("200") => {}
        Some("403" | "404") => return Ok(None),
        _ => bail!("{url}: {status}"),
    }
    let mut body = Vec::new();
    reader.take(cap as u64 + 1).read_to_end(&mut body).with_context(|| format!("reading {url}"))?;
    Ok(Some(body))
}
