#![doc = include_str!("../README.md")]

mod config;
mod files;
mod provider;

pub use config::OpenAiConfig;
pub use provider::OpenAi;

puna_api::register_provider!(OpenAi);
