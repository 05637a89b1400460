//! Pooling: the vectors of a text's tokens to one vector.

use candle_core::{DType, Result as Computed, Tensor};
use serde_json::{Map, Value};

use crate::encoder::Batch;
use crate::folder::Fault;

/// Which vectors make up the vector of a text; several follow each other.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Pooling {
    modes: Vec<Mode>,
    /// Whether the tokens of a prompt count.
    pub(crate) include_prompt: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Mode {
    /// The vector of the first token.
    First,
    /// The largest of each number.
    Max,
    Mean,
    /// The sum, divided by the root of the length.
    MeanSquareRoot,
    /// The mean, in which each token counts as much as its position, from 1.
    WeightedMean,
    /// The vector of the last token.
    Last,
}

/// The older spelling, in the order in which the vectors follow each other, and the newer one.
const MODES: [(&str, &str, Mode); 6] = [
    ("pooling_mode_cls_token", "cls", Mode::First),
    ("pooling_mode_max_tokens", "max", Mode::Max),
    ("pooling_mode_mean_tokens", "mean", Mode::Mean),
    (
        "pooling_mode_mean_sqrt_len_tokens",
        "mean_sqrt_len_tokens",
        Mode::MeanSquareRoot,
    ),
    ("pooling_mode_weightedmean_tokens", "weightedmean", Mode::WeightedMean),
    ("pooling_mode_lasttoken", "lasttoken", Mode::Last),
];

impl Pooling {
    /// What a folder without `modules.json` gets.
    pub(crate) fn mean() -> Self {
        Self {
            modes: vec![Mode::Mean],
            include_prompt: true,
        }
    }

    /// Reads the `config.json` of a pooling module, for vectors of this width.
    pub(crate) fn read(config: &Map<String, Value>, width: usize) -> Result<Self, Fault> {
        for name in ["word_embedding_dimension", "embedding_dimension"] {
            if let Some(stated) = config.get(name).filter(|stated| stated.as_u64() != Some(width as u64)) {
                return Err(format!(
                    "the pooling module has the `{name}` {stated}, and the model's is {width}"
                ));
            }
        }
        if let Some(unknown) = config
            .iter()
            .find(|(name, value)| name.starts_with("pooling_mode_") && **value == true && older(name).is_none())
        {
            return Err(format!(
                "the pooling module has the mode `{}`, which is not known",
                unknown.0
            ));
        }
        let modes = match config.get("pooling_mode") {
            None | Some(Value::Null) => {
                let is_on = |name: &str| config.get(name).and_then(Value::as_bool).unwrap_or(false);
                MODES
                    .iter()
                    .filter(|(name, ..)| is_on(name))
                    .map(|(.., mode)| *mode)
                    .collect()
            }
            Some(Value::Array(names)) => names.iter().map(newer).collect::<Result<_, _>>()?,
            Some(name) => vec![newer(name)?],
        };
        Ok(Self {
            modes: if modes.is_empty() { vec![Mode::Mean] } else { modes },
            include_prompt: config.get("include_prompt").and_then(Value::as_bool).unwrap_or(true),
        })
    }

    /// How many numbers the vector of a text has.
    pub(crate) fn width(&self, of_tokens: usize) -> usize {
        self.modes.len() * of_tokens
    }

    /// The vectors of texts in 32 bits, `(texts, width)`, from those of their tokens, `(texts, longest, width)`.
    pub(crate) fn apply(&self, states: &Tensor, batch: &Batch) -> Computed<Tensor> {
        let states = states.to_dtype(DType::F32)?;
        let vectors: Vec<Tensor> = self
            .modes
            .iter()
            .map(|mode| mode.apply(&states, batch))
            .collect::<Computed<_>>()?;
        Tensor::cat(&vectors, 1)
    }
}

fn older(name: &str) -> Option<Mode> {
    MODES.iter().find(|(older, ..)| *older == name).map(|(.., mode)| *mode)
}

fn newer(name: &Value) -> Result<Mode, Fault> {
    MODES
        .iter()
        .find(|(_, newer, _)| *name == *newer)
        .map(|(.., mode)| *mode)
        .ok_or_else(|| format!("the pooling module has the mode {name}, which is not known"))
}

