//! What a server knows of a chunk.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

/// What a server knows of a chunk. Wire shape: `ChunkMetadata` of Llama Stack.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ChunkMetadata {
    /// The chunk's id.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub chunk_id: Option<String>,
    /// The document that it is a piece of.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub document_id: Option<String>,
    /// Where the document came from, such as a URL or the name of a file.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub source: Option<String>,
    /// When it was made, in seconds since 1970.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub created_timestamp: Option<i64>,
    /// When it was changed last, in seconds since 1970.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub updated_timestamp: Option<i64>,
    /// Which part of the document it is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub chunk_window: Option<String>,
    /// What counted its tokens.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub chunk_tokenizer: Option<String>,
    /// The model that made its vector. (Llama Stack up to 0.3)
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub chunk_embedding_model: Option<String>,
    /// How many numbers its vector has. (Llama Stack up to 0.3)
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub chunk_embedding_dimension: Option<i64>,
    /// The tokens of its text.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub content_token_count: Option<i64>,
    /// The tokens of its metadata.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub metadata_token_count: Option<i64>,
}

impl ChunkMetadata {
    /// What is known, as chunks are kept with it.
    pub fn into_map(self) -> Map<String, Value> {
        let texts = [
            ("chunk_id", self.chunk_id),
            ("document_id", self.document_id),
            ("source", self.source),
            ("chunk_window", self.chunk_window),
            ("chunk_tokenizer", self.chunk_tokenizer),
            ("chunk_embedding_model", self.chunk_embedding_model),
        ];
        let numbers = [
            ("created_timestamp", self.created_timestamp),
            ("updated_timestamp", self.updated_timestamp),
            ("chunk_embedding_dimension", self.chunk_embedding_dimension),
            ("content_token_count", self.content_token_count),
            ("metadata_token_count", self.metadata_token_count),
        ];
        let texts = texts
            .into_iter()
            .filter_map(|(key, text)| Some((key.to_owned(), text?.into())));
        let numbers = numbers
            .into_iter()
            .filter_map(|(key, number)| Some((key.to_owned(), number?.into())));
        texts.chain(numbers).collect()
    }
}
