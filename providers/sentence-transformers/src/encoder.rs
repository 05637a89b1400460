//! The transformer: token ids to one vector per token.
//!
//! The BERT family differs in little: where positions come in, what the feed-forward part is, and names. So there is one model, and
//! [`load`] puts it together from the files of each kind.

use candle_core::{D, DType, Device, Module, Result as Computed, Tensor};
use candle_nn::{Embedding, LayerNorm};

use crate::tokens::Tokens;

mod layer;
mod load;
mod position;
mod settings;

use layer::Layer;
use position::{RelativeBias, Rotary};
pub(crate) use settings::{EncoderSettings, Family};

/// Ends a computation early: its answer is not wanted any more.
pub(crate) type Abandoned<'a> = &'a dyn Fn() -> bool;

/// A loaded transformer.
pub(crate) struct Encoder {
    words: Embedding,
    /// The vectors of positions from 0, where positions are learned.
    positions: Option<Tensor>,
    token_types: Option<Embedding>,
    norm: LayerNorm,
    rotary: Option<Rotary>,
    relative: Option<RelativeBias>,
    layers: Vec<Layer>,
    device: Device,
    dtype: DType,
}

/// Texts side by side, the shorter ones filled up.
pub(crate) struct Batch {
    ids: Tensor,
    types: Tensor,
    /// 1 for a token and 0 for filling, `(texts, longest)`, 32 bits; nothing where there is no filling.
    filled: Option<Tensor>,
    lengths: Vec<usize>,
}

impl Batch {
    /// Lays out texts, none of them empty.
    pub(crate) fn new(texts: &[&Tokens], device: &Device) -> Computed<Self> {
        let lengths: Vec<usize> = texts.iter().map(|text| text.ids.len()).collect();
        let longest = lengths.iter().copied().max().unwrap_or_default();
        let shape = (texts.len(), longest);
        let row = |values: &[u32]| {
            let mut row = values.to_vec();
            row.resize(longest, 0);
            row
        };
        let ids: Vec<u32> = texts.iter().flat_map(|text| row(&text.ids)).collect();
        let types: Vec<u32> = texts.iter().flat_map(|text| row(&text.types)).collect();
        let filled = if lengths.iter().all(|length| *length == longest) {
            None
        } else {
            let mask: Vec<f32> = lengths
                .iter()
                .flat_map(|length| (0..longest).map(|place| if place < *length { 1.0 } else { 0.0 }))
                .collect();
            Some(Tensor::from_vec(mask, shape, device)?)
        };
        Ok(Self {
            ids: Tensor::from_vec(ids, shape, device)?,
            types: Tensor::from_vec(types, shape, device)?,
            filled,
            lengths,
        })
    }

    /// How many tokens each text has.
    pub(crate) fn lengths(&self) -> &[usize] {
        &self.lengths
    }

    /// 1 for a token and 0 for filling; nothing where there is no filling.
    pub(crate) fn filled(&self) -> Option<&Tensor> {
        self.filled.as_ref()
    }
}

impl Encoder {
    /// One vector per token, `(texts, longest, width)`.
    pub(crate) fn forward(&self, batch: &Batch, abandoned: Abandoned<'_>) -> Computed<Tensor> {
        let (_, length) = batch.ids.dims2()?;
        let mut states = self.words.forward(&batch.ids)?;
        if let Some(token_types) = &self.token_types {
            states = (states + token_types.forward(&batch.types)?)?;
        }
        if let Some(positions) = &self.positions {
            states = states.broadcast_add(&positions.narrow(0, 0, length)?)?;
        }
        states = self.norm.forward(&states)?;

        let mask = batch.filled().map(|filled| self.mask(filled)).transpose()?;
        let bias = self.relative.as_ref().map(|relative| relative.of(length)).transpose()?;
        for layer in &self.layers {
            if abandoned() {
                candle_core::bail!("abandoned");
            }
            states = layer.forward(&states, mask.as_ref(), bias.as_ref(), self.rotary.as_ref())?;
        }
        Ok(states)
    }

    /// The device that batches belong on.
    pub(crate) fn device(&self) -> &Device {
        &self.device
    }

    /// What is added to attention scores so that filling has no say, `(texts, 1, 1, longest)`.
    fn mask(&self, filled: &Tensor) -> Computed<Tensor> {
        // As little as the number format can hold would overflow when a bias is added.
        let least = if self.dtype == DType::F16 { -6.0e4 } else { -1.0e30 };
        ((1.0 - filled)? * least)?
            .unsqueeze(1)?
            .unsqueeze(D::Minus2)?
            .to_dtype(self.dtype)
    }
}
