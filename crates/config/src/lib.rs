//! Distribution YAML to a checked plan.

mod environment;
mod plan;
mod problem;
mod server;
mod source;

pub use environment::Environment;
pub use plan::{DisabledProvider, MissingPart, ModelPlan, Overrides, Plan, ProviderPlan};
pub use problem::{Position, Problem, Problems};
pub use server::{ApiKey, CorsConfig, LimitsConfig, LogConfig, LogFormat, ServerConfig};
pub use source::Source;
