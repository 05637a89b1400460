#![doc = include_str!("../README.md")]

mod chunks;
mod config;
mod error;
mod fields;
mod filter;
mod indexes;
mod provider;
mod search;
mod server;
mod stored;
mod words;

pub use config::QdrantConfig;
pub use provider::Qdrant;

puna_api::register_provider!(Qdrant);
