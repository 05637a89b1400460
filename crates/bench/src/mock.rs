//! The mock upstream: reads requests on the event loop and writes prepared answers.

use std::io::{ErrorKind, Read as _, Write as _};
use std::net::{TcpListener, TcpStream};

use rustix::event::epoll;

use crate::answers::Answers;
use crate::http1::{Decoder, Message};
use crate::rig::{Due, Token, Tools};
use crate::timers::Nanoseconds;

/// How much of a body's end is kept, to see whether it asks for a stream.
const TAIL_BYTES: usize = 64;

/// The connections of the mock upstream.
#[derive(Debug)]
pub(crate) struct Mock {
    answers: Answers,
    connections: Vec<Option<Connection>>,
    free: Vec<u32>,
    next_generation: u32,
    /// The bodies of requests, one behind the other, while somebody wants them.
    captured: Option<Vec<u8>>,
    /// What is about to be written.
    buffer: Vec<u8>,
}

#[derive(Debug)]
struct Connection {
    socket: TcpStream,
    generation: u32,
    decoder: Decoder,
    /// The last bytes of the body that arrives.
    tail: Vec<u8>,
    /// What the socket would not take yet.
    unwritten: Vec<u8>,
    /// The number of the next chunk, and when the stream began.
    stream: Option<(u32, Nanoseconds)>,
}

/// The connection can no longer be used.
#[derive(Clone, Copy)]
struct Gone;

impl Mock {
    /// A mock without connections.
    pub(crate) fn new(answers: Answers) -> Self {
        Self {
            answers,
            connections: Vec::new(),
            free: Vec::new(),
            next_generation: 0,
            captured: None,
            buffer: vec![],
        }
    }

    /// Keeps the bodies of requests from now on.
    pub(crate) fn capture(&mut self) {
        self.captured = Some(Vec::new());
    }

    /// The bodies that were kept since [`Mock::capture`].
    pub(crate) fn take_captured(&mut self) -> Vec<u8> {
        self.captured.take().unwrap_or_default()
    }

    /// Takes every connection that waits.
    pub(crate) fn accept(&mut self, listener: &TcpListener, tools: &mut Tools<'_>) {
        // An error other than that nobody waits concerns a client that is gone again; the next event tries anew.
        while let Ok((socket, _)) = listener.accept() {
            if socket.set_nonblocking(true).is_err() || socket.set_nodelay(true).is_err() {
                continue;
            }
            let index = self.free.pop().unwrap_or(self.connections.len() as u32);
            let generation = self.next_generation;
            self.next_generation = (generation + 1) & Token::GENERATION_MASK;
            let token = Token::Mock { index, generation };
            if tools.watch(&socket, token).is_err() {
                self.free.push(index);
                continue;
            }
            let connection = Connection {
                socket,
                generation,
                decoder: Decoder::new(Message::Request),
                tail: Vec::new(),
                unwritten: Vec::new(),
                stream: None,
            };
            match self.connections.get_mut(index as usize) {
                Some(place) => *place = Some(connection),
                None => self.connections.push(Some(connection)),
            }
        }
    }

    /// Reads and writes what a connection is ready for.
    pub(crate) fn ready(&mut self, index: u32, generation: u32, flags: epoll::EventFlags, tools: &mut Tools<'_>) {
        let Some(mut connection) = self.take(index, generation) else {
            return;
        };
        let mut outcome = Ok(());
        if flags.contains(epoll::EventFlags::OUT) {
            outcome = connection.flush();
        }
        if outcome.is_ok() && flags.intersects(epoll::EventFlags::IN | epoll::EventFlags::HUP | epoll::EventFlags::ERR)
        {
            outcome = self.read(&mut connection, index, tools);
        }
        self.put_back(index, connection, outcome);
    }

    /// Writes the chunk of a stream that is due.
    pub(crate) fn chunk_due(&mut self, index: u32, generation: u32, tools: &mut Tools<'_>) {
        let Some(mut connection) = self.take(index, generation) else {
            return;
        };
        let outcome = self.write_chunk(&mut connection, index, tools);
        self.put_back(index, connection, outcome);
    }

    fn take(&mut self, index: u32, generation: u32) -> Option<Connection> {
        self.connections
            .get_mut(index as usize)?
            .take_if(|connection| connection.generation == generation)
    }

    fn put_back(&mut self, index: u32, connection: Connection, outcome: Result<(), Gone>) {
        match outcome {
            Ok(()) => self.connections[index as usize] = Some(connection),
            Err(Gone) => self.free.push(index),
        }
    }

