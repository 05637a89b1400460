//! Vector indexes: pieces of documents, found by meaning, by words, or both.

use async_trait::async_trait;

use crate::{RequestContext, Result};

mod chunk;
mod filter;
mod index;
mod search;

pub use chunk::{AttributeValue, Attributes, Chunk, ChunkPage, ChunkSelection, DeleteChunks, ListChunks, UpsertChunks};
pub use filter::Filter;
pub use index::{Metric, SearchMode, VectorCapabilities, VectorIndex};
pub use search::{ChunkQuery, Fusion, ScoredChunk, SearchChunks};

/// Keeps chunks with their vectors, and finds them.
///
/// An index is what one vector store needs of a database: chunks of one dimension, compared by one metric. Its id is the caller's,
/// of at most 128 letters, digits, `-`, `_` and `.`; everything else is an invalid request. What makes chunks of documents and
/// vectors of chunks lies above this trait.
///
/// # Behavior
/// - An index that is there already is made again without effect; with another dimension or metric it is a conflict.
/// - What was upserted or deleted before an answer came survives a crash, and every search that begins later sees it.
/// - A chunk takes the place of one with the same id, in searches by words too.
/// - Chunks of another dimension than the index's are an invalid request that says both, and none of the request's chunks is kept.
/// - A search answers the best chunks first, at most as many as asked for, those of equal score in the order of their ids.
/// - A filter holds before the best are chosen: with `limit` matching chunks in the index, a search answers `limit`.
/// - A score below the threshold keeps a chunk out. Scores are those of [`SearchChunks`], equal across providers but for
///   rounding and for keyword scores, whose scale is the provider's.
/// - The text of a keyword query is words to look for: no character in it is an operator, and none makes the search fail.
/// - A mode or metric that is not among the capabilities is an unsupported request that names `search_mode` or `metric`.
/// - A missing index is a not-found error, except for deletions, which succeed.
/// - Indexes know nothing of each other.
#[async_trait]
pub trait VectorIo: Send + Sync {
    /// What this provider can do; the rest it answers with a clear error.
    fn capabilities(&self) -> VectorCapabilities;

    /// Makes an index.
    async fn create_index(&self, context: &RequestContext, index: VectorIndex) -> Result<()>;

    /// Removes an index with all that is in it.
    async fn delete_index(&self, context: &RequestContext, index_id: &str) -> Result<()>;

    /// Adds chunks, or replaces those with the same ids.
    async fn upsert_chunks(&self, context: &RequestContext, request: UpsertChunks) -> Result<()>;

    /// Removes chunks; those that are not there do not matter.
    async fn delete_chunks(&self, context: &RequestContext, request: DeleteChunks) -> Result<()>;

    /// The chunks of a document in their order, with their vectors.
    async fn list_chunks(&self, context: &RequestContext, request: ListChunks) -> Result<ChunkPage>;

    /// Finds chunks.
    async fn search_chunks(&self, context: &RequestContext, request: SearchChunks) -> Result<Vec<ScoredChunk>>;
}
