//! A small model that looks at images: one of the kind Gemma 3. Nothing in it was learned, and what it says is noise; but the noise
//! depends on every patch of every image, which is what tests of an engine need.

use std::path::Path;

use serde_json::{Value, json};

use crate::error::Error;
use crate::random::Random;
use crate::safetensors::safetensors;
use crate::shape::VOCABULARY_SIZE;
use crate::tokenizer::{BEGIN_OF_TEXT, END_OF_TURN, Vocabulary, tokenizer_config_json, tokenizer_json};
use crate::weights::Tensor;
use crate::write::write_files;

/// Tokens that the prompt and the answer may have together.
pub const VISION_CONTEXT_LENGTH: usize = 512;

/// Tokens that the model sees of each image.
pub const IMAGE_TOKENS: usize = 16;

/// The marks around what is seen of an image, and the one for each token of it.
const IMAGE_MARKS: [&str; 3] = ["<start_of_image>", "<end_of_image>", "<image_soft_token>"];

/// Lays out a conversation; contents are texts or lists of parts, as in the templates of models that look at images.
const CHAT_TEMPLATE: &str = "\
{{ bos_token }}
{%- for message in messages %}
    {{- '<|start_header_id|>' ~ message['role'] ~ '<|end_header_id|>\n\n' }}
    {%- if message['content'] is string %}
        {{- message['content'] | trim }}
    {%- else %}
        {%- for part in message['content'] %}
            {%- if part['type'] == 'image' %}
                {{- '<start_of_image>' }}
            {%- else %}
                {{- part['text'] | trim }}
            {%- endif %}
        {%- endfor %}
    {%- endif %}
    {{- '<|eot_id|>' }}
{%- endfor %}
{%- if add_generation_prompt %}
    {{- '<|start_header_id|>assistant<|end_header_id|>\n\n' }}
{%- endif %}
";

const WIDTH: usize = 64;
const LAYERS: usize = 2;
const HEADS: usize = 4;
const KEY_VALUE_HEADS: usize = 2;
/// Not the width's share, as in the models of this kind.
const HEAD_WIDTH: usize = 24;
const FEED_FORWARD_WIDTH: usize = 96;

/// The side of the image that the model sees, in pixels, and of a patch of it.
const IMAGE_SIDE: usize = 28;
const PATCH_SIDE: usize = 7;
const PATCHES: usize = (IMAGE_SIDE / PATCH_SIDE) * (IMAGE_SIDE / PATCH_SIDE);
const COLOURS: usize = 3;
const VISION_WIDTH: usize = 48;
const VISION_LAYERS: usize = 2;
const VISION_HEADS: usize = 3;
const VISION_FEED_FORWARD_WIDTH: usize = 64;

/// Writes a model of the kind Gemma 3 that looks at images, with random weights, into a folder. Every text begins with its first
/// token, which its tokenizer adds. Promises what [`write`](crate::write()) promises.
///
/// # Errors
/// When the folder cannot be made or a file in it cannot be read, written or renamed.
pub fn write_gemma3(directory: &Path) -> Result<(), Error> {
    write_files(directory, &files())
}

fn files() -> Vec<(&'static str, Vec<u8>)> {
    let text = |value: &Value| format!("{value:#}\n").into_bytes();
    let mut tokenizer_config = tokenizer_config_json();
    tokenizer_config["chat_template"] = json!(CHAT_TEMPLATE);
    tokenizer_config["model_max_length"] = json!(VISION_CONTEXT_LENGTH);
    vec![
        ("config.json", text(&config())),
        (
            "generation_config.json",
            text(&json!({"bos_token_id": BEGIN_OF_TEXT.id, "eos_token_id": [END_OF_TURN.id]})),
        ),
        ("tokenizer.json", text(&tokenizer())),
        ("tokenizer_config.json", text(&tokenizer_config)),
        ("preprocessor_config.json", text(&preprocessor_config())),
        (
            "processor_config.json",
            text(&json!({"image_seq_length": IMAGE_TOKENS})),
        ),
        ("model.safetensors", safetensors(&weights())),
    ]
}

