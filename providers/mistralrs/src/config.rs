use std::collections::BTreeSet;
use std::num::{NonZeroU64, NonZeroUsize};
use std::path::{Path, PathBuf};
use std::time::Duration;

use mistralrs::parse_isq_value;
pub use puna_api::Device;
use puna_api::{Error, Result};
use puna_http::NetworkConfig;
use puna_hub::{ModelName, check_open_folders};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

pub use kv_cache::{KvCache, PagedAttention};
pub use registrable::Registrable;

mod kv_cache;
mod registrable;

/// The path, and the id, of the demo model, which comes with the provider.
pub const DEMO_MODEL: &str = "puna/tiny";

/// Which models to load, and how much they may do at once.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct MistralrsConfig {
    /// The models to serve. Default: the demo model alone.
    #[serde(default = "demo_model_alone")]
    pub models: Vec<LocalModel>,

    /// Models that may be registered while the server runs, beside those in `models`: what `puna model pull` got, by `hf:ORG/NAME`,
    /// and those in some folders.
    #[serde(default, skip_serializing_if = "Registrable::is_default")]
    pub registrable: Registrable,

    /// The most models that are loaded at the same time. Another one takes the place of the one that was not used for the longest
    /// time, and waits while all are in use. Default: all of them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_loaded_models: Option<NonZeroUsize>,

    /// The most bytes that the files of weights of all loaded models may have together, which is about the memory that the models
    /// take. Room is made as for `max_loaded_models`. Default: no limit.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_loaded_bytes: Option<NonZeroU64>,

    /// How many answers each model on a GPU works on at the same time. More wait for their turn. A model on a CPU works on one
    /// at a time. Default: 32.
    #[serde(default = "max_running")]
    pub max_running: NonZeroUsize,

    /// Seconds that an answer is written, at least, before it steps aside for one that waits, where a model works on one at a
    /// time. To go on, it is read again from its beginning; it is also written for at least nine times as long as it was read,
    /// so that no more than a tenth of the time goes there. `null` is never: each answer is written to its end. Default: 10.
    #[serde(default = "turn", with = "seconds")]
    #[schemars(with = "Option<f64>")]
    pub turn: Option<Duration>,

    /// How many answers may wait for each model before they begin. More are turned away as too many. Default: 1024.
    #[serde(default = "max_waiting")]
    pub max_waiting: usize,

    /// How images are fetched that messages name by URL: TLS, proxy, timeouts. Models are not fetched.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub network: Option<NetworkConfig>,
}

/// A model on this machine.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct LocalModel {
    /// Where the model is: a folder with a checkpoint in the layout of Hugging Face (`config.json`, `tokenizer.json`,
    /// `*.safetensors`), a folder with one GGUF file, a GGUF file, `hf:ORG/NAME` for what `puna model pull` got from the hub, or
    /// `puna/tiny` for the demo model.
    pub path: PathBuf,

    /// The id that requests name the model by. Default: the name of the folder or file, `ORG/NAME` for a model of the hub,
    /// `puna/tiny` for the demo model.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub id: Option<String>,

    /// The number format to compute in: `auto`, `f32`, `bf16` or `f16`. `auto` is `f32` on a CPU, and on other devices the
    /// first of `bf16`, `f16` and `f32` that the device supports. The weights of a GGUF file keep their own formats.
    /// Default: `auto`.
    #[serde(default)]
    pub dtype: DType,

    /// The device to compute on: `auto`, `cpu`, `cuda`, `cuda:N` or `metal`. `auto` is the best one that this binary was built
    /// for. Default: `auto`.
    #[serde(default)]
    pub device: Device,

    /// The most tokens of prompt and answer together. Default, and at most: what the model was made for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_sequence_length: Option<NonZeroUsize>,

    /// A file with a Jinja chat template that takes the place of the model's own. Default: none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub chat_template: Option<PathBuf>,

    /// The format to quantise the weights to while they are loaded, such as `q4k`, `q8_0` or a number of bits from 2 to 8, so that
    /// they take less memory. Not for GGUF files. Default: none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub isq: Option<String>,

    /// The name of the first file of weights in the format UQFF in the model's folder, such as `q4k-0.uqff`. Default: none, and
    /// the weights are those in `*.safetensors`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub uqff: Option<String>,

    /// How many answers this model works on at the same time, if it is on a GPU. Default: `max_running` of the provider.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_running: Option<NonZeroUsize>,

    /// Whether the model keeps the keys and values of all answers in blocks of one size, in room that is made once (PagedAttention): `auto`,
    /// `on` or `off`. `auto` is `on` where the device is an NVIDIA GPU and the model can. Default: `auto`.
    #[serde(default, skip_serializing_if = "PagedAttention::is_default")]
    pub paged_attention: PagedAttention,

    /// The room for keys and values, with `paged_attention`. Default: nine tenths of the GPU's memory, weights included.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kv_cache: Option<KvCache>,

    /// When the model is loaded: at the `start` of the server, which then waits for it, or on `first_use`. Default: `start`.
    #[serde(default, skip_serializing_if = "Load::is_default")]
    pub load: Load,

    /// Seconds after which the model is unloaded when nobody uses it, such as 300; the next request loads it again. Default:
    /// never.
    #[serde(default, skip_serializing_if = "Option::is_none", with = "seconds")]
    #[schemars(with = "Option<f64>")]
    pub idle_timeout: Option<Duration>,
}

