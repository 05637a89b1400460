//! The text that a completion continues or an embedding is made of.

use std::fmt;

use schemars::JsonSchema;
use serde::de::{Error, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize};

/// One text or several, as text or as token ids: `prompt` of a completion and `input` of an embedding request.
///
/// An empty array reads as no texts. Wire shape: OpenAI completions and embeddings.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(untagged)]
pub enum TextInput {
    /// One text.
    Text(String),
    /// Several texts, each with its own answer.
    Texts(Vec<String>),
    /// One text as token ids of the model's tokenizer.
    Tokens(Vec<u32>),
    /// Several texts as token ids.
    TokenLists(Vec<Vec<u32>>),
}

impl TextInput {
    /// How many texts it holds, which is how many answers (per `n`) it gets.
    pub fn len(&self) -> usize {
        match self {
            Self::Text(_) | Self::Tokens(_) => 1,
            Self::Texts(texts) => texts.len(),
            Self::TokenLists(lists) => lists.len(),
        }
    }

    /// Whether it holds no text at all, as an empty array does.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

impl From<&str> for TextInput {
    fn from(text: &str) -> Self {
        Self::Text(text.to_owned())
    }
}

impl From<String> for TextInput {
    fn from(text: String) -> Self {
        Self::Text(text)
    }
}

impl From<Vec<String>> for TextInput {
    fn from(texts: Vec<String>) -> Self {
        Self::Texts(texts)
    }
}

impl<'de> Deserialize<'de> for TextInput {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(TextInputVisitor)
    }
}

struct TextInputVisitor;

impl<'de> Visitor<'de> for TextInputVisitor {
    type Value = TextInput;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("a string, an array of strings, an array of token ids or an array of arrays of token ids")
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<TextInput, E> {
        Ok(TextInput::Text(text.to_owned()))
    }

    fn visit_string<E: Error>(self, text: String) -> Result<TextInput, E> {
        Ok(TextInput::Text(text))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<TextInput, A::Error> {
        // The first item decides; the others must be of its kind, and a fault among them names its index.
        match items.next_element()? {
            None => Ok(TextInput::Texts(Vec::new())),
            Some(FirstItem::Text(first)) => rest(first, items).map(TextInput::Texts),
            Some(FirstItem::Token(first)) => rest(first, items).map(TextInput::Tokens),
            Some(FirstItem::Tokens(first)) => rest(first, items).map(TextInput::TokenLists),
        }
    }
}

#[derive(Deserialize)]
#[serde(untagged, expecting = "expected a string, a token id or an array of token ids")]
enum FirstItem {
    Text(String),
    Token(u32),
    Tokens(Vec<u32>),
}

fn rest<'de, T: Deserialize<'de>, A: SeqAccess<'de>>(first: T, mut items: A) -> Result<Vec<T>, A::Error> {
    // Four bytes or more of JSON stand behind each item, so what is reserved never dwarfs what was sent.
    let mut all = Vec::with_capacity(items.size_hint().unwrap_or(0).min(4096) + 1);
    all.push(first);
    while let Some(item) = items.next_element()? {
        all.push(item);
    }
    Ok(all)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::round_trip::{assert_round_trip, fault, read};
    use super::*;

    #[test]
    fn each_shape_reads_and_writes_back() {
        let cases = [
            (json!("a"), TextInput::Text("a".to_owned()), 1),
            (
                json!(["a", "b"]),
                TextInput::Texts(vec!["a".to_owned(), "b".to_owned()]),
                2,
            ),
            (json!([1, 2, 3]), TextInput::Tokens(vec![1, 2, 3]), 1),
            (
                json!([[1], [2, 3], []]),
                TextInput::TokenLists(vec![vec![1], vec![2, 3], vec![]]),
                3,
            ),
            (json!([]), TextInput::Texts(vec![]), 0),
        ];
        for (value, input, texts) in cases {
            assert_round_trip::<TextInput>(&value);
            assert_eq!(read::<TextInput>(&value), input);
            assert_eq!(input.len(), texts);
            assert_eq!(input.is_empty(), texts == 0);
        }
    }

    #[test]
    fn faults_name_the_item() {
        let cases = [
            (
                json!(5),
                "",
                "expected a string, an array of strings, an array of token ids",
            ),
            (
                json!([true]),
                "[0]",
                "expected a string, a token id or an array of token ids",
            ),
            (json!(["a", 1]), "[1]", "expected a string"),
            (json!([1, "a"]), "[1]", "expected u32"),
            (json!([[1], [2, -3]]), "[1][1]", "expected u32"),
        ];
        for (value, path, message) in cases {
            let fault = fault::<TextInput>(&value);
            assert_eq!(fault.path, path, "{value}: {fault}");
            assert!(fault.message.contains(message), "{value}: {fault}");
        }
    }
}
