//! What the model says, and where it ends.

use std::sync::Arc;

use puna_api::FinishReason;

use crate::words::{count, pieces};

/// A text that the model says, cut where the request says.
#[derive(Debug, Clone)]
pub(crate) struct Generated {
    pub(crate) text: Arc<str>,
    pub(crate) finish_reason: FinishReason,
}

/// Where a text ends.
#[derive(Debug, Clone, Default)]
pub(crate) struct Limits {
    /// The most tokens.
    pub(crate) tokens: Option<u32>,
    /// The sequences that end the text before them.
    pub(crate) stop: Vec<String>,
}

impl Generated {
    /// How many tokens it has.
    pub(crate) fn tokens(&self) -> u64 {
        count(&self.text)
    }
}

impl Limits {
    /// Says this text up to the first stop sequence, or as many tokens of it as allowed.
    ///
    /// The whole is cut before a stream is cut into tokens, so a stream never shows the beginning of a stop sequence.
    pub(crate) fn apply(&self, text: &str) -> Generated {
        let limit = self
            .tokens
            .and_then(|limit| usize::try_from(limit).ok())
            .unwrap_or(usize::MAX);
        let written = pieces(text).take(limit).map(str::len).sum();
        let (written, is_cut) = (&text[..written], written < text.len());
        let (end, finish_reason) = match self.stop.iter().filter_map(|stop| written.find(stop.as_str())).min() {
            Some(at) => (at, FinishReason::Stop),
            None if is_cut => (written.len(), FinishReason::Length),
            None => (written.len(), FinishReason::Stop),
        };
        Generated {
            text: written[..end].into(),
            finish_reason,
        }
    }
}

/// The text cut, or repeated with a space between, to this many tokens.
pub(crate) fn with_length(text: &str, tokens: u32) -> String {
    // Something has to be repeated.
    let source = if text.trim().is_empty() { "echo" } else { text };
    let mut result = String::new();
    let all = std::iter::repeat_with(|| pieces(source)).flatten();
    for piece in all.take(usize::try_from(tokens).unwrap_or(usize::MAX)) {
        // Without whitespace between them, two words would be one.
        let joins =
            !result.is_empty() && !result.ends_with(char::is_whitespace) && !piece.starts_with(char::is_whitespace);
        if joins {
            result.push(' ');
        }
        result.push_str(piece);
    }
    result
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_earliest_end_counts() {
        for (tokens, stop, text, finish_reason) in [
            (None, vec![], "one two three", FinishReason::Stop),
            (Some(3), vec![], "one two three", FinishReason::Stop),
            (Some(2), vec![], "one two", FinishReason::Length),
            (Some(0), vec![], "", FinishReason::Length),
            (None, vec!["wo", "e t"], "on", FinishReason::Stop),
            (Some(1), vec!["two"], "one", FinishReason::Length),
            (Some(2), vec!["two"], "one ", FinishReason::Stop),
            (None, vec!["four"], "one two three", FinishReason::Stop),
        ] {
            let limits = Limits {
                tokens,
                stop: stop.into_iter().map(str::to_owned).collect(),
            };
            let generated = limits.apply("one two three");
            assert_eq!(
                (&*generated.text, &generated.finish_reason),
                (text, &finish_reason),
                "{limits:?}"
            );
        }
    }

    #[test]
    fn a_length_is_reached_from_both_sides() {
        for (text, tokens, expected) in [
            ("a b", 5, "a b a b a"),
            ("a b ", 3, "a b a"),
            ("a b c", 2, "a b"),
            ("", 2, "echo echo"),
            (" a", 2, " a a"),
        ] {
            let made = with_length(text, tokens);
            assert_eq!(made, expected);
            assert_eq!(count(&made), u64::from(tokens));
        }
    }
}
