//! Server-sent events, as they come out of the network (WHATWG HTML, section 9.2).

use std::collections::VecDeque;
use std::fmt;

use bytes::Bytes;
use memchr::memchr2;

/// An event of a stream.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Event {
    /// The event's type, where it names one.
    pub name: Option<Bytes>,
    /// Its data. Several lines are joined by line feeds.
    pub data: Bytes,
}

/// An event is longer than the bound of its parser.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct EventTooLong {
    /// The bound, in bytes.
    pub limit: usize,
}

impl fmt::Display for EventTooLong {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "an event is longer than {} bytes", self.limit)
    }
}

impl std::error::Error for EventTooLong {}

/// Cuts a stream of bytes into events.
///
/// The pieces may be cut anywhere. An event that lies within one piece is handed on without being copied. Lines end in CR, LF or CRLF; comments,
/// `id` and `retry` are passed over, a byte order mark at the start too.
#[derive(Debug)]
pub struct SseParser {
    limit: usize,
    pieces: VecDeque<Bytes>,
    /// The beginning of a line whose end has not arrived.
    partial: Vec<u8>,
    /// The last line ended in CR, so that an LF now belongs to it.
    after_cr: bool,
    /// Nothing has been read yet, so a byte order mark may follow.
    at_start: bool,
    name: Option<Bytes>,
    data: Data,
}

/// The data of the event that is being read.
#[derive(Debug, Default)]
enum Data {
    #[default]
    None,
    Line(Bytes),
    Lines(Vec<u8>),
}

impl SseParser {
    /// A parser that refuses events with more than `limit` bytes.
    pub fn new(limit: usize) -> Self {
        Self {
            limit,
            pieces: VecDeque::new(),
            partial: Vec::new(),
            after_cr: false,
            at_start: true,
            name: None,
            data: Data::None,
        }
    }

    /// Adds what has arrived.
    pub fn push(&mut self, piece: Bytes) {
        if !piece.is_empty() {
            self.pieces.push_back(piece);
        }
    }

    /// The next whole event; `None` until more has arrived.
    pub fn next_event(&mut self) -> Result<Option<Event>, EventTooLong> {
        while let Some(line) = self.next_line()? {
            if let Some(event) = self.take_line(line)? {
                return Ok(Some(event));
            }
        }
        Ok(None)
    }

    /// The event that the end of the stream cut off, if there is one. By the letter it does not count, but some servers leave out the blank
    /// line after their last event. Call it when the stream has ended and [`next_event`](Self::next_event) has nothing more.
    pub fn finish(&mut self) -> Result<Option<Event>, EventTooLong> {
        let rest = std::mem::take(&mut self.partial);
        if !rest.is_empty()
            && let Some(event) = self.take_line(rest.into())?
        {
            return Ok(Some(event));
        }
        Ok(self.dispatch())
    }

    /// The next line without its end.
    fn next_line(&mut self) -> Result<Option<Bytes>, EventTooLong> {
        while let Some(piece) = self.pieces.front_mut() {
            if self.after_cr && piece.first() == Some(&b'\n') {
                bytes::Buf::advance(piece, 1);
            }
            self.after_cr = false;
            let Some(end) = memchr2(b'\n', b'\r', piece) else {
                let piece = self.pieces.pop_front().unwrap_or_default();
                self.partial.extend_from_slice(&piece);
                self.check_length(self.partial.len())?;
                continue;
            };
            let head = piece.split_to(end);
            self.after_cr = piece.first() == Some(&b'\r');
            bytes::Buf::advance(piece, 1);
            if piece.is_empty() {
                self.pieces.pop_front();
            }
            let line = if self.partial.is_empty() {
                head
            } else {
                let mut line = std::mem::take(&mut self.partial);
                line.extend_from_slice(&head);
                line.into()
            };
            return Ok(Some(line));
        }
        Ok(None)
    }

    fn take_line(&mut self, mut line: Bytes) -> Result<Option<Event>, EventTooLong> {
        if std::mem::take(&mut self.at_start) && line.starts_with(b"\xef\xbb\xbf") {
            bytes::Buf::advance(&mut line, 3);
        }
        if line.is_empty() {
            return Ok(self.dispatch());
        }
        let (name, value) = match memchr::memchr(b':', &line) {
            None => (&line[..], Bytes::new()),
            Some(colon) => {
                let start = if line.get(colon + 1) == Some(&b' ') {
                    colon + 2
                } else {
                    colon + 1
                };
                (&line[..colon], line.slice(start..))
            }
        };
        match name {
            b"data" => self.add_data(value)?,
            b"event" => self.name = Some(value),
            // Comments have an empty name.
            _ => {}
        }
        Ok(None)
    }

    fn add_data(&mut self, line: Bytes) -> Result<(), EventTooLong> {
        let so_far = match &self.data {
            Data::None => 0,
            Data::Line(first) => first.len() + 1,
            Data::Lines(lines) => lines.len() + 1,
        };
        self.check_length(so_far + line.len())?;
        self.data = match std::mem::take(&mut self.data) {
            Data::None => Data::Line(line),
            Data::Line(first) => {
                let mut lines = first.to_vec();
                lines.push(b'\n');
                lines.extend_from_slice(&line);
                Data::Lines(lines)
            }
            Data::Lines(mut lines) => {
                lines.push(b'\n');
                lines.extend_from_slice(&line);
                Data::Lines(lines)
            }
        };
        Ok(())
    }

