#![doc = include_str!("../README.md")]

mod answers;
mod chunks;
mod config;
mod error;
mod filter;
mod indexes;
mod provider;
mod search;
mod server;
mod stored;
mod words;

pub use config::{ChromaConfig, TokenHeader};
pub use provider::Chroma;

puna_api::register_provider!(Chroma);
