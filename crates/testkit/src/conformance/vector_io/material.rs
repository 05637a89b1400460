//! Chunks to fill indexes with, and what searches should make of them.

use puna_api::{Attributes, Chunk, Metric};
use serde_json::Map;

/// A chunk of a document of its own.
pub(super) fn chunk(chunk_id: &str, vector: &[f32], text: &str) -> Chunk {
    Chunk {
        chunk_id: chunk_id.to_owned(),
        document_id: format!("of {chunk_id}"),
        position: 0,
        text: text.to_owned(),
        vector: vector.to_vec(),
        attributes: Attributes::new(),
        metadata: Map::new(),
    }
}

/// Chunks `c0000`, `c0001`, … in groups of vectors that are near each other, the same ones in every run.
pub(super) fn clustered(count: usize, dimension: usize, seed: u64) -> Vec<Chunk> {
    let mut random = fastrand::Rng::with_seed(seed);
    let centers: Vec<Vec<f32>> = (0..count.div_ceil(50))
        .map(|_| vector(&mut random, dimension))
        .collect();
    let chunks = (0..count).map(|number| {
        let center = &centers[number % centers.len()];
        let near = vector(&mut random, dimension);
        let vector: Vec<f32> = center
            .iter()
            .zip(near)
            .map(|(center, near)| center + 0.4 * near)
            .collect();
        chunk(
            &format!("c{number:04}"),
            &vector,
            &format!("every chunk has words, this has w{number}"),
        )
    });
    chunks.collect()
}

/// A random vector.
pub(super) fn vector(random: &mut fastrand::Rng, dimension: usize) -> Vec<f32> {
    (0..dimension).map(|_| random.f32() * 2.0 - 1.0).collect()
}

/// The score by its definition.
pub(super) fn score(metric: Metric, one: &[f32], other: &[f32]) -> f32 {
    let pairs = || one.iter().zip(other).map(|(a, b)| (f64::from(*a), f64::from(*b)));
    let norm = |vector: &[f32]| vector.iter().map(|a| f64::from(*a).powi(2)).sum::<f64>().sqrt();
    let dot: f64 = pairs().map(|(a, b)| a * b).sum();
    let score = match metric {
        Metric::Dot => dot,
        Metric::Cosine if norm(one) == 0.0 || norm(other) == 0.0 => 0.0,
        Metric::Cosine => dot / (norm(one) * norm(other)),
        Metric::L2 => 1.0 / (1.0 + pairs().map(|(a, b)| (a - b).powi(2)).sum::<f64>().sqrt()),
    };
    score as f32
}

/// The ids and scores of all chunks, best first.
pub(super) fn ranked(metric: Metric, query: &[f32], chunks: &[Chunk]) -> Vec<(String, f32)> {
    let mut ranked: Vec<(String, f32)> = chunks
        .iter()
        .map(|chunk| (chunk.chunk_id.clone(), score(metric, query, &chunk.vector)))
        .collect();
    ranked.sort_by(|(id, score), (other_id, other)| other.total_cmp(score).then_with(|| id.cmp(other_id)));
    ranked
}
