//! What the small models of the kinds Gemma 3 and EmbeddingGemma have in common: a tokenizer, and layers of random weights.

use serde_json::{Value, json};

use crate::noise::{Network, Widths};
use crate::tokenizer::{BEGIN_OF_TEXT, SpecialToken, tokenizer_with_marks};

pub(crate) const WIDTH: usize = 64;
pub(crate) const LAYERS: usize = 2;
pub(crate) const FEED_FORWARD_WIDTH: usize = 96;
const HEADS: usize = 4;
const KEY_VALUE_HEADS: usize = 2;
/// Not the width's share, as in the models of this kind.
const HEAD_WIDTH: usize = 24;
/// How wide a layer's parts are.
const WIDTHS: Widths = Widths {
    hidden: WIDTH,
    queries: HEADS * HEAD_WIDTH,
    keys: KEY_VALUE_HEADS * HEAD_WIDTH,
    feed_forward: FEED_FORWARD_WIDTH,
};

/// The configuration of the layers. The last one sees everything, the others what is near.
pub(crate) fn text_config(vocabulary_size: usize, context_length: usize, window: usize) -> Value {
    let mut layer_types = vec!["sliding_attention"; LAYERS - 1];
    layer_types.push("full_attention");
    json!({
        "model_type": "gemma3_text",
        "vocab_size": vocabulary_size,
        "hidden_size": WIDTH,
        "intermediate_size": FEED_FORWARD_WIDTH,
        "num_hidden_layers": LAYERS,
        "num_attention_heads": HEADS,
        "num_key_value_heads": KEY_VALUE_HEADS,
        "head_dim": HEAD_WIDTH,
        "query_pre_attn_scalar": HEAD_WIDTH,
        "hidden_activation": "gelu_pytorch_tanh",
        "max_position_embeddings": context_length,
        "sliding_window": window,
        "sliding_window_pattern": LAYERS,
        "layer_types": layer_types,
        "rms_norm_eps": 1e-6,
        "rope_theta": 1_000_000.0,
        "rope_local_base_freq": 10_000.0,
        "rope_scaling": null,
        "attention_bias": false,
        "attention_dropout": 0.0,
        "attn_logit_softcapping": null,
        "final_logit_softcapping": null,
        "tie_word_embeddings": true,
        "torch_dtype": "float32",
        "bos_token_id": BEGIN_OF_TEXT.id,
    })
}

/// The other models' tokenizer with further marks behind its tokens. It adds the first token before every text, and perhaps one behind.
pub(crate) fn tokenizer(marks: &[&'static str], last: Option<&SpecialToken>) -> Value {
    let mut tokenizer = tokenizer_with_marks(marks);
    let text = |name: &str, kind: u8| json!({"Sequence": {"id": name, "type_id": kind}});
    let mark = |token: &SpecialToken| json!({"SpecialToken": {"id": token.text, "type_id": 0}});
    let mut single = vec![mark(&BEGIN_OF_TEXT), text("A", 0)];
    let mut pair = vec![mark(&BEGIN_OF_TEXT), text("A", 0), text("B", 1)];
    let mut special = json!({});
    for token in [Some(&BEGIN_OF_TEXT), last].into_iter().flatten() {
        special[token.text] = json!({"id": token.text, "ids": [token.id], "tokens": [token.text]});
    }
    if let Some(last) = last {
        single.push(mark(last));
        pair.push(mark(last));
    }
    tokenizer["post_processor"] =
        json!({"type": "TemplateProcessing", "single": single, "pair": pair, "special_tokens": special});
    tokenizer
}

impl Network {
    /// Everything from tokens to hidden states, with names that begin like this.
    pub(crate) fn text(&mut self, prefix: &str, vocabulary_size: usize) {
        // The model makes embeddings longer by the root of its width.
        self.matrix(&format!("{prefix}embed_tokens.weight"), vocabulary_size, WIDTH);
        for layer in 0..LAYERS {
            self.text_layer(&format!("{prefix}layers.{layer}"));
        }
        self.same(&format!("{prefix}norm.weight"), WIDTH, 0.0);
    }

    fn text_layer(&mut self, layer: &str) {
        // Norms of this kind add one to their weights.
        for norm in [
            "input_layernorm",
            "post_attention_layernorm",
            "pre_feedforward_layernorm",
            "post_feedforward_layernorm",
        ] {
            self.same(&format!("{layer}.{norm}.weight"), WIDTH, 0.0);
        }
        for norm in ["q_norm", "k_norm"] {
            self.same(&format!("{layer}.self_attn.{norm}.weight"), HEAD_WIDTH, 0.0);
        }
        self.projections(layer, &WIDTHS);
    }
}
