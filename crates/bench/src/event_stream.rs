//! Splits a body of server-sent events, and finds the time that the mock wrote into one.

use memchr::memmem;

/// What comes before the time of sending in an event of the mock.
pub(crate) const STAMP_MARK: &[u8] = b"\"content\":\"t=";
/// How many digits the time of sending has.
pub(crate) const STAMP_DIGITS: usize = 20;

/// Splits a body into events, which end with an empty line.
#[derive(Debug, Default)]
pub(crate) struct EventReader {
    held: Vec<u8>,
}

impl EventReader {
    /// Takes a piece of the body and hands on each event that is complete with it, without its empty line.
    pub(crate) fn feed(&mut self, piece: &[u8], mut event: impl FnMut(&[u8])) {
        let mut rest = piece;
        if !self.held.is_empty() {
            let before = self.held.len();
            self.held.extend_from_slice(piece);
            let from = before.saturating_sub(1);
            let Some(found) = memmem::find(&self.held[from..], b"\n\n") else {
                return;
            };
            event(&self.held[..from + found]);
            rest = &piece[from + found + 2 - before..];
            self.held.clear();
        }
        while let Some(found) = memmem::find(rest, b"\n\n") {
            event(&rest[..found]);
            rest = &rest[found + 2..];
        }
        self.held.extend_from_slice(rest);
    }

    /// Forgets an event that has not ended.
    pub(crate) fn clear(&mut self) {
        self.held.clear();
    }
}

/// When the mock sent an event, in nanoseconds of its clock; `None` for an event that is not of the mock.
pub(crate) fn stamp(event: &[u8]) -> Option<u64> {
    let at = memmem::find(event, STAMP_MARK)? + STAMP_MARK.len();
    let digits = event.get(at..at + STAMP_DIGITS)?;
    digits.iter().try_fold(0u64, |value, digit| match digit {
        b'0'..=b'9' => value.checked_mul(10)?.checked_add(u64::from(digit - b'0')),
        _ => None,
    })
}

/// Writes `nanoseconds` into the place that a stamp takes.
///
/// `place` holds [`STAMP_DIGITS`] bytes.
pub(crate) fn write_stamp(place: &mut [u8], nanoseconds: u64) {
    let mut value = nanoseconds;
    for digit in place.iter_mut().rev() {
        *digit = b'0' + (value % 10) as u8;
        value /= 10;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn events_are_found_however_they_are_cut() {
        let body = b"data: a\n\ndata: b\nid: 1\n\n\n\ndata: [DONE]\n\nrest";
        for size in 1..=body.len() {
            let mut reader = EventReader::default();
            let mut events = Vec::new();
            for piece in body.chunks(size) {
                reader.feed(piece, |event| events.push(String::from_utf8_lossy(event).into_owned()));
            }
            assert_eq!(
                events,
                ["data: a", "data: b\nid: 1", "", "data: [DONE]"],
                "in pieces of {size}"
            );
            assert_eq!(reader.held, b"rest");
        }
    }

    #[test]
    fn a_stamp_is_read_as_it_was_written() {
        let mut event = [
            b"data: {\"delta\":{".as_slice(),
            STAMP_MARK,
            &[b'-'; STAMP_DIGITS],
            b"\"}}",
        ]
        .concat();
        assert_eq!(stamp(&event), None);
        let at = event.len() - 3 - STAMP_DIGITS;
        for time in [0, 7, 1_234_567_890_123, u64::MAX] {
            write_stamp(&mut event[at..at + STAMP_DIGITS], time);
            assert_eq!(stamp(&event), Some(time));
        }
        assert_eq!(stamp(b"data: {\"content\":\"t=123"), None);
        assert_eq!(stamp(b"data: [DONE]"), None);
    }
}
