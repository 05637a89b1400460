//! What is sent to a Chroma server, to the byte, and what is made of its answers. Goldens were read against the server's own `openapi.json`.
#![expect(clippy::unwrap_used, reason = "what fails in a helper of a test fails the test")]

mod chunks;
mod faults;
mod indexes;
mod material;
mod searches;
