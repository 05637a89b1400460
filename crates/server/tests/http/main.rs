//! The whole server over a scripted provider: without a socket where that is enough, with one where the connection matters.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    reason = "what tests share may fail as loudly as they do"
)]

mod admission;
mod bad_input;
mod client;
mod file_processors;
mod files;
#[path = "../../../vector-stores/tests/conformance/index.rs"]
#[expect(dead_code, reason = "the engine's own tests look into it")]
mod index;
mod inference;
mod llama_stack;
mod logging;
mod memory_banks;
mod metrics;
#[path = "../../../vector-stores/tests/conformance/model.rs"]
mod model;
#[path = "../../../vector-stores/tests/conformance/reader.rs"]
mod reader;
mod retrieval;
mod scripted;
mod serving;
mod stored_completions;
mod streams;
mod vector_io;
mod vector_stores;
