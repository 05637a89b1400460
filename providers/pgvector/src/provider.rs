use std::sync::Arc;

use async_trait::async_trait;
use puna_api::{
    Api, ChunkPage, DeleteChunks, Health, Host, ListChunks, Metric, Provider, RequestContext, Result, ScoredChunk,
    SearchChunks, SearchMode, Services, UpsertChunks, VectorCapabilities, VectorIndex, VectorIo,
};
use tokio::sync::OnceCell;

use crate::config::PgvectorConfig;
use crate::server::Server;

pub(crate) const CAPABILITIES: VectorCapabilities = VectorCapabilities {
    modes: SearchMode::ALL,
    metrics: Metric::ALL,
};

/// Keeps and searches vectors in PostgreSQL. See the crate's documentation.
pub struct Pgvector {
    config: PgvectorConfig,
    /// Connected to when it is needed first, and again later where that failed.
    server: OnceCell<Server>,
}

impl Provider for Pgvector {
    const TYPE: &'static str = "remote::pgvector";
    const SUMMARY: &'static str = "Keeps and searches vectors in PostgreSQL with pgvector.";
    const APIS: &'static [Api] = &[Api::VectorIo];
    type Config = PgvectorConfig;

    fn sample() -> PgvectorConfig {
        PgvectorConfig {
            host: Some("localhost".to_owned()),
            port: Some(5432),
            db: Some("vectors".to_owned()),
            user: Some("puna".to_owned()),
            ..PgvectorConfig::default()
        }
    }

    fn validate(config: &PgvectorConfig) -> Result<()> {
        config.validate()
    }

    async fn build(config: PgvectorConfig, _: Host) -> Result<Services> {
        if config.persistence.is_some() {
            tracing::info!(
                table = config.table_name,
                "the indexes are listed in a table of their own; `persistence` is not needed"
            );
        }
        let provider = Arc::new(Self {
            config,
            server: OnceCell::new(),
        });
        let vector_io: Arc<dyn VectorIo> = Arc::clone(&provider) as _;
        Ok(Services::default().with_vector_io(vector_io).with_health(provider))
    }
}

#[async_trait]
impl VectorIo for Pgvector {
    fn capabilities(&self) -> VectorCapabilities {
        CAPABILITIES
    }

    async fn create_index(&self, _: &RequestContext, index: VectorIndex) -> Result<()> {
        index.check(CAPABILITIES)?;
        self.server().await?.create_index(&index).await
    }

    async fn delete_index(&self, _: &RequestContext, index_id: &str) -> Result<()> {
        self.server().await?.delete_index(index_id).await
    }

    async fn upsert_chunks(&self, _: &RequestContext, request: UpsertChunks) -> Result<()> {
        self.server().await?.upsert(&request).await
    }

    async fn delete_chunks(&self, _: &RequestContext, request: DeleteChunks) -> Result<()> {
        self.server().await?.delete(&request).await
    }

    async fn list_chunks(&self, _: &RequestContext, request: ListChunks) -> Result<ChunkPage> {
        request.check()?;
        self.server().await?.list(&request).await
    }

    async fn search_chunks(&self, _: &RequestContext, request: SearchChunks) -> Result<Vec<ScoredChunk>> {
        self.server().await?.search(&request).await
    }
}

#[async_trait]
impl Health for Pgvector {
    async fn check(&self) -> Result<()> {
        self.server().await?.check().await
    }
}

impl Pgvector {
    async fn server(&self) -> Result<&Server> {
        self.server.get_or_try_init(|| Server::open(&self.config)).await
    }
}
