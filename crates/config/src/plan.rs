//! What a checked configuration says to build.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use puna_api::{Api, CheckedConfig, ModelType, ProviderSpec, SearchMode, Secret};
use serde_json::{Map, Value};

use crate::{Position, ServerConfig};

/// A configuration in which every name resolves. Building it touches files, sockets and devices for the first time.
#[derive(Debug)]
pub struct Plan {
    /// The distribution's name: `image_name`, or `distro_name`.
    pub name: String,
    /// Where the distribution keeps its state: `~/.puna/distributions/<name>`. `PUNA_HOME` stands in for `~/.puna`. Not created yet.
    pub state_dir: PathBuf,
    /// The APIs to serve.
    pub apis: Vec<Api>,
    /// The providers to build, in the order of the file.
    pub providers: Vec<ProviderPlan>,
    /// The models that the file registers, in its order. Each one's provider is in `providers`.
    pub models: Vec<ModelPlan>,
    /// Where state is kept. Nothing of it is opened yet.
    pub storage: StoragePlan,
    /// How vector stores are made and searched.
    pub vector_stores: VectorStoresPlan,
    /// How to serve.
    pub server: ServerConfig,
    /// Providers whose id or type expanded to nothing, in the order of the file.
    pub disabled: Vec<DisabledProvider>,
    /// What the file asks for and this binary does not have. Empty unless [`Overrides::skip_missing`] allows to leave it out.
    pub missing: Vec<MissingPart>,
}

/// Where state is kept: the backends by name, and what the server itself keeps in them.
#[derive(Debug, Clone, PartialEq)]
pub struct StoragePlan {
    /// The backends for keys and values (`kv_…`). Without a `storage.backends`, `kv_default` in the state folder.
    pub kv: BTreeMap<String, BackendPlan>,
    /// The backends for tables (`sql_…`). Without a `storage.backends`, `sql_default` in the state folder.
    pub sql: BTreeMap<String, BackendPlan>,
    /// Where models that are registered while the server runs are kept.
    pub registry: StorePlan,
    /// Where jobs are kept, and what belongs to them.
    pub jobs: TablesPlan,
    /// The table of vector stores, beside the jobs.
    pub vector_stores: Option<String>,
    /// Which chat completions are kept, and where.
    pub completions: CompletionsPlan,
}

/// A backend.
#[derive(Debug, Clone, PartialEq)]
pub struct BackendPlan {
    /// Where it is.
    pub location: LocationPlan,
    /// The table of a backend for keys and values.
    pub table_name: Option<String>,
    /// What stands before the namespaces of a backend for keys and values.
    pub namespace: Option<String>,
}

/// A database.
#[derive(Debug, Clone, PartialEq)]
pub enum LocationPlan {
    /// A file of SQLite.
    Sqlite(PathBuf),
    /// A database of a PostgreSQL server.
    Postgres(Box<PostgresPlan>),
}

/// A database of a PostgreSQL server. Either the connection string is there, or host, database and user are.
#[derive(Debug, Clone, PartialEq)]
pub struct PostgresPlan {
    /// A name, an address, or the folder of a Unix socket. Default `localhost`.
    pub host: String,
    /// The port. Default 5432.
    pub port: u16,
    /// The database. Default `llamastack`, as in the original.
    pub database: String,
    /// Who connects.
    pub user: String,
    /// Their password.
    pub password: Option<Secret<String>>,
    /// A URL in place of the five.
    pub connection_string: Option<Secret<String>>,
    /// How TLS is used, in the words of libpq; checked to be one of them.
    pub ssl_mode: Option<String>,
    /// Who signs the server's certificate.
    pub ca_cert_path: Option<PathBuf>,
    /// How many connections are held at most. Default 30.
    pub max_connections: u32,
    /// How old a connection may become.
    pub max_lifetime: Option<Duration>,
    /// Whether a connection is tried before it is used. Default true.
    pub test_before_use: bool,
    /// How long a statement may take.
    pub statement_timeout: Option<Duration>,
}

/// A place in a backend.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StorePlan {
    /// The backend, which is there.
    pub backend: String,
    /// What keeps its keys apart from others.
    pub namespace: String,
}

/// Tables in a backend.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct TablesPlan {
    /// The backend, which is there. By default the only one for tables, or `sql_default`.
    pub backend: Option<String>,
    /// The name of the table.
    pub table_name: Option<String>,
}

