#![doc = include_str!("../README.md")]

pub mod conformance;
#[cfg(feature = "databases")]
pub mod databases;
mod filters;
pub mod fixtures;
mod golden;
mod host;
mod live;
mod measurements;
#[cfg(feature = "s3")]
mod s3;
mod stub;
pub mod wire;
pub mod workers;

pub use filters::{random_attributes, random_filter};
pub use golden::redact;
pub use host::{TestHost, context};
pub use live::live_setting;
pub use measurements::Measurements;
#[cfg(feature = "s3")]
pub use s3::S3Server;
pub use stub::{
    Fault, Framing, Outcome, ReceivedRequest, RefusedPort, StubFile, StubFiles, StubSettings, StubUpstream,
};
