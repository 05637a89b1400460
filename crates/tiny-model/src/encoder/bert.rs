//! The embedding model of the kind BERT.

use serde_json::{Value, json};

use super::vocabulary::{Meaning, PADDING, tokenizer, tokenizer_config, tokens, words};
use super::{ENCODER_CONTEXT_LENGTH, File, json, matrix, vector};
use crate::random::Random;
use crate::safetensors::safetensors;
use crate::weights::Tensor;

const WIDTH: usize = 384;
/// The first dimensions hold what a text is about; the others are left out in the end.
const CONTENT: usize = 372;
const HEADS: usize = 2;
const LAYERS: usize = 1;
const FEED_FORWARD_WIDTH: usize = 64;

/// The CRC-32 of the weights' file.
pub(super) const CHECKSUM: u32 = 0x3CD9_AD2F;

/// The files but the weights.
pub(super) fn files() -> Vec<File> {
    let tokens = tokens(words());
    vec![
        ("config.json", json(&config(tokens.len()))),
        ("tokenizer.json", json(&tokenizer(&tokens))),
        ("tokenizer_config.json", json(&tokenizer_config())),
        ("modules.json", json(&modules())),
        (
            "sentence_bert_config.json",
            json(&json!({"max_seq_length": ENCODER_CONTEXT_LENGTH, "do_lower_case": false})),
        ),
        (
            "1_Pooling/config.json",
            json(&pooling("pooling_mode_mean_tokens", WIDTH)),
        ),
    ]
}

/// The weights' file.
pub(super) fn weights() -> Vec<u8> {
    safetensors(&tensors(&tokens(words())))
}

/// `config.json` of a model of the kind BERT.
pub(super) fn bert_config(
    vocabulary_size: usize,
    layers: usize,
    width: usize,
    heads: usize,
    feed_forward_width: usize,
) -> Value {
    json!({
        "architectures": ["BertModel"],
        "model_type": "bert",
        "vocab_size": vocabulary_size,
        "hidden_size": width,
        "intermediate_size": feed_forward_width,
        "num_hidden_layers": layers,
        "num_attention_heads": heads,
        "hidden_act": "gelu",
        "max_position_embeddings": ENCODER_CONTEXT_LENGTH,
        "position_embedding_type": "absolute",
        "type_vocab_size": 2,
        "layer_norm_eps": 1e-12,
        "pad_token_id": PADDING,
        "hidden_dropout_prob": 0.0,
        "attention_probs_dropout_prob": 0.0,
        "torch_dtype": "float32",
    })
}

/// `modules.json`: a transformer, pooling, normalisation.
pub(super) fn modules() -> Value {
    let module = |idx: usize, path: &str, name: &str| json!({"idx": idx, "name": idx.to_string(), "path": path, "type": format!("sentence_transformers.models.{name}")});
    json!([
        module(0, "", "Transformer"),
        module(1, "1_Pooling", "Pooling"),
        module(2, "2_Normalize", "Normalize"),
    ])
}

/// The configuration of pooling by one mode, every field in its place.
pub(super) fn pooling(mode: &str, width: usize) -> Value {
    let mut config = json!({
        "word_embedding_dimension": width,
        "pooling_mode_cls_token": false,
        "pooling_mode_mean_tokens": false,
        "pooling_mode_max_tokens": false,
        "pooling_mode_mean_sqrt_len_tokens": false,
        "pooling_mode_weightedmean_tokens": false,
        "pooling_mode_lasttoken": false,
        "include_prompt": true,
    });
    config[mode] = json!(true);
    config
}

/// The vector of a token. What it says lies in the dimensions of content; the less it says, the more lies outside of them.
fn word(random: &mut Random, meaning: Meaning) -> impl Iterator<Item = f32> {
    let outside = (CONTENT as f32 / (WIDTH - CONTENT) as f32).sqrt();
    let (inside, outside) = match meaning {
        Meaning::Content => (1.0, 0.0),
        Meaning::Ending => (0.5, outside),
        Meaning::Little => (0.1, outside),
    };
    (0..WIDTH).map(move |place| random.sign() * if place < CONTENT { inside } else { outside })
}

fn config(vocabulary_size: usize) -> Value {
    bert_config(vocabulary_size, LAYERS, WIDTH, HEADS, FEED_FORWARD_WIDTH)
}

fn tensors(tokens: &[(String, Meaning)]) -> Vec<Tensor> {
    let random = &mut Random::new(0x62_65_72_74);
    let mut words = Vec::with_capacity(tokens.len() * WIDTH);
    for (_, meaning) in tokens {
        words.extend(word(random, *meaning));
    }
    let mut tensors = vec![
        matrix(
            "embeddings.word_embeddings.weight",
            tokens.len(),
            WIDTH,
            |row, column| words[row * WIDTH + column],
        ),
        matrix(
            "embeddings.position_embeddings.weight",
            ENCODER_CONTEXT_LENGTH,
            WIDTH,
            |_, _| 0.02 * random.sign(),
        ),
        matrix("embeddings.token_type_embeddings.weight", 2, WIDTH, |_, _| {
            0.01 * random.sign()
        }),
        vector("embeddings.LayerNorm.weight", WIDTH, |_| 1.0),
        vector("embeddings.LayerNorm.bias", WIDTH, |_| 0.0),
    ];
    for layer in 0..LAYERS {
        tensors.extend(layer_weights(random, layer));
    }
    tensors
}

fn layer_weights(random: &mut Random, layer: usize) -> Vec<Tensor> {
    let name = |suffix: &str| format!("encoder.layer.{layer}.{suffix}");
    let wide = (WIDTH as f32).sqrt();
    let is_last = layer + 1 == LAYERS;
    // What says little has no say in what is added, and in the end it is left out.
    let content = |column: usize| if column < CONTENT { 1.0 } else { 0.0 };
    let kept = |place: usize| if is_last { content(place) } else { 1.0 };
    let mut linear = |suffix: &str, outputs: usize, inputs: usize, deviation: f32, sees_all: bool| {
        let weight = matrix(&name(&format!("{suffix}.weight")), outputs, inputs, |_, column| {
            let seen = if sees_all { 1.0 } else { content(column) };
            deviation * seen * random.sign()
        });
        let bias = vector(&name(&format!("{suffix}.bias")), outputs, |_| 0.005 * random.sign());
        [weight, bias]
    };
    let mut tensors = Vec::new();
    tensors.extend(linear("attention.self.query", WIDTH, WIDTH, 0.7 / wide, true));
    tensors.extend(linear("attention.self.key", WIDTH, WIDTH, 0.7 / wide, true));
    tensors.extend(linear("attention.self.value", WIDTH, WIDTH, 1.0 / wide, false));
    tensors.extend(linear("attention.output.dense", WIDTH, WIDTH, 0.2 / wide, true));
    tensors.extend(linear(
        "intermediate.dense",
        FEED_FORWARD_WIDTH,
        WIDTH,
        1.0 / wide,
        false,
    ));
    let feed_forward = (FEED_FORWARD_WIDTH as f32).sqrt();
    tensors.extend(linear(
        "output.dense",
        WIDTH,
        FEED_FORWARD_WIDTH,
        0.1 / feed_forward,
        true,
    ));
    for (norm, is_final) in [("attention.output.LayerNorm", false), ("output.LayerNorm", true)] {
        tensors.push(vector(&name(&format!("{norm}.weight")), WIDTH, |place| {
            if is_final { kept(place) } else { 1.0 }
        }));
        tensors.push(vector(&name(&format!("{norm}.bias")), WIDTH, |_| 0.0));
    }
    tensors
}
