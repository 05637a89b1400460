//! The rerank model: two layers of attention that compare words.
//!
//! In the first layer a word looks for itself in the other text. Where it is there, the look goes there, and otherwise to the word
//! itself; which of the two is written down beside it. The second layer has the first token take the average of that, over the words
//! of the query with one head and over those of the document with the other. The classifier reads both.

use std::iter;

use serde_json::json;

use super::bert::bert_config;
use super::vocabulary::{Meaning, tokenizer, tokenizer_config, tokens};
use super::{ENCODER_CONTEXT_LENGTH, File, WIDTH, direction, json, matrix, vector};
use crate::random::Random;
use crate::safetensors::safetensors;
use crate::weights::Tensor;

const HEADS: usize = 2;
const HEAD_WIDTH: usize = WIDTH / HEADS;
const LAYERS: usize = 2;
const FEED_FORWARD_WIDTH: usize = 64;

/// Each head compares words by so many dimensions of its own; these come first.
const COMPARED: usize = 32;
/// Two dimensions, of opposite signs, for each of these.
const TEXT: usize = HEADS * COMPARED;
const MEANS_MUCH: usize = TEXT + 2;
const IS_THERE: usize = TEXT + 4;
const QUERY_SCORE: usize = TEXT + 6;
const DOCUMENT_SCORE: usize = TEXT + 8;
/// Where words that say little point to.
const LITTLE: usize = TEXT + 10;

/// How strong a sign stands in its two dimensions.
const SIGN: f32 = 2.0;

pub(super) fn files() -> Vec<File> {
    let tokens = tokens(iter::empty());
    let mut config = bert_config(tokens.len(), LAYERS, WIDTH, HEADS, FEED_FORWARD_WIDTH);
    config["architectures"] = json!(["BertForSequenceClassification"]);
    config["id2label"] = json!({"0": "LABEL_0"});
    config["label2id"] = json!({"LABEL_0": 0});
    config["sentence_transformers"] = json!({"activation_fn": "torch.nn.modules.activation.Sigmoid"});
    vec![
        ("config.json", json(&config)),
        ("tokenizer.json", json(&tokenizer(&tokens))),
        ("tokenizer_config.json", json(&tokenizer_config())),
        ("model.safetensors", safetensors(&weights(&tokens))),
    ]
}

fn weights(tokens: &[(String, Meaning)]) -> Vec<Tensor> {
    let random = &mut Random::new(0x72_61_6E_6B);
    let words: Vec<f32> = tokens.iter().flat_map(|(_, meaning)| word(random, *meaning)).collect();
    let mut tensors = vec![
        matrix(
            "bert.embeddings.word_embeddings.weight",
            tokens.len(),
            WIDTH,
            |row, column| words[row * WIDTH + column],
        ),
        matrix(
            "bert.embeddings.position_embeddings.weight",
            ENCODER_CONTEXT_LENGTH,
            WIDTH,
            |_, _| 0.01 * random.normal(),
        ),
        matrix(
            "bert.embeddings.token_type_embeddings.weight",
            2,
            WIDTH,
            |row, column| {
                let query = if row == 0 { SIGN } else { -SIGN };
                query * sign(column, TEXT)
            },
        ),
        vector("bert.embeddings.LayerNorm.weight", WIDTH, |_| 1.0),
        vector("bert.embeddings.LayerNorm.bias", WIDTH, |_| 0.0),
    ];
    tensors.extend(Layer::comparing().tensors(random, 0));
    tensors.extend(Layer::averaging().tensors(random, 1));
    tensors.extend([
        matrix("bert.pooler.dense.weight", WIDTH, WIDTH, |row, column| match row {
            0 => 0.35 * sign(column, QUERY_SCORE),
            1 => 0.35 * sign(column, DOCUMENT_SCORE),
            _ => 0.02 * random.normal(),
        }),
        vector("bert.pooler.dense.bias", WIDTH, |_| 0.0),
        matrix("classifier.weight", 1, WIDTH, |_, column| match column {
            0 => 4.0,
            1 => 1.5,
            _ => 0.02 * random.normal(),
        }),
        vector("classifier.bias", 1, |_| 0.0),
    ]);
    tensors
}

/// 1 and -1 at the two dimensions of a sign, and 0 elsewhere.
fn sign(column: usize, of: usize) -> f32 {
    match column {
        column if column == of => 1.0,
        column if column == of + 1 => -1.0,
        _ => 0.0,
    }
}

