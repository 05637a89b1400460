//! YAML as a tree of values that know where they stand.

mod read;
mod scalar;

pub(crate) use read::{MAX_BYTES, read};
pub(crate) use scalar::resolve_plain;

use serde_json::Value;

use crate::Position;

/// A value with its place in the text.
#[derive(Debug, Clone)]
pub(crate) struct Node {
    pub(crate) position: Position,
    pub(crate) content: Content,
}

/// What a [`Node`] is.
#[derive(Debug, Clone)]
pub(crate) enum Content {
    Scalar(Scalar),
    List(Vec<Node>),
    Map(Vec<Entry>),
    /// Left out of the value that is checked: a disabled provider, or a scalar whose problem is already reported.
    Omitted,
}

/// A value without parts.
#[derive(Debug, Clone)]
pub(crate) struct Scalar {
    /// As written, escapes undone; after expansion, what it expanded to.
    pub(crate) text: String,
    /// Null, a boolean, a number or a string.
    pub(crate) value: Value,
    /// What stood there before `${env.…}` was expanded, if anything changed.
    pub(crate) unexpanded: Option<String>,
}

/// A key and its value.
#[derive(Debug, Clone)]
pub(crate) struct Entry {
    pub(crate) key: String,
    pub(crate) key_position: Position,
    pub(crate) value: Node,
}

impl Node {
    /// The value of a key, when this is a mapping that has it.
    pub(crate) fn get(&self, key: &str) -> Option<&Self> {
        self.entry(key).map(|entry| &entry.value)
    }

    /// The entry of a key, when this is a mapping that has it.
    pub(crate) fn entry(&self, key: &str) -> Option<&Entry> {
        self.entries().iter().find(|entry| entry.key == key)
    }

    /// The entries, when this is a mapping.
    pub(crate) fn entries(&self) -> &[Entry] {
        match &self.content {
            Content::Map(entries) => entries,
            Content::Scalar(_) | Content::List(_) | Content::Omitted => &[],
        }
    }

    /// The items, when this is a list.
    pub(crate) fn items(&self) -> &[Self] {
        match &self.content {
            Content::List(items) => items,
            Content::Scalar(_) | Content::Map(_) | Content::Omitted => &[],
        }
    }

    /// The scalar, when this is one.
    pub(crate) fn scalar(&self) -> Option<&Scalar> {
        match &self.content {
            Content::Scalar(scalar) => Some(scalar),
            Content::List(_) | Content::Map(_) | Content::Omitted => None,
        }
    }

    /// The text, when this is a string.
    pub(crate) fn text(&self) -> Option<&str> {
        self.scalar()
            .filter(|scalar| scalar.value.is_string())
            .map(|scalar| scalar.text.as_str())
    }

    pub(crate) fn is_omitted(&self) -> bool {
        matches!(self.content, Content::Omitted)
    }
}
