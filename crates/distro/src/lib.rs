#![doc = include_str!("../README.md")]

mod cargo;
mod container;
mod describe;
mod error;
mod generate;
mod graph;
mod manifest;
mod sbom;
mod steps;
mod with_crate;

pub use cargo::forget_crate;
pub use describe::{Description, LinkedProvider};
pub use error::{Error, Result};
pub use generate::GENERATED_BY;
pub use manifest::{CrateSource, Distribution, ProviderCrate};
pub use puna_config::GitReference;
pub use steps::{Artifacts, BuildSettings, OutputFolder, Step, build};
pub use with_crate::WithCrate;
