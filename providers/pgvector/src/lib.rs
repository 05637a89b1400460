#![doc = include_str!("../README.md")]

mod chunks;
mod config;
mod error;
mod filter;
mod graph;
mod indexes;
mod lexemes;
mod provider;
mod search;
mod server;
mod stored;

pub use config::{DistanceMetric, PgvectorConfig, VectorIndexConfig};
pub use provider::Pgvector;

puna_api::register_provider!(Pgvector);
