//! The embedding model of the kind Qwen3-Embedding: the last token of a text, which every text ends with, takes the average of what
//! comes before it.

use serde_json::{Map, Value, json};

use super::bert::{modules, pooling};
use super::vocabulary::{Meaning, STOP_WORDS};
use super::{ENCODER_CONTEXT_LENGTH, File, WIDTH, direction, json, matrix, vector};
use crate::random::Random;
use crate::safetensors::safetensors;
use crate::tokenizer::printable;
use crate::weights::Tensor;

const CONTENT: usize = 84;
const HEADS: usize = 2;
const HEAD_WIDTH: usize = WIDTH / HEADS;
const LAYERS: usize = 2;
const FEED_FORWARD_WIDTH: usize = 128;
const END_OF_TEXT: &str = "<|endoftext|>";

pub(super) fn files() -> Vec<File> {
    let vocabulary = Vocabulary::new();
    vec![
        ("config.json", json(&config(vocabulary.size()))),
        ("tokenizer.json", json(&vocabulary.tokenizer())),
        ("tokenizer_config.json", json(&vocabulary.tokenizer_config())),
        ("modules.json", json(&modules())),
        (
            "sentence_bert_config.json",
            json(&json!({"max_seq_length": ENCODER_CONTEXT_LENGTH, "do_lower_case": false})),
        ),
        ("1_Pooling/config.json", json(&pooling("pooling_mode_lasttoken", WIDTH))),
        ("model.safetensors", safetensors(&weights(&vocabulary))),
    ]
}

fn config(vocabulary_size: usize) -> Value {
    let end = vocabulary_size - 1;
    json!({
        "architectures": ["Qwen3ForCausalLM"],
        "model_type": "qwen3",
        "vocab_size": vocabulary_size,
        "hidden_size": WIDTH,
        "intermediate_size": FEED_FORWARD_WIDTH,
        "num_hidden_layers": LAYERS,
        "num_attention_heads": HEADS,
        "num_key_value_heads": HEADS,
        "head_dim": HEAD_WIDTH,
        "hidden_act": "silu",
        "max_position_embeddings": ENCODER_CONTEXT_LENGTH,
        "max_window_layers": LAYERS,
        "use_sliding_window": false,
        "sliding_window": null,
        "rms_norm_eps": 1e-6,
        "rope_theta": 1_000_000.0,
        "rope_scaling": null,
        "attention_bias": false,
        "attention_dropout": 0.0,
        "tie_word_embeddings": true,
        "torch_dtype": "float32",
        "use_cache": true,
        "bos_token_id": end,
        "eos_token_id": end,
    })
}

/// Byte-level BPE: all bytes, all pairs of small letters with and without a space before them, the words that say little with the
/// space before them, and the end of a text. Texts are cut into these words and pairs before that, from the left.
struct Vocabulary {
    tokens: Vec<(Vec<u8>, Meaning)>,
    /// The two tokens that each merge joins; what it makes is the token after the bytes and the merges before it.
    merges: Vec<(usize, usize)>,
}

const SPACE: usize = b' ' as usize;

impl Vocabulary {
    fn new() -> Self {
        let byte = |byte: u8| {
            let is_word = byte.is_ascii_alphanumeric() || byte >= 0x80;
            (vec![byte], if is_word { Meaning::Content } else { Meaning::Little })
        };
        let mut vocabulary = Self {
            tokens: (0..=u8::MAX).map(byte).collect(),
            merges: Vec::new(),
        };
        for first in b'a'..=b'z' {
            for second in b'a'..=b'z' {
                vocabulary.merge(first.into(), second.into(), Meaning::Content);
            }
        }
        for pair in 256..vocabulary.tokens.len() {
            vocabulary.merge(SPACE, pair, Meaning::Content);
        }
        for word in STOP_WORDS {
            let mut tokens = vocabulary.encode(format!(" {word}").as_bytes()).into_iter();
            let mut joined = tokens.next().unwrap_or_default();
            for next in tokens {
                joined = vocabulary.merge(joined, next, Meaning::Content);
            }
            vocabulary.tokens[joined].1 = Meaning::Little;
        }
        vocabulary
    }

