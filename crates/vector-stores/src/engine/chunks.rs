//! Chunks that clients make themselves.

use std::collections::HashMap;

use puna_api::{Chunk, Error, RequestContext, Result, UpsertChunks};
use ring::digest::{Context, SHA256};

use super::VectorStores;
use crate::kept::{Kept, attributes_of, chunk_of_client, document_of_client};
use crate::tables::StoreRow;
use crate::{InsertChunks, RawChunk, embedding};

/// The most chunks of a request.
const MOST_CHUNKS: usize = 10_000;
/// The longest id that a client may choose, in bytes.
const LONGEST_ID: usize = 1000;

impl VectorStores {
    /// Puts chunks into a store, and answers their ids in the order of the request. They are there when the answer comes.
    pub async fn insert_chunks(
        &self,
        context: &RequestContext,
        store_id: &str,
        request: InsertChunks,
    ) -> Result<Vec<String>> {
        let InsertChunks { chunks } = request;
        if !(1..=MOST_CHUNKS).contains(&chunks.len()) {
            let message = format!("`chunks` must have 1 to {MOST_CHUNKS} chunks, not {}", chunks.len());
            return Err(Error::invalid_request(message).with_param("chunks"));
        }
        check(&chunks)?;
        let store = self.used_store(store_id).await?;
        let chunks = self.with_vectors(context, &store, chunks).await?;
        let ids = chunks.iter().map(|(id, _)| id.clone()).collect();
        let upsert = UpsertChunks {
            index_id: store.id.clone(),
            chunks: chunks.into_iter().map(|(_, chunk)| chunk).collect(),
        };
        self.provider(&store)?.upsert_chunks(context, upsert).await?;
        Ok(ids)
    }

    /// The chunks as they go into the index, each with the id that the client knows it by.
    async fn with_vectors(
        &self,
        context: &RequestContext,
        store: &StoreRow,
        chunks: Vec<RawChunk>,
    ) -> Result<Vec<(String, Chunk)>> {
        let dimension = store.embedding_dimension;
        if let Some((index, vector)) = chunks
            .iter()
            .enumerate()
            .filter_map(|(index, chunk)| Some((index, chunk.vector.as_ref()?)))
            .find(|(_, vector)| vector.len() != dimension as usize)
        {
            let message = format!(
                "`chunks[{index}].embedding` has dimension {}, and the vector store has dimension {dimension}",
                vector.len()
            );
            return Err(Error::invalid_request(message).with_param(format!("chunks[{index}].embedding")));
        }
        let texts: Vec<&str> = chunks
            .iter()
            .filter(|chunk| chunk.vector.is_none())
            .map(|chunk| chunk.text.as_str())
            .collect();
        let vectors = embedding::embed(self.surroundings(), context, &store.embedding_model, dimension, &texts).await?;
        let mut vectors = vectors.into_iter();
        let mut next: HashMap<String, u32> = HashMap::new();
        let chunks = chunks.into_iter().map(|raw| {
            let vector = match raw.vector {
                Some(vector) => vector,
                None => vectors.next().unwrap_or_default(),
            };
            let id = raw
                .chunk_id
                .unwrap_or_else(|| derived(raw.document_id.as_deref(), &raw.text));
            let document_id = raw.document_id.unwrap_or_else(|| id.clone());
            let next = next.entry(document_id.clone()).or_default();
            let position = raw.position.unwrap_or(*next);
            *next = position.saturating_add(1);
            let chunk = Chunk {
                chunk_id: chunk_of_client(&id),
                document_id: document_of_client(&document_id),
                position,
                text: raw.text,
                vector,
                attributes: attributes_of(&raw.metadata),
                metadata: Kept {
                    metadata: raw.metadata,
                    chunk_metadata: raw.chunk_metadata.unwrap_or_default(),
                }
                .into_map(),
            };
            (id, chunk)
        });
        Ok(chunks.collect())
    }
}

/// Checks what can be told without the store.
fn check(chunks: &[RawChunk]) -> Result<()> {
    let invalid = |message: String, param: String| Err(Error::invalid_request(message).with_param(param));
    for (index, chunk) in chunks.iter().enumerate() {
        for (field, id) in [("chunk_id", &chunk.chunk_id), ("document_id", &chunk.document_id)] {
            let place = format!("chunks[{index}].{field}");
            if let Some(id) = id
                && !(1..=LONGEST_ID).contains(&id.len())
            {
                let message = format!("`{place}` has {} bytes; it must have 1 to {LONGEST_ID}", id.len());
                return invalid(message, place);
            }
        }
        if chunk.text.trim().is_empty() && chunk.vector.is_none() {
            let place = format!("chunks[{index}].content");
            return invalid(
                format!("`{place}` is empty, and there is no vector; send one of them"),
                place,
            );
        }
        if let Some(vector) = &chunk.vector
            && let Some(at) = vector.iter().position(|number| !number.is_finite())
        {
            let place = format!("chunks[{index}].embedding");
            return invalid(format!("`{place}[{at}]` is no finite number"), place);
        }
    }
    Ok(())
}

/// The id of a chunk that comes without one: the same text in the same document is the same chunk, and in another document it is not.
fn derived(document_id: Option<&str>, text: &str) -> String {
    let mut digest = Context::new(&SHA256);
    let document_id = document_id.unwrap_or_default();
    digest.update(&(document_id.len() as u64).to_le_bytes());
    digest.update(document_id.as_bytes());
    digest.update(text.as_bytes());
    hex::encode(&digest.finish().as_ref()[..16])
}
