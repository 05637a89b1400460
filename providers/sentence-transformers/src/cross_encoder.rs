//! A rerank model that reads a query and a document together.

use candle_core::{DType, Device, Module as _, Tensor};
use candle_nn::Linear;
use puna_api::Result;
use serde_json::{Map, Value};

use crate::activation::Activation;
use crate::config::TooLong;
use crate::encoder::{Abandoned, Batch, Family};
use crate::error;
use crate::folder::{Fault, Folder};
use crate::job::Model;
use crate::load::Parts;
use crate::tokens::{Bare, Encoded, Limit, Tokens};
use crate::weights::Weights;

/// A model that scores a document by a query.
pub(crate) struct CrossEncoder {
    parts: Parts,
    dense: Linear,
    dense_activation: Activation,
    score: Linear,
    activation: Activation,
}

impl CrossEncoder {
    pub(crate) fn load(
        parts: Parts,
        folder: &Folder,
        config: &Map<String, Value>,
        weights: &Weights,
    ) -> Result<Self, Fault> {
        let labels = labels(config);
        if labels != 1 {
            return Err(format!(
                "the model tells {labels} labels apart; a rerank model has one, the relevance"
            ));
        }
        let width = parts.settings.width;
        let all = weights.all();
        let (dense, dense_activation, score) = match parts.settings.family {
            Family::Bert => {
                let bert = weights.below(&["bert.", ""], "pooler.dense.weight")?;
                (
                    bert.linear("pooler.dense", width, width)?,
                    Activation::Tanh,
                    "classifier",
                )
            }
            Family::DistilBert => (
                all.linear("pre_classifier", width, width)?,
                Activation::Relu,
                "classifier",
            ),
            Family::Roberta | Family::Mpnet => (
                all.linear("classifier.dense", width, width)?,
                Activation::Tanh,
                "classifier.out_proj",
            ),
            Family::NomicBert => return Err("rerank models of the kind nomic_bert are not known".to_owned()),
        };
        Ok(Self {
            dense,
            dense_activation,
            score: all.linear(score, width, 1)?,
            activation: activation(folder, config)?,
            parts,
        })
    }

    /// Computes one score.
    pub(crate) fn try_out(&self) -> Result<()> {
        let query = self.query("Hello!")?;
        if let Encoded::Tokens(tokens) = self.pair(query, "Hello!", Limit::Truncate(self.parts.max_tokens))? {
            self.check_ids(&tokens.ids, "tokenizer.json")?;
            self.compute(&[&tokens], &|| false)?;
        }
        Ok(())
    }

    /// The id that requests name the model by.
    pub(crate) fn id(&self) -> &str {
        &self.parts.id
    }

    /// The most tokens of a query and a document together.
    pub(crate) fn max_tokens(&self) -> usize {
        self.parts.max_tokens
    }

    /// What becomes of a longer pair.
    pub(crate) fn limit(&self) -> Limit {
        self.parts.limit(TooLong::Truncate)
    }

    /// The tokens of a query, to be paired with each document.
    pub(crate) fn query(&self, query: &str) -> Result<Bare> {
        self.parts.tokenizer.bare(query)
    }

    /// The tokens of a query and a document. Of the two the longer one is cut first.
    pub(crate) fn pair(&self, query: Bare, document: &str, limit: Limit) -> Result<Encoded> {
        let document = self.parts.tokenizer.bare(document)?;
        self.parts.tokenizer.finish(query, Some(document), limit)
    }

    /// Fails when a token is none of the model's.
    pub(crate) fn check_ids(&self, ids: &[u32], param: &str) -> Result<()> {
        self.parts.check_ids(ids, param)
    }

    fn scores(&self, texts: &[&Tokens], abandoned: Abandoned<'_>) -> candle_core::Result<Vec<f32>> {
        let batch = Batch::new(texts, self.parts.encoder.device())?;
        let states = self.parts.encoder.forward(&batch, abandoned)?;
        let first: Tensor = states.narrow(1, 0, 1)?.squeeze(1)?.contiguous()?;
        let dense = self.dense_activation.apply(&self.dense.forward(&first)?)?;
        let scores = self.score.forward(&dense)?.to_dtype(DType::F32)?;
        self.activation
            .apply(&scores)?
            .squeeze(1)?
            .to_device(&Device::Cpu)?
            .to_vec1()
    }
}

impl Model for CrossEncoder {
    type Output = f32;

    fn compute(&self, texts: &[&Tokens], abandoned: Abandoned<'_>) -> Result<Vec<f32>> {
        let scores = self
            .scores(texts, abandoned)
            .map_err(|cause| error::failed(&cause.to_string()))?;
        if scores.iter().all(|score| score.is_finite()) {
            return Ok(scores);
        }
        Err(error::failed("a score is not finite"))
    }
}

/// How many labels the model tells apart; two where its file does not say.
fn labels(config: &Map<String, Value>) -> u64 {
    let named = config
        .get("id2label")
        .and_then(Value::as_object)
        .map(|labels| labels.len() as u64);
    config.get("num_labels").and_then(Value::as_u64).or(named).unwrap_or(2)
}

/// What is applied to the score: as the model's maker says, in the file of this version or of an earlier one; else the logistic
/// function.
fn activation(folder: &Folder, config: &Map<String, Value>) -> Result<Activation, Fault> {
    let of_version_5: Map<String, Value> = folder
        .json_if_there("config_sentence_transformers.json")?
        .unwrap_or_default();
    let of_version_4 = config
        .get("sentence_transformers")
        .and_then(|settings| settings.get("activation_fn"));
    let of_version_3 = config.get("sbert_ce_default_activation_function");
    let stated = [of_version_5.get("activation_fn"), of_version_4, of_version_3]
        .into_iter()
        .flatten()
        .find_map(Value::as_str);
    stated.map_or(Ok(Activation::Sigmoid), Activation::of_class)
}
