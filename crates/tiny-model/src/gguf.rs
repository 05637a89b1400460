use crate::shape::{
    CONTEXT_LENGTH, FEED_FORWARD_WIDTH, HEAD_WIDTH, HEADS, KEY_VALUE_HEADS, LAYERS, NORM_EPSILON, ROPE_THETA,
    VOCABULARY_SIZE, WIDTH,
};
use crate::tokenizer::{BEGIN_OF_TEXT, CHAT_TEMPLATE, END_OF_TEXT, END_OF_TURN, FIRST_SPECIAL, Vocabulary};
use crate::weights::{Tensor, tensors};

const VERSION: u32 = 3;
const ALIGNMENT: usize = 32;

/// Type of a tensor of 32-bit floats.
const TENSOR_F32: u32 = 0;

/// Kinds of tokens.
const NORMAL: i32 = 1;
const CONTROL: i32 = 3;

/// Makes the same model as [`files`](crate::files) as one GGUF file (version 3, architecture `llama`, 32-bit floats).
#[must_use]
pub fn gguf() -> Vec<u8> {
    let vocabulary = Vocabulary::load();
    let metadata = metadata(&vocabulary);
    let tensors = tensors();

    let mut bytes = Vec::new();
    bytes.extend(b"GGUF");
    bytes.extend(VERSION.to_le_bytes());
    bytes.extend((tensors.len() as u64).to_le_bytes());
    bytes.extend((metadata.len() as u64).to_le_bytes());
    for (key, value) in &metadata {
        put_text(&mut bytes, key);
        value.put(&mut bytes);
    }
    let mut offset: usize = 0;
    for tensor in &tensors {
        put_text(&mut bytes, &gguf_name(&tensor.name));
        bytes.extend((tensor.shape.len() as u32).to_le_bytes());
        // The format counts dimensions from the one whose values lie side by side.
        for size in tensor.shape.iter().rev() {
            bytes.extend((*size as u64).to_le_bytes());
        }
        bytes.extend(TENSOR_F32.to_le_bytes());
        bytes.extend((offset as u64).to_le_bytes());
        offset = (offset + tensor.values.len() * size_of::<f32>()).next_multiple_of(ALIGNMENT);
    }
    for tensor in &tensors {
        bytes.resize(bytes.len().next_multiple_of(ALIGNMENT), 0);
        for value in gguf_values(tensor) {
            bytes.extend(value.to_le_bytes());
        }
    }
    bytes
}

fn metadata(vocabulary: &Vocabulary) -> Vec<(&'static str, Value)> {
    let kinds = (0..VOCABULARY_SIZE)
        .map(|token| if token < FIRST_SPECIAL { NORMAL } else { CONTROL })
        .collect();
    vec![
        ("general.architecture", Value::text("llama")),
        ("general.name", Value::text("puna tiny")),
        ("general.alignment", Value::U32(ALIGNMENT as u32)),
        ("general.file_type", Value::U32(0)),
        ("llama.vocab_size", Value::U32(VOCABULARY_SIZE as u32)),
        ("llama.context_length", Value::U32(CONTEXT_LENGTH as u32)),
        ("llama.embedding_length", Value::U32(WIDTH as u32)),
        ("llama.block_count", Value::U32(LAYERS as u32)),
        ("llama.feed_forward_length", Value::U32(FEED_FORWARD_WIDTH as u32)),
        ("llama.attention.head_count", Value::U32(HEADS as u32)),
        ("llama.attention.head_count_kv", Value::U32(KEY_VALUE_HEADS as u32)),
        ("llama.attention.layer_norm_rms_epsilon", Value::F32(NORM_EPSILON)),
        ("llama.rope.dimension_count", Value::U32(HEAD_WIDTH as u32)),
        ("llama.rope.freq_base", Value::F32(ROPE_THETA)),
        ("tokenizer.ggml.model", Value::text("gpt2")),
        ("tokenizer.ggml.pre", Value::text("qwen2")),
        ("tokenizer.ggml.tokens", Value::Texts(vocabulary.tokens())),
        ("tokenizer.ggml.token_type", Value::I32s(kinds)),
        ("tokenizer.ggml.merges", Value::Texts(vocabulary.merges())),
        ("tokenizer.ggml.bos_token_id", Value::U32(BEGIN_OF_TEXT.id)),
        ("tokenizer.ggml.eos_token_id", Value::U32(END_OF_TEXT.id)),
        ("tokenizer.ggml.eot_token_id", Value::U32(END_OF_TURN.id)),
        ("tokenizer.ggml.add_bos_token", Value::Bool(false)),
        ("tokenizer.ggml.add_eos_token", Value::Bool(false)),
        ("tokenizer.chat_template", Value::text(CHAT_TEMPLATE)),
    ]
}

