//! A model's tokenizer.

use puna_api::{Error, Result};
use tokenizers::utils::truncation::{TruncationDirection, TruncationParams, TruncationStrategy, truncate_encodings};
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
                let parameters = TruncationParams {
                    direction: TruncationDirection::Right,
                    max_length: most.saturating_sub(marks),
                    strategy: TruncationStrategy::LongestFirst,
                    stride: 0,
                };
                truncate_encodings(first.0, second.map(|second| second.0), &parameters)
                    .map_err(|cause| without_tokens(&cause))?
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
