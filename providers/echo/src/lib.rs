#![doc = include_str!("../README.md")]

mod chat;
mod check;
mod completion;
mod config;
mod embeddings;
mod generation;
mod pace;
mod provider;
mod reply;
mod rerank;
mod schema;
mod tools;
mod words;

pub use config::{EchoConfig, EchoModel};
pub use provider::Echo;

puna_api::register_provider!(Echo);
