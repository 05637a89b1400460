//! Words as tokens.

use std::sync::Arc;

/// The pieces of a text: words, each with the whitespace before it. What follows the last word stays with it, so the pieces joined are the text.
pub(crate) fn pieces(text: &str) -> impl Iterator<Item = &str> {
    let mut rest = text;
    std::iter::from_fn(move || {
        if rest.is_empty() {
            return None;
        }
        let (piece, after) = rest.split_at(first_piece_len(rest));
        rest = after;
        Some(piece)
    })
}

/// The length in bytes of the first piece of a text that is not empty.
fn first_piece_len(text: &str) -> usize {
    let word = text.len() - text.trim_start().len();
    let after_word = text[word..]
        .find(char::is_whitespace)
        .map_or(text.len(), |at| word + at);
    if text[after_word..].trim_start().is_empty() {
        text.len()
    } else {
        after_word
    }
}

/// How many tokens a text has.
pub(crate) fn count(text: &str) -> u64 {
    pieces(text).fold(0, |count, _| count + 1)
}

/// The same pieces of a text that is shared, cut as they are asked for.
pub(crate) struct SharedPieces {
    text: Arc<str>,
    at: usize,
}

impl SharedPieces {
    pub(crate) fn new(text: Arc<str>) -> Self {
        Self { text, at: 0 }
    }
}

impl Iterator for SharedPieces {
    type Item = String;

    fn next(&mut self) -> Option<String> {
        let piece = pieces(&self.text[self.at..]).next()?;
        self.at += piece.len();
        Some(piece.to_owned())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pieces_joined_are_the_text() {
        for (text, expected) in [
            ("", vec![]),
            ("one", vec!["one"]),
            ("one  two\nthree ", vec!["one", "  two", "\nthree "]),
            (" \n", vec![" \n"]),
            ("\u{3000}日本 語", vec!["\u{3000}日本", " 語"]),
        ] {
            assert_eq!(pieces(text).collect::<Vec<_>>(), expected);
            assert_eq!(pieces(text).collect::<String>(), text);
            assert_eq!(SharedPieces::new(text.into()).collect::<Vec<_>>(), expected);
            assert_eq!(count(text), expected.len() as u64);
        }
    }
}