    /// Where a text is cut.
    fn pattern() -> String {
        format!(" (?:{})(?!\\p{{L}})| ?\\p{{L}}{{1,2}}", STOP_WORDS.join("|"))
    }

    /// Adds a merge, unless it is there, and returns the token that it makes.
    fn merge(&mut self, left: usize, right: usize, meaning: Meaning) -> usize {
        if let Some(merge) = self.merges.iter().position(|merge| *merge == (left, right)) {
            return 256 + merge;
        }
        let joined = [self.tokens[left].0.as_slice(), &self.tokens[right].0].concat();
        self.merges.push((left, right));
        self.tokens.push((joined, meaning));
        self.tokens.len() - 1
    }

    /// The tokens of a word.
    fn encode(&self, word: &[u8]) -> Vec<usize> {
        let mut tokens: Vec<usize> = word.iter().map(|byte| usize::from(*byte)).collect();
        loop {
            let first = tokens
                .windows(2)
                .enumerate()
                .filter_map(|(place, pair)| {
                    let merge = self.merges.iter().position(|merge| *merge == (pair[0], pair[1]))?;
                    Some((merge, place))
                })
                .min();
            let Some((merge, place)) = first else { return tokens };
            tokens.splice(place..place + 2, [256 + merge]);
        }
    }

    fn size(&self) -> usize {
        self.tokens.len() + 1
    }

    fn tokenizer(&self) -> Value {
        let names: Vec<String> = self.tokens.iter().map(|(bytes, _)| printable(bytes)).collect();
        let vocab: Map<String, Value> = names
            .iter()
            .enumerate()
            .map(|(id, name)| (name.clone(), json!(id)))
            .collect();
        let merges = self.merges.iter();
        let merges: Vec<String> = merges
            .map(|(left, right)| format!("{} {}", names[*left], names[*right]))
            .collect();
        let end = self.size() - 1;
        let byte_level =
            json!({"type": "ByteLevel", "add_prefix_space": false, "trim_offsets": false, "use_regex": false});
        let text = |name: &str, kind: u8| json!({"Sequence": {"id": name, "type_id": kind}});
        let mark = json!({"SpecialToken": {"id": END_OF_TEXT, "type_id": 0}});
        json!({
            "version": "1.0",
            "truncation": null,
            "padding": null,
            "added_tokens": [{"id": end, "content": END_OF_TEXT, "single_word": false, "lstrip": false, "rstrip": false,
                              "normalized": false, "special": true}],
            "normalizer": {
                "type": "Sequence",
                // The first word has a space before it, like any other.
                "normalizers": [{"type": "NFC"}, {"type": "Lowercase"}, {"type": "Prepend", "prepend": " "}],
            },
            "pre_tokenizer": {
                "type": "Sequence",
                "pretokenizers": [
                    {"type": "Split", "pattern": {"Regex": Self::pattern()}, "behavior": "Isolated", "invert": false},
                    byte_level,
                ],
            },
            "post_processor": {
                "type": "TemplateProcessing",
                "single": [text("A", 0), mark],
                "pair": [text("A", 0), text("B", 1), mark],
                "special_tokens": {END_OF_TEXT: {"id": END_OF_TEXT, "ids": [end], "tokens": [END_OF_TEXT]}},
            },
            "decoder": byte_level,
            "model": {
                "type": "BPE",
                "dropout": null,
                "unk_token": null,
                "continuing_subword_prefix": null,
                "end_of_word_suffix": null,
                "fuse_unk": false,
                "byte_fallback": false,
                "ignore_merges": false,
                "vocab": vocab,
                "merges": merges,
            },
        })
    }