/// The vector of a token. All are of one length, so that normalisation treats them alike.
fn word(random: &mut Random, meaning: Meaning) -> Vec<f32> {
    let compared = (0..HEADS)
        .flat_map(|_| direction(random, COMPARED))
        .collect::<Vec<f32>>();
    let little = direction(random, WIDTH - LITTLE);
    let much = meaning != Meaning::Little;
    let strength = (TEXT as f32 / (WIDTH - LITTLE) as f32).sqrt();
    (0..WIDTH)
        .map(|column| match column {
            column if column < TEXT && much => compared[column],
            column if column >= LITTLE && !much => strength * little[column - LITTLE],
            column if much => SIGN * sign(column, MEANS_MUCH),
            column => -SIGN * sign(column, MEANS_MUCH),
        })
        .collect()
}

/// The matrices of attention: `[output dimension, input dimension]` to a number.
struct Layer {
    query: fn(usize, usize) -> f32,
    query_bias: fn(usize) -> f32,
    key: fn(usize, usize) -> f32,
    value: fn(usize, usize) -> f32,
    output: fn(usize, usize) -> f32,
}

/// The head that a dimension of queries, keys and values belongs to, and its place there.
fn place(dimension: usize) -> (usize, usize) {
    (dimension / HEAD_WIDTH, dimension % HEAD_WIDTH)
}

impl Layer {
    /// A score of 24 for the same word, and of 2 for being in the other text, -2 for being in the same.
    fn comparing() -> Self {
        fn same(row: usize, column: usize) -> f32 {
            let (head, place) = place(row);
            if place < COMPARED && column == head * COMPARED + place {
                2.08
            } else {
                0.0
            }
        }
        Self {
            query: |row, column| match place(row) {
                (_, COMPARED) => -0.85 * sign(column, TEXT),
                _ => same(row, column),
            },
            query_bias: |_| 0.0,
            key: |row, column| match place(row) {
                (_, COMPARED) => 0.85 * sign(column, TEXT),
                _ => same(row, column),
            },
            value: |row, column| match place(row) {
                (_, 0) => sign(column, TEXT),
                _ => 0.0,
            },
            output: |row, column| match place(column) {
                (_, 0) => -0.35 * sign(row, IS_THERE),
                _ => 0.0,
            },
        }
    }

    /// The first head looks at the words of the query, the second at those of the document.
    fn averaging() -> Self {
        Self {
            query: |_, _| 0.0,
            query_bias: |dimension| match place(dimension) {
                (_, 0) => 1.0,
                _ => 0.0,
            },
            key: |row, column| match place(row) {
                (0, 0) => 9.0 * (sign(column, MEANS_MUCH) + sign(column, TEXT)),
                (1, 0) => 9.0 * (sign(column, MEANS_MUCH) - sign(column, TEXT)),
                _ => 0.0,
            },
            value: |row, column| match place(row) {
                (_, 0) => sign(column, IS_THERE),
                _ => 0.0,
            },
            output: |row, column| match place(column) {
                // What is written for a word of the query is the text that its look went to; for one of the document, the opposite.
                (0, 0) => 0.7 * sign(row, QUERY_SCORE),
                (1, 0) => -0.7 * sign(row, DOCUMENT_SCORE),
                _ => 0.0,
            },
        }
    }

    fn tensors(&self, random: &mut Random, layer: usize) -> Vec<Tensor> {
        let name = |suffix: &str| format!("bert.encoder.layer.{layer}.{suffix}");
        let square = |suffix: &str, value: fn(usize, usize) -> f32| matrix(&name(suffix), WIDTH, WIDTH, value);
        let zero = |suffix: &str, length: usize| vector(&name(suffix), length, |_| 0.0);
        let one = |suffix: &str| vector(&name(suffix), WIDTH, |_| 1.0);
        vec![
            square("attention.self.query.weight", self.query),
            vector(&name("attention.self.query.bias"), WIDTH, self.query_bias),
            square("attention.self.key.weight", self.key),
            zero("attention.self.key.bias", WIDTH),
            square("attention.self.value.weight", self.value),
            zero("attention.self.value.bias", WIDTH),
            square("attention.output.dense.weight", self.output),
            zero("attention.output.dense.bias", WIDTH),
            one("attention.output.LayerNorm.weight"),
            zero("attention.output.LayerNorm.bias", WIDTH),
            matrix(&name("intermediate.dense.weight"), FEED_FORWARD_WIDTH, WIDTH, |_, _| {
                0.05 * random.normal()
            }),
            zero("intermediate.dense.bias", FEED_FORWARD_WIDTH),
            matrix(&name("output.dense.weight"), WIDTH, FEED_FORWARD_WIDTH, |_, _| {
                0.05 * random.normal()
            }),
            zero("output.dense.bias", WIDTH),
            one("output.LayerNorm.weight"),
            zero("output.LayerNorm.bias", WIDTH),
        ]
    }
}
