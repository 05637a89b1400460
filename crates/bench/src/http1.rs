//! Just enough of HTTP/1.1 (RFC 9112) to read requests and answers as they arrive, without copying what fits one read.

use memchr::{memchr, memmem};

use crate::error::{Error, Result};

/// The longest head or chunk-size line that is held, in bytes.
const MAX_HELD_BYTES: usize = 64 * 1024;

/// Which of the two kinds of message a decoder reads.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Message {
    /// From a client: without a length it has no body.
    Request,
    /// From a server: without a length it would end with the connection, which is refused here.
    Answer,
}

/// Reads messages of one connection, one after the other.
#[derive(Debug)]
pub(crate) struct Decoder {
    message: Message,
    state: State,
    /// The beginning of a head or a line whose end has not arrived.
    held: Vec<u8>,
    start_line: Vec<u8>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Head,
    /// A body of which so many bytes are missing.
    Length(u64),
    ChunkSize,
    /// A chunk of which so many bytes are missing.
    Chunk(u64),
    ChunkEnd,
    Trailer,
}

/// How a body is delimited.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Framing {
    Length(u64),
    Chunked,
}

impl Decoder {
    /// A decoder at the start of a connection.
    pub(crate) fn new(message: Message) -> Self {
        Self {
            message,
            state: State::Head,
            held: Vec::new(),
            start_line: Vec::new(),
        }
    }

    /// The first line of the last head that was read, without its line end.
    pub(crate) fn start_line(&self) -> &[u8] {
        &self.start_line
    }

    /// The status of the last answer; 0 when its first line is not one of an answer.
    pub(crate) fn status(&self) -> u16 {
        let digits = self.start_line.strip_prefix(b"HTTP/1.").and_then(|rest| rest.get(2..5));
        digits
            .and_then(parse_decimal)
            .and_then(|status| u16::try_from(status).ok())
            .unwrap_or(0)
    }

    /// Takes bytes and hands on those of the body.
    ///
    /// Returns how many bytes belonged to the message when it ended with them, `None` when more must come. What follows
    /// the message in `input` is to be fed again.
    ///
    /// # Errors
    /// When the bytes are not a message that this decoder understands.
    pub(crate) fn feed(&mut self, input: &[u8], body: &mut impl FnMut(&[u8])) -> Result<Option<usize>> {
        let mut at = 0;
        loop {
            let rest = &input[at..];
            match self.state {
                State::Head => {
                    let Some((head, used)) = through(&mut self.held, rest, b"\r\n\r\n")? else {
                        return Ok(None);
                    };
                    let framing = read_head(head, self.message, &mut self.start_line)?;
                    self.held.clear();
                    at += used;
                    self.state = match framing {
                        Framing::Length(0) => return Ok(Some(at)),
                        Framing::Length(length) => State::Length(length),
                        Framing::Chunked => State::ChunkSize,
                    };
                }
                State::Length(missing) => {
                    let (piece, missing) = split(rest, missing);
                    at += piece.len();
                    body(piece);
                    if missing == 0 {
                        self.state = State::Head;
                        return Ok(Some(at));
                    }
                    self.state = State::Length(missing);
                    return Ok(None);
                }
                State::ChunkSize => {
                    let Some((line, used)) = through(&mut self.held, rest, b"\r\n")? else {
                        return Ok(None);
                    };
                    let size = parse_chunk_size(line)?;
                    self.held.clear();
                    at += used;
                    self.state = if size == 0 { State::Trailer } else { State::Chunk(size) };
                }
                State::Chunk(missing) => {
                    let (piece, missing) = split(rest, missing);
                    at += piece.len();
                    if !piece.is_empty() {
                        body(piece);
                    }
                    if missing > 0 {
                        self.state = State::Chunk(missing);
                        return Ok(None);
                    }
                    self.state = State::ChunkEnd;
                }
                State::ChunkEnd => {
                    let Some((line, used)) = through(&mut self.held, rest, b"\r\n")? else {
                        return Ok(None);
                    };
                    if line.len() != 2 {
                        return Err(Error::new("a chunk is longer than its size says"));
                    }
                    self.held.clear();
                    at += used;
                    self.state = State::ChunkSize;
                }
                State::Trailer => {
                    let Some((line, used)) = through(&mut self.held, rest, b"\r\n")? else {
                        return Ok(None);
                    };
                    let is_last = line.len() == 2;
                    self.held.clear();
                    at += used;
                    if is_last {
                        self.state = State::Head;
                        return Ok(Some(at));
                    }
                }
            }
        }
    }
}

