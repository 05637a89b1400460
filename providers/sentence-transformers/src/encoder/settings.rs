//! What `config.json` says of a transformer.

use serde_json::{Map, Value};

use crate::activation::Activation;
use crate::folder::Fault;

/// A kind of transformer, by its `model_type`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Family {
    Bert,
    /// RoBERTa, XLM-RoBERTa and CamemBERT.
    Roberta,
    Mpnet,
    DistilBert,
    NomicBert,
}

/// The dimensions of a transformer.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct EncoderSettings {
    pub(crate) family: Family,
    pub(crate) vocabulary_size: usize,
    pub(crate) width: usize,
    pub(crate) layers: usize,
    pub(crate) heads: usize,
    pub(crate) feed_forward_width: usize,
    /// Rows of the table of positions, or positions that rotary embeddings are made for.
    pub(crate) positions: usize,
    /// The row of the first token's position: RoBERTa's come after the number of the padding token.
    pub(crate) first_position: usize,
    pub(crate) token_types: usize,
    pub(crate) norm_epsilon: f64,
    pub(crate) activation: Activation,
    pub(crate) rotary_base: f64,
    pub(crate) relative_buckets: usize,
}

impl EncoderSettings {
    /// Reads the content of `config.json`.
    pub(crate) fn read(config: &Map<String, Value>) -> Result<Self, Fault> {
        let file = File(config);
        let family = family(file.text("model_type")?.ok_or("config.json has no `model_type`")?)?;
        if let Some(kind) = file.text("position_embedding_type")?.filter(|kind| *kind != "absolute") {
            return Err(format!(
                "config.json has the `position_embedding_type` `{kind}`; `absolute` is what can be computed"
            ));
        }
        let width = file.size(&["hidden_size", "n_embd", "dim"])?;
        let heads = file.size(&["num_attention_heads", "n_head", "n_heads"])?;
        if width % heads != 0 {
            return Err(format!(
                "config.json has {heads} attention heads, which do not divide its width of {width}"
            ));
        }
        let positions = file.size(&["max_position_embeddings", "n_positions"])?;
        let first_position = match family {
            Family::Roberta | Family::Mpnet => 1 + file.number("pad_token_id")?.unwrap_or(1),
            Family::Bert | Family::DistilBert | Family::NomicBert => 0,
        };
        if first_position >= positions {
            return Err(format!(
                "config.json has {positions} positions, of which the first that is used is number {first_position}"
            ));
        }
        let activation = match (
            file.text("hidden_act")?,
            file.text("activation_function")?,
            file.text("activation")?,
        ) {
            (Some(name), _, _) => Activation::of_config(name)?,
            (None, Some("swiglu"), _) => Activation::Silu,
            (None, Some(name), _) if family == Family::NomicBert => {
                return Err(format!(
                    "config.json has the `activation_function` `{name}`; `swiglu` is what can be computed"
                ));
            }
            (None, _, Some(name)) => Activation::of_config(name)?,
            (None, _, None) if family == Family::NomicBert => Activation::Silu,
            (None, _, None) => Activation::Gelu,
        };
        if family == Family::NomicBert {
            file.check_nomic()?;
        }
        Ok(Self {
            family,
            vocabulary_size: file.size(&["vocab_size"])?,
            width,
            layers: file.size(&["num_hidden_layers", "n_layer", "n_layers"])?,
            heads,
            feed_forward_width: file.size(&["intermediate_size", "n_inner", "hidden_dim"])?,
            positions,
            first_position,
            token_types: match family {
                Family::Mpnet | Family::DistilBert => 0,
                Family::Bert | Family::Roberta | Family::NomicBert => file.number("type_vocab_size")?.unwrap_or(2),
            },
            norm_epsilon: file.real(&["layer_norm_eps", "layer_norm_epsilon"])?.unwrap_or(1e-12),
            activation,
            rotary_base: file.rotary_base()?,
            relative_buckets: file.number("relative_attention_num_buckets")?.unwrap_or(32),
        })
    }