    fn read(&mut self, connection: &mut Connection, index: u32, tools: &mut Tools<'_>) -> Result<(), Gone> {
        loop {
            let count = match connection.socket.read(tools.scratch) {
                Ok(0) => return Err(Gone),
                Ok(count) => count,
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(()),
                Err(error) if error.kind() == ErrorKind::Interrupted => continue,
                Err(_) => return Err(Gone),
            };
            let mut at = 0;
            while at < count {
                let bytes = &tools.scratch[at..count];
                let tail = &mut connection.tail;
                let captured = &mut self.captured;
                let fed = connection.decoder.feed(bytes, &mut |piece| {
                    keep_tail(tail, piece);
                    if let Some(captured) = captured {
                        captured.extend_from_slice(piece);
                    }
                });
                match fed {
                    Ok(Some(used)) => {
                        at += used;
                        self.answer(connection, index, tools)?;
                        connection.tail.clear();
                    }
                    Ok(None) => break,
                    Err(_) => return Err(Gone),
                }
            }
            // Less than was asked for: nothing more is there, and what comes later is a new event.
            if count < tools.scratch.len() {
                return Ok(());
            }
        }
    }

    fn answer(&mut self, connection: &mut Connection, index: u32, tools: &mut Tools<'_>) -> Result<(), Gone> {
        let mut words = connection.decoder.start_line().split(|byte| *byte == b' ');
        let path = words.nth(1).unwrap_or_default();
        let answer = if path.ends_with(b"/chat/completions") {
            if asks_for_stream(&connection.tail) {
                connection.stream = Some((0, tools.clock.now()));
                return self.write_chunk(connection, index, tools);
            }
            &self.answers.completion
        } else {
            match path {
                b"/v1/models" => &self.answers.models,
                b"/health" => &self.answers.health,
                _ => &self.answers.not_found,
            }
        };
        connection.write(answer)
    }

    fn write_chunk(&mut self, connection: &mut Connection, index: u32, tools: &mut Tools<'_>) -> Result<(), Gone> {
        let Some((number, began)) = connection.stream else {
            return Ok(());
        };
        let shape = self.answers.shape();
        let next = number + 1;
        connection.stream = (next < shape.chunks).then_some((next, began));
        if connection.stream.is_some() {
            let due = began + shape.interval.as_nanos() as u64 * u64::from(next);
            tools.timers.add(
                due,
                Due::Chunk {
                    index,
                    generation: connection.generation,
                },
            );
        }
        self.buffer.clear();
        self.answers.append_chunk(number, tools.clock.now(), &mut self.buffer);
        connection.write(&self.buffer)
    }
}

impl Connection {
    fn write(&mut self, bytes: &[u8]) -> Result<(), Gone> {
        if !self.unwritten.is_empty() {
            self.unwritten.extend_from_slice(bytes);
            return self.flush();
        }
        let written = write_some(&mut self.socket, bytes)?;
        self.unwritten.extend_from_slice(&bytes[written..]);
        Ok(())
    }

    fn flush(&mut self) -> Result<(), Gone> {
        if !self.unwritten.is_empty() {
            let written = write_some(&mut self.socket, &self.unwritten)?;
            self.unwritten.drain(..written);
        }
        Ok(())
    }
}

/// Writes until the socket takes no more; returns how much it took.
fn write_some(socket: &mut TcpStream, bytes: &[u8]) -> Result<usize, Gone> {
    let mut written = 0;
    while written < bytes.len() {
        match socket.write(&bytes[written..]) {
            Ok(count) => written += count,
            Err(error) if error.kind() == ErrorKind::WouldBlock => break,
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(_) => return Err(Gone),
        }
    }
    Ok(written)
}

fn keep_tail(tail: &mut Vec<u8>, piece: &[u8]) {
    if let Some(start) = piece.len().checked_sub(TAIL_BYTES) {
        tail.clear();
        tail.extend_from_slice(&piece[start..]);
    } else {
        tail.extend_from_slice(piece);
        tail.drain(..tail.len().saturating_sub(TAIL_BYTES));
    }
}

/// The requests of this benchmark name `stream` last, after `model`, as the official Python client does.
fn asks_for_stream(tail: &[u8]) -> bool {
    let Some(at) = memchr::memmem::rfind(tail, b"\"stream\"") else {
        return false;
    };
    let value = tail[at + b"\"stream\"".len()..].trim_ascii_start();
    value
        .strip_prefix(b":")
        .is_some_and(|value| value.trim_ascii_start().starts_with(b"true"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stream_is_asked_for_at_the_end_of_the_body() {
        for (body, expected) in [
            (r#"{"messages":[],"model":"m","stream":true}"#, true),
            ("{\"messages\":[],\"stream\" :\n true , \"model\" : \"m\" }", true),
            (r#"{"messages":[],"model":"m","stream":false}"#, false),
            (r#"{"messages":[],"model":"m"}"#, false),
        ] {
            assert_eq!(asks_for_stream(body.as_bytes()), expected, "{body}");
        }
    }

    #[test]
    fn the_tail_is_the_end_of_all_pieces() {
        let body: Vec<u8> = (0..200).collect();
        for size in 1..=body.len() {
            let mut tail = Vec::new();
            body.chunks(size).for_each(|piece| keep_tail(&mut tail, piece));
            assert_eq!(tail, body[200 - TAIL_BYTES..], "in pieces of {size}");
        }
    }
}
