//! What the provider must stand, with the demo models and small ones of every kind.
#![expect(
    clippy::unwrap_used,
    clippy::panic,
    reason = "the helpers of the tests fail as loudly as the tests"
)]

mod agreement;
mod loading;
mod local;
mod requests;
mod reranking;
