//! Chunks are written, removed and listed.

use std::collections::BTreeMap;

use puna_api::{Chunk, ChunkPage, ChunkSelection, DeleteChunks, Error, ListChunks, Result, UpsertChunks};
use serde::de::IgnoredAny;
use serde_json::{Value, json};

use crate::answers::Records;
use crate::error::Failure;
use crate::filter::all;
use crate::indexes::Index;
use crate::server::{Server, may_pause, pause};
use crate::stored::{DOCUMENT_ID, POSITION, Record, chunk, record};

/// The most records of a request, the most numbers of their vectors to read, and about the most bytes to write.
const MAX_RECORDS: usize = 500;
const MAX_NUMBERS: usize = 1 << 22;
const MAX_BYTES: usize = 4 << 20;

/// How many of a document's chunks are looked at to find those of a page, for each of the page.
const SPARE: usize = 8;

impl Server {
    /// Adds chunks or replaces those with the same ids.
    pub(crate) async fn upsert(&self, request: &UpsertChunks) -> Result<()> {
        let index = self.index(&request.index_id).await?;
        request.check(&index.about)?;
        // Of those with the same id the last.
        let chunks: BTreeMap<&str, &Chunk> = request
            .chunks
            .iter()
            .map(|chunk| (chunk.chunk_id.as_str(), chunk))
            .collect();
        if chunks.is_empty() {
            return Ok(());
        }
        let most = self.max_batch().await?.min(MAX_RECORDS);
        let (mut records, mut bytes) = (Vec::new(), 0);
        for chunk in chunks.into_values() {
            let record = record(index.about.metric, chunk);
            let more = record.size();
            if records.len() == most || (bytes + more > MAX_BYTES && !records.is_empty()) {
                self.upsert_records(&index, std::mem::take(&mut records)).await?;
                bytes = 0;
            }
            bytes += more;
            records.push(record);
        }
        self.upsert_records(&index, records).await
    }

    /// Removes chunks.
    pub(crate) async fn delete_chunks(&self, request: &DeleteChunks) -> Result<()> {
        let Some(index) = self.find(&request.index_id).await? else {
            return Ok(());
        };
        match &request.selection {
            ChunkSelection::Chunks(ids) => {
                let most = self.max_batch().await?.min(MAX_RECORDS);
                for ids in ids.chunks(most) {
                    self.delete_records(&index, &json!({ "ids": ids })).await?;
                }
                Ok(())
            }
            ChunkSelection::Document(id) => self.delete_records(&index, &json!({ "where": of_document(id) })).await,
        }
    }

    /// Lists chunks; the request was checked.
    ///
    /// Chroma knows no order, so that chunks are asked for by a range of places: first as many as are wanted, which are all in a document without gaps,
    /// then all the rest, and fewer where that is too much.
    pub(crate) async fn list(&self, request: &ListChunks) -> Result<ChunkPage> {
        let index = self.index(&request.index_id).await?;
        let wanted = request.limit.saturating_add(1);
        let first = request.after.map_or(0, |after| u64::from(after) + 1);
        let (mut from, mut width) = (first, wanted as u64);
        let mut chunks: Vec<Chunk> = Vec::new();
        while chunks.len() < wanted && from <= u64::from(u32::MAX) {
            let to = from.saturating_add(width - 1).min(u64::from(u32::MAX));
            let places = [
                json!({ POSITION: { "$gte": from } }),
                json!({ POSITION: { "$lte": to } }),
            ];
            let within = all([of_document(&request.document_id)].into_iter().chain(places));
            let mut ids = self.ids(&index, within, None).await?;
            if ids.len() > wanted.max(MAX_RECORDS).saturating_mul(SPARE) && to > from {
                width = ((to - from) / 16).max(1);
                continue;
            }
            if to == from {
                ids.sort_unstable();
                ids.truncate(wanted - chunks.len());
            }
            let mut more = self.chunks_of(&index, ids).await?;
            more.sort_by(|one, other| (one.position, &one.chunk_id).cmp(&(other.position, &other.chunk_id)));
            chunks.extend(more);
            (from, width) = (to + 1, u64::from(u32::MAX));
        }
        let has_more = chunks.len() > request.limit;
        chunks.truncate(request.limit);
        Ok(ChunkPage { chunks, has_more })
    }

    /// The ids of chunks that fulfil a condition, in no order.
    pub(crate) async fn ids(
        &self,
        index: &Index,
        condition: Option<Value>,
        limit: Option<usize>,
    ) -> Result<Vec<String>> {
        let request = json!({ "where": condition, "limit": limit, "include": [] });
        Ok(self.records(index, &request).await?.ids)
    }

    /// The chunks of these ids, in no order.
    pub(crate) async fn chunks_of(&self, index: &Index, ids: Vec<String>) -> Result<Vec<Chunk>> {
        let (mut chunks, mut missing, mut times) = (Vec::with_capacity(ids.len()), ids, 0);
        while !missing.is_empty() {
            let mut torn = Vec::new();
            for ids in missing.chunks(readable(index)) {
                let request = json!({ "ids": ids, "include": ["documents", "metadatas", "embeddings"] });
                let records = self.records(index, &request).await?;
                let records = records
                    .whole()
                    .ok_or_else(|| Error::unavailable("the Chroma server answered less than it was asked for"))?;
                for record in records {
                    let id = record.id.clone();
                    match chunk(record)? {
                        Some(chunk) => chunks.push(chunk),
                        None => torn.push(id),
                    }
                }
            }
            if !torn.is_empty() {
                // Chroma changes what it keeps of a chunk first, then its vector.
                if !may_pause(times) {
                    let message = "chunks of the index are replaced faster than the Chroma server hands them out";
                    return Err(Error::unavailable(message));
                }
                times += 1;
                pause(times).await;
            }
            missing = torn;
        }
        Ok(chunks)
    }

    /// Records of an index.
    pub(crate) async fn records(&self, index: &Index, request: &Value) -> Result<Records> {
        let records = self.read(&index.path("get"), request).await;
        records.map_err(|failure| index.failed(failure))
    }

    async fn upsert_records(&self, index: &Index, records: Vec<Record>) -> Result<()> {
        let (mut ids, mut embeddings, mut documents, mut metadatas) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
        for record in records {
            ids.push(record.id);
            embeddings.push(record.embedding);
            documents.push(record.document);
            metadatas.push(record.metadata);
        }
        let request = json!({ "ids": ids, "embeddings": embeddings, "documents": documents, "metadatas": metadatas });
        let written = self.write::<IgnoredAny>(&index.path("upsert"), &request).await;
        written.map(drop).map_err(|failure| index.failed(failure))
    }

    async fn delete_records(&self, index: &Index, which: &Value) -> Result<()> {
        match self.write::<IgnoredAny>(&index.path("delete"), which).await {
            Err(Failure::Refused(refusal)) if refusal.is_gone() => Ok(()),
            deleted => deleted.map(drop).map_err(Error::from),
        }
    }
}

/// How many records may be read at once.
pub(crate) fn readable(index: &Index) -> usize {
    (MAX_NUMBERS / index.about.dimension.max(1) as usize).clamp(1, MAX_RECORDS)
}

fn of_document(id: &str) -> Value {
    json!({ DOCUMENT_ID: id })
}
