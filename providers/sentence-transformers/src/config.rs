use std::collections::BTreeSet;
use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};

use puna_api::{Device, Error, Result};
use puna_hub::{ModelName, check_open_folders};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// The path, and the id, of the embedding model that comes with the provider.
pub const DEMO_EMBEDDING_MODEL: &str = "puna/tiny-embed";

/// The path, and the id, of the rerank model that comes with the provider.
pub const DEMO_RERANK_MODEL: &str = "puna/tiny-rerank";

/// Which models to load, and how much they may do at once.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct SentenceTransformersConfig {
    /// The models to load at start. Default: the two demo models.
    #[serde(default = "demo_models")]
    pub models: Vec<LocalModel>,

    /// Models that may be registered while the server runs, beside those in `models`: what `puna model pull` got, by `hf:ORG/NAME`,
    /// and those in some folders. They are loaded on first use, and unloaded when they are unregistered.
    #[serde(default, skip_serializing_if = "Registrable::is_default")]
    pub registrable: Registrable,

    /// How many processor threads compute. Default: as many as the machine has cores.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub threads: Option<NonZeroUsize>,

    /// How many batches are computed at the same time; they share the threads. Default: 2.
    #[serde(default = "max_running")]
    pub max_running: NonZeroUsize,

    /// How many requests may wait for their first turn. More are turned away as too many. Default: 1024.
    #[serde(default = "max_waiting")]
    pub max_waiting: usize,

    /// How many tokens a batch may have, padding included. Texts of similar length share a batch; a text that is longer than
    /// this is a batch of its own. GPUs are used better with more. Default: 4096.
    #[serde(default = "max_batch_tokens")]
    pub max_batch_tokens: NonZeroUsize,

    /// Taken so that configurations of Llama Stack load. Code that comes with a model is never run, whatever this says: the
    /// models that need some there work without here, or are refused. Default: none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub trust_remote_code: Option<bool>,
}

/// Which models may be registered while the server runs.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Registrable {
    /// Folders whose models may be registered by their paths, as absolute paths. Default: none.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub folders: Vec<PathBuf>,
}

impl Registrable {
    fn is_default(&self) -> bool {
        *self == Self::default()
    }

    /// The model that an id stands for.
    pub(crate) fn model(id: &str) -> LocalModel {
        LocalModel {
            id: Some(id.to_owned()),
            ..LocalModel::new(id)
        }
    }
}

/// A model on this machine.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct LocalModel {
    /// Where the model is: a folder as sentence-transformers or transformers write it (`config.json`, `tokenizer.json`,
    /// `*.safetensors`, and `modules.json` where there is one); `hf:ORG/NAME` for what `puna model pull` got from the hub; or
    /// `puna/tiny-embed` or `puna/tiny-rerank` for the demo models.
    pub path: PathBuf,

    /// The id that requests name the model by. Default: the name of the folder, `ORG/NAME` for a model of the hub, the path itself
    /// for the demo models.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub id: Option<String>,

    /// The number format to compute in: `f32`, `bf16` (GPUs only) or `f16`. Default: `f32`, as the reference does.
    #[serde(default)]
    pub dtype: DType,

    /// The device to compute on: `auto`, `cpu`, `cuda`, `cuda:N` or `metal`. `auto` is the best one that this binary was built
    /// for. Default: `auto`.
    #[serde(default)]
    pub device: Device,

    /// The most tokens of a text, or of a query and a document together. Default, and at most: what the model was made for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_sequence_length: Option<NonZeroUsize>,

    /// What becomes of a longer text where the request does not say: `refuse` or `truncate`. Default: `refuse` for an embedding
    /// model, as OpenAI does; `truncate` for a rerank model, as sentence-transformers does.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub too_long: Option<TooLong>,
}

/// What becomes of a text that is longer than the model can take.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum TooLong {
    /// The request fails, and its error tells both numbers.
    Refuse,
    /// The end of the text is cut off.
    Truncate,
}

/// A number format to compute in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum DType {
    /// 32 bits.
    #[default]
    F32,
    /// 16 bits with the exponent of 32.
    Bf16,
    /// 16 bits.
    F16,
}

/// A model that comes with the provider.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Demo {
    Embedding,
    Rerank,
}

impl Default for SentenceTransformersConfig {
    fn default() -> Self {
        Self {
            models: demo_models(),
            registrable: Registrable::default(),
            threads: None,
            max_running: max_running(),
            max_waiting: max_waiting(),
            max_batch_tokens: max_batch_tokens(),
            trust_remote_code: None,
        }
    }
}

impl SentenceTransformersConfig {
    /// Checks what types alone cannot say.
    pub(crate) fn validate(&self) -> Result<()> {
        if self.models.is_empty() {
            return Err(Error::configuration("must list a model").with_param("models"));
        }
        let mut ids = BTreeSet::new();
        for (index, model) in self.models.iter().enumerate() {
            if model.path.as_os_str().is_empty() {
                return Err(Error::configuration("must not be empty").with_param(format!("models[{index}].path")));
            }
            if let Err(error) = model.hub_name() {
                return Err(Error::configuration(error.message()).with_param(format!("models[{index}].path")));
            }
            let id = model.id();
            if id.is_empty() {
                let message = format!("has no name to make an id of: {}; set `id`", model.path.display());
                return Err(Error::configuration(message).with_param(format!("models[{index}].path")));
            }
            if !ids.insert(id.clone()) {
                let message = format!("`{id}` is the id of an earlier model; each needs one of its own");
                return Err(Error::configuration(message).with_param(format!("models[{index}].id")));
            }
        }
        check_open_folders(&self.registrable.folders)
    }
}