/// How vector stores are made and searched. What is absent is left to them.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct VectorStoresPlan {
    /// The provider of a store that names none; it is in the plan.
    pub default_provider_id: Option<String>,
    /// The embedding model of a store that names none, as requests name it.
    pub default_embedding_model: Option<String>,
    /// How many numbers that model's vectors have.
    pub default_embedding_dimension: Option<u32>,
    /// The model that reorders what a search finds, where the search names none, as requests name it.
    pub default_reranker_model: Option<String>,
    /// How queries are rewritten; they are not when absent.
    pub rewriting: Option<RewritingPlan>,
    /// The most tokens of a chunk, where `auto` leaves it to the server.
    pub chunk_size_tokens: Option<u32>,
    /// The most tokens that neighbours share, where `auto` leaves it to the server.
    pub chunk_overlap_tokens: Option<u32>,
    /// What a search goes by that does not say it.
    pub search_mode: Option<SearchMode>,
    /// Whether the lists of a hybrid search become one by weights and not by ranks, where the search does not say it.
    pub is_weighted: bool,
    /// The impact factor of fusion by ranks.
    pub rrf_impact_factor: Option<f32>,
    /// The weight of vectors in fusion by weights.
    pub weighted_alpha: Option<f32>,
    /// How many times as many chunks are found as are answered, for a model to rerank.
    pub chunk_multiplier: Option<u32>,
    /// How many files are ingested at the same time.
    pub files_at_once: Option<u32>,
    /// The model that puts chunks in their context, as requests name it.
    pub contextual_model: Option<String>,
    /// How long it may take for a chunk.
    pub contextual_timeout: Option<Duration>,
    /// How many chunks it is asked about at the same time.
    pub contextual_concurrency: Option<u32>,
    /// The stores that the file registers, in its order.
    pub registered: Vec<RegisteredStorePlan>,
}

/// A vector store that the file registers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RegisteredStorePlan {
    /// The id that clients use.
    pub id: String,
    /// Its name.
    pub name: Option<String>,
    /// The provider that keeps it; it is in the plan.
    pub provider_id: Option<String>,
    /// The model that makes its vectors.
    pub embedding_model: Option<String>,
    /// How many numbers its vectors have.
    pub embedding_dimension: Option<u32>,
}

/// How queries are rewritten.
#[derive(Debug, Clone, PartialEq)]
pub struct RewritingPlan {
    /// The model that writes, as requests name it.
    pub model: String,
    /// What it is told; it holds `{query}`.
    pub prompt: Option<String>,
    /// The most tokens that it writes.
    pub max_tokens: Option<u32>,
    /// How freely it writes.
    pub temperature: Option<f64>,
}

/// Which chat completions are kept, and where.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CompletionsPlan {
    /// Which ones.
    pub kept: KeptCompletions,
    /// The tables; the backend is there unless none is kept.
    pub tables: TablesPlan,
    /// How many may wait to be written, 1 at least. Default 10,000.
    pub max_write_queue_size: usize,
    /// How many transactions are written at the same time, 1 at least. Default 4.
    pub num_writers: usize,
}

/// Which chat completions are kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum KeptCompletions {
    /// None: the store is switched off, or there is no backend for it.
    None,
    /// Those whose request says `store: true`, as with OpenAI: the file says nothing of a store.
    Asked,
    /// All but those whose request says `store: false`, as with Llama Stack: the file has a store.
    All,
}

/// A provider to build.
#[derive(Debug)]
pub struct ProviderPlan {
    /// Its `provider_id`, unique in the plan.
    pub id: String,
    /// The APIs that the file lists it under.
    pub apis: Vec<Api>,
    /// The linked provider that answers to its `provider_type`.
    pub spec: ProviderSpec,
    /// Its `config`, accepted by the provider.
    pub config: CheckedConfig,
    /// The same as it stands in the file, variables expanded, each secret replaced by `********`.
    pub shown: Value,
}

/// A model that the file registers.
#[derive(Debug, Clone, PartialEq)]
pub struct ModelPlan {
    /// The id that clients use.
    pub model_id: String,
    /// A provider of the plan; or `all`, an alias without a prefix on the first provider that has the model.
    pub provider_id: String,
    /// The id that the provider knows it by; `auto` is the first one of this type that the provider lists. By default the model id.
    pub provider_model_id: Option<String>,
    /// What it is for.
    pub model_type: ModelType,
    /// What the file says about it, such as `embedding_dimension`.
    pub metadata: Map<String, Value>,
    /// Whether the model must be among those that the provider lists; `None` leaves it to the provider.
    pub model_validation: Option<bool>,
}

/// A provider entry that expanded to nothing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DisabledProvider {
    /// The id that it would have, if that can be told.
    pub id: Option<String>,
    /// The name of the API that it is listed under.
    pub api: String,
    /// Its `provider_type`.
    pub provider_type: String,
    /// The variables that would switch it on.
    pub env: Vec<String>,
    /// Whether this binary has the provider.
    pub linked: bool,
}

/// Something that the file asks for and that this binary does not have.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MissingPart {
    /// Where in the configuration, such as `providers.safety`.
    pub path: String,
    /// Where in the file.
    pub position: Option<Position>,
    /// What is left out.
    pub what: String,
    /// Why.
    pub reason: String,
}

/// What a command line says over the file and the environment.
#[derive(Debug, Clone, Default)]
pub struct Overrides {
    /// The port; 0 takes a free one.
    pub port: Option<u16>,
    /// The address to listen on.
    pub host: Option<String>,
    /// How many threads serve.
    pub workers: Option<usize>,
    /// Whether to start without the parts that this binary does not have. Parts that protect the server are never left out.
    pub skip_missing: bool,
}
