use std::sync::Arc;

use async_trait::async_trait;
use puna_api::{
    Api, ChunkPage, DeleteChunks, Health, Host, ListChunks, Metric, Provider, RequestContext, Result, ScoredChunk,
    SearchChunks, SearchMode, Services, UpsertChunks, VectorCapabilities, VectorIndex, VectorIo,
};

use crate::config::ChromaConfig;
use crate::server::Server;

pub(crate) const CAPABILITIES: VectorCapabilities = VectorCapabilities {
    modes: SearchMode::ALL,
    metrics: Metric::ALL,
};

/// Keeps and searches vectors on a Chroma server. See the crate's documentation.
pub struct Chroma {
    server: Server,
}

impl Provider for Chroma {
    const TYPE: &'static str = "remote::chroma";
    /// Llama Stack's name.
    const ALIASES: &'static [&'static str] = &["remote::chromadb"];
    const SUMMARY: &'static str = "Keeps and searches vectors on a Chroma server.";
    const APIS: &'static [Api] = &[Api::VectorIo];
    type Config = ChromaConfig;

    fn sample() -> ChromaConfig {
        ChromaConfig::default()
    }

    fn validate(config: &ChromaConfig) -> Result<()> {
        config.validate()
    }

    async fn build(config: ChromaConfig, host: Host) -> Result<Services> {
        if config.persistence.is_some() {
            tracing::info!(
                collections = config.collection_prefix,
                "the indexes are collections of the Chroma server; `persistence` is not needed"
            );
        }
        if config.shows_token() {
            tracing::warn!("`api_token` is sent without encryption; use `https`");
        }
        let provider = Arc::new(Self {
            server: Server::new(&config, host.provider_id())?,
        });
        let vector_io: Arc<dyn VectorIo> = Arc::clone(&provider) as _;
        Ok(Services::default().with_vector_io(vector_io).with_health(provider))
    }
}

#[async_trait]
impl VectorIo for Chroma {
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
        self.server.delete_chunks(&request).await
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
impl Health for Chroma {
    async fn check(&self) -> Result<()> {
        self.server.check().await
    }
}
