//! The embedding model of the kind EmbeddingGemma: the average of what the tokens become, and two matrices after it. Its weights are
//! random: its vectors say nothing of what texts mean, but they depend on every token, and on its place.

use serde_json::{Value, json};

use super::bert::pooling;
use super::{File, json};
use crate::gemma::{WIDTH, text_config, tokenizer};
use crate::noise::Network;
use crate::safetensors::safetensors;
use crate::shape::VOCABULARY_SIZE;
use crate::tokenizer::{END_OF_TEXT, tokenizer_config_json};

/// Tokens that a text may have.
pub(super) const CONTEXT_LENGTH: usize = 256;

/// How far the first layer sees, both ways together: less than a text may have.
const WINDOW: usize = 16;

/// The width between the two matrices.
const BETWEEN: usize = 96;

pub(super) fn files() -> Vec<File> {
    let mut config = text_config(VOCABULARY_SIZE, CONTEXT_LENGTH, WINDOW);
    config["architectures"] = json!(["Gemma3TextModel"]);
    config["use_bidirectional_attention"] = json!(true);
    let mut tokenizer_config = tokenizer_config_json();
    tokenizer_config["model_max_length"] = json!(CONTEXT_LENGTH);
    tokenizer_config["pad_token"] = json!(END_OF_TEXT.text);
    if let Some(fields) = tokenizer_config.as_object_mut() {
        fields.remove("chat_template");
    }
    let pooling = pooling("pooling_mode_mean_tokens", WIDTH);

    let mut network = Network::new(0x67_65_6D_6D_61);
    network.text("", VOCABULARY_SIZE);
    let dense = |outputs: usize, inputs: usize| {
        let mut dense = Network::new(outputs as u64);
        dense.matrix("linear.weight", outputs, inputs);
        safetensors(&dense.tensors)
    };
    vec![
        ("config.json", json(&config)),
        ("tokenizer.json", json(&tokenizer(&[], Some(&END_OF_TEXT)))),
        ("tokenizer_config.json", json(&tokenizer_config)),
        ("modules.json", json(&modules())),
        (
            "sentence_bert_config.json",
            json(&json!({"max_seq_length": CONTEXT_LENGTH, "do_lower_case": false})),
        ),
        ("1_Pooling/config.json", json(&pooling)),
        ("2_Dense/config.json", json(&dense_config(WIDTH, BETWEEN))),
        ("2_Dense/model.safetensors", dense(BETWEEN, WIDTH)),
        ("3_Dense/config.json", json(&dense_config(BETWEEN, WIDTH))),
        ("3_Dense/model.safetensors", dense(WIDTH, BETWEEN)),
        ("model.safetensors", safetensors(&network.tensors)),
    ]
}

fn modules() -> Value {
    let kinds = ["Transformer", "Pooling", "Dense", "Dense", "Normalize"];
    let modules = kinds.iter().enumerate().map(|(idx, kind)| {
        let path = if idx == 0 { String::new() } else { format!("{idx}_{kind}") };
        json!({"idx": idx, "name": idx.to_string(), "path": path, "type": format!("sentence_transformers.models.{kind}")})
    });
    modules.collect()
}

fn dense_config(inputs: usize, outputs: usize) -> Value {
    json!({
        "in_features": inputs,
        "out_features": outputs,
        "bias": false,
        "activation_function": "torch.nn.modules.linear.Identity",
    })
}