/// When a model is loaded.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Load {
    /// At the start of the server.
    #[default]
    Start,
    /// When somebody asks for it.
    FirstUse,
}

impl Load {
    #[expect(clippy::trivially_copy_pass_by_ref, reason = "what serde asks for")]
    fn is_default(&self) -> bool {
        *self == Self::default()
    }
}

/// A number format to compute in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum DType {
    /// Whatever suits the device.
    #[default]
    Auto,
    /// 32 bits.
    F32,
    /// 16 bits with the exponent of 32.
    Bf16,
    /// 16 bits.
    F16,
}

impl Default for MistralrsConfig {
    fn default() -> Self {
        Self {
            models: demo_model_alone(),
            registrable: Registrable::default(),
            max_loaded_models: None,
            max_loaded_bytes: None,
            max_running: max_running(),
            turn: turn(),
            max_waiting: max_waiting(),
            network: None,
        }
    }
}

impl MistralrsConfig {
    /// Checks what types alone cannot say.
    pub(crate) fn validate(&self) -> Result<()> {
        if let Some(network) = &self.network {
            network.validate()?;
        }
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
            model.validate().map_err(|(field, message)| {
                Error::configuration(message).with_param(format!("models[{index}].{field}"))
            })?;
            if !ids.insert(id.clone()) {
                let message = format!("`{id}` is the id of an earlier model; each needs one of its own");
                return Err(Error::configuration(message).with_param(format!("models[{index}].id")));
            }
        }
        check_open_folders(&self.registrable.folders)?;
        let at_start = self.models.iter().filter(|model| model.load == Load::Start).count();
        match self.max_loaded_models {
            Some(most) if at_start > most.get() => {
                let message = format!("is {most}, but {at_start} models are to be loaded at the start");
                Err(Error::configuration(message).with_param("max_loaded_models"))
            }
            _ => Ok(()),
        }
    }
}

impl LocalModel {
    /// Checks what types alone cannot say: the field that is wrong, and why.
    fn validate(&self) -> Result<(), (&'static str, String)> {
        if let Some(isq) = &self.isq {
            parse_isq_value(isq, None).map_err(|cause| ("isq", cause))?;
            if self.uqff.is_some() {
                return Err((
                    "isq",
                    "must not be set together with `uqff`, whose weights are quantised".to_owned(),
                ));
            }
        }
        kv_cache::validate(self.device, self.paged_attention, self.kv_cache.as_ref())?;
        match &self.uqff {
            Some(name) if !name.ends_with(".uqff") || Path::new(name).components().count() != 1 => Err((
                "uqff",
                format!("must be the name of a file that ends with `.uqff`, not `{name}`"),
            )),
            _ => Ok(()),
        }
    }

    /// A model with all settings at their defaults.
    pub fn new(path: impl Into<PathBuf>) -> Self {
        Self {
            path: path.into(),
            id: None,
            dtype: DType::Auto,
            device: Device::Auto,
            max_sequence_length: None,
            chat_template: None,
            isq: None,
            uqff: None,
            max_running: None,
            paged_attention: PagedAttention::Auto,
            kv_cache: None,
            load: Load::Start,
            idle_timeout: None,
        }
    }

    /// Whether this is the demo model.
    pub fn is_demo(&self) -> bool {
        self.path == Path::new(DEMO_MODEL)
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
        if self.is_demo() {
            return DEMO_MODEL.to_owned();
        }
        let is_gguf = self
            .path
            .extension()
            .is_some_and(|extension| extension.eq_ignore_ascii_case("gguf"));
        let name = if is_gguf {
            self.path.file_stem()
        } else {
            self.path.file_name()
        };
        name.unwrap_or_default().to_string_lossy().into_owned()
    }
}

/// A duration as a number of seconds.
mod seconds {
    use std::time::Duration;

    use serde::de::Error;
    use serde::{Deserialize, Deserializer, Serialize, Serializer};

