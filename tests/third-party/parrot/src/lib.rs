#![doc = include_str!("../README.md")]

mod answer;
mod config;
mod provider;
mod request;

pub use config::ParrotConfig;
pub use provider::Parrot;

puna_api::register_provider!(Parrot);
