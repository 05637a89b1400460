#![doc = include_str!("../README.md")]

mod check;
mod conditional;
mod document;
mod environment;
mod expand;
mod layers;
mod load;
mod manifest;
mod missing;
mod models;
mod nearest;
mod path;
mod plan;
mod problem;
mod providers;
mod redact;
mod report;
mod schema;
mod server;
mod serving;
mod source;
mod storage;
mod value;
mod vector_stores;
mod yaml;

pub use document::schema;
pub use environment::Environment;
pub use load::load;
pub use manifest::{BuildManifest, CrateSource, GitReference, ManifestCrate};
pub use plan::{
    BackendPlan, CompletionsPlan, DisabledProvider, KeptCompletions, LocationPlan, MissingPart, ModelPlan, Overrides,
    Plan, PostgresPlan, ProviderPlan, RegisteredStorePlan, RewritingPlan, StoragePlan, StorePlan, TablesPlan,
    VectorStoresPlan,
};
pub use problem::{Position, Problem, Problems};
pub use server::{ApiKey, CorsConfig, LimitsConfig, LogConfig, LogFormat, ServerConfig};
pub use source::Source;
