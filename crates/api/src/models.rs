//! Models: what the registry holds, and what a provider can list.

use async_trait::async_trait;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::{RequestContext, Result};

/// What a model is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum ModelType {
    /// Generates text.
    #[default]
    Llm,
    /// Turns text into vectors.
    Embedding,
    /// Orders documents by relevance to a query.
    Rerank,
}

impl ModelType {
    /// The name in a configuration and on the wire.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Llm => "llm",
            Self::Embedding => "embedding",
            Self::Rerank => "rerank",
        }
    }
}

/// A model in the registry.
#[derive(Debug, Clone, PartialEq)]
pub struct Model {
    /// The id that clients use, such as `vllm/meta-llama/Llama-3.2-3B-Instruct` or a registered alias.
    pub id: String,
    /// The provider that serves it.
    pub provider_id: String,
    /// The id that the provider knows it by.
    pub provider_model_id: String,
    /// What it is for.
    pub model_type: ModelType,
    /// Anything else that is known of it, such as `embedding_dimension`.
    pub metadata: Map<String, Value>,
}

/// A model that a provider can serve.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct ProviderModel {
    /// The id that the provider knows it by.
    pub provider_model_id: String,
    /// What it is for.
    pub model_type: ModelType,
    /// Anything else that is known of it, such as `embedding_dimension`.
    pub metadata: Map<String, Value>,
}

/// What a provider can list.
///
/// # Behavior
/// - Lists every model that a request may name, each once, but for those that [`find_model`](Models::find_model) finds.
/// - Fails as unavailable when the upstream cannot be reached; an empty list means that it has none.
#[async_trait]
pub trait Models: Send + Sync {
    /// The models that this provider serves, with the credentials of the context where it has any.
    async fn list_models(&self, context: &RequestContext) -> Result<Vec<ProviderModel>>;

    /// Whether the list may change while the server runs, so that it is asked for again from time to time.
    fn changes(&self) -> bool;

    /// A model that is not listed, and that somebody wants to register by the id that this provider knows it by: what it is, so that
    /// requests may name it from now on, or nothing where there is no such model. An error says why it cannot be had. Until it is
    /// [released](Self::release_model), and also after a new start of the server, requests may come without another word.
    async fn find_model(&self, provider_model_id: &str) -> Result<Option<ProviderModel>> {
        let _ = provider_model_id;
        Ok(None)
    }

    /// Takes note that no registered model leads to this one any more, so that what it holds can go once nobody uses it.
    fn release_model(&self, provider_model_id: &str) {
        let _ = provider_model_id;
    }
}

/// How a provider is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum HealthStatus {
    /// It can serve.
    #[serde(rename = "OK")]
    Ok,
    /// It cannot serve.
    #[serde(rename = "Error")]
    Error,
    /// It has no way to tell.
    #[serde(rename = "Not Implemented")]
    NotImplemented,
}

/// Whether a provider can serve right now.
///
/// # Behavior
/// - Succeeds when a request would reach a service that works; the error says why not.
/// - Answers within a few seconds.
#[async_trait]
pub trait Health: Send + Sync {
    /// Checks, cheaply: no model is run.
    async fn check(&self) -> Result<()>;
}
