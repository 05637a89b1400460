//! A small model of the kind Qwen3-VL, which sees each image in about the size that it has. Nothing in it was learned, and what it
//! says is noise that depends on every patch of every image.

use std::path::Path;

use serde_json::{Value, json};

use crate::error::Error;
use crate::noise::{Network, Widths};
use crate::safetensors::safetensors;
use crate::shape::VOCABULARY_SIZE;
use crate::tokenizer::{BEGIN_OF_TEXT, END_OF_TURN, tokenizer_config_json, tokenizer_with_marks};
use crate::vision::{CHAT_TEMPLATE, VISION_CONTEXT_LENGTH};
use crate::weights::Tensor;
use crate::write::write_files;

/// The marks around what is seen of an image, the one for each token of it, and the one for each token of a video.
const MARKS: [&str; 4] = ["<|vision_start|>", "<|vision_end|>", "<|image_pad|>", "<|video_pad|>"];
const TOKENS: usize = VOCABULARY_SIZE + MARKS.len();

const WIDTH: usize = 64;
const LAYERS: usize = 2;
const FEED_FORWARD_WIDTH: usize = 96;
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
/// How many of a head's angles tell of time, height and width.
const ANGLES: [usize; 3] = [6, 3, 3];

/// The side of a patch in pixels, and how many patches in a row, and in a column, make a token.
const PATCH_SIDE: usize = 16;
const MERGED: usize = 2;
/// How many times an image is seen, since it is taken for a video that stands still.
const FRAMES: usize = 2;
const COLOURS: usize = 3;
/// The fewest and the most pixels of an image as the model sees it: 16 and 64 tokens.
const PIXELS: [usize; 2] = [128 * 128, 256 * 256];
const VISION_WIDTH: usize = 48;
const VISION_LAYERS: usize = 3;
const VISION_HEADS: usize = 3;
const VISION_FEED_FORWARD_WIDTH: usize = 64;
/// Places that were given to patches; those of an image lie between them.
const PLACES: usize = 16;
/// The layers whose patches are added to the first layers of the text.
const DEEP_LAYERS: [usize; 2] = [0, 1];

/// Writes a model of the kind Qwen3-VL with random weights into a folder. Promises what [`write`](crate::write()) promises.
///
/// # Errors
/// When the folder cannot be made or a file in it cannot be read, written or renamed.
pub fn write_qwen3_vl(directory: &Path) -> Result<(), Error> {
    write_files(directory, &files())
}

fn files() -> Vec<(&'static str, Vec<u8>)> {
    let text = |value: &Value| format!("{value:#}\n").into_bytes();
    let mark = [MARKS[0], MARKS[2], MARKS[1]].concat();
    let mut tokenizer_config = tokenizer_config_json();
    tokenizer_config["chat_template"] = json!(CHAT_TEMPLATE.replace("<start_of_image>", &mark));
    tokenizer_config["model_max_length"] = json!(VISION_CONTEXT_LENGTH);
    vec![
        ("config.json", text(&config())),
        (
            "generation_config.json",
            text(&json!({"bos_token_id": BEGIN_OF_TEXT.id, "eos_token_id": [END_OF_TURN.id]})),
        ),
        ("tokenizer.json", text(&tokenizer_with_marks(&MARKS))),
        ("tokenizer_config.json", text(&tokenizer_config)),
        ("preprocessor_config.json", text(&preprocessor_config())),
        ("model.safetensors", safetensors(&weights())),
    ]
}

fn config() -> Value {
    json!({
        "architectures": ["Qwen3VLForConditionalGeneration"],
        "model_type": "qwen3_vl",
        "vision_start_token_id": VOCABULARY_SIZE,
        "vision_end_token_id": VOCABULARY_SIZE + 1,
        "image_token_id": VOCABULARY_SIZE + 2,
        "video_token_id": VOCABULARY_SIZE + 3,
        "tie_word_embeddings": true,
        "text_config": {
            "model_type": "qwen3_vl_text",
            "vocab_size": TOKENS,
            "hidden_size": WIDTH,
            "intermediate_size": FEED_FORWARD_WIDTH,
            "num_hidden_layers": LAYERS,
            "num_attention_heads": HEADS,
            "num_key_value_heads": KEY_VALUE_HEADS,
            "head_dim": HEAD_WIDTH,
            "hidden_act": "silu",
            "max_position_embeddings": VISION_CONTEXT_LENGTH,
            "rms_norm_eps": 1e-6,
            "rope_theta": 10_000.0,
            "rope_scaling": {"rope_type": "default", "mrope_interleaved": true, "mrope_section": ANGLES},
            "attention_bias": false,
            "attention_dropout": 0.0,
            "tie_word_embeddings": true,
            "bos_token_id": BEGIN_OF_TEXT.id,
            "eos_token_id": END_OF_TURN.id,
            "dtype": "float32",
        },
        "vision_config": {
            "model_type": "qwen3_vl",
            "depth": VISION_LAYERS,
            "hidden_size": VISION_WIDTH,
            "intermediate_size": VISION_FEED_FORWARD_WIDTH,
            "num_heads": VISION_HEADS,
            "in_channels": COLOURS,
            "patch_size": PATCH_SIDE,
            "spatial_merge_size": MERGED,
            "temporal_patch_size": FRAMES,
            "num_position_embeddings": PLACES,
            "deepstack_visual_indexes": DEEP_LAYERS,
            "out_hidden_size": WIDTH,
            "hidden_act": "gelu_pytorch_tanh",
        },
    })
}