    /// The width of one attention head.
    pub(crate) fn head_width(&self) -> usize {
        self.width / self.heads
    }

    /// The most tokens that a text can have.
    pub(crate) fn max_tokens(&self) -> usize {
        self.positions - self.first_position
    }
}

fn family(model_type: &str) -> Result<Family, Fault> {
    Ok(match model_type {
        "bert" => Family::Bert,
        "roberta" | "xlm-roberta" | "camembert" => Family::Roberta,
        "mpnet" => Family::Mpnet,
        "distilbert" => Family::DistilBert,
        "nomic_bert" => Family::NomicBert,
        other => {
            return Err(format!(
                "config.json has the `model_type` `{other}`; known are bert, roberta, xlm-roberta, camembert, mpnet, distilbert \
                 and nomic_bert"
            ));
        }
    })
}

struct File<'a>(&'a Map<String, Value>);

impl<'a> File<'a> {
    fn get(&self, name: &str) -> Option<&'a Value> {
        self.0.get(name).filter(|value| !value.is_null())
    }

    fn text(&self, name: &str) -> Result<Option<&'a str>, Fault> {
        self.get(name)
            .map(|value| value.as_str().ok_or_else(|| wrong(name, value, "a text")))
            .transpose()
    }

    fn number(&self, name: &str) -> Result<Option<usize>, Fault> {
        self.get(name)
            .map(|value| {
                let number = value.as_u64().and_then(|number| u32::try_from(number).ok());
                number
                    .map(|number| number as usize)
                    .ok_or_else(|| wrong(name, value, "a whole number"))
            })
            .transpose()
    }

    /// A number of at least 1, under the first of these names that is there.
    fn size(&self, names: &[&str]) -> Result<usize, Fault> {
        for name in names {
            match self.number(name)? {
                Some(0) => return Err(wrong(name, &Value::from(0), "1 or more")),
                Some(size) => return Ok(size),
                None => {}
            }
        }
        Err(format!("config.json has no `{}`", names[0]))
    }

    fn real(&self, names: &[&str]) -> Result<Option<f64>, Fault> {
        for name in names {
            if let Some(value) = self.get(name) {
                let number = value.as_f64().filter(|number| number.is_finite() && *number > 0.0);
                return number.map(Some).ok_or_else(|| wrong(name, value, "a number above 0"));
            }
        }
        Ok(None)
    }

    /// Where it stands depends on the version that wrote the file.
    fn rotary_base(&self) -> Result<f64, Fault> {
        if let Some(parameters) = self.get("rope_parameters").and_then(Value::as_object) {
            let parameters = File(parameters);
            if let Some(kind) = parameters.text("rope_type")?.filter(|kind| *kind != "default") {
                return Err(format!(
                    "config.json has the `rope_type` `{kind}`; `default` is what can be computed"
                ));
            }
            if let Some(base) = parameters.real(&["rope_theta"])? {
                return Ok(base);
            }
        }
        Ok(self.real(&["rotary_emb_base", "rope_theta"])?.unwrap_or(1000.0))
    }

    /// The options of nomic's own code that its published embedding models leave at these values.
    fn check_nomic(&self) -> Result<(), Fault> {
        let expected = [
            ("prenorm", Value::from(false)),
            ("rotary_emb_interleaved", Value::from(false)),
            ("qkv_proj_bias", Value::from(false)),
            ("mlp_fc1_bias", Value::from(false)),
            ("mlp_fc2_bias", Value::from(false)),
            ("use_rms_norm", Value::from(false)),
            ("parallel_block", Value::from(false)),
            ("causal", Value::from(false)),
            ("rotary_emb_fraction", Value::from(1.0)),
            ("num_experts", Value::from(0)),
            ("rotary_scaling_factor", Value::Null),
            ("rotary_emb_scale_base", Value::Null),
        ];
        for (name, expected) in expected {
            let Some(value) = self.get(name) else { continue };
            let is_same = *value == expected || value.as_f64().is_some_and(|number| Some(number) == expected.as_f64());
            if !is_same {
                return Err(format!(
                    "config.json has the `{name}` {value}; {expected} is what can be computed"
                ));
            }
        }
        Ok(())
    }
}

