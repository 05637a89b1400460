//! One connection to a server, for requests one after the other.

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use serde_json::Value;

use crate::error::{Context as _, Error, Result};
use crate::http1::{Decoder, Message};

/// How long an answer may take.
const PATIENCE: Duration = Duration::from_secs(300);

/// A connection.
#[derive(Debug)]
pub(crate) struct Client {
    address: SocketAddr,
    socket: TcpStream,
    decoder: Decoder,
}

impl Client {
    /// Connects.
    pub(crate) fn connect(address: SocketAddr) -> Result<Self> {
        let socket = TcpStream::connect(address).while_trying(|| format!("connect to {address}"))?;
        socket
            .set_nodelay(true)
            .and_then(|()| socket.set_read_timeout(Some(PATIENCE)))
            .while_trying(|| format!("connect to {address}"))?;
        Ok(Self {
            address,
            socket,
            decoder: Decoder::new(Message::Answer),
        })
    }

    /// The body of a good answer to a GET.
    pub(crate) fn get(&mut self, path: &str) -> Result<Vec<u8>> {
        self.ask("GET", path, "", &[])
    }

    /// The same, as JSON.
    pub(crate) fn get_json(&mut self, path: &str) -> Result<Value> {
        let body = self.get(path)?;
        read_json(path, &body)
    }

    /// The JSON of a good answer to a POST of a body of this type.
    pub(crate) fn post(&mut self, path: &str, content_type: &str, body: &[u8]) -> Result<Value> {
        let header = format!("content-type: {content_type}\r\n");
        let answer = self.ask("POST", path, &header, body)?;
        read_json(path, &answer)
    }

    /// The JSON of a good answer to a POST of JSON.
    pub(crate) fn post_json(&mut self, path: &str, body: &Value) -> Result<Value> {
        self.post(path, "application/json", body.to_string().as_bytes())
    }

    fn ask(&mut self, method: &str, path: &str, headers: &str, body: &[u8]) -> Result<Vec<u8>> {
        let head = format!(
            "{method} {path} HTTP/1.1\r\nhost: {}\r\n{headers}content-length: {}\r\n\r\n",
            self.address,
            body.len()
        );
        let request = [head.as_bytes(), body].concat();
        self.socket
            .write_all(&request)
            .while_trying(|| format!("send {method} {path}"))?;
        let mut answer = Vec::new();
        let mut buffer = vec![0; 64 * 1024];
        loop {
            let read = self
                .socket
                .read(&mut buffer)
                .while_trying(|| format!("read the answer to {method} {path}"))?;
            if read == 0 {
                return Err(Error::new(format!("the connection ended within {method} {path}")));
            }
            let ended = self
                .decoder
                .feed(&buffer[..read], &mut |piece| answer.extend_from_slice(piece))?;
            if ended.is_some() {
                break;
            }
        }
        match self.decoder.status() {
            200..300 => Ok(answer),
            status => Err(Error::new(format!(
                "{method} {path} was answered with status {status}: {}",
                String::from_utf8_lossy(&answer)
            ))),
        }
    }
}

fn read_json(path: &str, body: &[u8]) -> Result<Value> {
    serde_json::from_slice(body).while_trying(|| format!("read the answer of {path}"))
}