/// The bytes through the first `end`, and how many of `input` they took; `held` keeps what must wait for more.
fn through<'a>(held: &'a mut Vec<u8>, input: &'a [u8], end: &[u8]) -> Result<Option<(&'a [u8], usize)>> {
    if held.is_empty()
        && let Some(found) = memmem::find(input, end)
    {
        let used = found + end.len();
        return Ok(Some((&input[..used], used)));
    }
    let before = held.len();
    held.extend_from_slice(input);
    let from = before.saturating_sub(end.len() - 1);
    if let Some(found) = memmem::find(&held[from..], end) {
        let length = from + found + end.len();
        return Ok(Some((&held[..length], length - before)));
    }
    if held.len() > MAX_HELD_BYTES {
        return Err(Error::new(format!(
            "a head or a line is longer than {MAX_HELD_BYTES} bytes"
        )));
    }
    Ok(None)
}

/// The part of `input` that belongs to a body of which `missing` bytes are to come, and how many are missing after it.
fn split(input: &[u8], missing: u64) -> (&[u8], u64) {
    let taken = usize::try_from(missing).map_or(input.len(), |missing| missing.min(input.len()));
    (&input[..taken], missing - taken as u64)
}

fn read_head(head: &[u8], message: Message, start_line: &mut Vec<u8>) -> Result<Framing> {
    let mut lines = Lines(head);
    start_line.clear();
    start_line.extend_from_slice(lines.next().unwrap_or_default());
    let mut length = None;
    let mut chunked = false;
    for line in lines {
        if let Some(value) = field(line, b"content-length:") {
            let value = value.trim_ascii();
            length =
                Some(parse_decimal(value).ok_or_else(|| {
                    Error::new(format!("content-length is \"{}\", not a number", value.escape_ascii()))
                })?);
        } else if let Some(value) = field(line, b"transfer-encoding:") {
            chunked = value.trim_ascii().eq_ignore_ascii_case(b"chunked");
        }
    }
    match (chunked, length, message) {
        (true, _, _) => Ok(Framing::Chunked),
        (false, Some(length), _) => Ok(Framing::Length(length)),
        (false, None, Message::Request) => Ok(Framing::Length(0)),
        (false, None, Message::Answer) => Err(Error::new(
            "the answer has neither a content-length nor transfer-encoding: chunked",
        )),
    }
}

/// The value of a header line when its lower-case name, with the colon, is `name`.
fn field<'a>(line: &'a [u8], name: &[u8]) -> Option<&'a [u8]> {
    let (head, value) = line.split_at_checked(name.len())?;
    head.eq_ignore_ascii_case(name).then_some(value)
}

fn parse_decimal(digits: &[u8]) -> Option<u64> {
    if digits.is_empty() || !digits.iter().all(u8::is_ascii_digit) {
        return None;
    }
    std::str::from_utf8(digits).ok()?.parse().ok()
}

/// A chunk-size line may carry extensions after a semicolon.
fn parse_chunk_size(line: &[u8]) -> Result<u64> {
    let digits = memchr(b';', line).map_or(line, |end| &line[..end]).trim_ascii();
    let parsed = match digits.iter().all(u8::is_ascii_hexdigit) {
        true => std::str::from_utf8(digits)
            .ok()
            .and_then(|digits| u64::from_str_radix(digits, 16).ok()),
        false => None,
    };
    parsed.ok_or_else(|| {
        Error::new(format!(
            "a chunk size is \"{}\", not a hexadecimal number",
            digits.escape_ascii()
        ))
    })
}

/// Lines without their ends.
struct Lines<'a>(&'a [u8]);

impl<'a> Iterator for Lines<'a> {
    type Item = &'a [u8];

