//! Loads a model of either kind from its folder.

use std::path::Path;
use std::sync::Arc;

use candle_core::{DType, Device};
use puna_api::Result;
use serde_json::{Map, Value};

use crate::config::{self, LocalModel, TooLong};
use crate::cross_encoder::CrossEncoder;
use crate::embedder::Embedder;
use crate::encoder::{Encoder, EncoderSettings};
use crate::error;
use crate::folder::{Fault, Folder};
use crate::modules::Modules;
use crate::tokens::{Limit, TextTokenizer};
use crate::weights::Weights;

/// A loaded model.
#[derive(Clone)]
pub(crate) enum Loaded {
    Embedder(Arc<Embedder>),
    CrossEncoder(Arc<CrossEncoder>),
}

/// What both kinds of model have.
pub(crate) struct Parts {
    /// The id that requests name the model by.
    pub(crate) id: String,
    pub(crate) tokenizer: TextTokenizer,
    pub(crate) encoder: Encoder,
    pub(crate) settings: EncoderSettings,
    pub(crate) max_tokens: usize,
    pub(crate) too_long: Option<TooLong>,
}

impl Parts {
    /// What becomes of a text by the configuration; `otherwise` where that does not say.
    pub(crate) fn limit(&self, otherwise: TooLong) -> Limit {
        match self.too_long.unwrap_or(otherwise) {
            TooLong::Refuse => Limit::Refuse(self.max_tokens),
            TooLong::Truncate => Limit::Truncate(self.max_tokens),
        }
    }

    /// Fails when a token is none of the model's. A tokenizer can have tokens that the model was never made for.
    pub(crate) fn check_ids(&self, ids: &[u32], param: &str) -> Result<()> {
        let count = self.settings.vocabulary_size;
        match ids.iter().position(|id| *id as usize >= count) {
            None => Ok(()),
            Some(place) => Err(error::invalid(
                param,
                format!(
                    "token {place} is {}, and the model `{}` has {count} tokens; those of another tokenizer mean nothing to it",
                    ids[place], self.id
                ),
            )),
        }
    }
}

/// Loads a model, and tries it out on a text, so that one that cannot work is found out now. Takes seconds for a large one.
pub(crate) fn load(model: &LocalModel, path: &Path) -> Result<Loaded> {
    let id = model.id();
    load_here(model, path).map_err(|fault| error::load(&id, &fault))
}

fn load_here(model: &LocalModel, path: &Path) -> Result<Loaded, Fault> {
    let folder = Folder::open(path)?;
    let modules = Modules::read(&folder)?;
    let transformer = modules.transformer();
    let config: Map<String, Value> = transformer.json("config.json")?;
    let settings = EncoderSettings::read(&config)?;
    let device = device(model.device)?;
    let dtype = match model.dtype {
        config::DType::F32 => DType::F32,
        config::DType::Bf16 => DType::BF16,
        config::DType::F16 => DType::F16,
    };
    if dtype == DType::BF16 && device.is_cpu() {
        return Err("the `dtype` bf16 cannot be computed with on a processor; f32 and f16 can".to_owned());
    }
    let texts = TextSettings::read(transformer)?;
    let weights = Weights::read(transformer, &device, dtype)?;
    let most = texts
        .max_sequence_length
        .map_or(settings.max_tokens(), |most| most.min(settings.max_tokens()));
    let parts = Parts {
        id: model.id(),
        tokenizer: TextTokenizer::read(transformer, texts.lower_case, settings.token_types)?,
        encoder: Encoder::load(&settings, &weights, &device, dtype)?,
        max_tokens: model.max_sequence_length.map_or(most, |wanted| wanted.get().min(most)),
        settings,
        too_long: model.too_long,
    };
    if parts.max_tokens <= parts.tokenizer.marks(true) {
        return Err(format!("{} tokens leave no room for a text", parts.max_tokens));
    }
    let is_reranker = config
        .get("architectures")
        .and_then(Value::as_array)
        .is_some_and(|names| names.iter().any(is_classifier));
    let loaded = if is_reranker {
        modules.transformer_alone()?;
        let encoder = CrossEncoder::load(parts, &folder, &config, &weights)?;
        encoder.try_out().map_err(|error| cause(&error))?;
        Loaded::CrossEncoder(Arc::new(encoder))
    } else {
        let embedder = Embedder::load(parts, &folder, &modules)?;
        embedder.try_out().map_err(|error| cause(&error))?;
        Loaded::Embedder(Arc::new(embedder))
    };
    Ok(loaded)
}

fn is_classifier(name: &Value) -> bool {
    name.as_str()
        .is_some_and(|name| name.ends_with("ForSequenceClassification"))
}

/// What a failed computation says to the log is for the operator to see when it happens at start.
fn cause(error: &puna_api::Error) -> Fault {
    error
        .context()
        .first()
        .map_or(error.message(), String::as_str)
        .to_owned()
}

fn device(device: puna_api::Device) -> Result<Device, Fault> {
    let found = match device {
        puna_api::Device::Auto if cfg!(feature = "cuda") => Device::new_cuda(0).or(Ok(Device::Cpu)),
        puna_api::Device::Auto if cfg!(feature = "metal") => Device::new_metal(0).or(Ok(Device::Cpu)),
        puna_api::Device::Auto | puna_api::Device::Cpu => Ok(Device::Cpu),
        puna_api::Device::Cuda(number) => Device::new_cuda(number),
        puna_api::Device::Metal => Device::new_metal(0),
    };
    found.map_err(|cause: candle_core::Error| format!("the device `{device}` cannot be used: {cause}"))
}

/// How a model's maker would have texts read.
struct TextSettings {
    max_sequence_length: Option<usize>,
    lower_case: bool,
}

impl TextSettings {
    fn read(folder: &Folder) -> Result<Self, Fault> {
        // Named after the kind of transformer by early versions.
        let names = [
            "bert",
            "roberta",
            "distilbert",
            "camembert",
            "albert",
            "xlm-roberta",
            "xlnet",
        ];
        let file = names
            .iter()
            .map(|kind| format!("sentence_{kind}_config.json"))
            .find(|name| folder.has(name));
        let settings: Map<String, Value> = match file {
            Some(file) => folder.json(&file)?,
            None => Map::new(),
        };
        let stated = match settings.get("max_seq_length").filter(|stated| !stated.is_null()) {
            Some(stated) => Some(stated.clone()),
            None => folder
                .json_if_there::<Map<String, Value>>("tokenizer_config.json")?
                .and_then(|mut tokenizer| tokenizer.remove("model_max_length")),
        };
        let max_sequence_length = match stated.filter(|stated| !stated.is_null()) {
            None => None,
            Some(stated) => {
                Some(length(&stated).ok_or_else(|| format!("the longest sequence is said to be {stated}"))?)
            }
        };
        Ok(Self {
            max_sequence_length,
            lower_case: settings.get("do_lower_case").and_then(Value::as_bool).unwrap_or(false),
        })
    }
}

/// Where there is no bound, some tokenizers state an enormous one.
fn length(stated: &Value) -> Option<usize> {
    let number = stated.as_f64().filter(|number| *number >= 1.0)?;
    Some(if number > f64::from(u32::MAX) {
        usize::MAX
    } else {
        number as usize
    })
}
