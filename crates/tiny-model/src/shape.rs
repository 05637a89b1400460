//! The model's dimensions.

/// Tokens in the vocabulary: 256 bytes, the learned merges, and five special tokens at the end.
pub const VOCABULARY_SIZE: usize = 1024;

/// Tokens that the model can attend to, prompt and answer together. What lies further apart than [`TRAINED_LENGTH`] it was
/// never taught to connect.
pub const CONTEXT_LENGTH: usize = 4096;

/// Tokens of the longest conversations that the model was trained on.
pub const TRAINED_LENGTH: usize = 768;

pub(crate) const LAYERS: usize = 4;
pub(crate) const WIDTH: usize = 192;
pub(crate) const FEED_FORWARD_WIDTH: usize = 512;
pub(crate) const HEADS: usize = 3;
pub(crate) const KEY_VALUE_HEADS: usize = 3;
pub(crate) const HEAD_WIDTH: usize = WIDTH / HEADS;
pub(crate) const NORM_EPSILON: f32 = 1e-5;
pub(crate) const ROPE_THETA: f32 = 10_000.0;
