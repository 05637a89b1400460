//! Tokens of cl100k_base, which chunks are measured in.

use bpe_openai::{Tokenizer, cl100k_base};

/// How many bytes of text are looked at for each token that is wanted. Most texts need four; others are looked at again, further.
const BYTES_PER_TOKEN: usize = 6;

/// A stretch of text, cut where the tokenizer cuts first: about a word each.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Pieces {
    /// Where each piece ends, in bytes, and how many tokens there are up to there.
    ends: Vec<(usize, usize)>,
    /// Whether the pieces reach the end of the text.
    whole: bool,
}

/// How many tokens a text has.
pub(crate) fn count(text: &str) -> usize {
    cl100k_base().count(text)
}

/// The pieces of the longest beginning of a text that has at most so many tokens. The last one may be a part of a word.
pub(crate) fn beginning(text: &str, most: usize) -> Pieces {
    let mut window = most.saturating_mul(BYTES_PER_TOKEN);
    loop {
        let end = text.floor_char_boundary(window);
        let pieces = pieces_of(&text[..end], most);
        if !pieces.whole || end == text.len() {
            return pieces;
        }
        window = window.saturating_mul(2);
    }
}

/// Where the shortest ending of a text begins that leaves out all but so many tokens.
pub(crate) fn ending(text: &str, most: usize) -> usize {
    let tokenizer = cl100k_base();
    let mut pieces: Vec<&str> = tokenizer.split(text).collect();
    let mut start = text.len();
    let mut left = most;
    while let Some(piece) = pieces.pop() {
        match tokenizer.bpe.count_till_limit(piece.as_bytes(), left) {
            Some(tokens) => left -= tokens,
            None => {
                let within: usize = lengths(tokenizer, piece).iter().rev().take(left).sum();
                return text.ceil_char_boundary(start - within);
            }
        }
        start -= piece.len();
    }
    start
}

fn pieces_of(text: &str, most: usize) -> Pieces {
    let tokenizer = cl100k_base();
    let mut ends = Vec::new();
    let (mut end, mut tokens) = (0, 0);
    for piece in tokenizer.split(text) {
        match tokenizer.bpe.count_till_limit(piece.as_bytes(), most - tokens) {
            Some(more) => {
                end += piece.len();
                tokens += more;
                ends.push((end, tokens));
            }
            None => {
                let left = most - tokens;
                let within: usize = lengths(tokenizer, piece).iter().take(left).sum();
                let part = text.floor_char_boundary(end + within);
                if part > end {
                    ends.push((part, most));
                }
                return Pieces { ends, whole: false };
            }
        }
    }
    Pieces { ends, whole: true }
}

/// How many bytes each token of a piece has.
fn lengths(tokenizer: &Tokenizer, piece: &str) -> Vec<usize> {
    let tokens = tokenizer.bpe.encode_via_backtracking(piece.as_bytes());
    tokens.into_iter().map(|token| tokenizer.bpe.token_len(token)).collect()
}

impl Pieces {
    /// Where they end.
    pub(crate) fn end(&self) -> usize {
        self.ends.last().map_or(0, |(end, _)| *end)
    }

    /// Whether they reach the end of the text.
    pub(crate) fn are_whole(&self) -> bool {
        self.whole
    }

    /// Where the first so many tokens end, at the end of a piece.
    pub(crate) fn end_of(&self, tokens: usize) -> usize {
        let index = self.ends.partition_point(|(_, count)| *count < tokens);
        self.ends.get(index).map_or(self.end(), |(end, _)| *end)
    }

    /// How many tokens there are up to a place, or to the end of the piece that it is in.
    pub(crate) fn tokens_up_to(&self, place: usize) -> usize {
        let index = self.ends.partition_point(|(end, _)| *end < place);
        match self.ends.get(index).or(self.ends.last()) {
            Some((_, tokens)) if place > 0 => *tokens,
            _ => 0,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_are_those_of_cl100k() {
        // As OpenAI's own examples give them.
        for (text, tokens) in [
            ("", 0),
            ("hello world", 2),
            ("antidisestablishmentarianism", 6),
            ("2 + 2 = 4", 7),
            ("お誕生日おめでとう", 9),
        ] {
            assert_eq!(count(text), tokens, "{text}");
        }
    }

    #[test]
    fn a_beginning_and_an_ending_are_as_long_as_they_may_be() {
        let text = "The puna is the high grassland where llamas live. ".repeat(50);
        for most in [1, 7, 100, 333] {
            let pieces = beginning(&text, most);
            assert!(!pieces.are_whole());
            assert!(count(&text[..pieces.end()]) <= most);
            let start = ending(&text, most);
            assert!(count(&text[start..]) <= most && count(&text[start..]) + 1 >= most);
        }
        assert!(beginning(&text, 10_000).are_whole());
        assert_eq!(ending(&text, 10_000), 0);
        assert_eq!(ending(&text, 0), text.len());
    }

    #[test]
    fn a_word_without_end_is_cut_within() {
        for word in ["x".repeat(100_000), "ü".repeat(100_000), "🦙".repeat(10_000)] {
            let pieces = beginning(&word, 100);
            assert!(
                pieces.end() > 0 && count(&word[..pieces.end()]) <= 100,
                "{}",
                pieces.end()
            );
            let start = ending(&word, 100);
            assert!(start < word.len(), "{start}");
        }
    }
}
