//! The vocabulary as files describe it: tokens written with printable characters, special tokens, chat template.

use serde_json::{Map, Value, json};

use crate::bpe::{Bpe, Token};
use crate::shape::{CONTEXT_LENGTH, VOCABULARY_SIZE};
use crate::split::PATTERN;

/// Jinja template that lays out a conversation as Llama 3 does, with tools as JSON in the system message.
pub(crate) const CHAT_TEMPLATE: &str = include_str!("chat_template.jinja");

/// The merges, which were learned from the training text: the two tokens of each on a line.
const MERGES: &str = include_str!("../weights/merges.txt");

/// The number of the first special token. They are the last of the vocabulary.
pub(crate) const FIRST_SPECIAL: usize = VOCABULARY_SIZE - 5;

pub(crate) const BEGIN_OF_TEXT: SpecialToken = SpecialToken::new(0, "<|begin_of_text|>");
pub(crate) const END_OF_TEXT: SpecialToken = SpecialToken::new(1, "<|end_of_text|>");
pub(crate) const START_HEADER: SpecialToken = SpecialToken::new(2, "<|start_header_id|>");
pub(crate) const END_HEADER: SpecialToken = SpecialToken::new(3, "<|end_header_id|>");
pub(crate) const END_OF_TURN: SpecialToken = SpecialToken::new(4, "<|eot_id|>");

const SPECIAL_TOKENS: [SpecialToken; 5] = [BEGIN_OF_TEXT, END_OF_TEXT, START_HEADER, END_HEADER, END_OF_TURN];

/// A token that no text produces by itself.
pub(crate) struct SpecialToken {
    pub(crate) id: Token,
    pub(crate) text: &'static str,
}

impl SpecialToken {
    const fn new(position: usize, text: &'static str) -> Self {
        Self {
            id: (FIRST_SPECIAL + position) as Token,
            text,
        }
    }

    fn json(&self) -> Value {
        json!({
            "content": self.text,
            "single_word": false,
            "lstrip": false,
            "rstrip": false,
            "normalized": false,
            "special": true,
        })
    }
}

/// The tokenizer that the model was trained with.
pub(crate) struct Vocabulary {
    pub(crate) bpe: Bpe,
}

impl Vocabulary {
    pub(crate) fn load() -> Self {
        Self {
            bpe: Bpe::parse(MERGES),
        }
    }

    /// Every token with printable characters for its bytes, special tokens last.
    pub(crate) fn tokens(&self) -> Vec<String> {
        let learned = self.bpe.token_bytes().into_iter().map(|bytes| printable(&bytes));
        learned
            .chain(SPECIAL_TOKENS.into_iter().map(|special| special.text.to_owned()))
            .collect()
    }

    /// The merges in order, each as its two tokens with a space between.
    pub(crate) fn merges(&self) -> Vec<String> {
        let tokens = self.tokens();
        let merges = self.bpe.merges.iter();
        merges
            .map(|&(left, right)| format!("{} {}", tokens[left as usize], tokens[right as usize]))
            .collect()
    }
}

/// `tokenizer.json`. No token is added to a text by itself: the chat template writes the first one.
pub(crate) fn tokenizer_json(vocabulary: &Vocabulary) -> Value {
    let vocab: Map<String, Value> = vocabulary
        .tokens()
        .into_iter()
        .take(FIRST_SPECIAL)
        .enumerate()
        .map(|(id, token)| (token, json!(id)))
        .collect();
    let added_tokens: Vec<Value> = SPECIAL_TOKENS
        .into_iter()
        .map(|special| {
            let mut token = special.json();
            token["id"] = json!(special.id);
            token
        })
        .collect();
    json!({
        "version": "1.0",
        "truncation": null,
        "padding": null,
        "added_tokens": added_tokens,
        "normalizer": null,
        "pre_tokenizer": {
            "type": "Sequence",
            "pretokenizers": [
                {"type": "Split", "pattern": {"Regex": PATTERN}, "behavior": "Isolated", "invert": false},
                byte_level(),
            ],
        },
        "post_processor": byte_level(),
        "decoder": byte_level(),
        "model": {
            "type": "BPE",
            "dropout": null,
            "unk_token": null,
            "continuing_subword_prefix": null,
            "end_of_word_suffix": null,
            "fuse_unk": false,
            "byte_fallback": false,
            "ignore_merges": false,
            "vocab": vocab,
            "merges": vocabulary.merges(),
        },
    })
}

