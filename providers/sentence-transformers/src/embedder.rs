//! An embedding model.

use candle_core::{Device, Tensor};
use puna_api::Result;
use serde::Deserialize;
use serde_json::{Map, Value};

use crate::config::TooLong;
use crate::encoder::{Abandoned, Batch};
use crate::error;
use crate::folder::{Fault, Folder};
use crate::job::Model;
use crate::load::Parts;
use crate::modules::{Modules, Step};
use crate::pooling::Pooling;
use crate::tokens::{Encoded, Limit, Tokens};

/// A model that turns texts into vectors.
pub(crate) struct Embedder {
    parts: Parts,
    pooling: Pooling,
    steps: Vec<Step>,
    dimension: usize,
    prompt: String,
}

/// `config_sentence_transformers.json`, as far as it matters.
#[derive(Deserialize, Default)]
struct Prompts {
    #[serde(default)]
    prompts: Map<String, Value>,
    #[serde(default)]
    default_prompt_name: Option<String>,
}

impl Embedder {
    pub(crate) fn load(parts: Parts, folder: &Folder, modules: &Modules) -> Result<Self, Fault> {
        let width = parts.settings.width;
        let pooling = modules.pooling(width)?;
        let (steps, dimension) = modules.steps(pooling.width(width), parts.encoder.device())?;
        let prompts: Prompts = folder
            .json_if_there("config_sentence_transformers.json")?
            .unwrap_or_default();
        let prompt = match &prompts.default_prompt_name {
            None => "",
            Some(name) => prompts
                .prompts
                .get(name)
                .and_then(Value::as_str)
                .ok_or_else(|| format!("the default prompt `{name}` is not among the prompts"))?,
        };
        if !prompt.is_empty() && !pooling.include_prompt {
            return Err(
                "the pooling module has `include_prompt` false beside a default prompt; that is not known".to_owned(),
            );
        }
        Ok(Self {
            prompt: prompt.to_owned(),
            parts,
            pooling,
            steps,
            dimension,
        })
    }

    /// Computes one vector.
    pub(crate) fn try_out(&self) -> Result<()> {
        let limit = Limit::Truncate(self.parts.max_tokens);
        if let Encoded::Tokens(tokens) = self.encode("Hello!", limit)? {
            self.check_ids(&tokens.ids, "tokenizer.json")?;
            self.compute(&[&tokens], &|| false)?;
        }
        Ok(())
    }

    /// The id that requests name the model by.
    pub(crate) fn id(&self) -> &str {
        &self.parts.id
    }

    /// How many numbers a vector has.
    pub(crate) fn dimension(&self) -> usize {
        self.dimension
    }

    /// The most tokens of a text.
    pub(crate) fn max_tokens(&self) -> usize {
        self.parts.max_tokens
    }

    /// The fewest tokens that a text can be cut to: its marks and one of its own.
    pub(crate) fn fewest_tokens(&self) -> usize {
        self.parts.tokenizer.marks(false) + 1
    }

    /// What becomes of a longer text where the request does not say.
    pub(crate) fn limit(&self) -> Limit {
        self.parts.limit(TooLong::Refuse)
    }

    /// Whether vectors have the length 1.
    pub(crate) fn normalizes(&self) -> bool {
        matches!(self.steps.last(), Some(Step::Normalize))
    }

    /// The tokens of a text, after the model's prompt where it has one.
    pub(crate) fn encode(&self, text: &str, limit: Limit) -> Result<Encoded> {
        if self.prompt.is_empty() {
            return self.parts.tokenizer.encode(text, limit);
        }
        self.parts.tokenizer.encode(&format!("{}{text}", self.prompt), limit)
    }

    /// Fails when a token is none of the model's.
    pub(crate) fn check_ids(&self, ids: &[u32], param: &str) -> Result<()> {
        self.parts.check_ids(ids, param)
    }

    fn vectors(&self, texts: &[&Tokens], abandoned: Abandoned<'_>) -> candle_core::Result<Vec<Vec<f32>>> {
        let batch = Batch::new(texts, self.parts.encoder.device())?;
        let states = self.parts.encoder.forward(&batch, abandoned)?;
        let pooled = self.pooling.apply(&states, &batch)?;
        let vectors = self
            .steps
            .iter()
            .try_fold(pooled, |vectors, step| step.apply(&vectors))?;
        rows(&vectors)
    }
}

impl Model for Embedder {
    type Output = Vec<f32>;

    fn compute(&self, texts: &[&Tokens], abandoned: Abandoned<'_>) -> Result<Vec<Vec<f32>>> {
        let vectors = self
            .vectors(texts, abandoned)
            .map_err(|cause| error::failed(&cause.to_string()))?;
        if vectors.iter().flatten().all(|number| number.is_finite()) {
            return Ok(vectors);
        }
        Err(error::failed("a vector holds numbers that are not finite"))
    }
}

fn rows(vectors: &Tensor) -> candle_core::Result<Vec<Vec<f32>>> {
    vectors.to_device(&Device::Cpu)?.to_vec2()
}
