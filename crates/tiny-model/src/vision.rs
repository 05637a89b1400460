//! A small model that looks at images: one of the kind Gemma 3. Nothing in it was learned, and what it says is noise; but the noise
//! depends on every patch of every image, which is what tests of an engine need.

use std::path::Path;

use serde_json::{Value, json};

use crate::error::Error;
use crate::gemma::{WIDTH, text_config, tokenizer};
use crate::noise::Network;
use crate::safetensors::safetensors;
use crate::shape::VOCABULARY_SIZE;
use crate::tokenizer::{BEGIN_OF_TEXT, END_OF_TURN, tokenizer_config_json};
use crate::weights::Tensor;
use crate::write::write_files;

/// Tokens that the prompt and the answer may have together.
pub const VISION_CONTEXT_LENGTH: usize = 512;

/// Tokens that the model sees of each image.
pub const IMAGE_TOKENS: usize = 16;

/// The marks around what is seen of an image, and the one for each token of it.
const IMAGE_MARKS: [&str; 3] = ["<start_of_image>", "<end_of_image>", "<image_soft_token>"];

/// Lays out a conversation; contents are texts or lists of parts, as in the templates of models that look at images.
pub(crate) const CHAT_TEMPLATE: &str = "\
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
        ("tokenizer.json", text(&tokenizer(&IMAGE_MARKS, None))),
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
        "text_config": text_config(VOCABULARY_SIZE + IMAGE_MARKS.len(), VISION_CONTEXT_LENGTH, 64),
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

fn weights() -> Vec<Tensor> {
    let mut network = Network::new(0x76_69_73_69_6F_6E);
    network.text("language_model.model.", VOCABULARY_SIZE + IMAGE_MARKS.len());

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
        vision_layer(&mut network, &format!("{vision}.encoder.layers.{layer}"));
    }
    network.norm(&format!("{vision}.post_layernorm"), VISION_WIDTH);
    network.tensors
}

fn vision_layer(network: &mut Network, layer: &str) {
    network.norm(&format!("{layer}.layer_norm1"), VISION_WIDTH);
    network.norm(&format!("{layer}.layer_norm2"), VISION_WIDTH);
    for (projection, rows, columns) in [
        ("self_attn.q_proj", VISION_WIDTH, VISION_WIDTH),
        ("self_attn.k_proj", VISION_WIDTH, VISION_WIDTH),
        ("self_attn.v_proj", VISION_WIDTH, VISION_WIDTH),
        ("self_attn.out_proj", VISION_WIDTH, VISION_WIDTH),
        ("mlp.fc1", VISION_FEED_FORWARD_WIDTH, VISION_WIDTH),
        ("mlp.fc2", VISION_WIDTH, VISION_FEED_FORWARD_WIDTH),
    ] {
        network.linear(&format!("{layer}.{projection}"), rows, columns);
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
        let tokenizer: tokenizers::Tokenizer = tokenizer(&IMAGE_MARKS, None).to_string().parse().unwrap();
        for (place, mark) in IMAGE_MARKS.into_iter().enumerate() {
            let encoding = tokenizer.encode(format!("a{mark}b"), true).unwrap();
            assert_eq!(encoding.get_ids()[0], BEGIN_OF_TEXT.id);
            assert_eq!(encoding.get_ids()[2] as usize, VOCABULARY_SIZE + place);
            assert_eq!(encoding.get_ids().len(), 4);
        }
    }
}