impl Mode {
    fn apply(self, states: &Tensor, batch: &Batch) -> Computed<Tensor> {
        let (_, longest, _) = states.dims3()?;
        let device = states.device();
        let lengths = || batch.lengths().iter().map(|length| *length as f32);
        let column = |values: Vec<f32>| {
            let count = values.len();
            Tensor::from_vec(values, (count, 1), device)
        };
        match self {
            Self::First => states.narrow(1, 0, 1)?.squeeze(1),
            Self::Last => {
                let rows: Vec<Tensor> = batch
                    .lengths()
                    .iter()
                    .enumerate()
                    .map(|(text, length)| states.get(text)?.get(length - 1))
                    .collect::<Computed<_>>()?;
                Tensor::stack(&rows, 0)
            }
            Self::Max => match batch.filled() {
                None => states.max(1),
                Some(filled) => {
                    let lowered = ((filled - 1.0)? * 1.0e30)?;
                    states.broadcast_add(&lowered.unsqueeze(2)?)?.max(1)
                }
            },
            Self::Mean => sum(states, batch.filled())?.broadcast_div(&column(lengths().collect())?),
            Self::MeanSquareRoot => {
                sum(states, batch.filled())?.broadcast_div(&column(lengths().map(f32::sqrt).collect())?)
            }
            Self::WeightedMean => {
                let positions: Vec<f32> = (1..=longest).map(|position| position as f32).collect();
                let positions = Tensor::from_vec(positions, (1, longest), device)?;
                let weights = match batch.filled() {
                    Some(filled) => filled.broadcast_mul(&positions)?,
                    None => positions.broadcast_as((batch.lengths().len(), longest))?.contiguous()?,
                };
                let total = lengths().map(|length| length * (length + 1.0) / 2.0).collect();
                sum(states, Some(&weights))?.broadcast_div(&column(total)?)
            }
        }
    }
}

/// The sum over the tokens, each with its weight.
fn sum(states: &Tensor, weights: Option<&Tensor>) -> Computed<Tensor> {
    match weights {
        Some(weights) => states.broadcast_mul(&weights.unsqueeze(2)?)?.sum(1),
        None => states.sum(1),
    }
}

#[cfg(test)]
mod tests {
    use candle_core::Device;
    use serde_json::json;

    use super::*;
    use crate::tokens::Tokens;

    fn read(config: &Value) -> Result<Pooling, Fault> {
        Pooling::read(config.as_object().unwrap(), 2)
    }

    #[test]
    fn each_mode_looks_at_the_tokens_alone() {
        let text = |length: usize| Tokens {
            ids: vec![1; length],
            types: vec![0; length],
        };
        let batch = Batch::new(&[&text(2), &text(3)], &Device::Cpu).unwrap();
        let filling = [100.0_f32, -100.0];
        let states = Tensor::new(
            &[
                [[1.0, -2.0], [3.0, -4.0], filling],
                [[1.0, 1.0], [2.0, 2.0], [6.0, 3.0]],
            ],
            &Device::Cpu,
        );
        let states = states.unwrap();
        for (mode, expected) in [
            ("cls", [[1.0, -2.0], [1.0, 1.0]]),
            ("max", [[3.0, -2.0], [6.0, 3.0]]),
            ("mean", [[2.0, -3.0], [3.0, 2.0]]),
            ("mean_sqrt_len_tokens", [[2.828_427, -4.242_64], [5.196_152, 3.464_101]]),
            ("weightedmean", [[2.333_333, -3.333_333], [3.833_333, 2.333_333]]),
            ("lasttoken", [[3.0, -4.0], [6.0, 3.0]]),
        ] {
            let pooled = read(&json!({"pooling_mode": mode}))
                .unwrap()
                .apply(&states, &batch)
                .unwrap();
            for (row, expected) in pooled.to_vec2::<f32>().unwrap().iter().zip(expected) {
                let close = row.iter().zip(expected).all(|(a, b): (&f32, f32)| (a - b).abs() < 1e-4);
                assert!(close && row.len() == 2, "{mode}: {row:?}, not {expected:?}");
            }
        }
    }

    #[test]
    fn both_spellings_are_read() {
        let newer = read(&json!({"embedding_dimension": 2, "pooling_mode": ["cls", "mean"]})).unwrap();
        let older = json!({
            "word_embedding_dimension": 2, "pooling_mode_mean_tokens": true, "pooling_mode_cls_token": true,
            "pooling_mode_max_tokens": false,
        });
        assert_eq!(newer, read(&older).unwrap());
        assert_eq!(newer.width(2), 4);
        assert_eq!(read(&json!({})).unwrap(), Pooling::mean());
    }

    #[test]
    fn what_is_not_known_is_named() {
        for (config, message) in [
            (json!({"pooling_mode": "median"}), "\"median\""),
            (
                json!({"pooling_mode_median_tokens": true}),
                "`pooling_mode_median_tokens`",
            ),
            (json!({"word_embedding_dimension": 3}), "3, and the model's is 2"),
        ] {
            let fault = read(&config).unwrap_err();
            assert!(fault.contains(message), "{fault}");
        }
    }
}
