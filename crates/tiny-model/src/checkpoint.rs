use serde_json::{Value, json};

use crate::safetensors::safetensors;
use crate::shape::{
    CONTEXT_LENGTH, FEED_FORWARD_WIDTH, HEAD_WIDTH, HEADS, KEY_VALUE_HEADS, LAYERS, NORM_EPSILON, ROPE_THETA,
    VOCABULARY_SIZE, WIDTH,
};
use crate::tokenizer::{BEGIN_OF_TEXT, END_OF_TEXT, END_OF_TURN, Vocabulary, tokenizer_config_json, tokenizer_json};
use crate::weights::tensors;

/// Makes the model as a folder's files, each a name and its bytes: `config.json`, `generation_config.json`,
/// `tokenizer.json`, `tokenizer_config.json` and `model.safetensors` (32-bit floats).
///
/// The layout is the one of Hugging Face checkpoints of `LlamaForCausalLM`.
#[must_use]
pub fn files() -> Vec<(&'static str, Vec<u8>)> {
    let vocabulary = Vocabulary::load();
    vec![
        ("config.json", text(&config_json())),
        ("generation_config.json", text(&generation_config_json())),
        ("tokenizer.json", text(&tokenizer_json(&vocabulary))),
        ("tokenizer_config.json", text(&tokenizer_config_json())),
        ("model.safetensors", safetensors(&tensors())),
    ]
}

fn config_json() -> Value {
    json!({
        "architectures": ["LlamaForCausalLM"],
        "model_type": "llama",
        "vocab_size": VOCABULARY_SIZE,
        "hidden_size": WIDTH,
        "intermediate_size": FEED_FORWARD_WIDTH,
        "num_hidden_layers": LAYERS,
        "num_attention_heads": HEADS,
        "num_key_value_heads": KEY_VALUE_HEADS,
        "head_dim": HEAD_WIDTH,
        "hidden_act": "silu",
        "max_position_embeddings": CONTEXT_LENGTH,
        "rms_norm_eps": f64::from(NORM_EPSILON),
        "rope_theta": f64::from(ROPE_THETA),
        "rope_scaling": null,
        "attention_bias": false,
        "mlp_bias": false,
        "tie_word_embeddings": false,
        "torch_dtype": "float32",
        "use_cache": true,
        "bos_token_id": BEGIN_OF_TEXT.id,
        "eos_token_id": end_tokens(),
    })
}

fn generation_config_json() -> Value {
    json!({"bos_token_id": BEGIN_OF_TEXT.id, "eos_token_id": end_tokens()})
}

/// Both end-of-text and end-of-turn: a grammar that is done forces the first, and a chat ends with the second.
fn end_tokens() -> [u32; 2] {
    [END_OF_TEXT.id, END_OF_TURN.id]
}

fn text(value: &Value) -> Vec<u8> {
    format!("{value:#}\n").into_bytes()
}
