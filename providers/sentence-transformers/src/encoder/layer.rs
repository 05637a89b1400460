//! One layer: attention and feed-forward, each with its normalisation after it.

use candle_core::{Module, Result as Computed, Tensor};
use candle_nn::{LayerNorm, Linear, ops};

use super::position::Rotary;
use crate::activation::Activation;

/// Attention scores that are held at a time at most: 64 MB of 32 bits. A long text is attended to piece by piece.
const MAX_SCORES: usize = 16 * 1024 * 1024;

/// One layer.
pub(super) struct Layer {
    pub(super) attention: Attention,
    pub(super) attention_norm: LayerNorm,
    pub(super) feed_forward: FeedForward,
    pub(super) feed_forward_norm: LayerNorm,
}

/// What lets each token look at the others.
pub(super) struct Attention {
    /// Queries, keys and values in one multiplication.
    pub(super) inputs: Linear,
    pub(super) output: Linear,
    pub(super) heads: usize,
    pub(super) head_width: usize,
}

/// What is done to each token by itself.
pub(super) struct FeedForward {
    pub(super) up: Linear,
    /// What the activation is applied to instead, where there is one.
    pub(super) gate: Option<Linear>,
    pub(super) down: Linear,
    pub(super) activation: Activation,
}

impl Layer {
    pub(super) fn forward(
        &self,
        states: &Tensor,
        mask: Option<&Tensor>,
        bias: Option<&Tensor>,
        rotary: Option<&Rotary>,
    ) -> Computed<Tensor> {
        let attended = self.attention.forward(states, mask, bias, rotary)?;
        let states = self.attention_norm.forward(&(attended + states)?)?;
        let fed = self.feed_forward.forward(&states)?;
        self.feed_forward_norm.forward(&(fed + &states)?)
    }
}

impl Attention {
    fn forward(
        &self,
        states: &Tensor,
        mask: Option<&Tensor>,
        bias: Option<&Tensor>,
        rotary: Option<&Rotary>,
    ) -> Computed<Tensor> {
        let (texts, length, width) = states.dims3()?;
        let inputs = self.inputs.forward(states)?;
        let heads = |part: usize| {
            inputs
                .narrow(2, part * width, width)?
                .reshape((texts, length, self.heads, self.head_width))?
                .transpose(1, 2)?
                .contiguous()
        };
        let (mut queries, mut keys, values) = (heads(0)?, heads(1)?, heads(2)?);
        if let Some(rotary) = rotary {
            queries = rotary.turn(&queries)?;
            keys = rotary.turn(&keys)?;
        }
        let queries = (queries / (self.head_width as f64).sqrt())?;
        let keys = keys.transpose(2, 3)?.contiguous()?;

        let rows = (MAX_SCORES / (texts * self.heads * length)).clamp(1, length);
        let mut attended = Vec::with_capacity(length.div_ceil(rows));
        for first in (0..length).step_by(rows) {
            let count = rows.min(length - first);
            let mut scores = queries.narrow(2, first, count)?.contiguous()?.matmul(&keys)?;
            if let Some(bias) = bias {
                scores = scores.broadcast_add(&bias.narrow(2, first, count)?)?;
            }
            if let Some(mask) = mask {
                scores = if scores.device().is_cpu() {
                    // Row by row: numbers that repeat in the middle would be added one by one there.
                    (&scores + mask.broadcast_as(scores.shape())?.contiguous()?)?
                } else {
                    scores.broadcast_add(mask)?
                };
            }
            attended.push(ops::softmax_last_dim(&scores)?.matmul(&values)?);
        }
        let attended = Tensor::cat(&attended, 2)?;
        self.output
            .forward(&attended.transpose(1, 2)?.reshape((texts, length, width))?)
    }
}

impl FeedForward {
    fn forward(&self, states: &Tensor) -> Computed<Tensor> {
        let up = self.up.forward(states)?;
        let wide = match &self.gate {
            Some(gate) => (self.activation.apply(&gate.forward(states)?)? * up)?,
            None => self.activation.apply(&up)?,
        };
        self.down.forward(&wide)
    }
}