    fn next(&mut self) -> Option<&'a [u8]> {
        let end = memchr(b'\n', self.0)?;
        let line = &self.0[..end];
        self.0 = &self.0[end + 1..];
        Some(line.strip_suffix(b"\r").unwrap_or(line))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Feeds `bytes` in pieces of `piece` bytes, and returns the bodies and start lines of all messages.
    fn decode(message: Message, bytes: &[u8], piece: usize) -> Result<Vec<(String, String)>> {
        let mut decoder = Decoder::new(message);
        let mut messages = Vec::new();
        let mut body = Vec::new();
        for piece in bytes.chunks(piece) {
            let mut rest = piece;
            while !rest.is_empty() {
                let Some(used) = decoder.feed(rest, &mut |bytes| body.extend_from_slice(bytes))? else {
                    break;
                };
                let start_line = String::from_utf8_lossy(decoder.start_line()).into_owned();
                messages.push((
                    start_line,
                    String::from_utf8_lossy(&std::mem::take(&mut body)).into_owned(),
                ));
                rest = &rest[used..];
            }
        }
        assert!(
            decoder.state == State::Head && decoder.held.is_empty(),
            "a message is unfinished"
        );
        Ok(messages)
    }

    #[test]
    fn messages_are_read_however_they_are_cut() {
        let requests =
            b"POST /a HTTP/1.1\r\nHost: x\r\nCONTENT-LENGTH:  5\r\n\r\nhelloGET /b HTTP/1.1\r\nhost: x\r\n\r\n";
        let answers =
            b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5;name=v\r\nhello\r\n00a\r\n, world\r\n!\r\n0\r\n\
            x-trailer: 1\r\n\r\nHTTP/1.1 404 Not Found\r\ncontent-length: 2\r\n\r\nno";
        for piece in 1..=answers.len() {
            assert_eq!(
                decode(Message::Request, requests, piece).unwrap(),
                [
                    ("POST /a HTTP/1.1".into(), "hello".into()),
                    ("GET /b HTTP/1.1".into(), String::new())
                ],
                "in pieces of {piece}"
            );
            assert_eq!(
                decode(Message::Answer, answers, piece).unwrap(),
                [
                    ("HTTP/1.1 200 OK".into(), "hello, world\r\n!".into()),
                    ("HTTP/1.1 404 Not Found".into(), "no".into())
                ],
                "in pieces of {piece}"
            );
        }
    }

    #[test]
    fn the_status_is_that_of_the_last_answer() {
        let mut decoder = Decoder::new(Message::Answer);
        assert_eq!(decoder.status(), 0);
        for status in [200, 503] {
            let answer = format!("HTTP/1.1 {status} Reason\r\ncontent-length: 0\r\n\r\n");
            assert_eq!(
                decoder.feed(answer.as_bytes(), &mut |_| {}).unwrap(),
                Some(answer.len())
            );
            assert_eq!(decoder.status(), status);
        }
        decoder
            .feed(b"nonsense\r\ncontent-length: 0\r\n\r\n", &mut |_| {})
            .unwrap();
        assert_eq!(decoder.status(), 0);
    }

    #[test]
    fn what_is_not_understood_is_refused() {
        for (message, bytes, complaint) in [
            (
                Message::Request,
                "POST / HTTP/1.1\r\ncontent-length: -1\r\n\r\n",
                "content-length is \"-1\"",
            ),
            (
                Message::Request,
                "POST / HTTP/1.1\r\ncontent-length: \r\n\r\n",
                "content-length is \"\"",
            ),
            (Message::Answer, "HTTP/1.1 200 OK\r\n\r\n", "neither a content-length"),
            (
                Message::Answer,
                "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n+5\r\n",
                "a chunk size is \"+5\"",
            ),
            (
                Message::Answer,
                "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n\r\n",
                "a chunk size is \"\"",
            ),
            (
                Message::Answer,
                "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n1\r\nab\r\n",
                "longer than its size says",
            ),
        ] {
            let error = decode(message, bytes.as_bytes(), bytes.len()).unwrap_err().to_string();
            assert!(error.contains(complaint), "{bytes:?}: {error}");
        }
        let endless = vec![b'x'; MAX_HELD_BYTES + 1];
        assert!(
            decode(Message::Request, &endless, 1000)
                .unwrap_err()
                .to_string()
                .contains("longer than 65536")
        );
    }
}
