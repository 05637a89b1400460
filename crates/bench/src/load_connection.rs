//! One connection of the load.

use std::io::{ErrorKind, Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use crate::event_stream::{EventReader, stamp};
use crate::http1::{Decoder, Message};
use crate::load::{Outcome, Workload};
use crate::rig::{Token, Tools};
use crate::timers::Nanoseconds;

/// How long a server may take to accept a connection.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// How much of a body is kept, to show it when the status is not 200.
const EXCERPT_BYTES: usize = 300;

/// A connection with at most one request under way.
#[derive(Debug)]
pub(crate) struct Connection {
    /// Absent once the connection has failed.
    socket: Option<TcpStream>,
    decoder: Decoder,
    events: EventReader,
    /// How many bytes of the request are written.
    written: usize,
    is_waiting: bool,
    started: Nanoseconds,
    answered: u64,
    body: Vec<u8>,
    stream: Stream,
}

/// What was seen of a stream so far.
#[derive(Debug, Default, Clone, Copy)]
struct Stream {
    /// When the last chunk came, and when it was sent if it says so.
    last: Option<(Nanoseconds, Option<Nanoseconds>)>,
    is_done: bool,
}

/// What follows from an event.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Step {
    /// More must come.
    Wait,
    /// The answer is whole, and as it should be.
    Answered,
    /// The connection is of no more use, for this reason.
    Failed(String),
}

impl Connection {
    /// Opens a connection and has the event loop watch it.
    pub(crate) fn open(target: SocketAddr, tools: &Tools<'_>, token: Token) -> Result<Self, String> {
        let socket = TcpStream::connect_timeout(&target, CONNECT_TIMEOUT)
            .and_then(|socket| {
                socket.set_nodelay(true)?;
                socket.set_nonblocking(true)?;
                tools.watch(&socket, token)?;
                Ok(socket)
            })
            .map_err(|error| format!("failed to connect to {target}: {error}"))?;
        Ok(Self {
            socket: Some(socket),
            decoder: Decoder::new(Message::Answer),
            events: EventReader::default(),
            written: 0,
            is_waiting: false,
            started: 0,
            answered: 0,
            body: Vec::new(),
            stream: Stream::default(),
        })
    }

    /// When the last request was sent.
    pub(crate) fn started(&self) -> Nanoseconds {
        self.started
    }

    /// How many requests were answered.
    pub(crate) fn answered(&self) -> u64 {
        self.answered
    }

    /// Sends a request at the time `now`.
    pub(crate) fn send(&mut self, request: &[u8], now: Nanoseconds) -> Step {
        if self.socket.is_none() {
            return Step::Wait;
        }
        self.started = now;
        self.written = 0;
        self.is_waiting = true;
        self.body.clear();
        self.stream = Stream::default();
        self.flush(request)
    }

    /// Writes what is left of the request.
    pub(crate) fn flush(&mut self, request: &[u8]) -> Step {
        let Some(socket) = self.socket.as_mut().filter(|_| self.is_waiting) else {
            return Step::Wait;
        };
        while self.written < request.len() {
            match socket.write(&request[self.written..]) {
                Ok(count) => self.written += count,
                Err(error) if error.kind() == ErrorKind::WouldBlock => break,
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return self.fail(format!("failed to write a request: {error}")),
            }
        }
        Step::Wait
    }