fn wrong(name: &str, value: &Value, right: &str) -> Fault {
    format!("config.json has the `{name}` {value}; {right} is needed")
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn read(changes: &Value) -> Result<EncoderSettings, Fault> {
        let mut config = json!({
            "model_type": "bert", "vocab_size": 10, "hidden_size": 8, "num_hidden_layers": 2, "num_attention_heads": 2,
            "intermediate_size": 16, "max_position_embeddings": 512, "pad_token_id": 1,
        });
        let config = config.as_object_mut().unwrap();
        config.extend(changes.as_object().unwrap().clone());
        EncoderSettings::read(config)
    }

    #[test]
    fn positions_of_roberta_begin_after_the_padding_token() {
        assert_eq!(read(&json!({})).unwrap().max_tokens(), 512);
        for kind in ["roberta", "xlm-roberta", "mpnet"] {
            let settings = read(&json!({"model_type": kind, "max_position_embeddings": 514})).unwrap();
            assert_eq!((settings.first_position, settings.max_tokens()), (2, 512), "{kind}");
        }
    }

    #[test]
    fn nomic_is_read_in_both_spellings() {
        let published = json!({
            "model_type": "nomic_bert", "vocab_size": 10, "n_embd": 8, "n_layer": 2, "n_head": 2, "n_inner": 16,
            "n_positions": 512, "activation_function": "swiglu", "layer_norm_epsilon": 1e-12, "rotary_emb_base": 1000,
            "rotary_emb_fraction": 1.0, "rotary_emb_interleaved": false, "rotary_scaling_factor": null, "prenorm": false,
        });
        let published = EncoderSettings::read(published.as_object().unwrap()).unwrap();
        let parameters = json!({"rope_theta": 1000.0, "rope_type": "default"});
        let rewritten = read(&json!({"model_type": "nomic_bert", "hidden_act": "silu", "rope_parameters": parameters}));
        assert_eq!(published, rewritten.unwrap());
    }

    #[test]
    fn faults_say_what_is_wrong() {
        for (changes, message) in [
            (json!({"model_type": "modernbert"}), "`modernbert`; known are bert"),
            (json!({"model_type": null}), "has no `model_type`"),
            (
                json!({"hidden_size": 9}),
                "2 attention heads, which do not divide its width of 9",
            ),
            (json!({"hidden_size": -1}), "`hidden_size` -1; a whole number"),
            (json!({"num_attention_heads": 0}), "`num_attention_heads` 0; 1 or more"),
            (json!({"vocab_size": null}), "has no `vocab_size`"),
            (json!({"hidden_act": "mish"}), "`mish`"),
            (json!({"position_embedding_type": "relative_key"}), "`relative_key`"),
            (json!({"model_type": "roberta", "pad_token_id": 511}), "number 512"),
            (
                json!({"model_type": "nomic_bert", "rotary_scaling_factor": 2.0}),
                "`rotary_scaling_factor` 2.0",
            ),
            (
                json!({"model_type": "nomic_bert", "activation_function": "gelu"}),
                "`activation_function` `gelu`",
            ),
            (
                json!({"model_type": "nomic_bert", "rope_parameters": {"rope_type": "yarn"}}),
                "`yarn`",
            ),
            (json!({"layer_norm_eps": "x"}), "`layer_norm_eps` \"x\""),
        ] {
            let fault = read(&changes).unwrap_err();
            assert!(fault.contains(message), "{fault}");
        }
    }
}
