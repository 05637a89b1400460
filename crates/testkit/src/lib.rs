#![doc = include_str!("../README.md")]

mod stub;

pub use stub::{Fault, Framing, Outcome, ReceivedRequest, RefusedPort, StubSettings, StubUpstream};
