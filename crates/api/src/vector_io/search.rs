//! What to find, and what was found.

use std::collections::HashMap;

use super::chunk::{check_limit, check_vector};
use super::{Chunk, Filter, Fusion, SearchMode, VectorCapabilities, VectorIndex};
use crate::{Error, Result};

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

/// A chunk that was found.
#[derive(Debug, Clone, PartialEq)]
pub struct ScoredChunk {
    /// The chunk.
    pub chunk: Chunk,
    /// How well it answers the query; higher is better.
    pub score: f32,
}

impl SearchChunks {
    /// Checks whether a provider of these capabilities can be asked this about the index.
    pub fn check(&self, capabilities: VectorCapabilities, index: &VectorIndex) -> Result<()> {
        let mode = self.query.mode();
        if !capabilities.modes.contains(&mode) {
            let able: Vec<&str> = capabilities.modes.iter().map(|mode| mode.name()).collect();
            let message = format!(
                "search mode `{}` is not supported here; there is {}",
                mode.name(),
                able.join(", ")
            );
            return Err(Error::unsupported(message).with_param("search_mode"));
        }
        match &self.query {
            ChunkQuery::Vector(vector) => check_vector(vector, index, "query.vector")?,
            ChunkQuery::Keyword(_) => {}
            ChunkQuery::Hybrid { vector, fusion, .. } => {
                check_vector(vector, index, "query.vector")?;
                fusion.check("query.fusion")?;
            }
        }
        if let Some(filter) = &self.filter {
            filter.check("filter")?;
        }
        if self.score_threshold.is_some_and(f32::is_nan) {
            let message = "a score threshold must be a number";
            return Err(Error::invalid_request(message).with_param("score_threshold"));
        }
        check_limit(self.limit)
    }

    /// What is answered of ids with their scores, best first: as many as are wanted, and none below the threshold.
    pub fn cut<Id>(&self, mut ranked: Vec<(Id, f32)>) -> Vec<(Id, f32)> {
        ranked.truncate(self.limit);
        if let Some(threshold) = self.score_threshold {
            ranked.retain(|(_, score)| *score >= threshold);
        }
        ranked
    }
}

impl ScoredChunk {
    /// Gives chunks, in any order, the order and the scores of their ids. An id whose chunk is gone meanwhile is left out.
    pub fn in_order(ranked: impl IntoIterator<Item = (String, f32)>, chunks: Vec<Chunk>) -> Vec<Self> {
        let mut chunks: HashMap<String, Chunk> = chunks
            .into_iter()
            .map(|chunk| (chunk.chunk_id.clone(), chunk))
            .collect();
        let found = ranked.into_iter().filter_map(|(id, score)| {
            let chunk = chunks.remove(&id)?;
            Some(Self { chunk, score })
        });
        found.collect()
    }
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
