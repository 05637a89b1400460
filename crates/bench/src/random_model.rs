//! `puna-bench random-model`: a Llama of a size, with weights that mean nothing, to measure an engine with.

use std::fs::{self, File};
use std::io::{BufWriter, Write as _};
use std::path::{Path, PathBuf};

use clap::{Args, ValueEnum};
use serde_json::{Map, Value, json};

use crate::error::{Context as _, Error, Result};
use crate::report;

/// Weights repeat after so many values, which no benchmark sees: the time of a product does not depend on them.
const BLOCK: usize = 1 << 20;
/// The deviation that models are initialised with before training.
const DEVIATION: f32 = 0.02;
const CONTEXT_LENGTH: u64 = 4096;

/// What `puna-bench random-model` takes.
#[derive(Debug, Clone, Args)]
pub(crate) struct RandomModelOptions {
    /// How many weights it has
    #[arg(long, value_enum, default_value = "100m")]
    parameters: Size,
    /// The format of its weights
    #[arg(long, value_enum, default_value = "f32")]
    dtype: Dtype,
    /// The folder to write
    #[arg(long, value_name = "FOLDER")]
    out: PathBuf,
}

/// How many weights a model has, about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Size {
    /// 100 million
    #[value(name = "100m")]
    Million100,
    /// 1 billion
    #[value(name = "1b")]
    Billion1,
    /// 7 billion
    #[value(name = "7b")]
    Billion7,
}

/// The format of weights.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Dtype {
    /// 32 bits
    F32,
    /// 16 bits with the exponent of 32
    Bf16,
}

struct Shape {
    width: u64,
    layers: u64,
    feed_forward: u64,
    heads: u64,
    key_value_heads: u64,
}

/// Writes the model, unless the folder has it.
pub(crate) fn run(options: &RandomModelOptions) -> Result<()> {
    write(&options.out, options.parameters, options.dtype)?;
    report::print(&format!("{}\n", options.out.display()))
}

/// Writes a checkpoint folder with the tokenizer of the tiny model, unless it is there. Fails where the folder has another model.
pub(crate) fn write(folder: &Path, size: Size, dtype: Dtype) -> Result<()> {
    let files = puna_tiny_model::files();
    let config = config(&files, size, dtype)?;
    if folder.join("model.safetensors").is_file() {
        return check_config(&folder.join("config.json"), &config);
    }
    fs::create_dir_all(folder).while_trying(|| format!("create {}", folder.display()))?;
    for (name, bytes) in files {
        let bytes = match name {
            "model.safetensors" => continue,
            "config.json" => Value::Object(config.clone()).to_string().into_bytes(),
            _ => bytes,
        };
        let path = folder.join(name);
        fs::write(&path, bytes).while_trying(|| format!("write {}", path.display()))?;
    }
    let vocabulary = config.get("vocab_size").and_then(Value::as_u64);
    let vocabulary = vocabulary.ok_or_else(|| Error::new("the tiny model's config.json has no vocab_size"))?;
    // Under another name until it is whole, so that a folder that was left half-written is not taken for a model.
    let part = folder.join("model.safetensors.part");
    let whole = folder.join("model.safetensors");
    write_weights(&part, &size.shape().tensors(vocabulary), dtype)
        .and_then(|()| fs::rename(&part, &whole))
        .while_trying(|| format!("write {}", whole.display()))
}

/// The tiny model's configuration, with another shape.
fn config(files: &[(&str, Vec<u8>)], size: Size, dtype: Dtype) -> Result<Map<String, Value>> {
    let tiny = files.iter().find(|(name, _)| *name == "config.json");
    let (_, tiny) = tiny.ok_or_else(|| Error::new("the tiny model has no config.json"))?;
    let mut config: Map<String, Value> =
        serde_json::from_slice(tiny).while_trying(|| "read the tiny model's config.json".into())?;
    config.extend(size.shape().config(dtype));
    Ok(config)
}

