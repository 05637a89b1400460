//! What follows the transformer of an embedding model, as `modules.json` says.

use candle_core::{D, DType, Device, Module as _, Result as Computed, Tensor};
use candle_nn::{LayerNorm, Linear};
use serde::Deserialize;
use serde_json::{Map, Value};

use crate::activation::Activation;
use crate::folder::{Fault, Folder};
use crate::pooling::Pooling;
use crate::weights::Weights;

/// The modules of a model, in their order.
#[derive(Debug)]
pub(crate) struct Modules {
    transformer: Folder,
    pooling: Option<Folder>,
    after: Vec<(Kind, Folder)>,
}

/// What is done to the vector of a text.
pub(crate) enum Step {
    Dense {
        linear: Linear,
        activation: Activation,
    },
    LayerNorm(LayerNorm),
    /// Makes its length 1.
    Normalize,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Transformer,
    Pooling,
    Dense,
    LayerNorm,
    Normalize,
    Dropout,
}

#[derive(Deserialize)]
struct Entry {
    #[serde(default)]
    path: String,
    #[serde(rename = "type")]
    kind: String,
}

#[derive(Deserialize)]
struct DenseConfig {
    in_features: usize,
    out_features: usize,
    #[serde(default = "yes")]
    bias: bool,
    #[serde(default = "tanh")]
    activation_function: String,
    #[serde(flatten)]
    others: Map<String, Value>,
}

fn yes() -> bool {
    true
}

fn tanh() -> String {
    "torch.nn.modules.activation.Tanh".to_owned()
}

impl Modules {
    /// Reads `modules.json`. Without one, a model is its transformer and mean pooling.
    pub(crate) fn read(folder: &Folder) -> Result<Self, Fault> {
        let mut modules = Self {
            transformer: folder.clone(),
            pooling: None,
            after: Vec::new(),
        };
        let Some(entries) = folder.json_if_there::<Vec<Entry>>("modules.json")? else {
            return Ok(modules);
        };
        for (place, entry) in entries.iter().enumerate() {
            let kind = kind(&entry.kind)?;
            // Some kinds have no file of their own, and then no folder.
            let module = match kind {
                Kind::Normalize | Kind::Dropout => folder.clone(),
                _ => folder.module(&entry.path)?,
            };
            match (place, kind) {
                (0, Kind::Transformer) => modules.transformer = module,
                (1, Kind::Pooling) => modules.pooling = Some(module),
                (0 | 1, _) | (_, Kind::Transformer | Kind::Pooling) => {
                    return Err(format!(
                        "modules.json has a module of the type `{}` at place {place}; a transformer comes first, pooling second, \
                         and each once",
                        entry.kind
                    ));
                }
                _ => modules.after.push((kind, module)),
            }
        }
        match entries.len() {
            0 => Err("modules.json lists no module".to_owned()),
            _ => Ok(modules),
        }
    }

    /// The folder of the transformer.
    pub(crate) fn transformer(&self) -> &Folder {
        &self.transformer
    }

    /// Fails when there is more than a transformer, as in a model for embeddings.
    pub(crate) fn transformer_alone(&self) -> Result<(), Fault> {
        if self.pooling.is_some() || !self.after.is_empty() {
            return Err(
                "modules.json lists more than a transformer; a rerank model with other modules is not known".to_owned(),
            );
        }
        Ok(())
    }

    /// The pooling, for vectors of this width.
    pub(crate) fn pooling(&self, width: usize) -> Result<Pooling, Fault> {
        match &self.pooling {
            None => Ok(Pooling::mean()),
            Some(folder) => Pooling::read(&folder.json("config.json")?, width),
        }
    }

    /// What follows the pooling, whose vectors have this width; and the width of what comes out.
    pub(crate) fn steps(&self, mut width: usize, device: &Device) -> Result<(Vec<Step>, usize), Fault> {
        let mut steps = Vec::new();
        for (kind, folder) in &self.after {
            match kind {
                Kind::Dense => {
                    let (step, outputs) = dense(folder, width, device)?;
                    steps.push(step);
                    width = outputs;
                }
                Kind::LayerNorm => {
                    let weights = Weights::read(folder, device, DType::F32)?;
                    steps.push(Step::LayerNorm(weights.all().norm("norm", width, 1e-5)?));
                }
                Kind::Normalize => steps.push(Step::Normalize),
                Kind::Transformer | Kind::Pooling | Kind::Dropout => {}
            }
        }
        Ok((steps, width))
    }
}

impl Step {
    /// Applies it to vectors of 32 bits, `(texts, width)`.
    pub(crate) fn apply(&self, vectors: &Tensor) -> Computed<Tensor> {
        match self {
            Self::Dense { linear, activation } => activation.apply(&linear.forward(vectors)?),
            Self::LayerNorm(norm) => norm.forward(vectors),
            Self::Normalize => {
                let length = vectors.sqr()?.sum_keepdim(D::Minus1)?.sqrt()?;
                vectors.broadcast_div(&length.maximum(1e-12)?)
            }
        }
    }
}