    fn tokenizer_config(&self) -> Value {
        json!({
            "tokenizer_class": "PreTrainedTokenizerFast",
            "eos_token": END_OF_TEXT,
            "pad_token": END_OF_TEXT,
            "padding_side": "left",
            "clean_up_tokenization_spaces": false,
            "model_input_names": ["input_ids", "attention_mask"],
            "model_max_length": ENCODER_CONTEXT_LENGTH,
        })
    }
}

fn weights(vocabulary: &Vocabulary) -> Vec<Tensor> {
    let random = &mut Random::new(0x71_77_65_6E);
    let meanings = vocabulary
        .tokens
        .iter()
        .map(|(_, meaning)| *meaning)
        .chain([Meaning::Little]);
    let words: Vec<f32> = meanings.flat_map(|meaning| word(random, meaning)).collect();
    let mut tensors = vec![matrix(
        "embed_tokens.weight",
        vocabulary.size(),
        WIDTH,
        |row, column| words[row * WIDTH + column],
    )];
    for layer in 0..LAYERS {
        tensors.extend(layer_weights(random, layer));
    }
    tensors.push(vector("norm.weight", WIDTH, content));
    tensors
}

/// The vector of a token: one that says something lies in the content dimensions, another one nearly all outside of them.
fn word(random: &mut Random, meaning: Meaning) -> Vec<f32> {
    let content = direction(random, CONTENT);
    if meaning != Meaning::Little {
        return content.into_iter().chain([0.0; WIDTH - CONTENT]).collect();
    }
    let outside = direction(random, WIDTH - CONTENT);
    let strength = (CONTENT as f32 / (WIDTH - CONTENT) as f32).sqrt();
    let faint = content.into_iter().map(|value| 0.1 * value);
    faint.chain(outside.into_iter().map(|value| strength * value)).collect()
}

/// What says little has no say in what is added, and in the end it is left out.
fn content(place: usize) -> f32 {
    if place < CONTENT { 1.0 } else { 0.0 }
}

fn layer_weights(random: &mut Random, layer: usize) -> Vec<Tensor> {
    let name = |suffix: &str| format!("layers.{layer}.{suffix}.weight");
    let wide = (WIDTH as f32).sqrt();
    // The first layer brings in the average, which is the shorter the more words there are; the second adds little.
    let share = if layer == 0 { 8.0 } else { 0.3 };
    let same = |row: usize, column: usize| if row == column { 1.0 } else { 0.0 };
    let feed_forward = (FEED_FORWARD_WIDTH as f32).sqrt();
    vec![
        vector(&name("input_layernorm"), WIDTH, |_| 1.0),
        matrix(&name("self_attn.q_proj"), WIDTH, WIDTH, |_, _| random.normal() / wide),
        matrix(&name("self_attn.k_proj"), WIDTH, WIDTH, |_, _| random.normal() / wide),
        matrix(&name("self_attn.v_proj"), WIDTH, WIDTH, |row, column| {
            content(column) * (same(row, column) + 0.05 * random.normal() / wide)
        }),
        matrix(&name("self_attn.o_proj"), WIDTH, WIDTH, |row, column| {
            share * (same(row, column) + 0.05 * random.normal() / wide)
        }),
        // Queries this short let all tokens be looked at alike.
        vector(&name("self_attn.q_norm"), HEAD_WIDTH, |_| 0.1),
        vector(&name("self_attn.k_norm"), HEAD_WIDTH, |_| 1.0),
        vector(&name("post_attention_layernorm"), WIDTH, |_| 1.0),
        matrix(&name("mlp.gate_proj"), FEED_FORWARD_WIDTH, WIDTH, |_, column| {
            content(column) * random.normal() / wide
        }),
        matrix(&name("mlp.up_proj"), FEED_FORWARD_WIDTH, WIDTH, |_, column| {
            content(column) * random.normal() / wide
        }),
        matrix(&name("mlp.down_proj"), WIDTH, FEED_FORWARD_WIDTH, |_, _| {
            0.5 * random.normal() / feed_forward
        }),
    ]
}
