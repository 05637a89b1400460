#![doc = include_str!("../README.md")]

mod app;
mod auth;
mod body;
mod call;
mod content;
mod cors;
mod endpoint;
mod error;
mod form;
mod head;
mod listen;
mod metrics;
mod openapi;
mod pages;
mod query;
mod request_id;
mod request_log;
mod routes;
mod serve;
mod settings;
mod sse;
mod surface;

pub use app::app;
pub use cors::{CorsRules, CorsSettings};
pub use listen::Listeners;
pub use metrics::Metrics;
pub use openapi::openapi;
pub use serve::serve;
pub use settings::{ApiKey, Limits, ServerSettings};
