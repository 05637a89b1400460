//! Turns bytes that come in pieces into text.

/// Decodes UTF-8 as it comes. A character whose bytes are not all there yet waits for them; bytes that can be no part of a
/// character become U+FFFD, as in [`String::from_utf8_lossy`].
#[derive(Debug, Default)]
pub(crate) struct Utf8Decoder {
    waiting: Vec<u8>,
}

impl Utf8Decoder {
    /// The characters that these bytes complete.
    pub(crate) fn push(&mut self, bytes: &[u8]) -> String {
        self.waiting.extend_from_slice(bytes);
        let mut text = String::new();
        let mut used = 0;
        for chunk in self.waiting.utf8_chunks() {
            text.push_str(chunk.valid());
            used += chunk.valid().len();
            let invalid = chunk.invalid();
            let at_end = used + invalid.len() == self.waiting.len();
            if invalid.is_empty() || (at_end && may_go_on(invalid)) {
                break;
            }
            text.push(char::REPLACEMENT_CHARACTER);
            used += invalid.len();
        }
        self.waiting.drain(..used);
        text
    }

    /// What is left when no more bytes come: U+FFFD for a character that was begun.
    pub(crate) fn finish(&mut self) -> String {
        String::from_utf8_lossy(&std::mem::take(&mut self.waiting)).into_owned()
    }
}

/// Whether these bytes are the beginning of a character.
fn may_go_on(bytes: &[u8]) -> bool {
    std::str::from_utf8(bytes).is_err_and(|error| error.error_len().is_none())
}

#[cfg(test)]
mod tests {
    use super::Utf8Decoder;

    #[test]
    fn pieces_joined_are_the_lossy_whole() {
        let cases: [&[u8]; 6] = [
            "vicuña \u{1F999} e\u{301}".as_bytes(),
            b"\xFF\xFEa\x80",
            b"\xF0\x9F\xA6",
            b"\xC3\xC3\xA9\xE2\x82",
            b"\xED\xA0\x80x",
            b"",
        ];
        for bytes in cases {
            for size in 1..5 {
                let mut decoder = Utf8Decoder::default();
                let mut text: String = bytes.chunks(size).map(|piece| decoder.push(piece)).collect();
                text.push_str(&decoder.finish());
                assert_eq!(text, String::from_utf8_lossy(bytes), "{bytes:x?} in pieces of {size}");
            }
        }
    }

    #[test]
    fn a_character_comes_with_its_last_byte() {
        let mut decoder = Utf8Decoder::default();
        let pieces: Vec<String> = [&b"a\xF0"[..], b"\x9F", b"\xA6", b"\x99b"]
            .map(|piece| decoder.push(piece))
            .into();
        assert_eq!(pieces, ["a", "", "", "\u{1F999}b"]);
    }
}
