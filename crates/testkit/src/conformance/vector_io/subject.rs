//! A built provider with what a trial needs around it.

use std::sync::Arc;

use puna_api::{
    Chunk, ChunkPage, ChunkQuery, ChunkSelection, DeleteChunks, Filter, Fusion, ListChunks, Metric, Result,
    ScoredChunk, SearchChunks, SearchMode, Services, UpsertChunks, VectorCapabilities, VectorIndex, VectorIo,
};

use super::target::Target;
use crate::conformance::outcome::Failure;
use crate::host::{TestHost, context};

/// A built provider; every trial has its own, over an empty data folder.
pub(super) struct Subject {
    pub(super) services: Services,
    pub(super) host: TestHost,
    pub(super) target: Arc<Target>,
    vector_io: Arc<dyn VectorIo>,
}

/// The index that most trials make.
pub(super) const INDEX: &str = "vs_trial";

impl Subject {
    pub(super) async fn build(target: &Arc<Target>) -> Result<Self, Failure> {
        Self::over(Arc::clone(target), TestHost::new()?).await
    }

    async fn over(target: Arc<Target>, host: TestHost) -> Result<Self, Failure> {
        let services = target.build(host.host()).await?;
        Ok(Self {
            vector_io: services
                .vector_io
                .clone()
                .ok_or("the provider serves no vector indexes")?,
            services,
            host,
            target,
        })
    }

    /// The provider after a restart of its server.
    pub(super) async fn restarted(self) -> Result<Self, Failure> {
        let Self {
            services,
            host,
            target,
            vector_io,
        } = self;
        drop((services, vector_io));
        let host = host.restarted(target.patience / 4, |builder| builder).await?;
        Self::over(target, host).await
    }

    /// The provider's vector indexes.
    pub(super) fn vector_io(&self) -> &Arc<dyn VectorIo> {
        &self.vector_io
    }

    /// What the target states.
    pub(super) fn capabilities(&self) -> VectorCapabilities {
        self.target.capabilities
    }

    /// A metric that the provider has, where any will do.
    pub(super) fn any_metric(&self) -> Result<Metric, Failure> {
        Ok(*self.capabilities().metrics.first().ok_or("the target has no metric")?)
    }

    /// Makes [`INDEX`].
    pub(super) async fn create(&self, dimension: u32, metric: Metric) -> Result<()> {
        self.create_as(INDEX, dimension, metric).await
    }

    /// Makes an index.
    pub(super) async fn create_as(&self, index_id: &str, dimension: u32, metric: Metric) -> Result<()> {
        let index = VectorIndex {
            index_id: index_id.to_owned(),
            dimension,
            metric,
        };
        self.vector_io.create_index(&context(), index).await
    }

    /// Makes [`INDEX`] with these chunks, of the dimension of the first.
    pub(super) async fn filled(&self, metric: Metric, chunks: &[Chunk]) -> Result<(), Failure> {
        let dimension = chunks.first().map_or(4, |chunk| chunk.vector.len());
        self.create(u32::try_from(dimension).map_err(|error| error.to_string())?, metric)
            .await?;
        Ok(self.upsert(chunks.to_vec()).await?)
    }

    /// Removes an index.
    pub(super) async fn delete_index(&self, index_id: &str) -> Result<()> {
        self.vector_io.delete_index(&context(), index_id).await
    }

    /// Puts chunks into [`INDEX`].
    pub(super) async fn upsert(&self, chunks: Vec<Chunk>) -> Result<()> {
        self.upsert_to(INDEX, chunks).await
    }

    /// Puts chunks into an index.
    pub(super) async fn upsert_to(&self, index_id: &str, chunks: Vec<Chunk>) -> Result<()> {
        let index_id = index_id.to_owned();
        let request = UpsertChunks { index_id, chunks };
        self.vector_io.upsert_chunks(&context(), request).await
    }

    /// Removes chunks of an index.
    pub(super) async fn delete(&self, index_id: &str, selection: ChunkSelection) -> Result<()> {
        let index_id = index_id.to_owned();
        let request = DeleteChunks { index_id, selection };
        self.vector_io.delete_chunks(&context(), request).await
    }

    /// Lists chunks of a document in [`INDEX`].
    pub(super) async fn list(&self, document_id: &str, after: Option<u32>, limit: usize) -> Result<ChunkPage> {
        self.list_in(INDEX, document_id, after, limit).await
    }

    /// Lists chunks of a document.
    pub(super) async fn list_in(
        &self,
        index_id: &str,
        document_id: &str,
        after: Option<u32>,
        limit: usize,
    ) -> Result<ChunkPage> {
        let request = ListChunks {
            index_id: index_id.to_owned(),
            document_id: document_id.to_owned(),
            after,
            limit,
        };
        self.vector_io.list_chunks(&context(), request).await
    }

    /// Searches.
    pub(super) async fn search(&self, request: SearchChunks) -> Result<Vec<ScoredChunk>> {
        self.vector_io.search_chunks(&context(), request).await
    }

    /// Searches [`INDEX`] without a filter or a threshold.
    pub(super) async fn find(&self, query: ChunkQuery, limit: usize) -> Result<Vec<ScoredChunk>> {
        self.search(search(query, limit)).await
    }

    /// A query of each mode that the provider has, which finds every chunk that has the word `word`.
    pub(super) fn queries(&self, vector: &[f32], word: &str) -> Vec<ChunkQuery> {
        let query = |mode: &SearchMode| match mode {
            SearchMode::Vector => ChunkQuery::Vector(vector.to_vec()),
            SearchMode::Keyword => ChunkQuery::Keyword(word.to_owned()),
            SearchMode::Hybrid => ChunkQuery::Hybrid {
                vector: vector.to_vec(),
                text: word.to_owned(),
                fusion: Fusion::default(),
            },
        };
        self.capabilities().modes.iter().map(query).collect()
    }
}

/// A search of [`INDEX`] without a filter or a threshold.
pub(super) fn search(query: ChunkQuery, limit: usize) -> SearchChunks {
    SearchChunks {
        index_id: INDEX.to_owned(),
        query,
        filter: None,
        limit,
        score_threshold: None,
    }
}

/// A search of [`INDEX`] with a filter.
pub(super) fn filtered(query: ChunkQuery, filter: Filter, limit: usize) -> SearchChunks {
    SearchChunks {
        filter: Some(filter),
        ..search(query, limit)
    }
}
