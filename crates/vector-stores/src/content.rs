//! The text of a file in a store.

use puna_api::Attributes;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::ChunkMetadata;

/// Which of a file's chunks are wanted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ContentQuery {
    /// Those behind this place: [`ContentPage::next`] of the page before.
    pub after: Option<u32>,
    /// At most so many, 1 or more.
    pub limit: u32,
}

/// Some of a file's chunks.
#[derive(Debug, Clone, PartialEq)]
pub struct ContentPage {
    /// The file.
    pub file_id: String,
    /// What it is called.
    pub filename: String,
    /// Its attributes.
    pub attributes: Attributes,
    /// The chunks, in their order, with all that is known of them.
    pub data: Vec<TextContent>,
    /// Where the next page begins; `None` when this is the last.
    pub next: Option<u32>,
}

/// A piece of text. Wire shape: `VectorStoreSearchResultContentObject` of OpenAI, `VectorStoreContent` of Llama Stack.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[schemars(rename = "VectorStoreContent")]
pub struct TextContent {
    /// Always `text`.
    #[serde(rename = "type")]
    pub content_type: ContentType,
    /// The text.
    pub text: String,
    /// Its vector, where it was asked for (Llama Stack).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub embedding: Option<Vec<f32>>,
    /// What the server knows of the chunk: `chunk_id`, `document_id`, `content_token_count` and such (Llama Stack).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<ChunkMetadata>")]
    pub chunk_metadata: Option<Map<String, Value>>,
    /// Where in the document it stands, such as `page` and `headings`, or what the chunk was inserted with (Llama Stack).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub metadata: Option<Map<String, Value>>,
}

/// The value of [`TextContent::content_type`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum ContentType {
    /// Text.
    #[default]
    Text,
}

impl ContentQuery {
    /// The most chunks of a page.
    pub const MOST: u32 = 1000;
}

impl Default for ContentQuery {
    fn default() -> Self {
        Self {
            after: None,
            limit: Self::MOST,
        }
    }
}