fn config() -> Value {
    json!({
        "architectures": ["Gemma3ForConditionalGeneration"],
        "model_type": "gemma3",
        "boi_token_index": VOCABULARY_SIZE,
        "eoi_token_index": VOCABULARY_SIZE + 1,
        "image_token_index": VOCABULARY_SIZE + 2,
        "mm_tokens_per_image": IMAGE_TOKENS,
        "eos_token_id": [END_OF_TURN.id],
        "torch_dtype": "float32",
        "text_config": {
            "model_type": "gemma3_text",
            "vocab_size": VOCABULARY_SIZE + IMAGE_MARKS.len(),
            "hidden_size": WIDTH,
            "intermediate_size": FEED_FORWARD_WIDTH,
            "num_hidden_layers": LAYERS,
            "num_attention_heads": HEADS,
            "num_key_value_heads": KEY_VALUE_HEADS,
            "head_dim": HEAD_WIDTH,
            "query_pre_attn_scalar": HEAD_WIDTH,
            "hidden_activation": "gelu_pytorch_tanh",
            "max_position_embeddings": VISION_CONTEXT_LENGTH,
            "sliding_window": 64,
            "sliding_window_pattern": LAYERS,
            "rms_norm_eps": 1e-6,
            "rope_theta": 1_000_000.0,
            "rope_local_base_freq": 10_000.0,
            "attention_bias": false,
            "tie_word_embeddings": true,
        },
        "vision_config": {
            "model_type": "siglip_vision_model",
            "hidden_size": VISION_WIDTH,
            "intermediate_size": VISION_FEED_FORWARD_WIDTH,
            "num_hidden_layers": VISION_LAYERS,
            "num_attention_heads": VISION_HEADS,
            "num_channels": COLOURS,
            "image_size": IMAGE_SIDE,
            "patch_size": PATCH_SIDE,
            "hidden_act": "gelu_pytorch_tanh",
            "layer_norm_eps": 1e-6,
            "vision_use_head": false,
        },
    })
}

fn preprocessor_config() -> Value {
    json!({
        "image_processor_type": "Gemma3ImageProcessor",
        "do_convert_rgb": null,
        "do_pan_and_scan": null,
        "do_resize": true,
        "size": {"height": IMAGE_SIDE, "width": IMAGE_SIDE},
        "resample": 2,
        "do_rescale": true,
        "rescale_factor": 1.0 / 255.0,
        "do_normalize": true,
        "image_mean": [0.5, 0.5, 0.5],
        "image_std": [0.5, 0.5, 0.5],
        "image_seq_length": IMAGE_TOKENS,
    })
}

/// The other models' tokenizer, with the marks of images, and with the first token before every text.
fn tokenizer() -> Value {
    let mut tokenizer = tokenizer_json(&Vocabulary::load());
    if let Some(added) = tokenizer["added_tokens"].as_array_mut() {
        for (place, mark) in IMAGE_MARKS.into_iter().enumerate() {
            added.push(json!({
                "id": VOCABULARY_SIZE + place, "content": mark, "single_word": false, "lstrip": false, "rstrip": false,
                "normalized": false, "special": true,
            }));
        }
    }
    let begin = BEGIN_OF_TEXT.text;
    let text = |name: &str, kind: u8| json!({"Sequence": {"id": name, "type_id": kind}});
    let first = json!({"SpecialToken": {"id": begin, "type_id": 0}});
    tokenizer["post_processor"] = json!({
        "type": "TemplateProcessing",
        "single": [first, text("A", 0)],
        "pair": [first, text("A", 0), text("B", 1)],
        "special_tokens": {begin: {"id": begin, "ids": [BEGIN_OF_TEXT.id], "tokens": [begin]}},
    });
    tokenizer
}

fn weights() -> Vec<Tensor> {
    let mut network = Network {
        random: Random::new(0x76_69_73_69_6F_6E),
        tensors: Vec::new(),
    };
    let text = "language_model.model";
    // The model makes embeddings longer by the root of its width.
    network.matrix(
        &format!("{text}.embed_tokens.weight"),
        VOCABULARY_SIZE + IMAGE_MARKS.len(),
        WIDTH,
    );
    for layer in 0..LAYERS {
        network.text_layer(&format!("{text}.layers.{layer}"));
    }
    network.same(&format!("{text}.norm.weight"), WIDTH, 0.0);

    network.same("multi_modal_projector.mm_soft_emb_norm.weight", VISION_WIDTH, 0.0);
    network.matrix("multi_modal_projector.mm_input_projection_weight", VISION_WIDTH, WIDTH);

    let vision = "vision_tower.vision_model";
    let patch = format!("{vision}.embeddings.patch_embedding");
    network.random(
        &format!("{patch}.weight"),
        &[VISION_WIDTH, COLOURS, PATCH_SIDE, PATCH_SIDE],
        COLOURS * PATCH_SIDE * PATCH_SIDE,
    );
    network.same(&format!("{patch}.bias"), VISION_WIDTH, 0.0);
    network.matrix(
        &format!("{vision}.embeddings.position_embedding.weight"),
        PATCHES,
        VISION_WIDTH,
    );
    for layer in 0..VISION_LAYERS {
        network.vision_layer(&format!("{vision}.encoder.layers.{layer}"));
    }
    network.norm(&format!("{vision}.post_layernorm"));
    network.tensors
}

