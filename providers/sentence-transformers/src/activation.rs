//! Functions between layers.

use candle_core::Tensor;
use candle_nn::ops;

use crate::folder::Fault;

/// A function that is applied to each number.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Activation {
    Identity,
    /// By the error function.
    Gelu,
    /// By the hyperbolic tangent.
    GeluTanh,
    Relu,
    Sigmoid,
    Silu,
    Tanh,
}

impl Activation {
    /// The activation of this name in the `config.json` of transformers.
    pub(crate) fn of_config(name: &str) -> Result<Self, Fault> {
        Ok(match name {
            "gelu" | "gelu_python" => Self::Gelu,
            "gelu_new" | "gelu_pytorch_tanh" | "gelu_fast" => Self::GeluTanh,
            "relu" => Self::Relu,
            "silu" | "swish" => Self::Silu,
            "tanh" => Self::Tanh,
            _ => {
                return Err(format!(
                    "config.json names the activation `{name}`; known are gelu, gelu_new, relu, silu and tanh"
                ));
            }
        })
    }

    /// The activation that is this class of PyTorch, such as `torch.nn.modules.activation.Tanh`.
    pub(crate) fn of_class(class: &str) -> Result<Self, Fault> {
        let name = class
            .strip_prefix("torch.nn.")
            .map(|name| name.rsplit('.').next().unwrap_or(name));
        Ok(match name {
            Some("Identity") => Self::Identity,
            Some("GELU") => Self::Gelu,
            Some("ReLU") => Self::Relu,
            Some("Sigmoid") => Self::Sigmoid,
            Some("SiLU") => Self::Silu,
            Some("Tanh") => Self::Tanh,
            _ => {
                return Err(format!(
                    "the activation `{class}` is not known; known are Identity, GELU, ReLU, Sigmoid, SiLU and Tanh of torch.nn"
                ));
            }
        })
    }

    /// Applies it.
    pub(crate) fn apply(self, values: &Tensor) -> candle_core::Result<Tensor> {
        match self {
            Self::Identity => Ok(values.clone()),
            Self::Gelu => values.gelu_erf(),
            Self::GeluTanh => values.gelu(),
            Self::Relu => values.relu(),
            Self::Sigmoid => ops::sigmoid(values),
            Self::Silu => values.silu(),
            Self::Tanh => values.tanh(),
        }
    }
}

#[cfg(test)]
mod tests {
    use candle_core::Device;

    use super::*;

    #[test]
    fn each_is_known_by_its_names() {
        let values = Tensor::new(&[1.0_f32], &Device::Cpu).unwrap();
        for (class, expected) in [
            ("torch.nn.modules.linear.Identity", 1.0),
            ("torch.nn.modules.activation.Tanh", 0.761_594),
            ("torch.nn.modules.activation.Sigmoid", 0.731_058),
            ("torch.nn.modules.activation.GELU", 0.841_345),
            ("torch.nn.modules.activation.ReLU", 1.0),
            ("torch.nn.SiLU", 0.731_058),
        ] {
            let value = Activation::of_class(class)
                .unwrap()
                .apply(&values)
                .unwrap()
                .to_vec1::<f32>()
                .unwrap()[0];
            assert!((value - expected).abs() < 1e-5, "{class}: {value}");
        }
        for class in ["os.system", "torch.nn.modules.activation.Softmax", "Tanh"] {
            assert!(Activation::of_class(class).unwrap_err().contains(class));
        }
        assert_eq!(Activation::of_config("gelu").unwrap(), Activation::Gelu);
        assert!(Activation::of_config("mish").unwrap_err().contains("`mish`"));
    }
}
