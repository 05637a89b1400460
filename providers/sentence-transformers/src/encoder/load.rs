//! Puts a transformer together from weights under the names of its family.

use candle_core::{DType, Device, Tensor};
use candle_nn::Linear;

use super::layer::{Attention, FeedForward, Layer};
use super::position::{RelativeBias, Rotary};
use super::{Encoder, EncoderSettings, Family};
use crate::folder::Fault;
use crate::weights::{Scope, Weights};

/// The parts of a layer, as a family names them.
struct Names {
    layers: &'static str,
    attention: [&'static str; 3],
    attention_output: &'static str,
    attention_norm: &'static str,
    up: &'static str,
    down: &'static str,
    feed_forward_norm: &'static str,
}

const BERT: Names = Names {
    layers: "encoder.layer",
    attention: ["attention.self.query", "attention.self.key", "attention.self.value"],
    attention_output: "attention.output.dense",
    attention_norm: "attention.output.LayerNorm",
    up: "intermediate.dense",
    down: "output.dense",
    feed_forward_norm: "output.LayerNorm",
};

const MPNET: Names = Names {
    attention: ["attention.attn.q", "attention.attn.k", "attention.attn.v"],
    attention_output: "attention.attn.o",
    attention_norm: "attention.LayerNorm",
    ..BERT
};

const DISTILBERT: Names = Names {
    layers: "transformer.layer",
    attention: ["attention.q_lin", "attention.k_lin", "attention.v_lin"],
    attention_output: "attention.out_lin",
    attention_norm: "sa_layer_norm",
    up: "ffn.lin1",
    down: "ffn.lin2",
    feed_forward_norm: "output_layer_norm",
};

impl Encoder {
    /// Takes what it needs of the weights.
    pub(crate) fn load(
        settings: &EncoderSettings,
        weights: &Weights,
        device: &Device,
        dtype: DType,
    ) -> Result<Self, Fault> {
        // A model with a head has the transformer below its name.
        let prefixes = [
            "",
            "bert.",
            "roberta.",
            "mpnet.",
            "distilbert.",
            "nomic_bert.",
            "model.",
        ];
        let weights = weights.below(&prefixes, "embeddings.word_embeddings.weight")?;
        let embeddings = weights.at("embeddings");
        let width = settings.width;
        let is_nomic = settings.family == Family::NomicBert;
        let failed = |cause: candle_core::Error| cause.to_string();

        let positions = if is_nomic {
            None
        } else {
            let table = embeddings
                .at("position_embeddings")
                .tensor("weight", &[settings.positions, width])?;
            Some(
                table
                    .narrow(0, settings.first_position, settings.max_tokens())
                    .map_err(failed)?,
            )
        };
        let token_types = match settings.token_types {
            0 => None,
            count => Some(embeddings.embedding("token_type_embeddings", count, width)?),
        };
        let norm = if weights.at("emb_ln").has("weight") {
            weights.norm("emb_ln", width, settings.norm_epsilon)?
        } else {
            embeddings.norm("LayerNorm", width, settings.norm_epsilon)?
        };
        let relative = if settings.family == Family::Mpnet {
            let buckets = settings.relative_buckets;
            let table = weights
                .at("encoder.relative_attention_bias")
                .tensor("weight", &[buckets, settings.heads])?;
            if buckets < 4 {
                return Err(format!(
                    "config.json has {buckets} `relative_attention_num_buckets`; 4 or more are needed"
                ));
            }
            Some(RelativeBias::new(table, buckets))
        } else {
            None
        };
        let rotary = if is_nomic {
            let rotary = Rotary::new(
                settings.positions,
                settings.head_width(),
                settings.rotary_base,
                device,
                dtype,
            );
            Some(rotary.map_err(failed)?)
        } else {
            None
        };
        let mut layers = Vec::new();
        for number in 0..settings.layers {
            layers.push(match settings.family {
                Family::Bert | Family::Roberta => layer(&weights, number, &BERT, settings)?,
                Family::Mpnet => layer(&weights, number, &MPNET, settings)?,
                Family::DistilBert => layer(&weights, number, &DISTILBERT, settings)?,
                Family::NomicBert => nomic_layer(&weights, number, settings)?,
            });
        }
        Ok(Self {
            words: embeddings.embedding("word_embeddings", settings.vocabulary_size, width)?,
            positions,
            token_types,
            norm,
            rotary,
            relative,
            layers,
            device: device.clone(),
            dtype,
        })
    }
}

fn layer(weights: &Scope<'_>, number: usize, names: &Names, settings: &EncoderSettings) -> Result<Layer, Fault> {
    let weights = weights.at(names.layers).at(&number.to_string());
    let (width, wide) = (settings.width, settings.feed_forward_width);
    let mut inputs = Vec::new();
    for name in names.attention {
        inputs.push(weights.linear(name, width, width)?);
    }
    Ok(Layer {
        attention: Attention {
            inputs: joined(&inputs).map_err(|cause| cause.to_string())?,
            output: weights.linear(names.attention_output, width, width)?,
            heads: settings.heads,
            head_width: settings.head_width(),
        },
        attention_norm: weights.norm(names.attention_norm, width, settings.norm_epsilon)?,
        feed_forward: FeedForward {
            up: weights.linear(names.up, width, wide)?,
            gate: None,
            down: weights.linear(names.down, wide, width)?,
            activation: settings.activation,
        },
        feed_forward_norm: weights.norm(names.feed_forward_norm, width, settings.norm_epsilon)?,
    })
}

/// Nomic's files have queries, keys and values in one matrix already, and no biases.
fn nomic_layer(weights: &Scope<'_>, number: usize, settings: &EncoderSettings) -> Result<Layer, Fault> {
    let weights = weights.at("encoder.layers").at(&number.to_string());
    let (width, wide) = (settings.width, settings.feed_forward_width);
    Ok(Layer {
        attention: Attention {
            inputs: weights.linear_without_bias("attn.Wqkv", width, 3 * width)?,
            output: weights.linear_without_bias("attn.out_proj", width, width)?,
            heads: settings.heads,
            head_width: settings.head_width(),
        },
        attention_norm: weights.norm("norm1", width, settings.norm_epsilon)?,
        feed_forward: FeedForward {
            up: weights.linear_without_bias("mlp.fc11", width, wide)?,
            gate: Some(weights.linear_without_bias("mlp.fc12", width, wide)?),
            down: weights.linear_without_bias("mlp.fc2", wide, width)?,
            activation: settings.activation,
        },
        feed_forward_norm: weights.norm("norm2", width, settings.norm_epsilon)?,
    })
}

/// Several layers of the same input as one.
fn joined(layers: &[Linear]) -> candle_core::Result<Linear> {
    let weights: Vec<&Tensor> = layers.iter().map(Linear::weight).collect();
    let biases: Vec<&Tensor> = layers.iter().filter_map(Linear::bias).collect();
    Ok(Linear::new(Tensor::cat(&weights, 0)?, Some(Tensor::cat(&biases, 0)?)))
}