fn preprocessor_config() -> Value {
    json!({
        "image_processor_type": "Qwen2VLImageProcessorFast",
        "size": {"shortest_edge": PIXELS[0], "longest_edge": PIXELS[1]},
        "patch_size": PATCH_SIDE,
        "merge_size": MERGED,
        "temporal_patch_size": FRAMES,
        "image_mean": [0.5, 0.5, 0.5],
        "image_std": [0.5, 0.5, 0.5],
    })
}

fn weights() -> Vec<Tensor> {
    let mut network = Network::new(0x71_77_65_6E);
    let text = "model.language_model";
    network.matrix(&format!("{text}.embed_tokens.weight"), TOKENS, WIDTH);
    for layer in 0..LAYERS {
        text_layer(&mut network, &format!("{text}.layers.{layer}"));
    }
    network.same(&format!("{text}.norm.weight"), WIDTH, 1.0);

    let vision = "model.visual";
    let patch = format!("{vision}.patch_embed.proj");
    network.random(
        &format!("{patch}.weight"),
        &[VISION_WIDTH, COLOURS, FRAMES, PATCH_SIDE, PATCH_SIDE],
        COLOURS * FRAMES * PATCH_SIDE * PATCH_SIDE,
    );
    network.same(&format!("{patch}.bias"), VISION_WIDTH, 0.0);
    network.matrix(&format!("{vision}.pos_embed.weight"), PLACES, VISION_WIDTH);
    for layer in 0..VISION_LAYERS {
        vision_layer(&mut network, &format!("{vision}.blocks.{layer}"));
    }
    merger(&mut network, &format!("{vision}.merger"), VISION_WIDTH);
    for place in 0..DEEP_LAYERS.len() {
        let name = format!("{vision}.deepstack_merger_list.{place}");
        merger(&mut network, &name, VISION_WIDTH * MERGED * MERGED);
    }
    network.tensors
}

fn text_layer(network: &mut Network, layer: &str) {
    for norm in ["input_layernorm", "post_attention_layernorm"] {
        network.same(&format!("{layer}.{norm}.weight"), WIDTH, 1.0);
    }
    for norm in ["q_norm", "k_norm"] {
        network.same(&format!("{layer}.self_attn.{norm}.weight"), HEAD_WIDTH, 1.0);
    }
    network.projections(layer, &WIDTHS);
}

fn vision_layer(network: &mut Network, layer: &str) {
    network.norm(&format!("{layer}.norm1"), VISION_WIDTH);
    network.norm(&format!("{layer}.norm2"), VISION_WIDTH);
    network.linear(&format!("{layer}.attn.qkv"), 3 * VISION_WIDTH, VISION_WIDTH);
    network.linear(&format!("{layer}.attn.proj"), VISION_WIDTH, VISION_WIDTH);
    network.linear(
        &format!("{layer}.mlp.linear_fc1"),
        VISION_FEED_FORWARD_WIDTH,
        VISION_WIDTH,
    );
    network.linear(
        &format!("{layer}.mlp.linear_fc2"),
        VISION_WIDTH,
        VISION_FEED_FORWARD_WIDTH,
    );
}

/// What makes a token of patches, with a norm of patches or of what they make together.
fn merger(network: &mut Network, name: &str, norm_width: usize) {
    let width = VISION_WIDTH * MERGED * MERGED;
    network.norm(&format!("{name}.norm"), norm_width);
    network.linear(&format!("{name}.linear_fc1"), width, width);
    network.linear(&format!("{name}.linear_fc2"), WIDTH, width);
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
        let numbers: usize = weights.iter().map(|tensor| tensor.values.len()).sum();
        assert!(numbers < 500_000, "{numbers}");
        assert_eq!(2 * ANGLES.iter().sum::<usize>(), HEAD_WIDTH);
    }

    #[test]
    fn the_marks_are_tokens_of_their_own_where_the_configuration_says() {
        let tokenizer: tokenizers::Tokenizer = tokenizer_with_marks(&MARKS).to_string().parse().unwrap();
        let encoding = tokenizer.encode(format!("a{}b", MARKS.concat()), true).unwrap();
        let config = config();
        let expected = ["vision_start", "vision_end", "image", "video"].map(|name| {
            let id = config[format!("{name}_token_id")].as_u64().unwrap();
            u32::try_from(id).unwrap()
        });
        assert_eq!(encoding.get_ids()[1..5], expected);
        assert_eq!(encoding.get_ids().len(), 6);
    }
}