struct Network {
    random: Random,
    tensors: Vec<Tensor>,
}

impl Network {
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
        for (projection, rows, columns) in [
            ("self_attn.q_proj", HEADS * HEAD_WIDTH, WIDTH),
            ("self_attn.k_proj", KEY_VALUE_HEADS * HEAD_WIDTH, WIDTH),
            ("self_attn.v_proj", KEY_VALUE_HEADS * HEAD_WIDTH, WIDTH),
            ("self_attn.o_proj", WIDTH, HEADS * HEAD_WIDTH),
            ("mlp.gate_proj", FEED_FORWARD_WIDTH, WIDTH),
            ("mlp.up_proj", FEED_FORWARD_WIDTH, WIDTH),
            ("mlp.down_proj", WIDTH, FEED_FORWARD_WIDTH),
        ] {
            self.matrix(&format!("{layer}.{projection}.weight"), rows, columns);
        }
    }

    fn vision_layer(&mut self, layer: &str) {
        self.norm(&format!("{layer}.layer_norm1"));
        self.norm(&format!("{layer}.layer_norm2"));
        for (projection, rows, columns) in [
            ("self_attn.q_proj", VISION_WIDTH, VISION_WIDTH),
            ("self_attn.k_proj", VISION_WIDTH, VISION_WIDTH),
            ("self_attn.v_proj", VISION_WIDTH, VISION_WIDTH),
            ("self_attn.out_proj", VISION_WIDTH, VISION_WIDTH),
            ("mlp.fc1", VISION_FEED_FORWARD_WIDTH, VISION_WIDTH),
            ("mlp.fc2", VISION_WIDTH, VISION_FEED_FORWARD_WIDTH),
        ] {
            self.matrix(&format!("{layer}.{projection}.weight"), rows, columns);
            self.same(&format!("{layer}.{projection}.bias"), rows, 0.0);
        }
    }

    fn norm(&mut self, name: &str) {
        self.same(&format!("{name}.weight"), VISION_WIDTH, 1.0);
        self.same(&format!("{name}.bias"), VISION_WIDTH, 0.0);
    }

    fn matrix(&mut self, name: &str, rows: usize, columns: usize) {
        self.random(name, &[rows, columns], columns);
    }

    /// Values that keep the length of what they are applied to, which has `inputs` numbers.
    fn random(&mut self, name: &str, shape: &[usize], inputs: usize) {
        let scale = (inputs as f32).sqrt();
        let count = shape.iter().product();
        let values = (0..count).map(|_| self.random.normal() / scale).collect();
        self.push(name, shape, values);
    }

    fn same(&mut self, name: &str, length: usize, value: f32) {
        self.push(name, &[length], vec![value; length]);
    }

    fn push(&mut self, name: &str, shape: &[usize], values: Vec<f32>) {
        self.tensors.push(Tensor {
            name: name.to_owned(),
            shape: shape.to_vec(),
            values,
        });
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn the_model_is_small_and_its_parts_fit_together() {
        let weights = weights();
        let names: BTreeSet<&str> = weights.iter().map(|tensor| tensor.name.as_str()).collect();
        assert_eq!(names.len(), weights.len());
        for tensor in &weights {
            assert_eq!(
                tensor.shape.iter().product::<usize>(),
                tensor.values.len(),
                "{}",
                tensor.name
            );
        }
        let numbers: usize = weights.iter().map(|tensor| tensor.values.len()).sum();
        assert!(numbers < 300_000, "{numbers}");
        // Each patch becomes a token.
        assert_eq!(PATCHES, IMAGE_TOKENS);
    }

    #[test]
    fn the_marks_of_images_are_tokens_of_their_own() {
        let tokenizer: tokenizers::Tokenizer = tokenizer().to_string().parse().unwrap();
        for (place, mark) in IMAGE_MARKS.into_iter().enumerate() {
            let encoding = tokenizer.encode(format!("a{mark}b"), true).unwrap();
            assert_eq!(encoding.get_ids()[0], BEGIN_OF_TEXT.id);
            assert_eq!(encoding.get_ids()[2] as usize, VOCABULARY_SIZE + place);
            assert_eq!(encoding.get_ids().len(), 4);
        }
    }
}
