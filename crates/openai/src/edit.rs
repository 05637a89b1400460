//! Changing members of a JSON object in place, without decoding it.

use std::ops::Range;

use bytes::{Bytes, BytesMut};

/// Changes to the members of a document that was scanned with [`members`](puna_api::scan::members).
#[derive(Debug, Default)]
pub(crate) struct Edits {
    replaced: Vec<(Range<usize>, Bytes)>,
    /// `"name":value,` for each member that is added.
    added: Vec<u8>,
}

impl Edits {
    /// Replaces a value. Each value may be replaced once.
    pub(crate) fn replace(&mut self, value: Range<usize>, with: impl Into<Bytes>) {
        self.replaced.push((value, with.into()));
    }

    /// Adds a member. `name` and `value` are JSON already, the name without its quotes.
    pub(crate) fn add(&mut self, name: &str, value: &[u8]) {
        self.added.push(b'"');
        self.added.extend_from_slice(name.as_bytes());
        self.added.extend_from_slice(b"\":");
        self.added.extend_from_slice(value);
        self.added.push(b',');
    }

    /// The changed document in pieces; what did not change is not copied. `has_members` says whether the object had any to begin with.
    pub(crate) fn into_segments(mut self, document: &Bytes, has_members: bool) -> Vec<Bytes> {
        if self.replaced.is_empty() && self.added.is_empty() {
            return vec![document.clone()];
        }
        let mut segments = Vec::with_capacity(2 * self.replaced.len() + 3);
        let mut at = 0;
        if !self.added.is_empty() {
            // New members go first, where the opening brace is easily found.
            at = document
                .iter()
                .position(|&byte| byte == b'{')
                .map_or(0, |brace| brace + 1);
            if !has_members {
                self.added.pop();
            }
            segments.push(document.slice(..at));
            segments.push(self.added.into());
        }
        self.replaced.sort_unstable_by_key(|(range, _)| range.start);
        for (range, with) in self.replaced {
            segments.push(document.slice(at..range.start));
            segments.push(with);
            at = range.end;
        }
        segments.push(document.slice(at..));
        segments
    }

    /// The changed document in one piece.
    pub(crate) fn into_bytes(self, document: &Bytes, has_members: bool) -> Bytes {
        let segments = self.into_segments(document, has_members);
        if let [only] = &segments[..] {
            return only.clone();
        }
        let mut all = BytesMut::with_capacity(segments.iter().map(Bytes::len).sum());
        for segment in &segments {
            all.extend_from_slice(segment);
        }
        all.freeze()
    }
}

/// A text as a JSON string.
pub(crate) fn json_string(text: &str) -> Bytes {
    // A string always has a JSON form.
    serde_json::to_vec(text).unwrap_or_default().into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_changes_is_exchanged_and_the_rest_is_the_same_memory() {
        let document = Bytes::from_static(br#" {"b":2, "a" : 1 }"#);
        let mut edits = Edits::default();
        edits.replace(15..16, &b"\"x\""[..]);
        edits.replace(6..7, &b"[]"[..]);
        edits.add("n", b"null");
        let segments = edits.into_segments(&document, true);
        assert_eq!(segments.concat(), br#" {"n":null,"b":[], "a" : "x" }"#);
        assert!(document.as_ptr_range().contains(&segments[2].as_ptr()));
    }

    #[test]
    fn an_empty_object_gets_members_without_a_comma_too_many() {
        let mut edits = Edits::default();
        edits.add("a", b"1");
        edits.add("b", b"2");
        assert_eq!(
            edits.into_bytes(&Bytes::from_static(b"{ }"), false),
            &br#"{"a":1,"b":2 }"#[..]
        );
    }

    #[test]
    fn nothing_to_change_copies_nothing() {
        let document = Bytes::from_static(b"{}");
        assert_eq!(
            Edits::default().into_bytes(&document, false).as_ptr(),
            document.as_ptr()
        );
    }
}
