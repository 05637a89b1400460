//! Documents that come with a request and not as files.

use bytes::Bytes;
use puna_api::ChunkingStrategy;
use serde_json::{Map, Value};

/// A document to read, cut, embed and put into a store, in place of one with the same id. It is all there when the answer comes.
///
/// It is not among the store's files: those have an upload behind them.
#[derive(Debug, Clone, PartialEq)]
pub struct InsertDocument {
    /// Its id, chosen by the client.
    pub document_id: String,
    /// Its bytes.
    pub content: Bytes,
    /// What it is called; a hint for reading it.
    pub name: Option<String>,
    /// What it is, such as `text/plain`; a hint for reading it.
    pub media_type: Option<String>,
    /// How it is cut; `auto` when absent.
    pub chunking: Option<ChunkingStrategy>,
    /// What is known of it, handed back with each chunk. Filters look at its texts, numbers and booleans.
    pub metadata: Map<String, Value>,
}