/// Fails where a model that is there is not the one that is wanted, and names the first difference.
fn check_config(path: &Path, wanted: &Map<String, Value>) -> Result<()> {
    let text = fs::read(path).while_trying(|| format!("read {}", path.display()))?;
    let there: Map<String, Value> =
        serde_json::from_slice(&text).while_trying(|| format!("read {}", path.display()))?;
    match wanted.iter().find(|(name, value)| there.get(*name) != Some(*value)) {
        None => Ok(()),
        Some((name, value)) => Err(Error::new(format!(
            "{} is of another model: `{name}` is {}, not {value}; choose another folder, or remove this one",
            path.display(),
            there.get(name).unwrap_or(&Value::Null)
        ))),
    }
}

/// The safetensors format: the length of a JSON header, the header, and the tensors one after the other.
fn write_weights(path: &Path, tensors: &[(String, Vec<u64>)], dtype: Dtype) -> std::io::Result<()> {
    let mut header = Map::new();
    let mut end = 0;
    for (name, shape) in tensors {
        let begin = end;
        end += shape.iter().product::<u64>() * dtype.bytes();
        let entry = json!({ "dtype": dtype.name(), "shape": shape, "data_offsets": [begin, end] });
        header.insert(name.clone(), entry);
    }
    let mut header = Value::Object(header).to_string();
    // Tensors begin at a multiple of 8 bytes, so that programs which map the file can use them where they lie.
    header.extend(std::iter::repeat_n(
        ' ',
        header.len().next_multiple_of(8) - header.len(),
    ));
    let mut file = BufWriter::new(File::create(path)?);
    file.write_all(&(header.len() as u64).to_le_bytes())?;
    file.write_all(header.as_bytes())?;
    let block = dtype.encode(&normal_values());
    let ones = dtype.encode(&[1.0]);
    for (name, shape) in tensors {
        let mut missing = (shape.iter().product::<u64>() * dtype.bytes()) as usize;
        let values = if name.contains("norm") { &ones } else { &block };
        while missing > 0 {
            let piece = missing.min(values.len());
            file.write_all(&values[..piece])?;
            missing -= piece;
        }
    }
    file.into_inner()?.sync_all()
}

/// Sums of twelve uniform values, from a linear congruential generator: near enough to normal.
fn normal_values() -> Vec<f32> {
    let mut state = 0x2545_f491_4f6c_dd1d_u64;
    let mut uniform = || {
        state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        (state >> 40) as f32 / (1u32 << 24) as f32
    };
    (0..BLOCK)
        .map(|_| ((0..12).map(|_| uniform()).sum::<f32>() - 6.0) * DEVIATION)
        .collect()
}

impl Size {
    fn shape(self) -> Shape {
        let (width, layers, feed_forward, heads, key_value_heads) = match self {
            Self::Million100 => (768, 14, 2048, 12, 12),
            Self::Billion1 => (2048, 16, 8192, 32, 8),
            Self::Billion7 => (4096, 32, 14336, 32, 8),
        };
        Shape {
            width,
            layers,
            feed_forward,
            heads,
            key_value_heads,
        }
    }
}

impl Shape {
    fn head_width(&self) -> u64 {
        self.width / self.heads
    }

    /// What differs from the tiny model.
    fn config(&self, dtype: Dtype) -> Map<String, Value> {
        let fields = [
            ("hidden_size", json!(self.width)),
            ("intermediate_size", json!(self.feed_forward)),
            ("num_hidden_layers", json!(self.layers)),
            ("num_attention_heads", json!(self.heads)),
            ("num_key_value_heads", json!(self.key_value_heads)),
            ("head_dim", json!(self.head_width())),
            ("max_position_embeddings", json!(CONTEXT_LENGTH)),
            ("tie_word_embeddings", json!(false)),
            ("torch_dtype", json!(dtype.torch_name())),
        ];
        fields
            .map(|(name, value)| (name.to_owned(), value))
            .into_iter()
            .collect()
    }

