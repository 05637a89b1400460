//! Small models for embeddings and reranking. Nothing in them was learned: their weights are written so that they go by the words
//! that texts share, which is what tests of search need.
//!
//! Each word, or piece of one, has a direction of its own. Words that say little, marks and punctuation point into a few dimensions
//! that the last layer leaves out, and the further pieces of a word point there half. The layers between add a little of what they
//! see, so that they cannot be skipped.

use std::path::Path;

use crate::error::Error;
use crate::random::Random;
use crate::weights::Tensor;
use crate::write::{write_files, write_large};

mod bert;
mod cross_encoder;
mod embedding_gemma;
mod qwen3;
#[cfg(test)]
mod tests;
mod vocabulary;

/// A file's path below the model's folder, and its bytes.
type File = (&'static str, Vec<u8>);

const WEIGHTS: &str = "model.safetensors";

/// Tokens that a text may have, or a query and a document together, in all models of this kind.
pub const ENCODER_CONTEXT_LENGTH: usize = 2048;

/// Writes an embedding model of the kind BERT into a folder, in the layout of sentence-transformers: mean pooling, then
/// normalisation. Its vectors have 384 numbers. Promises what [`write`](crate::write()) promises.
///
/// # Errors
/// When the folder cannot be made or a file in it cannot be read, written or renamed.
pub fn write_embedding(directory: &Path) -> Result<(), Error> {
    write_files(directory, &bert::files())?;
    // They are of many megabytes, which are not made only to see that they are there: servers start fast.
    write_large(&directory.join(WEIGHTS), bert::CHECKSUM, bert::weights)
}

/// Writes a rerank model into a folder: a cross-encoder of the kind BERT with one label. It scores how many of the words of a query
/// a document holds and, with less weight, the other way round. Promises what [`write`](crate::write()) promises.
///
/// # Errors
/// When the folder cannot be made or a file in it cannot be read, written or renamed.
pub fn write_reranker(directory: &Path) -> Result<(), Error> {
    write_files(directory, &cross_encoder::files())
}

/// Writes an embedding model of the kind Qwen3-Embedding into a folder, in the layout of sentence-transformers: the vector of the
/// last token, then normalisation. Its vectors have 96 numbers. Promises what [`write`](crate::write()) promises.
///
/// # Errors
/// When the folder cannot be made or a file in it cannot be read, written or renamed.
pub fn write_qwen3_embedding(directory: &Path) -> Result<(), Error> {
    write_files(directory, &qwen3::files())
}

/// Writes an embedding model of the kind EmbeddingGemma into a folder, in the layout of sentence-transformers: mean pooling, two
/// matrices, then normalisation. Its weights are random, its vectors have 64 numbers, and a text may have 256 tokens. Promises what
/// [`write`](crate::write()) promises.
///
/// # Errors
/// When the folder cannot be made or a file in it cannot be read, written or renamed.
pub fn write_embedding_gemma(directory: &Path) -> Result<(), Error> {
    write_files(directory, &embedding_gemma::files())
}

/// The width of the rerank model and of the one of the kind Qwen3-Embedding.
const WIDTH: usize = 96;

/// A matrix in rows, one row per output, filled by a function of row and column.
fn matrix(name: &str, rows: usize, columns: usize, mut value: impl FnMut(usize, usize) -> f32) -> Tensor {
    let mut values = Vec::with_capacity(rows * columns);
    for row in 0..rows {
        values.extend((0..columns).map(|column| value(row, column)));
    }
    Tensor {
        name: name.to_owned(),
        shape: vec![rows, columns],
        values,
    }
}

/// A vector, filled by a function of the place.
fn vector(name: &str, length: usize, value: impl FnMut(usize) -> f32) -> Tensor {
    Tensor {
        name: name.to_owned(),
        shape: vec![length],
        values: (0..length).map(value).collect(),
    }
}

/// A random direction whose numbers have the mean 0 and the mean square 1.
fn direction(random: &mut Random, width: usize) -> Vec<f32> {
    let mut values: Vec<f32> = (0..width).map(|_| random.normal()).collect();
    let mean = values.iter().sum::<f32>() / width as f32;
    values.iter_mut().for_each(|value| *value -= mean);
    let square = values.iter().map(|value| value * value).sum::<f32>() / width as f32;
    let scale = square.sqrt();
    values.iter_mut().for_each(|value| *value /= scale);
    values
}

fn json(value: &serde_json::Value) -> Vec<u8> {
    format!("{value:#}\n").into_bytes()
}
