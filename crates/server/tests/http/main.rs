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
mod inference;
mod llama_stack;
mod logging;
mod metrics;
mod scripted;
mod serving;
mod streams;