    fn tensors(&self, vocabulary: u64) -> Vec<(String, Vec<u64>)> {
        let (width, inner) = (self.width, self.feed_forward);
        let key_value_width = self.key_value_heads * self.head_width();
        let mut tensors = vec![("model.embed_tokens.weight".to_owned(), vec![vocabulary, width])];
        for layer in 0..self.layers {
            let of_layer = [
                ("input_layernorm", vec![width]),
                ("post_attention_layernorm", vec![width]),
                ("self_attn.q_proj", vec![width, width]),
                ("self_attn.k_proj", vec![key_value_width, width]),
                ("self_attn.v_proj", vec![key_value_width, width]),
                ("self_attn.o_proj", vec![width, width]),
                ("mlp.gate_proj", vec![inner, width]),
                ("mlp.up_proj", vec![inner, width]),
                ("mlp.down_proj", vec![width, inner]),
            ];
            tensors.extend(of_layer.map(|(name, shape)| (format!("model.layers.{layer}.{name}.weight"), shape)));
        }
        tensors.push(("model.norm.weight".to_owned(), vec![width]));
        tensors.push(("lm_head.weight".to_owned(), vec![vocabulary, width]));
        tensors
    }
}

impl Dtype {
    fn bytes(self) -> u64 {
        match self {
            Self::F32 => 4,
            Self::Bf16 => 2,
        }
    }

    fn name(self) -> &'static str {
        match self {
            Self::F32 => "F32",
            Self::Bf16 => "BF16",
        }
    }

    fn torch_name(self) -> &'static str {
        match self {
            Self::F32 => "float32",
            Self::Bf16 => "bfloat16",
        }
    }

    fn encode(self, values: &[f32]) -> Vec<u8> {
        match self {
            Self::F32 => values.iter().flat_map(|value| value.to_le_bytes()).collect(),
            // The upper half of the 32 bits.
            Self::Bf16 => values
                .iter()
                .flat_map(|value| ((value.to_bits() >> 16) as u16).to_le_bytes())
                .collect(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_what_they_are_called() {
        for (size, expected) in [(Size::Million100, 100e6), (Size::Billion1, 1e9), (Size::Billion7, 7e9)] {
            let tensors = size.shape().tensors(1024);
            let count: u64 = tensors.iter().map(|(_, shape)| shape.iter().product::<u64>()).sum();
            assert!((count as f64 / expected - 1.0).abs() < 0.05, "{size:?}: {count}");
        }
    }

    #[test]
    fn values_are_centred_and_as_wide_as_meant() {
        let values = normal_values();
        let mean = values.iter().map(|it| f64::from(*it)).sum::<f64>() / values.len() as f64;
        let variance = values.iter().map(|it| f64::from(*it).powi(2)).sum::<f64>() / values.len() as f64;
        assert!(
            mean.abs() < 1e-3 && (variance.sqrt() / f64::from(DEVIATION) - 1.0).abs() < 0.01,
            "{mean} {variance}"
        );
        assert_eq!(Dtype::Bf16.encode(&[1.0, -2.0]), [0x80, 0x3f, 0x00, 0xc0]);
    }
    #[test]
    fn weights_begin_where_they_can_be_mapped() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("model.safetensors");
        for name in ["a", "ab", "abc"] {
            write_weights(&path, &[(name.to_owned(), vec![2])], Dtype::F32).unwrap();
            let bytes = fs::read(&path).unwrap();
            let header = u64::from_le_bytes(bytes[..8].try_into().unwrap()) as usize;
            assert_eq!((header % 8, bytes.len()), (0, 8 + header + 8), "{name}");
            let header: Value = serde_json::from_slice(&bytes[8..8 + header]).unwrap();
            assert_eq!(header[name]["data_offsets"], json!([0, 8]));
        }
    }

    #[test]
    fn a_folder_with_another_model_is_not_taken_for_this_one() {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("model.safetensors"), "").unwrap();
        let there = config(&puna_tiny_model::files(), Size::Million100, Dtype::F32).unwrap();
        fs::write(folder.path().join("config.json"), Value::Object(there).to_string()).unwrap();
        write(folder.path(), Size::Million100, Dtype::F32).unwrap();
        for (size, dtype, difference) in [
            (Size::Billion1, Dtype::F32, "`hidden_size` is 768, not 2048"),
            (
                Size::Million100,
                Dtype::Bf16,
                "`torch_dtype` is \"float32\", not \"bfloat16\"",
            ),
        ] {
            let error = write(folder.path(), size, dtype).unwrap_err();
            assert!(error.to_string().contains(difference), "{error}");
        }
    }
}
