//! Puna's benchmarks: how much a gateway adds to a request, next to what nginx adds in the same run, how much it
//! takes from the engine in it, and how fast and how well it retrieves.
//!
//! A mock upstream and the load that is sent to it share one thread and one core ([`Rig`]), so that a request which
//! goes directly from the one to the other costs a few system calls and no change of thread. The server under test has
//! another core to itself. [`gateway`] runs the rounds; `docs/benchmarks.md` says what is measured and how to read it.
#![cfg(target_os = "linux")]

mod affinity;
mod answers;
mod client;
pub mod command;
pub mod engine;
mod error;
mod event_stream;
pub mod gateway;
mod http1;
mod load;
mod load_command;
mod load_connection;
mod machine;
mod mock;
mod nginx;
mod pass_through;
mod ports;
mod process;
mod prometheus;
pub mod rag;
mod random_model;
mod report;
mod request;
mod rig;
mod server;
mod statistics;
mod timers;

pub use answers::StreamShape;
pub use error::{Error, Result};
pub use load::{Outcome, Workload};
pub use rig::{Rig, RigSettings};
pub use statistics::Samples;
