//! Streams of completions, each on a thread and a connection of its own.

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::sync::Barrier;
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::error::{Context as _, Error, Result};
use crate::event_stream::EventReader;
use crate::http1::{Decoder, Message};
use crate::prometheus::Scrape;

/// How long a stream may keep silent.
const PATIENCE: Duration = Duration::from_secs(300);

/// What came of streams that began together.
#[derive(Debug, Clone, Default)]
pub(crate) struct Streams {
    /// The tokens of all of them.
    pub(crate) tokens: u64,
    /// From the first request to the end of the last answer.
    pub(crate) took: Duration,
    /// From a request to its first piece of text.
    pub(crate) first_tokens: Vec<Duration>,
}

/// One answer.
struct Answer {
    tokens: u64,
    first_token: Duration,
}

/// Sends the same request on so many connections at once and reads all answers.
pub(crate) fn run(address: SocketAddr, body: &Value, streams: usize) -> Result<Streams> {
    let start = Barrier::new(streams + 1);
    let (answers, took) = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..streams)
            .map(|_| {
                scope.spawn(|| {
                    let stream = Stream::connect(address);
                    start.wait();
                    stream?.read_all(body)
                })
            })
            .collect();
        start.wait();
        let began = Instant::now();
        let answers: Result<Vec<Answer>> = threads
            .into_iter()
            .map(|thread| {
                thread
                    .join()
                    .unwrap_or_else(|_| Err(Error::new("a thread of the load panicked")))
            })
            .collect();
        (answers, began.elapsed())
    });
    let answers = answers?;
    Ok(Streams {
        tokens: answers.iter().map(|answer| answer.tokens).sum(),
        took,
        first_tokens: answers.iter().map(|answer| answer.first_token).collect(),
    })
}

/// Begins an answer, reads so many events, and closes the connection.
pub(crate) fn hang_up(address: SocketAddr, body: &Value, after: usize) -> Result<()> {
    let mut stream = Stream::connect(address)?;
    stream.send(body)?;
    let mut seen = 0;
    while seen < after {
        seen += stream.read()?.events.len();
    }
    Ok(())
}

/// How many tokens the engine has made, as the server's metrics tell.
pub(crate) fn generated_tokens(address: SocketAddr) -> Result<u64> {
    let made = Scrape::of(address)?.total("puna_engine_generated_tokens_total")?;
    Ok(made as u64)
}

struct Stream {
    address: SocketAddr,
    socket: TcpStream,
    decoder: Decoder,
    events: EventReader,
}

/// What one read brought.
struct Piece {
    events: Vec<Vec<u8>>,
    is_last: bool,
}

impl Stream {
    fn connect(address: SocketAddr) -> Result<Self> {
        let socket = TcpStream::connect(address).while_trying(|| format!("connect to {address}"))?;
        socket
            .set_nodelay(true)
            .and_then(|()| socket.set_read_timeout(Some(PATIENCE)))
            .while_trying(|| format!("connect to {address}"))?;
        Ok(Self {
            address,
            socket,
            decoder: Decoder::new(Message::Answer),
            events: EventReader::default(),
        })
    }

    fn send(&mut self, body: &Value) -> Result<()> {
        let body = body.to_string();
        let request = format!(
            "POST /v1/completions HTTP/1.1\r\nhost: {}\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n{body}",
            self.address,
            body.len()
        );
        self.socket
            .write_all(request.as_bytes())
            .while_trying(|| "send a completion".into())
    }

    fn read(&mut self) -> Result<Piece> {
        let mut buffer = [0; 16 * 1024];
        let read = self
            .socket
            .read(&mut buffer)
            .while_trying(|| "read a completion".into())?;
        if read == 0 {
            return Err(Error::new("the connection ended within an answer"));
        }
        let mut events = Vec::new();
        let mut refused = Vec::new();
        let reader = &mut self.events;
        let ended = self.decoder.feed(&buffer[..read], &mut |piece| {
            refused.extend_from_slice(piece);
            reader.feed(piece, |event| events.push(event.to_vec()));
        })?;
        match self.decoder.status() {
            0 | 200 => Ok(Piece {
                events,
                is_last: ended.is_some(),
            }),
            status => Err(Error::new(format!(
                "a completion was answered with status {status}: {}",
                String::from_utf8_lossy(&refused)
            ))),
        }
    }

    fn read_all(mut self, body: &Value) -> Result<Answer> {
        let began = Instant::now();
        self.send(body)?;
        let mut first_token = None;
        let mut tokens = None;
        loop {
            let piece = self.read()?;
            let now = began.elapsed();
            for event in piece.events {
                let Some(data) = event.strip_prefix(b"data: ").filter(|data| *data != b"[DONE]") else {
                    continue;
                };
                let data: Value = serde_json::from_slice(data).while_trying(|| "read a chunk".into())?;
                if let Some(error) = data.get("error") {
                    return Err(Error::new(format!("a stream ended with an error: {error}")));
                }
                if data["choices"][0]["text"].as_str().is_some_and(|text| !text.is_empty()) {
                    first_token.get_or_insert(now);
                }
                tokens = data["usage"]["completion_tokens"].as_u64().or(tokens);
            }
            if piece.is_last {
                break;
            }
        }
        Ok(Answer {
            tokens: tokens.ok_or_else(|| Error::new("a stream told no usage"))?,
            first_token: first_token.ok_or_else(|| Error::new("a stream held no text"))?,
        })
    }
}
