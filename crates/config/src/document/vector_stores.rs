//! The shape of `vector_stores`.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Defaults of vector stores and of file search.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct VectorStores {
    /// The provider of a store that names none.
    pub(crate) default_provider_id: Option<String>,
    /// The embedding model of a store that names none.
    pub(crate) default_embedding_model: Option<DefaultModel>,
    /// The model that reorders what a search finds.
    pub(crate) default_reranker_model: Option<DefaultModel>,
    /// How a query is rewritten before a search.
    pub(crate) rewrite_query_params: Option<RewriteQuery>,
    /// What stands around the results of file search.
    pub(crate) file_search_params: Option<FileSearch>,
    /// How results are shown to the model.
    pub(crate) context_prompt_params: Option<ContextPrompt>,
    /// How the model is asked to cite.
    pub(crate) annotation_prompt_params: Option<AnnotationPrompt>,
    /// How files are cut into chunks.
    pub(crate) file_ingestion_params: Option<FileIngestion>,
    /// How chunks are searched.
    pub(crate) chunk_retrieval_params: Option<ChunkRetrieval>,
    /// How batches of files are worked off.
    pub(crate) file_batch_params: Option<FileBatch>,
    /// How chunks are put in context by a model.
    pub(crate) contextual_retrieval_params: Option<ContextualRetrieval>,
}

/// A model of a provider.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct DefaultModel {
    pub(crate) provider_id: String,
    pub(crate) model_id: String,
    pub(crate) embedding_dimensions: Option<u32>,
}

/// How a query is rewritten before a search.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct RewriteQuery {
    pub(crate) model: Option<DefaultModel>,
    pub(crate) prompt: Option<String>,
    pub(crate) max_tokens: Option<u32>,
    pub(crate) temperature: Option<f64>,
}

/// What stands around the results of file search.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct FileSearch {
    pub(crate) header_template: Option<String>,
    pub(crate) footer_template: Option<String>,
}

/// How results are shown to the model.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct ContextPrompt {
    pub(crate) chunk_annotation_template: Option<String>,
    pub(crate) context_template: Option<String>,
}

/// How the model is asked to cite.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct AnnotationPrompt {
    pub(crate) enable_annotations: Option<bool>,
    pub(crate) annotation_instruction_template: Option<String>,
    pub(crate) chunk_annotation_template: Option<String>,
}

/// How files are cut into chunks.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct FileIngestion {
    pub(crate) default_chunk_size_tokens: Option<u32>,
    pub(crate) default_chunk_overlap_tokens: Option<u32>,
}

/// How chunks are searched.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct ChunkRetrieval {
    pub(crate) chunk_multiplier: Option<u32>,
    pub(crate) max_tokens_in_context: Option<u32>,
    pub(crate) default_reranker_strategy: Option<String>,
    pub(crate) rrf_impact_factor: Option<f64>,
    pub(crate) weighted_search_alpha: Option<f64>,
    pub(crate) default_search_mode: Option<String>,
}

/// How batches of files are worked off.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct FileBatch {
    pub(crate) max_concurrent_files_per_batch: Option<u32>,
    pub(crate) file_batch_chunk_size: Option<u32>,
    pub(crate) cleanup_interval_seconds: Option<u64>,
}

/// How chunks are put in context by a model.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct ContextualRetrieval {
    pub(crate) model: Option<DefaultModel>,
    pub(crate) default_timeout_seconds: Option<u64>,
    pub(crate) default_max_concurrency: Option<u32>,
    pub(crate) max_document_tokens: Option<u64>,
}