enum Value {
    U32(u32),
    F32(f32),
    Bool(bool),
    Text(String),
    I32s(Vec<i32>),
    Texts(Vec<String>),
}

impl Value {
    const TYPE_U32: u32 = 4;
    const TYPE_I32: u32 = 5;
    const TYPE_F32: u32 = 6;
    const TYPE_BOOL: u32 = 7;
    const TYPE_TEXT: u32 = 8;
    const TYPE_ARRAY: u32 = 9;

    fn text(text: &str) -> Self {
        Self::Text(text.to_owned())
    }

    /// Appends the value's type and the value.
    fn put(&self, bytes: &mut Vec<u8>) {
        match self {
            Self::U32(value) => {
                bytes.extend(Self::TYPE_U32.to_le_bytes());
                bytes.extend(value.to_le_bytes());
            }
            Self::F32(value) => {
                bytes.extend(Self::TYPE_F32.to_le_bytes());
                bytes.extend(value.to_le_bytes());
            }
            Self::Bool(value) => {
                bytes.extend(Self::TYPE_BOOL.to_le_bytes());
                bytes.push(u8::from(*value));
            }
            Self::Text(text) => {
                bytes.extend(Self::TYPE_TEXT.to_le_bytes());
                put_text(bytes, text);
            }
            Self::I32s(values) => {
                put_array(bytes, Self::TYPE_I32, values.len());
                bytes.extend(values.iter().flat_map(|value| value.to_le_bytes()));
            }
            Self::Texts(texts) => {
                put_array(bytes, Self::TYPE_TEXT, texts.len());
                for text in texts {
                    put_text(bytes, text);
                }
            }
        }
    }
}

fn put_array(bytes: &mut Vec<u8>, element_type: u32, length: usize) {
    bytes.extend(Value::TYPE_ARRAY.to_le_bytes());
    bytes.extend(element_type.to_le_bytes());
    bytes.extend((length as u64).to_le_bytes());
}

fn put_text(bytes: &mut Vec<u8>, text: &str) {
    bytes.extend((text.len() as u64).to_le_bytes());
    bytes.extend(text.as_bytes());
}

/// The name that the format has for a tensor of a Hugging Face checkpoint.
fn gguf_name(name: &str) -> String {
    [
        ("model.embed_tokens", "token_embd"),
        ("model.norm", "output_norm"),
        ("lm_head", "output"),
        ("model.layers.", "blk."),
        ("input_layernorm", "attn_norm"),
        ("post_attention_layernorm", "ffn_norm"),
        ("self_attn.q_proj", "attn_q"),
        ("self_attn.k_proj", "attn_k"),
        ("self_attn.v_proj", "attn_v"),
        ("self_attn.o_proj", "attn_output"),
        ("mlp.gate_proj", "ffn_gate"),
        ("mlp.up_proj", "ffn_up"),
        ("mlp.down_proj", "ffn_down"),
    ]
    .into_iter()
    .fold(name.to_owned(), |name, (from, to)| name.replace(from, to))
}

/// The values in the order that the format wants. Rotary embeddings turn the first half of a head's dimensions against
/// the second half in a Hugging Face checkpoint, and each even dimension against the next odd one in a GGUF file of
/// this architecture, so the rows of queries and keys are interleaved.
fn gguf_values(tensor: &Tensor) -> Vec<f32> {
    let rotated = tensor.name.contains("q_proj") || tensor.name.contains("k_proj");
    if !rotated {
        return tensor.values.clone();
    }
    let half = HEAD_WIDTH / 2;
    let rows: Vec<&[f32]> = tensor.values.chunks(WIDTH).collect();
    rows.chunks(HEAD_WIDTH)
        .flat_map(|head| (0..half).flat_map(|pair| [head[pair], head[half + pair]]))
        .flatten()
        .copied()
        .collect()
}
