#![doc = include_str!("../README.md")]

mod config;
mod provider;

pub use config::OllamaConfig;
pub use provider::Ollama;

puna_api::register_provider!(Ollama);
