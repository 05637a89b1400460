//! What the engine must stand, with the demo model.
#![expect(
    clippy::unwrap_used,
    clippy::panic,
    reason = "the helpers of the tests fail as loudly as the tests"
)]

mod embeddings;
mod forms;
mod images;
mod joined;
mod local;
mod metrics;
mod models;
mod refusals;
mod requests;
mod streams;
mod thinking;
mod tokens;
mod tools;
