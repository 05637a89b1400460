//! Ports of servers that are started, and waiting until they answer.

use std::io::{Read as _, Write as _};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::time::{Duration, Instant};

use crate::error::{Context as _, Error, Result};
use crate::process::Running;

/// How long to wait from one attempt to the next.
const PAUSE: Duration = Duration::from_micros(200);

/// A port on 127.0.0.1 that nobody uses at this moment.
pub(crate) fn free() -> Result<SocketAddr> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).while_trying(|| "find a free port".into())?;
    listener.local_addr().while_trying(|| "find a free port".into())
}

/// Waits until `GET path` is answered with one of `statuses`, and returns how long that took from `began`.
///
/// # Errors
/// When the process ends, or `patience` does.
pub(crate) fn wait_for_answer(
    process: &mut Running,
    address: SocketAddr,
    path: &str,
    statuses: &[u16],
    began: Instant,
    patience: Duration,
) -> Result<Duration> {
    loop {
        let status = get_status(address, path);
        let elapsed = began.elapsed();
        if status.is_some_and(|status| statuses.is_empty() || statuses.contains(&status)) {
            return Ok(elapsed);
        }
        if let Some(end) = process.end() {
            return Err(Error::new(format!("it ended before it answered ({end})")));
        }
        if elapsed > patience {
            let last = status.map_or("no answer".into(), |status| format!("status {status}"));
            return Err(Error::new(format!(
                "GET {path} has {last} after {} s",
                patience.as_secs()
            )));
        }
        std::thread::sleep(PAUSE);
    }
}

/// The status that the server answers with, if it answers.
fn get_status(address: SocketAddr, path: &str) -> Option<u16> {
    let mut socket = TcpStream::connect_timeout(&address, Duration::from_millis(200)).ok()?;
    socket.set_read_timeout(Some(Duration::from_secs(1))).ok()?;
    write!(
        socket,
        "GET {path} HTTP/1.1\r\nhost: {address}\r\nconnection: close\r\n\r\n"
    )
    .ok()?;
    let mut line = [0u8; 12];
    socket.read_exact(&mut line).ok()?;
    std::str::from_utf8(line.strip_prefix(b"HTTP/1.1 ")?).ok()?.parse().ok()
}
