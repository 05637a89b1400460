#![doc = include_str!("../README.md")]

mod answer;
mod chat;
mod checkpoint;
mod completion;
mod config;
mod embeddings;
mod engine;
mod engine_loader;
mod error;
mod forms;
mod generation;
mod images;
mod logprobs;
#[cfg(all(test, target_os = "linux"))]
mod memory;
mod messages;
mod meters;
mod pool;
mod provider;
mod reasoning;
mod request;
mod sampling;
mod stop;
mod template;
mod tool_calls;
mod utf8;

pub use config::{DEMO_MODEL, DType, Device, KvCache, Load, LocalModel, MistralrsConfig, PagedAttention, Registrable};
pub use provider::Mistralrs;

puna_api::register_provider!(Mistralrs);
