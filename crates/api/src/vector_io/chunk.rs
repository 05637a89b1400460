//! Chunks, and what is done with them but searching.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::VectorIndex;
use crate::{Error, Result};

/// The most bytes of a chunk's or a document's id.
const MAX_ID_BYTES: usize = 1024;

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

impl From<bool> for AttributeValue {
    fn from(value: bool) -> Self {
        Self::Boolean(value)
    }
}

impl From<f64> for AttributeValue {
    fn from(value: f64) -> Self {
        Self::Number(value)
    }
}

impl From<String> for AttributeValue {
    fn from(value: String) -> Self {
        Self::Text(value)
    }
}

impl UpsertChunks {
    /// Checks the chunks against the index that they are for; an error names the place, such as `chunks[3].vector`.
    pub fn check(&self, index: &VectorIndex) -> Result<()> {
        for (place, chunk) in self.chunks.iter().enumerate() {
            let place = |field: &str| format!("chunks[{place}].{field}");
            check_id(&chunk.chunk_id, &place("chunk_id"))?;
            check_id(&chunk.document_id, &place("document_id"))?;
            check_vector(&chunk.vector, index, &place("vector"))?;
            for (name, value) in &chunk.attributes {
                let is_finite = !matches!(value, AttributeValue::Number(number) if !number.is_finite());
                if name.is_empty() || !is_finite {
                    let message = format!("attribute `{name}`: it needs a name, and a number that is one");
                    return Err(Error::invalid_request(message).with_param(place("attributes")));
                }
            }
        }
        Ok(())
    }
}

impl ListChunks {
    /// Checks what its type cannot say.
    pub fn check(&self) -> Result<()> {
        check_limit(self.limit)
    }
}

/// Checks a vector that is put into an index or looked for there.
pub(super) fn check_vector(vector: &[f32], index: &VectorIndex, place: &str) -> Result<()> {
    let fault = if vector.len() != index.dimension as usize {
        format!(
            "a vector of dimension {}: index `{}` has dimension {}",
            vector.len(),
            index.index_id,
            index.dimension
        )
    } else if let Some(at) = vector.iter().position(|number| !number.is_finite()) {
        format!("a vector with {} at {at}: its numbers must be finite", vector[at])
    } else {
        return Ok(());
    };
    Err(Error::invalid_request(fault).with_param(place))
}

/// Checks how many are asked for.
pub(super) fn check_limit(limit: usize) -> Result<()> {
    if limit == 0 {
        return Err(Error::invalid_request("a limit of 0: it must be 1 or more").with_param("limit"));
    }
    Ok(())
}

fn check_id(id: &str, place: &str) -> Result<()> {
    if id.is_empty() || id.len() > MAX_ID_BYTES {
        let message = format!("an id of {} bytes: it must have 1 to {MAX_ID_BYTES}", id.len());
        return Err(Error::invalid_request(message).with_param(place));
    }
    Ok(())
}