    /// Ends the event. One without data is none.
    fn dispatch(&mut self) -> Option<Event> {
        let name = self.name.take().filter(|name| !name.is_empty());
        let data = match std::mem::take(&mut self.data) {
            Data::None => return None,
            Data::Line(line) => line,
            Data::Lines(lines) => lines.into(),
        };
        (!data.is_empty()).then_some(Event { name, data })
    }

    fn check_length(&self, length: usize) -> Result<(), EventTooLong> {
        if length > self.limit {
            Err(EventTooLong { limit: self.limit })
        } else {
            Ok(())
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn parse(pieces: &[&[u8]]) -> Result<Vec<(Option<String>, String)>, EventTooLong> {
        let mut parser = SseParser::new(1000);
        let mut events = Vec::new();
        let text = |bytes: Bytes| String::from_utf8_lossy(&bytes).into_owned();
        for piece in pieces {
            parser.push(Bytes::copy_from_slice(piece));
            while let Some(event) = parser.next_event()? {
                events.push((event.name.map(text), text(event.data)));
            }
        }
        while let Some(event) = parser.finish()? {
            events.push((event.name.map(text), text(event.data)));
        }
        Ok(events)
    }

    fn data(stream: &str) -> Vec<String> {
        parse(&[stream.as_bytes()])
            .unwrap()
            .into_iter()
            .map(|(_, data)| data)
            .collect()
    }

    #[test]
    fn every_form_that_the_standard_allows_is_read() {
        for (stream, expected) in [
            ("data: a\n\ndata: [DONE]\n\n", vec!["a", "[DONE]"]),
            ("data: a\r\n\r\ndata:b\r\rdata:  c\n\n", vec!["a", "b", " c"]),
            ("\u{feff}data: a\n\n", vec!["a"]),
            (": ping\n\ndata: a\n: more\ndata: b\n\n", vec!["a\nb"]),
            ("id: 1\nretry: 5\ndata\n\nunknown: x\n\ndata: a\n\n", vec!["a"]),
            ("data:\ndata:\n\n", vec!["\n"]),
            ("data: one\ndata: two\ndata: three\n\n", vec!["one\ntwo\nthree"]),
            ("data: {\"a\":\"b: c\"}\n\n", vec!["{\"a\":\"b: c\"}"]),
            ("\n\n\n", vec![]),
        ] {
            assert_eq!(data(stream), expected, "{stream:?}");
        }
        let named = parse(&[b"event: error\ndata: x\n\ndata: y\n\n"]).unwrap();
        assert_eq!(
            named,
            [(Some("error".to_owned()), "x".to_owned()), (None, "y".to_owned())]
        );
    }

    #[test]
    fn the_last_event_needs_no_blank_line() {
        assert_eq!(data("data: a\n\ndata: [DONE]"), ["a", "[DONE]"]);
        assert_eq!(data("data: [DONE]\n"), ["[DONE]"]);
        assert_eq!(data("data: [DONE]\r"), ["[DONE]"]);
    }

    #[test]
    fn an_event_within_a_piece_is_not_copied() {
        let piece = Bytes::from_static(b"data: abc\n\n");
        let mut parser = SseParser::new(100);
        parser.push(piece.clone());
        let event = parser.next_event().unwrap().unwrap();
        assert_eq!(event.data.as_ptr(), piece[6..].as_ptr());
    }

    #[test]
    fn events_are_bounded_however_they_grow() {
        let too_long = Err(EventTooLong { limit: 1000 });
        let line = format!("data: {}", "x".repeat(1001));
        assert_eq!(parse(&[line.as_bytes()]), too_long);
        assert_eq!(parse(&[line.as_bytes(), b"\n\n"]), too_long);
        let lines = "data: 0123456789\n".repeat(100);
        assert_eq!(parse(&[lines.as_bytes()]), too_long);
        let pieces: Vec<&[u8]> = std::iter::repeat_n(&b"x"[..], 1001).collect();
        assert_eq!(parse(&pieces), too_long);
    }

    fn stream() -> impl Strategy<Value = Vec<u8>> {
        let token = prop_oneof![
            Just("data: "),
            Just("data"),
            Just(":"),
            Just("event: x"),
            Just("\n"),
            Just("\r"),
            Just("\r\n"),
            Just("\n\n"),
            Just("{\"a\":1}"),
            Just("[DONE]"),
            Just("ü"),
            Just("\u{feff}"),
            Just(" "),
        ];
        prop::collection::vec(token, 0..40).prop_map(|tokens| tokens.concat().into_bytes())
    }

    proptest! {
        #[test]
        fn any_split_gives_the_same_events(stream in stream(), cuts in prop::collection::vec(any::<prop::sample::Index>(), 0..8)) {
            let whole = parse(&[&stream]).unwrap();
            let mut cuts: Vec<_> = cuts.iter().map(|cut| cut.index(stream.len() + 1)).collect();
            cuts.sort_unstable();
            let mut pieces = Vec::new();
            let mut start = 0;
            for cut in cuts {
                pieces.push(&stream[start..cut]);
                start = cut;
            }
            pieces.push(&stream[start..]);
            prop_assert_eq!(&parse(&pieces).unwrap(), &whole);
            let bytes: Vec<_> = stream.chunks(1).collect();
            prop_assert_eq!(&parse(&bytes).unwrap(), &whole);
        }

        #[test]
        fn no_bytes_are_too_strange(pieces in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..60), 0..10)) {
            let pieces: Vec<&[u8]> = pieces.iter().map(Vec::as_slice).collect();
            let _ = parse(&pieces);
        }
    }
}
