#![doc = include_str!("../README.md")]

mod attributes;
mod best;
mod bits;
mod codes;
mod config;
mod database;
mod error;
mod index;
mod kernel;
mod provider;
mod rotation;
mod store;
mod stored;
mod table;

pub use config::SqliteVecConfig;
pub use provider::SqliteVec;

puna_api::register_provider!(SqliteVec);
