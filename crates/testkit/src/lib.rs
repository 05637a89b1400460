#![doc = include_str!("../README.md")]

pub mod conformance;
pub mod fixtures;
mod golden;
mod host;
mod live;
mod stub;
pub mod wire;

pub use golden::redact;
pub use host::{TestHost, context};
pub use live::live_setting;
pub use stub::{Fault, Framing, Outcome, ReceivedRequest, RefusedPort, StubSettings, StubUpstream};