/// `tokenizer.json` with further special tokens behind its own.
pub(crate) fn tokenizer_with_marks(marks: &[&'static str]) -> Value {
    let mut tokenizer = tokenizer_json(&Vocabulary::load());
    if let Some(added) = tokenizer["added_tokens"].as_array_mut() {
        for (place, mark) in marks.iter().enumerate() {
            let mut token = SpecialToken { id: 0, text: mark }.json();
            token["id"] = json!(VOCABULARY_SIZE + place);
            added.push(token);
        }
    }
    tokenizer
}

/// `tokenizer_config.json`, with the chat template.
pub(crate) fn tokenizer_config_json() -> Value {
    let added_tokens: Map<String, Value> = SPECIAL_TOKENS
        .into_iter()
        .map(|special| (special.id.to_string(), special.json()))
        .collect();
    json!({
        "tokenizer_class": "PreTrainedTokenizerFast",
        "added_tokens_decoder": added_tokens,
        "bos_token": BEGIN_OF_TEXT.text,
        "eos_token": END_OF_TEXT.text,
        "clean_up_tokenization_spaces": false,
        "model_input_names": ["input_ids", "attention_mask"],
        "model_max_length": CONTEXT_LENGTH,
        "chat_template": CHAT_TEMPLATE,
    })
}

fn byte_level() -> Value {
    json!({"type": "ByteLevel", "add_prefix_space": false, "trim_offsets": false, "use_regex": false})
}

/// Writes bytes as byte-level vocabularies do: the printable ones of Latin-1 as themselves, the others as characters
/// from U+0100 on.
pub(crate) fn printable(bytes: &[u8]) -> String {
    bytes
        .iter()
        .map(|&byte| {
            if is_printable(byte) {
                char::from(byte)
            } else {
                let unprintable_before = (0..byte).filter(|other| !is_printable(*other)).count();
                char::from_u32(0x100 + unprintable_before as u32).unwrap_or(char::REPLACEMENT_CHARACTER)
            }
        })
        .collect()
}

fn is_printable(byte: u8) -> bool {
    matches!(byte, b'!'..=b'~' | 0xA1..=0xAC | 0xAE..=0xFF)
}

#[cfg(test)]
mod tests {
    use super::{FIRST_SPECIAL, SPECIAL_TOKENS, Vocabulary, printable};
    use crate::shape::VOCABULARY_SIZE;

    #[test]
    fn special_tokens_are_numbered_in_order() {
        for (position, special) in SPECIAL_TOKENS.into_iter().enumerate() {
            assert_eq!(special.id as usize, FIRST_SPECIAL + position);
        }
        assert_eq!(FIRST_SPECIAL + SPECIAL_TOKENS.len(), VOCABULARY_SIZE);
    }

    #[test]
    fn the_merges_fill_the_vocabulary() {
        let tokens = Vocabulary::load().tokens();
        assert_eq!(tokens.len(), VOCABULARY_SIZE);
        let distinct: std::collections::HashSet<_> = tokens.iter().collect();
        assert_eq!(distinct.len(), VOCABULARY_SIZE, "two tokens are written alike");
    }

    #[test]
    fn bytes_are_written_as_other_byte_level_vocabularies_write_them() {
        assert_eq!(printable(b" a\n"), "\u{120}a\u{10A}");
        assert_eq!(printable(&[0x00, 0x7F, 0xAD]), "\u{100}\u{121}\u{143}");
    }
}
