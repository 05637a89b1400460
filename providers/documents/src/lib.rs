#![doc = include_str!("../README.md")]

mod chunk;
mod config;
mod context;
mod decode;
mod detect;
mod document;
mod error;
mod meters;
mod parse;
mod provider;
mod structure;
mod task;
mod tokens;

pub use config::{ContextualConfig, DocumentsConfig};
pub use provider::Documents;

puna_api::register_provider!(Documents);
