#![doc = include_str!("../README.md")]

mod activation;
mod config;
mod cross_encoder;
mod embedder;
mod embeddings;
mod encoder;
mod error;
mod folder;
mod job;
mod load;
mod loaded_models;
mod modules;
mod pooling;
mod provider;
mod rerank;
mod tokens;
mod weights;
mod workers;

pub use config::{
    DEMO_EMBEDDING_MODEL, DEMO_RERANK_MODEL, DType, LocalModel, Registrable, SentenceTransformersConfig, TooLong,
};
pub use provider::SentenceTransformers;

puna_api::register_provider!(SentenceTransformers);
