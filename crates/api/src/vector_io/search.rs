//! What to find, and what was found.

use super::{Chunk, Filter, SearchMode};

/// A search in one index.
#[derive(Debug, Clone, PartialEq)]
pub struct SearchChunks {
    /// The index.
    pub index_id: String,
    /// What to look for.
    pub query: ChunkQuery,
    /// Which chunks may be found; all when absent.
    pub filter: Option<Filter>,
    /// The most chunks to answer, 1 or more.
    pub limit: usize,
    /// The lowest score to answer; any when absent.
    pub score_threshold: Option<f32>,
}

/// What to look for.
#[derive(Debug, Clone, PartialEq)]
pub enum ChunkQuery {
    /// Chunks near this vector; scored by the index's metric.
    Vector(Vec<f32>),
    /// Chunks with words of this text, the more of them and the rarer the better; scored above 0 by BM25 or its like. Chunks with
    /// none of the words are not found.
    Keyword(String),
    /// Chunks found by either, scored by the fusion of both lists.
    Hybrid {
        /// As for [`ChunkQuery::Vector`].
        vector: Vec<f32>,
        /// As for [`ChunkQuery::Keyword`].
        text: String,
        /// How the two lists become one.
        fusion: Fusion,
    },
}

/// How a list by vectors and a list by words become one.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Fusion {
    /// Reciprocal rank fusion: the sum of `1 / (impact_factor + rank)` over the lists that hold the chunk, ranks counted from 1.
    Rrf {
        /// How little the first ranks count over later ones, above 0; usually 60.
        impact_factor: f32,
    },
    /// The weighted mean of both scores, each list's scaled to 0 to 1 between its lowest and its highest (to 1 if they are equal);
    /// a chunk that a list does not hold counts 0 there.
    Weighted {
        /// The weight of the list by vectors, from 0 to 1; the other list has the rest.
        alpha: f32,
    },
}

/// A chunk that was found.
#[derive(Debug, Clone, PartialEq)]
pub struct ScoredChunk {
    /// The chunk.
    pub chunk: Chunk,
    /// How well it answers the query; higher is better.
    pub score: f32,
}

impl ChunkQuery {
    /// What it goes by.
    pub const fn mode(&self) -> SearchMode {
        match self {
            Self::Vector(_) => SearchMode::Vector,
            Self::Keyword(_) => SearchMode::Keyword,
            Self::Hybrid { .. } => SearchMode::Hybrid,
        }
    }
}

impl Default for Fusion {
    fn default() -> Self {
        Self::Rrf { impact_factor: 60.0 }
    }
}
