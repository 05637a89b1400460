//! Documents that come with a request and not as files.

use puna_api::{Error, FileSource, ProcessFile, RequestContext, Result};
use serde_json::Map;

use super::VectorStores;
use super::trim::trim;
use crate::kept::document_of_client;
use crate::{InsertChunks, InsertDocument, RawChunk};

/// How many chunks are put in at once.
const PAGE: usize = 500;
/// The longest id of a document, in bytes; those of its chunks are a little longer.
const LONGEST_ID: usize = 900;

impl VectorStores {
    /// Reads a document, and puts its chunks into a store in place of those of the document with the same id. Answers how many there are.
    pub async fn insert_document(
        &self,
        context: &RequestContext,
        store_id: &str,
        document: InsertDocument,
    ) -> Result<usize> {
        let length = document.document_id.len();
        if !(1..=LONGEST_ID).contains(&length) {
            let message = format!("`document_id` must have 1 to {LONGEST_ID} bytes, not {length}");
            return Err(Error::invalid_request(message).with_param("document_id"));
        }
        if let Some(strategy) = &document.chunking {
            strategy.validate("chunking_strategy")?;
        }
        let store = self.used_store(store_id).await?;
        let request = ProcessFile {
            content: FileSource::Bytes(document.content),
            name: document.name,
            media_type: document.media_type,
            chunking: Some(self.chunking(document.chunking)),
            options: Map::new(),
        };
        let processors = self.surroundings().file_processors()?;
        let processed = processors.process_file(context, request).await?;
        let chunks: Vec<RawChunk> = processed
            .chunks
            .iter()
            .map(|chunk| RawChunk {
                // By its place, so that the new chunks take the places of the old ones.
                chunk_id: Some(format!("{}:{}", document.document_id, chunk.position)),
                document_id: Some(document.document_id.clone()),
                position: Some(chunk.position),
                text: chunk.content().into_owned(),
                vector: None,
                metadata: document.metadata.clone(),
                chunk_metadata: Some(Map::from_iter([
                    ("content_token_count".to_owned(), chunk.tokens.into()),
                    (
                        "chunk_window".to_owned(),
                        format!("{}-{}", chunk.start, chunk.end).into(),
                    ),
                ])),
            })
            .collect();
        for some in chunks.chunks(PAGE) {
            let insert = InsertChunks { chunks: some.to_vec() };
            self.insert_chunks(context, store_id, insert).await?;
        }
        let last = chunks.last().and_then(|chunk| chunk.position);
        let document_id = document_of_client(&document.document_id);
        let provider = self.provider(&store)?;
        trim(&*provider, context, &store.id, &document_id, last).await?;
        Ok(chunks.len())
    }
}
