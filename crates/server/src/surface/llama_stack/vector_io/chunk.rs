//! Chunks as clients send and get them.

use std::collections::BTreeSet;

use puna_api::{Error, RequestContext, Result};
use puna_router::Stack;
use puna_vector_stores::{ChunkMetadata, RawChunk};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::surface::llama_stack::content::InterleavedContent;

/// A chunk to put into a store. (Llama Stack)
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "Chunk")]
pub(super) struct SentChunk {
    /// The text.
    content: InterleavedContent,
    /// Its id; made of the document's id and the text when absent.
    #[serde(default)]
    chunk_id: Option<String>,
    /// The same, as it was called up to 0.3.
    #[serde(default)]
    stored_chunk_id: Option<String>,
    /// What is known of it, handed back as it came. Filters look at its texts, numbers and booleans.
    #[serde(default)]
    metadata: Option<Map<String, Value>>,
    /// What the server knows of it that it came from, handed back as it came.
    #[serde(default)]
    chunk_metadata: Option<ChunkMetadata>,
    /// The vector; made by the store's model when absent.
    #[serde(default)]
    embedding: Option<Vec<f32>>,
    /// The model that made the vector; must be the store's.
    #[serde(default)]
    embedding_model: Option<String>,
    /// How many numbers the vector has; must be as many as it has.
    #[serde(default)]
    embedding_dimension: Option<usize>,
}

/// A chunk that was found. (Llama Stack)
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "Chunk")]
pub(super) struct FoundChunk {
    /// The text.
    content: InterleavedContent,
    /// Its id.
    chunk_id: String,
    /// The same, as it was called up to 0.3.
    stored_chunk_id: String,
    /// What it was inserted with, or where in its file it stands.
    metadata: Map<String, Value>,
    /// What the server knows of it.
    #[schemars(with = "ChunkMetadata")]
    chunk_metadata: Map<String, Value>,
    /// Its vector.
    embedding: Vec<f32>,
    /// The model that made the vector.
    embedding_model: String,
    /// How many numbers the vector has.
    embedding_dimension: usize,
}

impl SentChunk {
    /// The chunk for the engine. An error names the field below `place`.
    pub(super) fn into_raw(self, place: &str) -> Result<RawChunk> {
        if let Some(dimension) = self.embedding_dimension
            && let Some(vector) = &self.embedding
            && vector.len() != dimension
        {
            let param = format!("{place}.embedding_dimension");
            let message = format!("`{param}` is {dimension}, and the vector has {} numbers", vector.len());
            return Err(Error::invalid_request(message).with_param(param));
        }
        let text = self.content.into_texts(&format!("{place}.content"))?.join(" ");
        let metadata = self.metadata.unwrap_or_default();
        let known = self.chunk_metadata.as_ref();
        let ids = [
            ("chunk_id", self.chunk_id),
            ("stored_chunk_id", self.stored_chunk_id),
            (
                "chunk_metadata.chunk_id",
                known.and_then(|known| known.chunk_id.clone()),
            ),
        ];
        let mut ids = ids.into_iter().filter_map(|(field, id)| Some((field, id?)));
        let chunk_id = ids.next().map(|(_, id)| id);
        if let Some((field, other)) = ids.find(|(_, other)| Some(other) != chunk_id.as_ref()) {
            let param = format!("{place}.{field}");
            let message = format!("`{param}` is `{other}`, and the chunk has another id already; send one");
            return Err(Error::invalid_request(message).with_param(param));
        }
        let document_id = known
            .and_then(|known| known.document_id.clone())
            .or_else(|| metadata.get("document_id")?.as_str().map(str::to_owned));
        Ok(RawChunk {
            chunk_id,
            document_id,
            position: None,
            text,
            vector: self.embedding,
            metadata,
            chunk_metadata: self.chunk_metadata.map(ChunkMetadata::into_map),
        })
    }
}

impl FoundChunk {
    pub(super) fn new(chunk: puna_vector_stores::FoundChunk, embedding_model: &str) -> Self {
        Self {
            content: InterleavedContent::Text(chunk.text),
            stored_chunk_id: chunk.chunk_id.clone(),
            chunk_id: chunk.chunk_id,
            metadata: chunk.metadata,
            chunk_metadata: chunk.chunk_metadata,
            embedding_dimension: chunk.vector.len(),
            embedding: chunk.vector,
            embedding_model: embedding_model.to_owned(),
        }
    }
}

/// Checks that vectors that come with the name of a model are of the store's.
pub(super) async fn check_models(
    stack: &Stack,
    context: &RequestContext,
    store_id: &str,
    chunks: &[SentChunk],
) -> Result<()> {
    let models: BTreeSet<&str> = chunks
        .iter()
        .filter_map(|chunk| chunk.embedding_model.as_deref())
        .collect();
    if models.is_empty() {
        return Ok(());
    }
    let of_store = stack.vector_stores()?.get(context, store_id).await?.embedding_model;
    for model in models {
        if model == of_store || is_same_model(stack, context, model, &of_store).await {
            continue;
        }
        let index = chunks
            .iter()
            .position(|chunk| chunk.embedding_model.as_deref() == Some(model));
        let param = format!("chunks[{}].embedding_model", index.unwrap_or_default());
        let message = format!("`{param}` is `{model}`, and the vectors of the vector store are made by `{of_store}`");
        return Err(Error::invalid_request(message).with_param(param));
    }
    Ok(())
}

/// Whether two ids lead to the same model of the same provider.
async fn is_same_model(stack: &Stack, context: &RequestContext, one: &str, other: &str) -> bool {
    let one = stack.model(context, one).await;
    let other = stack.model(context, other).await;
    match (one, other) {
        (Ok(one), Ok(other)) => {
            one.provider_id == other.provider_id && one.provider_model_id == other.provider_model_id
        }
        _ => false,
    }
}