    /// Reads what has come, and puts what it says of a stream into `outcome` if the request counts.
    ///
    /// Also returns the time at which it was read.
    pub(crate) fn read(
        &mut self,
        workload: &Workload,
        counts: bool,
        outcome: &mut Outcome,
        tools: &mut Tools<'_>,
    ) -> (Step, Nanoseconds) {
        let mut now = tools.clock.now();
        loop {
            let Some(socket) = &mut self.socket else {
                return (Step::Wait, now);
            };
            let count = match socket.read(tools.scratch) {
                Ok(0) if self.is_waiting => {
                    return (
                        self.fail("the server closed the connection before its answer ended".into()),
                        now,
                    );
                }
                Ok(0) => {
                    return (
                        self.fail("the server closed a connection that was to stay open".into()),
                        now,
                    );
                }
                Ok(count) => count,
                Err(error) if error.kind() == ErrorKind::WouldBlock => return (Step::Wait, now),
                Err(error) if error.kind() == ErrorKind::Interrupted => continue,
                Err(error) => return (self.fail(format!("failed to read an answer: {error}")), now),
            };
            now = tools.clock.now();
            let bytes = &tools.scratch[..count];
            let kept = if workload.keep_answer {
                usize::MAX
            } else {
                EXCERPT_BYTES
            };
            let Self {
                decoder,
                events,
                body,
                stream,
                started,
                ..
            } = self;
            let fed = decoder.feed(bytes, &mut |piece| {
                body.extend_from_slice(&piece[..piece.len().min(kept - body.len())]);
                if workload.streaming {
                    events.feed(piece, |event| {
                        stream.note(event, now, *started, counts.then_some(&mut *outcome));
                    });
                }
            });
            match fed {
                Ok(Some(used)) if used == count && self.is_waiting => return (self.end(workload, outcome), now),
                Ok(None) if self.is_waiting => {}
                Ok(_) => return (self.fail("the server sent bytes that answer no request".into()), now),
                Err(error) => return (self.fail(format!("the server's answer makes no sense: {error}")), now),
            }
            if count < tools.scratch.len() {
                return (Step::Wait, now);
            }
        }
    }

    fn end(&mut self, workload: &Workload, outcome: &mut Outcome) -> Step {
        self.is_waiting = false;
        self.answered += 1;
        self.events.clear();
        if self.decoder.status() != 200 {
            let line = String::from_utf8_lossy(self.decoder.start_line()).into_owned();
            let body = String::from_utf8_lossy(&self.body).into_owned();
            return self.fail(format!("the answer is {line:?}: {body}"));
        }
        if workload.streaming && !self.stream.is_done {
            let body = String::from_utf8_lossy(&self.body[..self.body.len().min(EXCERPT_BYTES)]).into_owned();
            return self.fail(format!(
                "a stream ended without its data: [DONE]; it began with {body:?}"
            ));
        }
        if workload.keep_answer {
            outcome.answer.clone_from(&self.body);
        }
        Step::Answered
    }

    /// Closes the connection.
    fn fail(&mut self, why: String) -> Step {
        self.socket = None;
        self.is_waiting = false;
        Step::Failed(why)
    }
}

impl Stream {
    fn note(&mut self, event: &[u8], now: Nanoseconds, started: Nanoseconds, outcome: Option<&mut Outcome>) {
        if event == b"data: [DONE]" {
            self.is_done = true;
            return;
        }
        if !event.starts_with(b"data:") {
            return;
        }
        let sent = stamp(event);
        let before = self.last.replace((now, sent));
        let Some(outcome) = outcome else { return };
        let Some((came_before, sent_before)) = before else {
            outcome.first_chunks.push(now - started);
            return;
        };
        let gap = now - came_before;
        outcome.gaps.push(gap);
        if let (Some(sent), Some(sent_before)) = (sent, sent_before) {
            outcome
                .lengthenings
                .push(gap as i64 - (sent as i64 - sent_before as i64));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stream_is_measured_from_its_request_and_from_chunk_to_chunk() {
        let mut outcome = Outcome::default();
        let mut stream = Stream::default();
        let chunk = |sent: u64| format!("data: {{\"delta\":{{\"content\":\"t={sent:020}\"}}}}").into_bytes();
        stream.note(&chunk(1_000), 1_700, 200, Some(&mut outcome));
        stream.note(&chunk(2_000), 2_600, 200, Some(&mut outcome));
        stream.note(b": a comment", 2_650, 200, Some(&mut outcome));
        stream.note(&chunk(3_000), 4_000, 200, Some(&mut outcome));
        stream.note(b"data: {\"no\":\"time\"}", 4_100, 200, Some(&mut outcome));
        assert!(!stream.is_done);
        stream.note(b"data: [DONE]", 4_200, 200, Some(&mut outcome));
        assert!(stream.is_done);
        assert_eq!(outcome.first_chunks.kept(), [1_500]);
        assert_eq!(outcome.gaps.kept(), [900, 1_400, 100]);
        assert_eq!(outcome.lengthenings.kept(), [-100, 400]);
    }

    #[test]
    fn a_stream_of_the_warm_up_leaves_no_samples() {
        let mut stream = Stream::default();
        stream.note(b"data: {}", 10, 5, None);
        stream.note(b"data: {}", 20, 5, None);
        assert_eq!(stream.last, Some((20, None)));
    }
}
