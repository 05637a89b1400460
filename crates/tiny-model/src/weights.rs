//! The weights, under the names of a Hugging Face checkpoint.

use crate::shape::{FEED_FORWARD_WIDTH, HEAD_WIDTH, HEADS, KEY_VALUE_HEADS, LAYERS, VOCABULARY_SIZE, WIDTH};

/// What training made, in the order of [`tensors`] without the output matrix: a vector as 32-bit floats, a matrix row by row, each
/// row as the 32-bit float that scales it and then an 8-bit integer per column.
pub(crate) const TRAINED: &[u8] = include_bytes!("../weights/weights.bin");

const _: () = assert!(
    TRAINED.len() == trained_size(),
    "the committed weights do not have the model's shape"
);

/// A matrix in rows, one row per output, or a vector.
pub(crate) struct Tensor {
    pub(crate) name: String,
    /// Rows and columns, or a length.
    pub(crate) shape: Vec<usize>,
    pub(crate) values: Vec<f32>,
}

/// All weights. The output matrix is the embeddings'.
pub(crate) fn tensors() -> Vec<Tensor> {
    let mut trained = Trained { rest: TRAINED };
    let embeddings = trained.matrix("model.embed_tokens.weight", VOCABULARY_SIZE, WIDTH);
    let output = Tensor {
        name: "lm_head.weight".to_owned(),
        shape: embeddings.shape.clone(),
        values: embeddings.values.clone(),
    };
    let mut tensors = vec![embeddings];
    for layer in 0..LAYERS {
        let name = |suffix: &str| format!("model.layers.{layer}.{suffix}.weight");
        tensors.extend([
            trained.vector(&name("input_layernorm")),
            trained.matrix(&name("self_attn.q_proj"), HEADS * HEAD_WIDTH, WIDTH),
            trained.matrix(&name("self_attn.k_proj"), KEY_VALUE_HEADS * HEAD_WIDTH, WIDTH),
            trained.matrix(&name("self_attn.v_proj"), KEY_VALUE_HEADS * HEAD_WIDTH, WIDTH),
            trained.matrix(&name("self_attn.o_proj"), WIDTH, HEADS * HEAD_WIDTH),
            trained.vector(&name("post_attention_layernorm")),
            trained.matrix(&name("mlp.gate_proj"), FEED_FORWARD_WIDTH, WIDTH),
            trained.matrix(&name("mlp.up_proj"), FEED_FORWARD_WIDTH, WIDTH),
            trained.matrix(&name("mlp.down_proj"), WIDTH, FEED_FORWARD_WIDTH),
        ]);
    }
    tensors.push(trained.vector("model.norm.weight"));
    tensors.push(output);
    tensors
}

/// What is not read yet. Its length was checked when this was compiled.
struct Trained {
    rest: &'static [u8],
}

impl Trained {
    fn vector(&mut self, name: &str) -> Tensor {
        Tensor {
            name: name.to_owned(),
            shape: vec![WIDTH],
            values: (0..WIDTH).map(|_| self.float()).collect(),
        }
    }

    fn matrix(&mut self, name: &str, rows: usize, columns: usize) -> Tensor {
        let mut values = Vec::with_capacity(rows * columns);
        for _ in 0..rows {
            let scale = self.float();
            let (row, rest) = self.rest.split_at(columns);
            self.rest = rest;
            values.extend(row.iter().map(|value| f32::from(value.cast_signed()) * scale));
        }
        Tensor {
            name: name.to_owned(),
            shape: vec![rows, columns],
            values,
        }
    }

    fn float(&mut self) -> f32 {
        let mut bytes = [0; size_of::<f32>()];
        let (float, rest) = self.rest.split_at(bytes.len());
        bytes.copy_from_slice(float);
        self.rest = rest;
        f32::from_le_bytes(bytes)
    }
}

/// Bytes of [`TRAINED`].
const fn trained_size() -> usize {
    const fn matrix(rows: usize, columns: usize) -> usize {
        rows * (size_of::<f32>() + columns)
    }
    const VECTOR: usize = WIDTH * size_of::<f32>();
    let attention = matrix(HEADS * HEAD_WIDTH, WIDTH)
        + 2 * matrix(KEY_VALUE_HEADS * HEAD_WIDTH, WIDTH)
        + matrix(WIDTH, HEADS * HEAD_WIDTH);
    let feed_forward = 2 * matrix(FEED_FORWARD_WIDTH, WIDTH) + matrix(WIDTH, FEED_FORWARD_WIDTH);
    matrix(VOCABULARY_SIZE, WIDTH) + LAYERS * (2 * VECTOR + attention + feed_forward) + VECTOR
}
