//! The tokens of the small models of the kind BERT.

use serde_json::{Map, Value, json};

/// Words that say little of what a text is about.
pub(super) const STOP_WORDS: &[&str] = &[
    "a", "about", "after", "all", "also", "an", "and", "any", "are", "as", "at", "be", "because", "been", "before",
    "but", "by", "can", "could", "did", "do", "does", "for", "from", "had", "has", "have", "he", "her", "his", "how",
    "i", "if", "in", "into", "is", "it", "its", "many", "may", "me", "more", "most", "much", "my", "no", "not", "of",
    "on", "one", "only", "or", "other", "our", "out", "over", "she", "should", "so", "some", "such", "than", "that",
    "the", "their", "them", "then", "there", "these", "they", "this", "those", "to", "under", "up", "us", "very",
    "was", "we", "were", "what", "when", "where", "which", "who", "why", "will", "with", "would", "you", "your",
];

/// A thousand words that stand often in texts on software: the most frequent ones of this project's own documentation, most endings
/// left out.
const WORDS: &str = include_str!("words.txt");

pub(super) const PADDING: usize = 0;
const UNKNOWN: usize = 1;
const BEGIN: usize = 2;
const SEPARATOR: usize = 3;

const SPECIAL: [&str; 5] = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"];

/// What a token stands for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Meaning {
    /// A word, or the piece that one begins with.
    Content,
    /// A further piece of a word.
    Ending,
    /// A word that says little, a punctuation mark or a special token.
    Little,
}

/// The words that say something.
pub(super) fn words() -> impl Iterator<Item = &'static str> {
    WORDS.split_whitespace()
}

/// All tokens in their order: special ones, characters, pairs of letters, words that say little, and those given.
pub(super) fn tokens<'a>(words: impl Iterator<Item = &'a str>) -> Vec<(String, Meaning)> {
    let mut tokens: Vec<(String, Meaning)> = SPECIAL
        .iter()
        .map(|name| ((*name).to_owned(), Meaning::Little))
        .collect();
    tokens[UNKNOWN].1 = Meaning::Content;

    let ascii = || ('!'..='~').filter(|character| !character.is_ascii_uppercase());
    for mark in ascii().filter(|character| !character.is_ascii_alphanumeric()) {
        tokens.push((mark.to_string(), Meaning::Little));
    }
    let letters = ascii()
        .filter(char::is_ascii_alphanumeric)
        .chain('\u{3B1}'..='\u{3C9}')
        .chain('\u{430}'..='\u{44F}');
    let mut pieces: Vec<String> = letters.map(|letter| letter.to_string()).collect();
    for first in 'a'..='z' {
        pieces.extend(('a'..='z').map(|second| format!("{first}{second}")));
    }
    let is_stop = |piece: &str| STOP_WORDS.contains(&piece);
    // A text is cut into the longest pieces that there are, from the left; every one but the first is written with two marks.
    let begins = pieces.iter().filter(|piece| !is_stop(piece)).cloned();
    let goes_on = pieces.iter().map(|piece| format!("##{piece}"));
    tokens.extend(begins.map(|piece| (piece, Meaning::Content)));
    tokens.extend(goes_on.map(|piece| (piece, Meaning::Ending)));
    tokens.extend(STOP_WORDS.iter().map(|word| ((*word).to_owned(), Meaning::Little)));
    tokens.extend(words.map(|word| (word.to_owned(), Meaning::Content)));
    tokens
}

/// `tokenizer.json`.
pub(super) fn tokenizer(tokens: &[(String, Meaning)]) -> Value {
    let vocab: Map<String, Value> = tokens
        .iter()
        .enumerate()
        .map(|(id, (token, _))| (token.clone(), json!(id)))
        .collect();
    let added: Vec<Value> = SPECIAL
        .iter()
        .enumerate()
        .map(|(id, name)| {
            json!({"id": id, "content": name, "single_word": false, "lstrip": false, "rstrip": false, "normalized": false,
                   "special": true})
        })
        .collect();
    let mark = |id: usize, kind: u8| json!({"SpecialToken": {"id": SPECIAL[id], "type_id": kind}});
    let text = |name: &str, kind: u8| json!({"Sequence": {"id": name, "type_id": kind}});
    let special = |id: usize| json!({"id": SPECIAL[id], "ids": [id], "tokens": [SPECIAL[id]]});
    json!({
        "version": "1.0",
        "truncation": null,
        "padding": null,
        "added_tokens": added,
        "normalizer": {
            "type": "BertNormalizer", "clean_text": true, "handle_chinese_chars": true, "strip_accents": null, "lowercase": true,
        },
        "pre_tokenizer": {"type": "BertPreTokenizer"},
        "post_processor": {
            "type": "TemplateProcessing",
            "single": [mark(BEGIN, 0), text("A", 0), mark(SEPARATOR, 0)],
            "pair": [mark(BEGIN, 0), text("A", 0), mark(SEPARATOR, 0), text("B", 1), mark(SEPARATOR, 1)],
            "special_tokens": {"[CLS]": special(BEGIN), "[SEP]": special(SEPARATOR)},
        },
        "decoder": {"type": "WordPiece", "prefix": "##", "cleanup": true},
        "model": {
            "type": "WordPiece",
            "unk_token": SPECIAL[UNKNOWN],
            "continuing_subword_prefix": "##",
            "max_input_chars_per_word": 100,
            "vocab": vocab,
        },
    })
}

/// `tokenizer_config.json`.
pub(super) fn tokenizer_config() -> Value {
    json!({
        "tokenizer_class": "PreTrainedTokenizerFast",
        "pad_token": SPECIAL[PADDING],
        "unk_token": SPECIAL[UNKNOWN],
        "cls_token": SPECIAL[BEGIN],
        "sep_token": SPECIAL[SEPARATOR],
        "mask_token": "[MASK]",
        "clean_up_tokenization_spaces": false,
        "model_input_names": ["input_ids", "token_type_ids", "attention_mask"],
        "model_max_length": super::ENCODER_CONTEXT_LENGTH,
    })
}
