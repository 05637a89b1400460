//! The model computed here, slowly and plainly: the reference that its accuracy is measured with.

use crate::bpe::Token;
use crate::shape::{
    CONTEXT_LENGTH, FEED_FORWARD_WIDTH, HEAD_WIDTH, HEADS, KEY_VALUE_HEADS, LAYERS, NORM_EPSILON, ROPE_THETA, WIDTH,
};
use crate::weights::tensors;

const HALF: usize = HEAD_WIDTH / 2;
const KEY_VALUE_WIDTH: usize = KEY_VALUE_HEADS * HEAD_WIDTH;

/// The weights, laid out for use.
pub(crate) struct Network {
    embeddings: Vec<f32>,
    layers: Vec<Layer>,
    norm: Vec<f32>,
}

struct Layer {
    attention_norm: Vec<f32>,
    query: Vec<f32>,
    key: Vec<f32>,
    value: Vec<f32>,
    output: Vec<f32>,
    feed_forward_norm: Vec<f32>,
    gate: Vec<f32>,
    up: Vec<f32>,
    down: Vec<f32>,
}

/// What was read so far: the keys and values of each layer.
#[derive(Default)]
pub(crate) struct Memory {
    layers: Vec<(Vec<f32>, Vec<f32>)>,
    length: usize,
}

impl Network {
    pub(crate) fn load() -> Self {
        let mut values = tensors().into_iter().map(|tensor| tensor.values);
        let mut next = || values.next().unwrap_or_default();
        Self {
            embeddings: next(),
            layers: (0..LAYERS)
                .map(|_| Layer {
                    attention_norm: next(),
                    query: next(),
                    key: next(),
                    value: next(),
                    output: next(),
                    feed_forward_norm: next(),
                    gate: next(),
                    up: next(),
                    down: next(),
                })
                .collect(),
            norm: next(),
        }
    }

    /// The tokens that the model writes behind a prompt, each the likeliest one, up to an end token, which is left out.
    pub(crate) fn write(&self, prompt: &[Token], most: usize, ends: &[Token]) -> Vec<Token> {
        let mut memory = Memory::default();
        let mut written = Vec::new();
        let mut read = prompt.to_vec();
        while written.len() < most && memory.length + read.len() <= CONTEXT_LENGTH {
            let token = self.next(&mut memory, &read);
            if ends.contains(&token) {
                break;
            }
            written.push(token);
            read = vec![token];
        }
        written
    }

    /// Reads tokens and returns the likeliest next one.
    fn next(&self, memory: &mut Memory, tokens: &[Token]) -> Token {
        memory.layers.resize_with(LAYERS, Default::default);
        let first = memory.length;
        let mut hidden: Vec<f32> = tokens
            .iter()
            .flat_map(|token| &self.embeddings[*token as usize * WIDTH..][..WIDTH])
            .copied()
            .collect();
        for (layer, (keys, values)) in self.layers.iter().zip(&mut memory.layers) {
            let normed = normalized(&hidden, &layer.attention_norm);
            let mut queries = product(&layer.query, &normed, WIDTH);
            let mut new_keys = product(&layer.key, &normed, WIDTH);
            turn(&mut queries, HEADS * HEAD_WIDTH, first);
            turn(&mut new_keys, KEY_VALUE_WIDTH, first);
            keys.extend(new_keys);
            values.extend(product(&layer.value, &normed, WIDTH));
            let seen = attention(&queries, keys, values, first);
            add(&mut hidden, &product(&layer.output, &seen, HEADS * HEAD_WIDTH));

            let normed = normalized(&hidden, &layer.feed_forward_norm);
            let mut gates = product(&layer.gate, &normed, WIDTH);
            let ups = product(&layer.up, &normed, WIDTH);
            for (gate, up) in gates.iter_mut().zip(ups) {
                *gate = *gate / (1.0 + (-*gate).exp()) * up;
            }
            add(&mut hidden, &product(&layer.down, &gates, FEED_FORWARD_WIDTH));
        }
        memory.length += tokens.len();
        let last = normalized(&hidden[hidden.len() - WIDTH..], &self.norm);
        let logits = product(&self.embeddings, &last, WIDTH);
        let likeliest = logits.iter().enumerate().max_by(|one, other| one.1.total_cmp(other.1));
        likeliest.map_or(0, |(token, _)| token as Token)
    }
}

