use std::sync::Arc;

use async_trait::async_trait;
use puna_api::{
    Api, ChunkPage, DeleteChunks, Health, Host, ListChunks, Metric, Provider, RequestContext, Result, ScoredChunk,
    SearchChunks, SearchMode, Services, UpsertChunks, VectorCapabilities, VectorIndex, VectorIo,
};

use crate::config::QdrantConfig;
use crate::server::Server;

pub(crate) const CAPABILITIES: VectorCapabilities = VectorCapabilities {
    modes: SearchMode::ALL,
    metrics: Metric::ALL,
};

/// Keeps and searches vectors on a Qdrant server. See the crate's documentation.
pub struct Qdrant {
    server: Server,
}

impl Provider for Qdrant {
    const TYPE: &'static str = "remote::qdrant";
    const SUMMARY: &'static str = "Keeps and searches vectors on a Qdrant server.";
    const APIS: &'static [Api] = &[Api::VectorIo];
    type Config = QdrantConfig;

    fn sample() -> QdrantConfig {
        QdrantConfig {
            url: Some("http://localhost:6333".to_owned()),
            ..QdrantConfig::default()
        }
    }

    fn validate(config: &QdrantConfig) -> Result<()> {
        config.validate()
    }

    async fn build(config: QdrantConfig, _: Host) -> Result<Services> {
        if config.persistence.is_some() {
            tracing::info!(
                collections = config.collection_prefix,
                "the indexes are collections of the Qdrant server; `persistence` is not needed"
            );
        }
        let provider = Arc::new(Self {
            server: Server::new(&config)?,
        });
        let vector_io: Arc<dyn VectorIo> = Arc::clone(&provider) as _;
        Ok(Services::default().with_vector_io(vector_io).with_health(provider))
    }
}

#[async_trait]
impl VectorIo for Qdrant {
    fn capabilities(&self) -> VectorCapabilities {
        CAPABILITIES
    }

    async fn create_index(&self, _: &RequestContext, index: VectorIndex) -> Result<()> {
        index.check(CAPABILITIES)?;
        self.server.create_index(&index).await
    }

    async fn delete_index(&self, _: &RequestContext, index_id: &str) -> Result<()> {
        self.server.delete_index(index_id).await
    }

    async fn upsert_chunks(&self, _: &RequestContext, request: UpsertChunks) -> Result<()> {
        self.server.upsert(&request).await
    }

    async fn delete_chunks(&self, _: &RequestContext, request: DeleteChunks) -> Result<()> {
        self.server.delete(&request).await
    }

    async fn list_chunks(&self, _: &RequestContext, request: ListChunks) -> Result<ChunkPage> {
        request.check()?;
        self.server.list(&request).await
    }

    async fn search_chunks(&self, _: &RequestContext, request: SearchChunks) -> Result<Vec<ScoredChunk>> {
        self.server.search(&request).await
    }
}

#[async_trait]
impl Health for Qdrant {
    async fn check(&self) -> Result<()> {
        self.server.check().await
    }
}
