//! Vector indexes: pieces of documents, found by meaning, by words, or both.

use async_trait::async_trait;

use crate::{RequestContext, Result};

mod chunk;
mod filter;
mod fusion;
mod index;
mod search;
mod words;

pub use chunk::{AttributeValue, Attributes, Chunk, ChunkPage, ChunkSelection, DeleteChunks, ListChunks, UpsertChunks};
pub use filter::Filter;
pub use fusion::Fusion;
pub use index::{Metric, SearchMode, VectorCapabilities, VectorIndex};
pub use search::{ChunkQuery, ScoredChunk, SearchChunks};
pub use words::{distinct_words, spaced_words};

/// Keeps chunks with their vectors, and finds them.
///
/// An index is what one vector store needs of a database: chunks of one dimension, compared by one metric. What makes chunks of
/// documents and vectors of chunks lies above this trait.
///
/// # Behavior
/// - What `check` of [`VectorIndex`], [`UpsertChunks`], [`ListChunks`] and [`SearchChunks`] refuses is refused so by every provider, and
///   leaves the index as it was. Dimensions are named with what the index has.
/// - An index that is there already is made again without effect; with another dimension or metric it is a conflict.
/// - What was upserted or deleted before an answer came survives a crash, and every search that begins later sees it.
/// - A chunk takes the place of one with the same id, in searches by words too; of one request's chunks with the same id the last stays.
/// - Chunks are handed back as they came, but for the rounding of vectors.
/// - A search answers the best chunks first, at most as many as asked for, those of equal score in the order of their ids.
/// - A filter holds before the best are chosen: with `limit` matching chunks in the index, a search answers `limit`.
/// - A score below the threshold keeps a chunk out. Scores are those of [`ChunkQuery`], equal across providers but for
///   rounding and for keyword scores, whose scale is the provider's.
/// - The text of a keyword query is words to look for, whatever their case: no character in it is an operator, and none makes the
///   search fail.
/// - A document's chunks are listed in the order of their places.
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
