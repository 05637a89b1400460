#![doc = include_str!("../README.md")]

mod bpe;
mod checkpoint;
mod encoder;
mod error;
mod evaluation;
mod gemma;
mod gguf;
mod network;
mod noise;
mod qwen3_vl;
mod random;
mod safetensors;
mod shape;
mod split;
mod tokenizer;
pub mod training;
mod vision;
mod weights;
mod write;

pub use checkpoint::files;
pub use encoder::{
    ENCODER_CONTEXT_LENGTH, write_embedding, write_embedding_gemma, write_qwen3_embedding, write_reranker,
};
pub use error::Error;
pub use evaluation::{Score, evaluate};
pub use gguf::gguf;
pub use qwen3_vl::write_qwen3_vl;
pub use shape::{CONTEXT_LENGTH, TRAINED_LENGTH, VOCABULARY_SIZE};
pub use vision::{IMAGE_TOKENS, VISION_CONTEXT_LENGTH, write_gemma3};
pub use write::{GGUF_FILE, write, write_gguf};

#[cfg(test)]
mod tests;
