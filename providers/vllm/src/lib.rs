#![doc = include_str!("../README.md")]

mod config;
mod provider;

pub use config::VllmConfig;
pub use provider::Vllm;

puna_api::register_provider!(Vllm);
