#![doc = include_str!("../README.md")]

mod config;
mod provider;

pub use config::LlamaCppServerConfig;
pub use provider::LlamaCppServer;

puna_api::register_provider!(LlamaCppServer);
