#![doc = include_str!("../README.md")]

mod config;
mod provider;

pub use config::PassthroughConfig;
pub use provider::Passthrough;

puna_api::register_provider!(Passthrough);
