#![doc = include_str!("../README.md")]

mod bpe;
mod checkpoint;
mod encoder;
mod error;
mod evaluation;
mod gguf;
mod network;
mod random;
mod safetensors;
mod shape;
mod split;
mod tokenizer;
pub mod training;
mod weights;
mod write;

pub use checkpoint::files;
pub use encoder::{ENCODER_CONTEXT_LENGTH, write_embedding, write_qwen3_embedding, write_reranker};
pub use error::Error;
pub use evaluation::{Score, evaluate};
pub use gguf::gguf;
pub use shape::{CONTEXT_LENGTH, TRAINED_LENGTH, VOCABULARY_SIZE};
pub use write::{GGUF_FILE, write, write_gguf};

#[cfg(test)]
mod tests;
