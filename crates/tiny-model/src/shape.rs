//! The model's dimensions.

/// Tokens in the vocabulary: 256 bytes, the learned merges, and five special tokens at the end.
pub const VOCABULARY_SIZE: usize = 1024;

/// Tokens that the model can attend to, prompt and answer together.
pub const CONTEXT_LENGTH: usize = 4096;

pub(crate) const LAYERS: usize = 4;
pub(crate) const WIDTH: usize = 128;
pub(crate) const FEED_FORWARD_WIDTH: usize = 384;
pub(crate) const HEADS: usize = 4;
pub(crate) const KEY_VALUE_HEADS: usize = 2;
pub(crate) const HEAD_WIDTH: usize = WIDTH / HEADS;
pub(crate) const NORM_EPSILON: f32 = 1e-5;
pub(crate) const ROPE_THETA: f32 = 10_000.0;
