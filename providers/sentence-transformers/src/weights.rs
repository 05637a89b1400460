//! A model's weights, from files in the format of safetensors.

use std::collections::HashMap;

use candle_core::safetensors::BufferedSafetensors;
use candle_core::{DType, Device, Tensor};
use candle_nn::{Embedding, LayerNorm, Linear};

use crate::folder::{Fault, Folder};

/// Weights by name. Each is asked for with the shape that it must have.
pub(crate) struct Weights {
    tensors: HashMap<String, Tensor>,
}

/// Those of the weights whose names begin with a prefix.
#[derive(Clone)]
pub(crate) struct Scope<'a> {
    weights: &'a Weights,
    prefix: String,
}

impl Weights {
    /// Reads all files of a folder. The lengths and offsets in them are checked before they are used.
    pub(crate) fn read(folder: &Folder, device: &Device, dtype: DType) -> Result<Self, Fault> {
        let mut tensors = HashMap::new();
        for file in folder.weights()? {
            let broken = |cause: candle_core::Error| {
                let cause = cause.to_string();
                format!(
                    "{file} is not in the format of safetensors: {}",
                    cause.lines().next().unwrap_or_default()
                )
            };
            let content = BufferedSafetensors::new(folder.read(&file)?).map_err(broken)?;
            for (name, _) in content.tensors() {
                let tensor = content.load(&name, device).map_err(broken)?;
                // Older files hold a row of position numbers, too.
                if tensor.dtype().is_float() {
                    tensors.insert(name, tensor.to_dtype(dtype).map_err(broken)?);
                }
            }
        }
        Ok(Self { tensors })
    }

    /// The weights below the first of these prefixes under which there is one of this name.
    pub(crate) fn below(&self, prefixes: &[&str], name: &str) -> Result<Scope<'_>, Fault> {
        let prefix = prefixes
            .iter()
            .find(|prefix| self.tensors.contains_key(&format!("{prefix}{name}")))
            .ok_or_else(|| format!("the weights have no `{name}`"))?;
        Ok(Scope {
            weights: self,
            prefix: (*prefix).to_owned(),
        })
    }

    /// All weights.
    pub(crate) fn all(&self) -> Scope<'_> {
        Scope {
            weights: self,
            prefix: String::new(),
        }
    }
}

impl Scope<'_> {
    /// The weights one name further down.
    pub(crate) fn at(&self, name: &str) -> Self {
        Self {
            weights: self.weights,
            prefix: format!("{}{name}.", self.prefix),
        }
    }

    /// Whether there is a weight of this name.
    pub(crate) fn has(&self, name: &str) -> bool {
        self.weights.tensors.contains_key(&format!("{}{name}", self.prefix))
    }

    /// A weight.
    pub(crate) fn tensor(&self, name: &str, shape: &[usize]) -> Result<Tensor, Fault> {
        let name = format!("{}{name}", self.prefix);
        let tensor = self
            .weights
            .tensors
            .get(&name)
            .ok_or_else(|| format!("the weights have no `{name}`"))?;
        if tensor.dims() != shape {
            return Err(format!(
                "the weight `{name}` has the shape {:?}; {shape:?} goes with config.json",
                tensor.dims()
            ));
        }
        Ok(tensor.clone())
    }

    /// A table of vectors.
    pub(crate) fn embedding(&self, name: &str, count: usize, width: usize) -> Result<Embedding, Fault> {
        let table = self.at(name).tensor("weight", &[count, width])?;
        Ok(Embedding::new(table, width))
    }

    /// A linear layer with a bias.
    pub(crate) fn linear(&self, name: &str, inputs: usize, outputs: usize) -> Result<Linear, Fault> {
        let layer = self.at(name);
        Ok(Linear::new(
            layer.tensor("weight", &[outputs, inputs])?,
            Some(layer.tensor("bias", &[outputs])?),
        ))
    }

    /// A linear layer without a bias.
    pub(crate) fn linear_without_bias(&self, name: &str, inputs: usize, outputs: usize) -> Result<Linear, Fault> {
        Ok(Linear::new(self.at(name).tensor("weight", &[outputs, inputs])?, None))
    }

    /// A layer normalisation. The oldest files call its two vectors gamma and beta.
    pub(crate) fn norm(&self, name: &str, width: usize, epsilon: f64) -> Result<LayerNorm, Fault> {
        let layer = self.at(name);
        let (scale, shift) = if layer.has("gamma") {
            ("gamma", "beta")
        } else {
            ("weight", "bias")
        };
        Ok(LayerNorm::new(
            layer.tensor(scale, &[width])?,
            layer.tensor(shift, &[width])?,
            epsilon,
        ))
    }
}
