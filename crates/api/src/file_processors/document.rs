//! What a file processor makes of a file.

use std::borrow::Cow;

use serde::{Deserialize, Serialize};

/// A file that was read.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ProcessedFile {
    /// What is known of the whole.
    pub document: DocumentMetadata,
    /// Its chunks, at least one.
    pub chunks: Vec<FileChunk>,
}

/// What is known of a document as a whole.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct DocumentMetadata {
    /// What it turned out to be, such as `application/pdf`.
    pub media_type: String,
    /// Its title, where it tells one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub title: Option<String>,
    /// Who wrote it, where it tells.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub author: Option<String>,
    /// How many pages, slides or sheets it has, where it has such.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub page_count: Option<u32>,
    /// How many characters its text has.
    pub characters: u64,
}

/// A piece of a document's text.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct FileChunk {
    /// Its place among the chunks, from 0.
    pub position: u32,
    /// What stands in the document from `start` to `end`.
    pub text: String,
    /// What a model said of the chunk's place in the document, where the strategy asks for it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub context: Option<String>,
    /// How many tokens [`content`](Self::content) has.
    pub tokens: u32,
    /// Where it begins, in characters of the document's text.
    pub start: u64,
    /// Where it ends: the character behind its last one.
    pub end: u64,
    /// The page, slide or sheet that it begins on, from 1.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub first_page: Option<u32>,
    /// The page, slide or sheet that it ends on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_page: Option<u32>,
    /// The headings that it stands under, the outermost first; those that begin in it are in its text.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub headings: Vec<String>,
}

impl FileChunk {
    /// What is embedded and searched: the text, with its context before it.
    pub fn content(&self) -> Cow<'_, str> {
        match &self.context {
            None => Cow::Borrowed(&self.text),
            Some(context) => Cow::Owned(format!("{context}\n\n{}", self.text)),
        }
    }
}