    pub(super) fn serialize<S: Serializer>(duration: &Option<Duration>, serializer: S) -> Result<S::Ok, S::Error> {
        duration.map(|duration| duration.as_secs_f64()).serialize(serializer)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Duration>, D::Error> {
        let Some(seconds) = Option::<f64>::deserialize(deserializer)? else {
            return Ok(None);
        };
        Duration::try_from_secs_f64(seconds).map(Some).map_err(|_| {
            D::Error::custom(format_args!(
                "{seconds} is not a number of seconds; 0 or more is right, such as 300"
            ))
        })
    }
}

fn demo_model_alone() -> Vec<LocalModel> {
    vec![LocalModel::new(DEMO_MODEL)]
}

fn max_running() -> NonZeroUsize {
    NonZeroUsize::MIN.saturating_add(31)
}

#[expect(clippy::unnecessary_wraps, reason = "the type of the field")]
fn turn() -> Option<Duration> {
    Some(Duration::from_secs(10))
}

fn max_waiting() -> usize {
    1024
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn everything_has_a_default() {
        let config: MistralrsConfig = serde_json::from_value(json!({})).unwrap();
        assert_eq!(config.models, MistralrsConfig::default().models);
        assert_eq!(config.models[0].id(), "puna/tiny");
        assert!(config.models[0].is_demo());
        config.validate().unwrap();
    }

    #[test]
    fn ids_come_from_paths() {
        for (path, id) in [
            ("/models/Qwen3-0.6B", "Qwen3-0.6B"),
            ("m/q4.k.gguf", "q4.k"),
            ("./puna/tiny", "tiny"),
            ("a/b/", "b"),
            ("hf:org/name@v1.5", "org/name"),
            ("/", ""),
        ] {
            assert_eq!(LocalModel::new(path).id(), id, "{path}");
        }
        let named = LocalModel {
            id: Some("mine".to_owned()),
            ..LocalModel::new("/models/x")
        };
        assert_eq!(named.id(), "mine");
        let unset = LocalModel {
            id: Some(String::new()),
            ..LocalModel::new("/models/x")
        };
        assert_eq!(unset.id(), "x");
    }

    #[test]
    fn mistakes_are_named_with_their_place() {
        let cases = [
            (json!({"models": []}), "models", "must list a model"),
            (json!({"models": [{"path": ""}]}), "models[0].path", "must not be empty"),
            (
                json!({"models": [{"path": "/"}]}),
                "models[0].path",
                "has no name to make an id of: /; set `id`",
            ),
            (
                json!({"models": [{"path": "hf:org/a/b", "id": "x"}]}),
                "models[0].path",
                "`hf:org/a/b` names no model of the hub; write `hf:ORG/NAME` or `hf:ORG/NAME@REVISION`",
            ),
            (
                json!({"models": [{"path": "a/x"}, {"path": "b/x"}]}),
                "models[1].id",
                "`x` is the id of an earlier model; each needs one of its own",
            ),
            (
                json!({"models": [{"path": "x", "uqff": "../q4k-0.uqff"}]}),
                "models[0].uqff",
                "must be the name of a file that ends with `.uqff`, not `../q4k-0.uqff`",
            ),
            (
                json!({"models": [{"path": "x", "uqff": "q4k-0.uqff", "isq": "q4k"}]}),
                "models[0].isq",
                "must not be set together with `uqff`, whose weights are quantised",
            ),
            (
                json!({"models": [{"path": "x"}, {"path": "y"}, {"path": "z", "load": "first_use"}], "max_loaded_models": 1}),
                "max_loaded_models",
                "is 1, but 2 models are to be loaded at the start",
            ),
            (
                json!({"registrable": {"folders": ["/models", "more"]}}),
                "registrable.folders[1]",
                "must be an absolute path, not `more`",
            ),
        ];
        for (config, path, message) in cases {
            let error = serde_json::from_value::<MistralrsConfig>(config)
                .unwrap()
                .validate()
                .unwrap_err();
            assert_eq!((error.param(), error.message()), (Some(path), message));
        }
        for (config, message) in [
            (
                json!({"models": [{"path": "x", "device": "tpu"}]}),
                "unknown device `tpu`",
            ),
            (
                json!({"models": [{"path": "x", "dtype": "f64"}]}),
                "unknown variant `f64`",
            ),
            (json!({"models": [{"path": "x", "typo": 1}]}), "unknown field `typo`"),
            (json!({"max_running": 0}), "nonzero"),
            (
                json!({"models": [{"path": "x", "idle_timeout": -1}]}),
                "-1 is not a number of seconds",
            ),
        ] {
            let error = serde_json::from_value::<MistralrsConfig>(config)
                .unwrap_err()
                .to_string();
            assert!(error.contains(message), "{error}");
        }
    }
}
