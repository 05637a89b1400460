#![doc = include_str!("../README.md")]

mod config;
mod provider;

pub use config::S3Config;
pub use provider::S3;

puna_api::register_provider!(S3);