fn dense(folder: &Folder, width: usize, device: &Device) -> Result<(Step, usize), Fault> {
    let config: DenseConfig = folder.json("config.json")?;
    if config.in_features != width {
        return Err(format!(
            "a dense module has {} `in_features`, and what it gets has {width}",
            config.in_features
        ));
    }
    for (name, expected) in [
        ("use_residual", Value::from(false)),
        ("module_input_name", Value::from("sentence_embedding")),
        ("module_output_name", Value::from("sentence_embedding")),
    ] {
        let stated = config
            .others
            .get(name)
            .filter(|stated| !stated.is_null() && **stated != expected);
        if let Some(stated) = stated {
            return Err(format!(
                "a dense module has the `{name}` {stated}; {expected} is what can be computed"
            ));
        }
    }
    let weights = Weights::read(folder, device, DType::F32)?;
    let linear = if config.bias {
        weights.all().linear("linear", width, config.out_features)?
    } else {
        weights
            .all()
            .linear_without_bias("linear", width, config.out_features)?
    };
    let activation = Activation::of_class(&config.activation_function)?;
    Ok((Step::Dense { linear, activation }, config.out_features))
}

/// The names have moved from one Python module to another between versions.
fn kind(class: &str) -> Result<Kind, Fault> {
    let name = class
        .strip_prefix("sentence_transformers.")
        .and_then(|name| name.rsplit('.').next());
    Ok(match name {
        Some("Transformer") => Kind::Transformer,
        Some("Pooling") => Kind::Pooling,
        Some("Dense") => Kind::Dense,
        Some("LayerNorm") => Kind::LayerNorm,
        Some("Normalize") => Kind::Normalize,
        Some("Dropout") => Kind::Dropout,
        _ => {
            return Err(format!(
                "modules.json has a module of the type `{class}`; known are Transformer, Pooling, Dense, LayerNorm, Normalize and \
                 Dropout of sentence_transformers"
            ));
        }
    })
}

#[cfg(test)]
mod tests {
    use std::fs;

    use serde_json::json;

    use super::*;

    fn modules(content: &str) -> Result<Modules, Fault> {
        let directory = tempfile::tempdir().unwrap();
        fs::create_dir(directory.path().join("1_Pooling")).unwrap();
        fs::write(directory.path().join("modules.json"), content).unwrap();
        Modules::read(&Folder::open(directory.path()).unwrap())
    }

    fn entries(kinds: &[&str]) -> String {
        let entry = |kind: &&str| {
            json!({"idx": 0, "name": "0", "path": if kind.ends_with("Pooling") { "1_Pooling" } else { "" },
                                         "type": format!("sentence_transformers.{kind}")})
        };
        json!(kinds.iter().map(entry).collect::<Vec<_>>()).to_string()
    }

    #[test]
    fn names_of_old_and_new_versions_are_known() {
        for kinds in [
            ["models.Transformer", "models.Pooling", "models.Normalize"],
            [
                "base.modules.transformer.Transformer",
                "sentence_transformer.modules.pooling.Pooling",
                "base.modules.normalize.Normalize",
            ],
        ] {
            let modules = modules(&entries(&kinds)).unwrap();
            assert!(modules.pooling.is_some() && modules.after.len() == 1);
            assert!(modules.transformer_alone().is_err());
        }
    }

    #[test]
    fn what_is_not_known_is_named() {
        let weighted = entries(&["models.Transformer", "models.Pooling", "models.WeightedLayerPooling"]);
        let foreign = json!([{"path": "", "type": "os.system"}]).to_string();
        let outside = json!([{"path": "../x", "type": "sentence_transformers.models.Transformer"}]).to_string();
        for (content, message) in [
            (weighted.as_str(), "`sentence_transformers.models.WeightedLayerPooling`"),
            (&foreign, "`os.system`"),
            (&outside, "leaves the model's folder"),
            (&entries(&["models.Pooling"]), "a transformer comes first"),
            (&entries(&["models.Transformer", "models.Normalize"]), "pooling second"),
            ("[]", "lists no module"),
            ("{}", "modules.json is not what it should be"),
        ] {
            let fault = modules(content).unwrap_err();
            assert!(fault.contains(message), "{fault}");
        }
    }

    #[test]
    fn lengths_become_one() {
        let vectors = Tensor::new(&[[3.0_f32, 4.0], [0.0, 0.0]], &Device::Cpu).unwrap();
        let rows = Step::Normalize.apply(&vectors).unwrap().to_vec2::<f32>().unwrap();
        assert_eq!(rows, [[0.6, 0.8], [0.0, 0.0]]);
    }
}
