//! Chunks, and what is done with them but searching.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

/// What filters look at, by name.
pub type Attributes = BTreeMap<String, AttributeValue>;

/// The value of an attribute.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(untagged, expecting = "expected a string, a number or a boolean")]
pub enum AttributeValue {
    /// True or false.
    Boolean(bool),
    /// A number.
    Number(f64),
    /// A text.
    Text(String),
}

/// A piece of a document with its vector.
#[derive(Debug, Clone, PartialEq)]
pub struct Chunk {
    /// The id, of its own in the index.
    pub chunk_id: String,
    /// The document that it is a piece of.
    pub document_id: String,
    /// Its place among the document's chunks, from 0.
    pub position: u32,
    /// What keyword searches look at.
    pub text: String,
    /// What vector searches look at; the index's dimension, finite numbers.
    pub vector: Vec<f32>,
    /// What filters look at.
    pub attributes: Attributes,
    /// Anything else that is known of it, such as its page; handed back as it came.
    pub metadata: Map<String, Value>,
}

/// Chunks to add or replace.
#[derive(Debug, Clone, PartialEq)]
pub struct UpsertChunks {
    /// The index.
    pub index_id: String,
    /// The chunks.
    pub chunks: Vec<Chunk>,
}

/// Chunks to remove.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeleteChunks {
    /// The index.
    pub index_id: String,
    /// Which of them.
    pub selection: ChunkSelection,
}

/// Some chunks of an index.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ChunkSelection {
    /// Those with these ids.
    Chunks(Vec<String>),
    /// Those of this document.
    Document(String),
}

/// A document's chunks to list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ListChunks {
    /// The index.
    pub index_id: String,
    /// The document.
    pub document_id: String,
    /// Only those behind this place; from the beginning when absent.
    pub after: Option<u32>,
    /// The most chunks to answer, 1 or more.
    pub limit: usize,
}

/// Some of a document's chunks.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct ChunkPage {
    /// The chunks, in the order of their places.
    pub chunks: Vec<Chunk>,
    /// Whether more follow.
    pub has_more: bool,
}