/// Multiplies each vector with a matrix of rows as long as the vectors.
fn product(matrix: &[f32], vectors: &[f32], columns: usize) -> Vec<f32> {
    let rows = matrix.len() / columns;
    let count = vectors.len() / columns;
    let mut products = vec![0.0; rows * count];
    for (row_number, row) in matrix.chunks_exact(columns).enumerate() {
        for (number, vector) in vectors.chunks_exact(columns).enumerate() {
            products[number * rows + row_number] = dot(row, vector);
        }
    }
    products
}

/// In sixteen sums, which a processor adds to at the same time.
fn dot(one: &[f32], other: &[f32]) -> f32 {
    let mut sums = [0.0; 16];
    for (one, other) in one.as_chunks::<16>().0.iter().zip(other.as_chunks::<16>().0) {
        for ((sum, one), other) in sums.iter_mut().zip(one).zip(other) {
            *sum += one * other;
        }
    }
    sums.iter().sum()
}

fn add(vectors: &mut [f32], others: &[f32]) {
    for (value, other) in vectors.iter_mut().zip(others) {
        *value += other;
    }
}

fn normalized(vectors: &[f32], weights: &[f32]) -> Vec<f32> {
    vectors
        .chunks_exact(WIDTH)
        .flat_map(|vector| {
            let scale = (dot(vector, vector) / WIDTH as f32 + NORM_EPSILON).sqrt().recip();
            vector
                .iter()
                .zip(weights)
                .map(move |(value, weight)| value * scale * weight)
        })
        .collect()
}

/// Rotary embeddings: the first half of each head's dimensions turns against the second.
fn turn(vectors: &mut [f32], width: usize, first: usize) {
    for (offset, vector) in vectors.chunks_exact_mut(width).enumerate() {
        for pair in 0..HALF {
            let angle = (first + offset) as f32 * ROPE_THETA.powf(-(pair as f32) / HALF as f32);
            let (sine, cosine) = angle.sin_cos();
            for head in vector.chunks_exact_mut(HEAD_WIDTH) {
                let (one, other) = (head[pair], head[HALF + pair]);
                head[pair] = one * cosine - other * sine;
                head[HALF + pair] = other * cosine + one * sine;
            }
        }
    }
}

fn attention(queries: &[f32], keys: &[f32], values: &[f32], first: usize) -> Vec<f32> {
    let mut seen = vec![0.0; queries.len()];
    let scale = (HEAD_WIDTH as f32).sqrt().recip();
    for (number, (query, seen)) in queries
        .chunks_exact(HEAD_WIDTH)
        .zip(seen.chunks_exact_mut(HEAD_WIDTH))
        .enumerate()
    {
        let (position, head) = (first + number / HEADS, number % HEADS);
        let start = head / (HEADS / KEY_VALUE_HEADS) * HEAD_WIDTH;
        let place = |other: usize| other * KEY_VALUE_WIDTH + start..other * KEY_VALUE_WIDTH + start + HEAD_WIDTH;
        let mut weights: Vec<f32> = (0..=position)
            .map(|other| dot(query, &keys[place(other)]) * scale)
            .collect();
        let highest = weights.iter().copied().fold(f32::NEG_INFINITY, f32::max);
        for weight in &mut weights {
            *weight = (*weight - highest).exp();
        }
        let total: f32 = weights.iter().sum();
        for (other, weight) in weights.iter().enumerate() {
            for (sum, value) in seen.iter_mut().zip(&values[place(other)]) {
                *sum += weight / total * value;
            }
        }
    }
    seen
}