impl LocalModel {
    /// A model with all settings at their defaults.
    pub fn new(path: impl Into<PathBuf>) -> Self {
        Self {
            path: path.into(),
            id: None,
            dtype: DType::F32,
            device: Device::Auto,
            max_sequence_length: None,
            too_long: None,
        }
    }

    /// Which of the demo models this is, if one.
    pub(crate) fn demo(&self) -> Option<Demo> {
        if self.path == Path::new(DEMO_EMBEDDING_MODEL) {
            return Some(Demo::Embedding);
        }
        (self.path == Path::new(DEMO_RERANK_MODEL)).then_some(Demo::Rerank)
    }

    /// The name of a model of the hub, such as `hf:ORG/NAME@REVISION`, if the path is one. Fails where it is a wrong one.
    pub(crate) fn hub_name(&self) -> Result<Option<ModelName>> {
        ModelName::of_path(&self.path)
    }

    /// The id that requests name the model by; empty when it has none and its path has no name.
    pub fn id(&self) -> String {
        // A variable that is not set expands to an empty id.
        if let Some(id) = self.id.as_ref().filter(|id| !id.is_empty()) {
            return id.clone();
        }
        if let Ok(Some(name)) = self.hub_name() {
            return name.id().to_owned();
        }
        match self.demo() {
            Some(Demo::Embedding) => DEMO_EMBEDDING_MODEL.to_owned(),
            Some(Demo::Rerank) => DEMO_RERANK_MODEL.to_owned(),
            None => self.path.file_name().unwrap_or_default().to_string_lossy().into_owned(),
        }
    }
}

fn demo_models() -> Vec<LocalModel> {
    vec![
        LocalModel::new(DEMO_EMBEDDING_MODEL),
        LocalModel::new(DEMO_RERANK_MODEL),
    ]
}

fn max_running() -> NonZeroUsize {
    NonZeroUsize::MIN.saturating_add(1)
}

fn max_waiting() -> usize {
    1024
}

fn max_batch_tokens() -> NonZeroUsize {
    NonZeroUsize::MIN.saturating_add(4095)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn everything_has_a_default() {
        let config: SentenceTransformersConfig = serde_json::from_value(json!({})).unwrap();
        assert_eq!(config, SentenceTransformersConfig::default());
        let ids: Vec<String> = config.models.iter().map(LocalModel::id).collect();
        assert_eq!(ids, ["puna/tiny-embed", "puna/tiny-rerank"]);
        assert_eq!((config.max_running.get(), config.max_batch_tokens.get()), (2, 4096));
        config.validate().unwrap();
    }

    #[test]
    fn a_configuration_of_llama_stack_loads() {
        let config: SentenceTransformersConfig = serde_json::from_value(json!({"trust_remote_code": true})).unwrap();
        assert_eq!(config.models, SentenceTransformersConfig::default().models);
    }

    #[test]
    fn ids_come_from_paths() {
        for (path, id) in [
            ("/models/bge-small-en-v1.5", "bge-small-en-v1.5"),
            ("a/b/", "b"),
            ("hf:BAAI/bge-small-en-v1.5", "BAAI/bge-small-en-v1.5"),
            ("hf:intfloat/e5-small@v2", "intfloat/e5-small"),
            ("/", ""),
        ] {
            assert_eq!(LocalModel::new(path).id(), id, "{path}");
        }
        let named = |id: &str| LocalModel {
            id: Some(id.to_owned()),
            ..LocalModel::new("/models/x")
        };
        assert_eq!(named("mine").id(), "mine");
        assert_eq!(named("").id(), "x");
    }

    #[test]
    fn faults_name_their_place() {
        for (models, param, message) in [
            (json!([]), "models", "must list a model"),
            (json!([{"path": ""}]), "models[0].path", "must not be empty"),
            (json!([{"path": "/"}]), "models[0].path", "set `id`"),
            (
                json!([{"path": "/a/x"}, {"path": "hf:org/a/b", "id": "x"}]),
                "models[1].path",
                "`hf:org/a/b` names no model of the hub",
            ),
            (
                json!([{"path": "/a/x"}, {"path": "/b/x"}]),
                "models[1].id",
                "each needs one of its own",
            ),
        ] {
            fails(json!({"models": models}), param, message);
        }
        fails(
            json!({"registrable": {"folders": ["more"]}}),
            "registrable.folders[0]",
            "must be an absolute path",
        );
    }

    fn fails(config: serde_json::Value, param: &str, message: &str) {
        let config: SentenceTransformersConfig = serde_json::from_value(config).unwrap();
        let error = config.validate().unwrap_err();
        assert_eq!(error.param(), Some(param));
        assert!(error.message().contains(message), "{}", error.message());
    }
}
