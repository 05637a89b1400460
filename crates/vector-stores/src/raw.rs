//! Chunks that clients make themselves.

use puna_api::{Attributes, Filter, SearchMode};
use serde_json::{Map, Value};

use crate::{RankingOptions, SearchText};

/// Chunks to put into a store, in place of those with the same ids (`/v1/vector-io/insert` of Llama Stack).
#[derive(Debug, Clone, PartialEq)]
pub struct InsertChunks {
    /// The chunks, at least one.
    pub chunks: Vec<RawChunk>,
}

/// A chunk that a client made.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct RawChunk {
    /// Its id; made of the document's id and the text when absent, so that the same chunk is there once.
    pub chunk_id: Option<String>,
    /// The document that it is a piece of; the chunk's id when absent.
    pub document_id: Option<String>,
    /// Its place in the document; behind the chunks of the same document before it in the request when absent.
    pub position: Option<u32>,
    /// The text, which is embedded where there is no vector.
    pub text: String,
    /// The vector; made by the store's model when absent.
    pub vector: Option<Vec<f32>>,
    /// What is known of it, handed back as it came. Filters look at its texts, numbers and booleans.
    pub metadata: Map<String, Value>,
    /// What the server it came from knows of it (`chunk_metadata`), handed back as it came.
    pub chunk_metadata: Option<Map<String, Value>>,
}

/// A search for chunks (`/v1/vector-io/query` of Llama Stack).
#[derive(Debug, Clone, PartialEq)]
pub struct QueryChunks {
    /// What to look for.
    pub query: SearchText,
    /// What the search goes by; the configured mode, or `vector`, when absent.
    pub mode: Option<SearchMode>,
    /// Which chunks may be found, by their attributes.
    pub filter: Option<Filter>,
    /// The most chunks, 1 to 1,000.
    pub max_chunks: u32,
    /// How they are ordered; its threshold is held against the scores as the provider has them, whatever their scale.
    pub ranking: RankingOptions,
}

/// A chunk that was found, or asked for.
#[derive(Debug, Clone, PartialEq)]
pub struct FoundChunk {
    /// Its id.
    pub chunk_id: String,
    /// The file or the document that it is a piece of.
    pub document_id: String,
    /// What the file is called; `None` for chunks of a client's own.
    pub filename: Option<String>,
    /// Its place in the document.
    pub position: u32,
    /// The text.
    pub text: String,
    /// The vector.
    pub vector: Vec<f32>,
    /// What filters look at.
    pub attributes: Attributes,
    /// What it was inserted with, or where in the file it stands, such as `page` and `headings`.
    pub metadata: Map<String, Value>,
    /// What the server knows of it, such as `content_token_count`.
    pub chunk_metadata: Map<String, Value>,
    /// How well it answers, as the provider has it; 0 where nothing was looked for.
    pub score: f32,
}

impl QueryChunks {
    /// The most chunks that can be asked for.
    pub const MOST: u32 = 1000;
}
