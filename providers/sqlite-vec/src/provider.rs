use std::sync::Arc;

use async_trait::async_trait;
use puna_api::{
    Api, ChunkPage, DeleteChunks, Error, ErrorKind, Health, Host, ListChunks, Metric, Provider, RequestContext, Result,
    ScoredChunk, SearchChunks, SearchMode, Services, UpsertChunks, VectorCapabilities, VectorIndex, VectorIo,
};

use crate::config::SqliteVecConfig;
use crate::store::Store;

const CAPABILITIES: VectorCapabilities = VectorCapabilities {
    modes: SearchMode::ALL,
    metrics: Metric::ALL,
};

/// Keeps and searches vectors in this process. See the crate's documentation.
pub struct SqliteVec {
    store: Arc<Store>,
}

impl Provider for SqliteVec {
    const TYPE: &'static str = "inline::sqlite-vec";
    // The embedded databases that Llama Stack's configurations name; `sqlite_vec` is the older spelling.
    const ALIASES: &'static [&'static str] = &[
        "inline::sqlite_vec",
        "inline::faiss",
        "inline::chromadb",
        "inline::milvus",
        "inline::qdrant",
    ];
    const SUMMARY: &'static str = "Keeps and searches vectors in this process, in SQLite files.";
    const APIS: &'static [Api] = &[Api::VectorIo];
    type Config = SqliteVecConfig;

    fn sample() -> SqliteVecConfig {
        SqliteVecConfig::default()
    }

    fn validate(config: &SqliteVecConfig) -> Result<()> {
        config.validate()
    }

    async fn build(config: SqliteVecConfig, host: Host) -> Result<Services> {
        let folder = config.folder(&host)?;
        if config.persistence.is_some() {
            tracing::info!(folder = %folder.display(), "the indexes are kept in files of their own; `persistence` is not needed");
        }
        let store = Arc::new(aside(move || Store::open(folder)).await?);
        let provider = Arc::new(Self { store });
        let vector_io: Arc<dyn VectorIo> = Arc::clone(&provider) as _;
        Ok(Services::default().with_vector_io(vector_io).with_health(provider))
    }
}

#[async_trait]
impl VectorIo for SqliteVec {
    fn capabilities(&self) -> VectorCapabilities {
        CAPABILITIES
    }

    async fn create_index(&self, _: &RequestContext, index: VectorIndex) -> Result<()> {
        index.check(CAPABILITIES)?;
        self.aside(move |store| store.create(&index)).await
    }

    async fn delete_index(&self, _: &RequestContext, index_id: &str) -> Result<()> {
        let index_id = index_id.to_owned();
        self.aside(move |store| store.delete(&index_id)).await
    }

    async fn upsert_chunks(&self, _: &RequestContext, request: UpsertChunks) -> Result<()> {
        self.aside(move |store| {
            let index = store.index(&request.index_id)?;
            request.check(index.about())?;
            store.check_room()?;
            index.upsert(&request.chunks)
        })
        .await
    }

    async fn delete_chunks(&self, _: &RequestContext, request: DeleteChunks) -> Result<()> {
        self.aside(move |store| match store.index(&request.index_id) {
            Ok(index) => index.delete(&request.selection),
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(()),
            Err(error) => Err(error),
        })
        .await
    }

    async fn list_chunks(&self, _: &RequestContext, request: ListChunks) -> Result<ChunkPage> {
        request.check()?;
        self.aside(move |store| store.index(&request.index_id)?.list(&request))
            .await
    }

    async fn search_chunks(&self, _: &RequestContext, request: SearchChunks) -> Result<Vec<ScoredChunk>> {
        self.aside(move |store| {
            let index = store.index(&request.index_id)?;
            request.check(CAPABILITIES, index.about())?;
            index.search(&request)
        })
        .await
    }
}

#[async_trait]
impl Health for SqliteVec {
    async fn check(&self) -> Result<()> {
        self.aside(Store::check).await
    }
}

impl SqliteVec {
    async fn aside<T: Send + 'static>(&self, act: impl FnOnce(&Store) -> Result<T> + Send + 'static) -> Result<T> {
        let store = Arc::clone(&self.store);
        aside(move || act(&store)).await
    }
}

/// Does what takes its thread away from others on a thread of its own.
async fn aside<T: Send + 'static>(act: impl FnOnce() -> Result<T> + Send + 'static) -> Result<T> {
    tokio::task::spawn_blocking(act)
        .await
        .unwrap_or_else(|error| Err(Error::internal("a request to the vector indexes broke down").with_source(error)))
}
