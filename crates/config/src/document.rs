//! The shape of a configuration file: every key that a Llama Stack run configuration has, and Puna's own.
//!
//! Known does not mean served. [`missing`](crate::missing) names what a file asks for and this binary does not have.

mod resources;
mod server;
mod storage;
mod vector_stores;

use std::collections::BTreeMap;

pub(crate) use resources::{Model, RegisteredStore, Resources};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
pub(crate) use server::{Auth, AuthProvider, Cors, CorsRules, Format, Key, Limits, Log, NamedKey, Server};
pub(crate) use storage::{Backend, Storage, Store, Tables};
pub(crate) use vector_stores::{
    ChunkRetrieval, ContextualRetrieval, DefaultModel, FileBatch, FileIngestion, RewriteQuery, VectorStores,
};

/// A free mapping, whose keys are not checked.
pub(crate) type Free = Map<String, Value>;

/// The configuration of a distribution.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(title = "Puna configuration")]
pub(crate) struct Document {
    /// The version of this shape: 2.
    pub(crate) version: u64,
    /// The distribution's name.
    pub(crate) image_name: Option<String>,
    /// The distribution's name, in the spelling of later versions.
    pub(crate) distro_name: Option<String>,
    /// The container image that a build tool made. Nothing reads it at run time, here or in the original.
    pub(crate) container_image: Option<String>,
    /// The APIs to serve. By default those that have providers.
    pub(crate) apis: Option<Vec<String>>,
    /// The providers of each API.
    #[serde(default)]
    pub(crate) providers: Option<BTreeMap<String, Vec<ProviderEntry>>>,
    /// Where state is kept.
    pub(crate) storage: Option<Storage>,
    /// Models and other resources that exist from the start.
    pub(crate) registered_resources: Option<Resources>,
    /// How to serve.
    #[serde(default)]
    pub(crate) server: Server,
    /// Defaults of vector stores and of file search.
    pub(crate) vector_stores: Option<VectorStores>,
    /// Defaults of moderation.
    pub(crate) safety: Option<Safety>,
    /// What is logged.
    pub(crate) logging_config: Option<Logging>,
    /// What is logged, in an older spelling.
    pub(crate) logging: Option<Logging>,
    /// Whether traces are collected.
    pub(crate) telemetry: Option<Telemetry>,
    /// MCP servers by id.
    pub(crate) connectors: Option<Vec<Connector>>,
    /// A folder with descriptions of Python providers.
    pub(crate) external_providers_dir: Option<String>,
    /// A folder with descriptions of Python APIs.
    pub(crate) external_apis_dir: Option<String>,

    /// Models, where versions before `registered_resources` have them.
    pub(crate) models: Option<Vec<Model>>,
    /// Shields, where versions before `registered_resources` have them.
    pub(crate) shields: Option<Vec<Free>>,
    /// Vector databases, which later versions call vector stores.
    pub(crate) vector_dbs: Option<Vec<Free>>,
    /// Datasets, where versions before `registered_resources` have them.
    pub(crate) datasets: Option<Vec<Free>>,
    /// Scoring functions, where versions before `registered_resources` have them.
    pub(crate) scoring_fns: Option<Vec<Free>>,
    /// Benchmarks, where versions before `registered_resources` have them.
    pub(crate) benchmarks: Option<Vec<Free>>,
    /// Tool groups, where versions before `registered_resources` have them.
    pub(crate) tool_groups: Option<Vec<Free>>,
    /// The registry's store, where versions before `storage` have it.
    pub(crate) metadata_store: Option<Free>,
    /// The store of chat completions, where versions before `storage` have it.
    pub(crate) inference_store: Option<Free>,
    /// The store of conversations, where versions before `storage` have it.
    pub(crate) conversations_store: Option<Free>,
}

/// A provider of an API.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct ProviderEntry {
    /// The name that the rest of the configuration, and model ids, use for it.
    pub(crate) provider_id: String,
    /// What it is, such as `remote::example`.
    pub(crate) provider_type: String,
    /// Its settings.
    #[serde(default)]
    pub(crate) config: Value,
    /// A Python package that holds it.
    pub(crate) module: Option<String>,
}

/// Defaults of moderation.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Safety {
    /// The shield of a moderation request that names none.
    pub(crate) default_shield_id: Option<String>,
}

/// What is logged, by category of the original's code.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Logging {
    /// The level of each category.
    #[serde(default)]
    pub(crate) category_levels: BTreeMap<String, String>,
}

/// Whether traces are collected.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Telemetry {
    /// Whether traces are collected.
    #[serde(default)]
    pub(crate) enabled: bool,
}

/// An MCP server.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Connector {
    /// The protocol: `mcp`.
    pub(crate) connector_type: Option<String>,
    /// The id that requests use.
    pub(crate) connector_id: String,
    /// Where it is.
    pub(crate) url: Option<String>,
    /// The name that models see.
    pub(crate) server_label: Option<String>,
}

/// The JSON Schema (draft 2020-12) of a configuration file, for editors and for documentation. `provider.config` is whatever the provider's
/// own schema says.
pub fn schema() -> Value {
    schemars::schema_for!(Document).to_value()
}
