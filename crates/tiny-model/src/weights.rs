//! The weights, under the names of a Hugging Face checkpoint.

use std::collections::BTreeMap;

use crate::bpe::Token;
use crate::random::Random;
use crate::shape::{FEED_FORWARD_WIDTH, HEAD_WIDTH, KEY_VALUE_HEADS, LAYERS, VOCABULARY_SIZE, WIDTH};

/// The logit of a token that always follows another in the training text. High enough to stand out of the noise that
/// 1,024 directions in a space of 128 dimensions make for each other, low enough for sampling to vary.
const FOLLOWER_LOGIT: f32 = 14.0;

/// A matrix in rows, one row per output, or a vector.
pub(crate) struct Tensor {
    pub(crate) name: String,
    /// Rows and columns, or a length.
    pub(crate) shape: Vec<usize>,
    pub(crate) values: Vec<f32>,
}

/// All weights. The embeddings are random directions, and the layers add a little of what they see in the context, so
/// the last position still points near the embedding of its token. The output matrix maps that direction to the tokens
/// that follow it in the training text.
pub(crate) fn tensors(turns: &[Vec<Token>]) -> Vec<Tensor> {
    let mut random = Random::new(0x70_75_6E_61);
    let embeddings = matrix(&mut random, "model.embed_tokens.weight", VOCABULARY_SIZE, WIDTH, 1.0);
    let output = followers(&embeddings.values, turns);
    let mut tensors = vec![embeddings];
    for layer in 0..LAYERS {
        tensors.extend(layer_tensors(&mut random, layer));
    }
    tensors.push(ones("model.norm.weight"));
    tensors.push(output);
    tensors
}

fn layer_tensors(random: &mut Random, layer: usize) -> Vec<Tensor> {
    let name = |suffix: &str| format!("model.layers.{layer}.{suffix}.weight");
    let wide = (WIDTH as f32).sqrt();
    let key_value_width = KEY_VALUE_HEADS * HEAD_WIDTH;
    let feed_forward = (FEED_FORWARD_WIDTH as f32).sqrt();
    vec![
        ones(&name("input_layernorm")),
        matrix(random, &name("self_attn.q_proj"), WIDTH, WIDTH, 2.0 / wide),
        matrix(random, &name("self_attn.k_proj"), key_value_width, WIDTH, 2.0 / wide),
        matrix(random, &name("self_attn.v_proj"), key_value_width, WIDTH, 1.0 / wide),
        matrix(random, &name("self_attn.o_proj"), WIDTH, WIDTH, 0.3 / wide),
        ones(&name("post_attention_layernorm")),
        matrix(random, &name("mlp.gate_proj"), FEED_FORWARD_WIDTH, WIDTH, 1.0 / wide),
        matrix(random, &name("mlp.up_proj"), FEED_FORWARD_WIDTH, WIDTH, 1.0 / wide),
        matrix(
            random,
            &name("mlp.down_proj"),
            WIDTH,
            FEED_FORWARD_WIDTH,
            0.4 / feed_forward,
        ),
    ]
}

/// The output matrix as an associative memory: the row of a token is the sum of the directions of all tokens that it
/// follows, each weighted by how often it does. Square roots and no logarithms, because those IEEE 754 rounds exactly.
fn followers(embeddings: &[f32], turns: &[Vec<Token>]) -> Tensor {
    let mut counts: BTreeMap<(Token, Token), f32> = BTreeMap::new();
    let mut totals: BTreeMap<Token, f32> = BTreeMap::new();
    for pair in turns.iter().flat_map(|turn| turn.windows(2)) {
        *counts.entry((pair[0], pair[1])).or_default() += 1.0;
        *totals.entry(pair[0]).or_default() += 1.0;
    }
    let mut values = vec![0.0; VOCABULARY_SIZE * WIDTH];
    for ((token, follower), count) in counts {
        let share = (count / totals[&token]).sqrt();
        let strength = FOLLOWER_LOGIT * (0.6 + 0.4 * share) / WIDTH as f32;
        let direction = row(embeddings, token);
        let start = follower as usize * WIDTH;
        for (value, component) in values[start..start + WIDTH].iter_mut().zip(direction) {
            *value += strength * component;
        }
    }
    Tensor {
        name: "lm_head.weight".to_owned(),
        shape: vec![VOCABULARY_SIZE, WIDTH],
        values,
    }
}

fn row(matrix: &[f32], token: Token) -> &[f32] {
    let start = token as usize * WIDTH;
    &matrix[start..start + WIDTH]
}

fn matrix(random: &mut Random, name: &str, rows: usize, columns: usize, deviation: f32) -> Tensor {
    let values = (0..rows * columns).map(|_| random.normal() * deviation).collect();
    Tensor {
        name: name.to_owned(),
        shape: vec![rows, columns],
        values,
    }
}

fn ones(name: &str) -> Tensor {
    Tensor {
        name: name.to_owned(),
        shape: vec![WIDTH],
        values: vec![1.0; WIDTH],
    }
}
