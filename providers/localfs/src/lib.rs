#![doc = include_str!("../README.md")]

mod config;
mod provider;

pub use config::LocalFsConfig;
pub use provider::LocalFs;

puna_api::register_provider!(LocalFs);
