//! What is sent to a Qdrant server, to the byte, and what is made of its answers. Goldens were read against Qdrant's documentation.
#![expect(
    clippy::unwrap_used,
    clippy::panic,
    reason = "what fails in a helper of a test fails the test"
)]

mod chunks;
mod faults;
mod indexes;
mod material;
mod searches;
mod server;
mod shown;
