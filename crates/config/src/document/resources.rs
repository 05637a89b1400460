//! The shape of `registered_resources`.

use puna_api::ModelType;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::Free;

/// Models and other resources that exist from the start.
#[derive(Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Resources {
    /// Models.
    pub(crate) models: Option<Vec<Model>>,
    /// Shields.
    pub(crate) shields: Option<Vec<Free>>,
    /// Vector stores.
    pub(crate) vector_stores: Option<Vec<RegisteredStore>>,
    /// Vector databases, which later versions call vector stores.
    pub(crate) vector_dbs: Option<Vec<Free>>,
    /// Datasets.
    pub(crate) datasets: Option<Vec<Free>>,
    /// Scoring functions.
    pub(crate) scoring_fns: Option<Vec<Free>>,
    /// Benchmarks.
    pub(crate) benchmarks: Option<Vec<Free>>,
    /// Tool groups.
    pub(crate) tool_groups: Option<Vec<Free>>,
    /// MCP servers.
    pub(crate) connectors: Option<Vec<Free>>,
}

/// A model.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Model {
    /// The id that clients use.
    pub(crate) model_id: String,
    /// The provider that serves it; `all` is the first that has it. May be left out when there is one provider.
    pub(crate) provider_id: Option<String>,
    /// The id that the provider knows it by; `auto` is the first model of the type that the provider lists.
    pub(crate) provider_model_id: Option<String>,
    /// What it is for: `llm`, `embedding` or `rerank`.
    pub(crate) model_type: Option<ModelType>,
    /// More about it, such as `embedding_dimension`.
    pub(crate) metadata: Option<Free>,
    /// Whether the provider must list it.
    pub(crate) model_validation: Option<bool>,
}

/// A vector store.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct RegisteredStore {
    /// The id that clients use.
    pub(crate) vector_store_id: String,
    /// Its name; none by default.
    pub(crate) vector_store_name: Option<String>,
    /// The provider that keeps it; the default one when absent.
    pub(crate) provider_id: Option<String>,
    /// The id that the provider knows it by, which is the same here.
    pub(crate) provider_vector_store_id: Option<String>,
    /// The model that makes its vectors, by the id that clients use.
    pub(crate) embedding_model: Option<String>,
    /// How many numbers its vectors have.
    pub(crate) embedding_dimension: Option<u32>,
}
