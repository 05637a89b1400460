//! What the configuration says about vector stores.

use std::time::Duration;

use puna_api::{Fusion, SearchMode, StaticChunking};
use puna_storage::SqlReference;

/// What the configuration says about vector stores.
#[derive(Debug, Clone, PartialEq)]
pub struct VectorStoreSettings {
    /// Where stores, files and batches are noted; `vector_stores` of the default backend when nothing is said.
    pub table: SqlReference,
    /// The provider of a store that names none; the only one when absent.
    pub default_provider_id: Option<String>,
    /// The model of a store that names none; the only one when absent.
    pub default_embedding_model: Option<DefaultEmbeddingModel>,
    /// The model that reranks where the request names none.
    pub default_rerank_model: Option<String>,
    /// How queries are rewritten; `None` where they cannot be.
    pub rewriting: Option<Rewriting>,
    /// What `auto` chunking means.
    pub chunking: StaticChunking,
    /// What contextual chunking uses that says less.
    pub contextual: ContextualDefaults,
    /// How chunks are found where the request does not say.
    pub retrieval: RetrievalDefaults,
    /// How many files a server ingests at the same time.
    pub files_at_once: usize,
}

/// The model of a store that names none.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DefaultEmbeddingModel {
    /// Its id, as requests name it.
    pub model: String,
    /// How many numbers its vectors have, if the configuration says so.
    pub dimension: Option<u32>,
}

/// How queries are rewritten.
#[derive(Debug, Clone, PartialEq)]
pub struct Rewriting {
    /// The model that writes, as requests name it.
    pub model: String,
    /// What it is told, with `{query}` where the query goes.
    pub prompt: String,
    /// The most tokens that it writes.
    pub max_tokens: u32,
    /// How freely it writes.
    pub temperature: f64,
}

/// What contextual chunking uses that says less.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ContextualDefaults {
    /// The model that writes, as requests name it.
    pub model: Option<String>,
    /// How long it may take for one chunk.
    pub timeout: Option<Duration>,
    /// How many chunks it is asked about at the same time.
    pub max_concurrency: Option<u32>,
}

/// How chunks are found where the request does not say.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct RetrievalDefaults {
    /// What a search goes by.
    pub mode: SearchMode,
    /// How the lists of a hybrid search become one.
    pub fusion: Fusion,
    /// The weight of vectors where a request asks for `weighted` without one.
    pub alpha: f32,
    /// The impact factor where a request asks for `rrf` without one.
    pub impact_factor: f32,
    /// How many times as many chunks are found as are answered, for a model to rerank.
    pub multiplier: u32,
}

impl Rewriting {
    /// What stands for the query in a prompt.
    pub const QUERY: &'static str = "{query}";
}

impl Default for VectorStoreSettings {
    fn default() -> Self {
        Self {
            table: SqlReference {
                backend: None,
                table_name: None,
            },
            default_provider_id: None,
            default_embedding_model: None,
            default_rerank_model: None,
            rewriting: None,
            chunking: StaticChunking::default(),
            contextual: ContextualDefaults::default(),
            retrieval: RetrievalDefaults::default(),
            files_at_once: 3,
        }
    }
}

impl Default for RetrievalDefaults {
    fn default() -> Self {
        Self {
            mode: SearchMode::Vector,
            fusion: Fusion::default(),
            alpha: 0.5,
            impact_factor: 60.0,
            multiplier: 5,
        }
    }
}
