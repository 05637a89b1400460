//! A model's tokenizer.

use puna_api::{Error, Result};
use tokenizers::{Encoding, Tokenizer};

use crate::folder::{Fault, Folder};

/// The tokens of one text, or of a query and a document.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Tokens {
    /// The numbers of the tokens.
    pub(crate) ids: Vec<u32>,
    /// For each token 0 or 1, as the model tells two texts apart.
    pub(crate) types: Vec<u32>,
}

/// How many tokens a text may have, and what becomes of a longer one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Limit {
    /// A longer text is refused.
    Refuse(usize),
    /// The end of a longer text is cut off.
    Truncate(usize),
}

/// What came of making tokens.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Encoded {
    /// They are few enough.
    Tokens(Tokens),
    /// There are this many, which is too many.
    TooMany(usize),
}

/// Makes tokens of texts.
pub(crate) struct TextTokenizer {
    tokenizer: Tokenizer,
    lower_case: bool,
    has_types: bool,
}

/// A text whose tokens are made, but not yet their marks at the begin and the end.
#[derive(Clone)]
pub(crate) struct Bare(Encoding);

impl Bare {
    /// The numbers of the tokens.
    pub(crate) fn ids(&self) -> &[u32] {
        self.0.get_ids()
    }
}

impl TextTokenizer {
    /// Reads `tokenizer.json`. `token_types` is how many types of tokens the model knows.
    pub(crate) fn read(folder: &Folder, lower_case: bool, token_types: usize) -> std::result::Result<Self, Fault> {
        let mut tokenizer = Tokenizer::from_bytes(folder.read("tokenizer.json")?)
            .map_err(|cause| format!("tokenizer.json is not what it should be: {cause}"))?;
        // What the file says of these is what its author last did with it.
        tokenizer.with_padding(None);
        tokenizer
            .with_truncation(None)
            .map_err(|cause| format!("tokenizer.json cannot be used: {cause}"))?;
        Ok(Self {
            tokenizer,
            lower_case,
            has_types: token_types > 1,
        })
    }

    /// How many tokens every text has besides its own.
    pub(crate) fn marks(&self, is_pair: bool) -> usize {
        use tokenizers::PostProcessor;
        let processor = self.tokenizer.get_post_processor();
        processor.map_or(0, |processor| processor.added_tokens(is_pair))
    }

    /// The tokens of a text, without marks.
    pub(crate) fn bare(&self, text: &str) -> Result<Bare> {
        let encoding = if self.lower_case {
            self.tokenizer.encode_fast(text.to_lowercase(), false)
        } else {
            self.tokenizer.encode_fast(text, false)
        };
        encoding.map(Bare).map_err(|cause| without_tokens(&cause))
    }

    /// The tokens of a text, as the model takes them.
    pub(crate) fn encode(&self, text: &str, limit: Limit) -> Result<Encoded> {
        self.finish(self.bare(text)?, None, limit)
    }

    /// Adds the marks to one text, or to a query and a document. Of two the longer one is cut first.
    pub(crate) fn finish(&self, first: Bare, second: Option<Bare>, limit: Limit) -> Result<Encoded> {
        let marks = self.marks(second.is_some());
        let count = marks + first.0.len() + second.as_ref().map_or(0, |second| second.0.len());
        let (first, second) = match limit {
            Limit::Refuse(most) if count > most => return Ok(Encoded::TooMany(count)),
            Limit::Truncate(most) if count > most => {
                let most = most.saturating_sub(marks);
                let (of_first, of_second) =
                    kept(first.0.len(), second.as_ref().map_or(0, |second| second.0.len()), most);
                (cut(&first.0, of_first), second.map(|second| cut(&second.0, of_second)))
            }
            Limit::Refuse(_) | Limit::Truncate(_) => (first.0, second.map(|second| second.0)),
        };
        let whole = self
            .tokenizer
            .post_process(first, second, true)
            .map_err(|cause| without_tokens(&cause))?;
        let types = if self.has_types {
            whole.get_type_ids().to_vec()
        } else {
            vec![0; whole.len()]
        };
        Ok(Encoded::Tokens(Tokens {
            ids: whole.get_ids().to_vec(),
            types,
        }))
    }
}

fn without_tokens(cause: &dyn std::fmt::Display) -> Error {
    Error::invalid_request(format!("the text has no tokens: {cause}"))
}

/// How many tokens are left of two texts that may have `most` together: the longer one is cut first, as the reference does. A single
/// text goes with one that is empty.
fn kept(first: usize, second: usize, most: usize) -> (usize, usize) {
    let short = first.min(second);
    let (short, long) = if 2 * short > most {
        (most / 2, most - most / 2)
    } else {
        (short, (most - short).min(first.max(second)))
    };
    if first > second { (long, short) } else { (short, long) }
}

/// The first tokens of a text. The library's own function keeps all that it cuts off, which can be very much.
fn cut(encoding: &Encoding, most: usize) -> Encoding {
    let most = most.min(encoding.len());
    Encoding::new(
        encoding.get_ids()[..most].to_vec(),
        encoding.get_type_ids()[..most].to_vec(),
        encoding.get_tokens()[..most].to_vec(),
        encoding.get_word_ids()[..most].to_vec(),
        encoding.get_offsets()[..most].to_vec(),
        encoding.get_special_tokens_mask()[..most].to_vec(),
        encoding.get_attention_mask()[..most].to_vec(),
        Vec::new(),
        Default::default(),
    )
}

#[cfg(test)]
mod tests {
    use tokenizers::utils::truncation::{TruncationParams, truncate_encodings};

    use super::*;

    #[test]
    fn two_texts_are_cut_as_the_library_cuts_them() {
        let text =
            |length: usize| Encoding::from_tokens(vec![tokenizers::Token::new(1, "a".to_owned(), (0, 1)); length], 0);
        for most in [1, 2, 9, 10] {
            for (first, second) in [(3, 20), (20, 3), (20, 20), (6, 7), (7, 6), (10, 1), (1, 10), (5, 6)] {
                let parameters = TruncationParams {
                    max_length: most,
                    ..TruncationParams::default()
                };
                let (a, b) = truncate_encodings(text(first), Some(text(second)), &parameters).unwrap();
                assert_eq!(
                    kept(first, second, most),
                    (a.len(), b.unwrap().len()),
                    "{first} {second} {most}"
                );
            }
            assert_eq!(kept(20, 0, most), (most, 0));
        }
    }
}
