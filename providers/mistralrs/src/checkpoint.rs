//! Looks at a model's files before the engine does, so that what is missing or damaged is said plainly: a model's files come from
//! anywhere, and the engine believes what they say of lengths and places.

use std::fs::{self, File};
use std::path::{Path, PathBuf};

use puna_api::{Error, Result};
use serde_json::Value;

mod gguf;
mod safetensors;
mod vision;

#[cfg(test)]
pub(crate) use vision::ImageSize;
pub(crate) use vision::{View, Vision};

/// A size in a configuration above this would have the engine take all memory; the largest models are far below.
const LARGEST_SIZE: f64 = (1_u64 << 24) as f64;

/// Ends of the names of sizes in a configuration.
const SIZES: [&str; 10] = [
    "_size",
    "_dim",
    "_heads",
    "_layers",
    "_layer",
    "_embeddings",
    "_experts",
    "_length",
    "_rank",
    "n_positions",
];

/// Ends of the names of files in the format of pickle, which can run any code when they are read.
const PICKLES: [&str; 5] = ["bin", "pt", "pth", "pkl", "ckpt"];

/// A model's files, complete and sound as far as names and headers tell.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Checkpoint {
    /// Where they are.
    pub(crate) layout: Layout,
    /// How large the weights are.
    pub(crate) weight_bytes: u64,
    /// The most tokens that the model was made for, where that is told.
    pub(crate) context_length: Option<u64>,
    /// Whether the model turns texts into vectors: it is in the layout of sentence-transformers.
    pub(crate) embeds: bool,
    /// How many numbers its vectors have, where that is told.
    pub(crate) dimension: Option<u64>,
    /// How the model looks at images, if it does.
    pub(crate) vision: Option<Vision>,
}

/// Where a model's files are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Layout {
    /// A folder in the layout of Hugging Face.
    Folder(PathBuf),
    /// A GGUF file.
    Gguf(PathBuf),
}

impl Checkpoint {
    /// Finds what is at a path. `uqff` names the first file of weights in the format UQFF, where those are to be read. Fails as a
    /// configuration error that says what is missing.
    pub(crate) fn find(path: &Path, uqff: Option<&str>) -> Result<Self> {
        let metadata = fs::metadata(path).map_err(|error| unreadable(path, error))?;
        if metadata.is_file() {
            return gguf(path);
        }
        if let Some(file) = only_gguf_of(path)? {
            return gguf(&file);
        }
        let missing = |what: &str| {
            Err(Error::configuration(format!(
                "the model folder {} has no {what}",
                path.display()
            )))
        };
        if !has_any(path, &["config.json", "params.json"]) {
            return missing("config.json");
        }
        if !has_any(path, &["tokenizer.json", "tekken.json"]) {
            return missing("tokenizer.json");
        }
        for name in ["tokenizer.json", "tokenizer_config.json", "generation_config.json"] {
            read_json(&path.join(name))?;
        }
        let modules = read_json(&path.join("modules.json"))?;
        let mut context_length = None;
        let mut width = None;
        let mut vision = None;
        for name in ["config.json", "params.json"] {
            let file = path.join(name);
            if let Some(config) = read_json(&file)? {
                check_sizes(&config).map_err(|cause| damaged(&file, &cause))?;
                context_length = context_length.or_else(|| context_length_of(&config));
                width = width.or_else(|| config["hidden_size"].as_u64());
                vision = vision::find(path, &config)?;
            }
        }
        if let Some(first) = uqff.filter(|first| !path.join(first).is_file()) {
            return missing(first);
        }
        let names = names(path)?;
        let weights: Vec<String> = names
            .iter()
            .filter(|name| name.ends_with(".safetensors") || (uqff.is_some() && name.ends_with(".uqff")))
            .cloned()
            .collect();
        if weights.is_empty() {
            return match names.iter().find(|name| is_pickle(Path::new(name))) {
                Some(pickle) => Err(is_refused(&path.join(pickle))),
                None => missing("weights in the format safetensors"),
            };
        }
        check_shards(path, &weights)?;
        let mut weight_bytes = 0;
        for name in &weights {
            let file = path.join(name);
            let mut open = File::open(&file).map_err(|error| unreadable(&file, error))?;
            weight_bytes += open.metadata().map_err(|error| unreadable(&file, error))?.len();
            // A file in the format UQFF holds safetensors too.
            safetensors::check(&mut open).map_err(|cause| damaged(&file, &cause))?;
        }
        let path = path.canonicalize().map_err(|error| unreadable(path, error))?;
        Ok(Self {
            layout: Layout::Folder(path),
            weight_bytes,
            context_length,
            embeds: modules.is_some(),
            // Another layer may follow, of another width.
            vision,
            dimension: modules.and_then(|modules| width.filter(|_| !modules.to_string().contains("Dense"))),
        })
    }
}

fn context_length_of(config: &Value) -> Option<u64> {
    let text = config.get("text_config").unwrap_or(config);
    ["max_position_embeddings", "n_positions", "max_seq_len"]
        .iter()
        .find_map(|name| text[name].as_u64())
}

/// Checks that no size in a configuration is beyond all measure.
fn check_sizes(config: &Value) -> Result<(), String> {
    match config {
        Value::Object(fields) => {
            for (name, value) in fields {
                let is_size = SIZES.iter().any(|end| name.ends_with(end));
                if is_size
                    && value
                        .as_f64()
                        .is_some_and(|value| !(0.0..=LARGEST_SIZE).contains(&value))
                {
                    return Err(format!("`{name}` is {value}, which no model has"));
                }
                check_sizes(value)?;
            }
            Ok(())
        }
        Value::Array(values) => values.iter().try_for_each(check_sizes),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => Ok(()),
    }
}

fn is_pickle(path: &Path) -> bool {
    let extension = path.extension().unwrap_or_default();
    PICKLES.iter().any(|pickle| extension.eq_ignore_ascii_case(pickle))
}

fn is_refused(path: &Path) -> Error {
    Error::configuration(format!(
        "the model file {} is in the format of pickle, which can run any code and is not read; convert it to safetensors",
        path.display()
    ))
}

fn damaged(path: &Path, cause: &str) -> Error {
    Error::configuration(format!("the model file {} is damaged: {cause}", path.display()))
}

/// The GGUF file of a folder that is not a checkpoint in another layout.
fn only_gguf_of(folder: &Path) -> Result<Option<PathBuf>> {
    if has_any(folder, &["config.json", "params.json"]) {
        return Ok(None);
    }
    let mut files: Vec<String> = names(folder)?
        .into_iter()
        .filter(|name| name.to_ascii_lowercase().ends_with(".gguf"))
        .collect();
    match files.len() {
        0 => Ok(None),
        1 => Ok(Some(folder.join(files.swap_remove(0)))),
        count => {
            let folder = folder.display();
            Err(Error::configuration(format!(
                "the model folder {folder} has {count} GGUF files; give the path of one"
            )))
        }
    }
}

fn gguf(path: &Path) -> Result<Checkpoint> {
    if is_pickle(path) {
        return Err(is_refused(path));
    }
    let mut file = File::open(path).map_err(|error| unreadable(path, error))?;
    let weight_bytes = file.metadata().map_err(|error| unreadable(path, error))?.len();
    if !gguf::is_gguf(&mut file) {
        return Err(Error::configuration(format!(
            "the model file {} is not a GGUF file; a model in another format is given by its folder",
            path.display()
        )));
    }
    let header = gguf::check(&mut file).map_err(|cause| damaged(path, &cause))?;
    let path = path.canonicalize().map_err(|error| unreadable(path, error))?;
    Ok(Checkpoint {
        layout: Layout::Gguf(path),
        weight_bytes,
        context_length: header.context_length,
        embeds: false,
        dimension: None,
        vision: None,
    })
}

fn has_any(folder: &Path, names: &[&str]) -> bool {
    names.iter().any(|name| folder.join(name).is_file())
}

fn names(folder: &Path) -> Result<Vec<String>> {
    let mut names = Vec::new();
    for entry in fs::read_dir(folder).map_err(|error| unreadable(folder, error))? {
        let entry = entry.map_err(|error| unreadable(folder, error))?;
        names.push(entry.file_name().to_string_lossy().into_owned());
    }
    Ok(names)
}

/// The JSON in a file, if it is there.
fn read_json(file: &Path) -> Result<Option<Value>> {
    if !file.is_file() {
        return Ok(None);
    }
    let bytes = fs::read(file).map_err(|error| unreadable(file, error))?;
    serde_json::from_slice(&bytes).map(Some).map_err(|error| {
        Error::configuration(format!("the model file {} is not valid JSON: {error}", file.display())).with_source(error)
    })
}

/// Checks that all files that an index of weights names are there.
fn check_shards(folder: &Path, weights: &[String]) -> Result<()> {
    let Some(index) = read_json(&folder.join("model.safetensors.index.json"))? else {
        return Ok(());
    };
    let named = index["weight_map"]
        .as_object()
        .into_iter()
        .flatten()
        .filter_map(|(_, file)| file.as_str());
    match named
        .into_iter()
        .find(|file| !weights.iter().any(|present| present == file))
    {
        Some(file) => {
            let folder = folder.display();
            Err(Error::configuration(format!(
                "the model folder {folder} has no {file}, which its index of weights names"
            )))
        }
        None => Ok(()),
    }
}

fn unreadable(path: &Path, error: std::io::Error) -> Error {
    Error::configuration(format!("cannot read the model at {}: {error}", path.display())).with_source(error)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The smallest file in the format of safetensors.
    const SAFETENSORS: &str = "\u{2}\0\0\0\0\0\0\0{}";
    /// The smallest GGUF file.
    const GGUF: &str = "GGUF\u{3}\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0";

    fn folder(files: &[(&str, &str)]) -> tempfile::TempDir {
        let folder = tempfile::tempdir().unwrap();
        for (name, content) in files {
            fs::write(folder.path().join(name), content).unwrap();
        }
        folder
    }

    fn find(folder: &tempfile::TempDir) -> Result<Checkpoint> {
        Checkpoint::find(folder.path(), None)
    }

    #[test]
    fn finds_each_kind_of_model() {
        let checkpoint = folder(&[
            (
                "config.json",
                r#"{"max_position_embeddings": 512, "rope_theta": 1000000000000}"#,
            ),
            ("tokenizer.json", "{}"),
            ("model.safetensors", SAFETENSORS),
        ]);
        let found = find(&checkpoint).unwrap();
        assert!(matches!(found.layout, Layout::Folder(_)));
        assert_eq!((found.context_length, found.weight_bytes), (Some(512), 10));
        let gguf = folder(&[("model.Q4.gguf", GGUF), ("README.md", "")]);
        let found = find(&gguf).unwrap();
        assert_eq!(
            found,
            Checkpoint::find(&gguf.path().join("model.Q4.gguf"), None).unwrap()
        );
        assert!(matches!(found.layout, Layout::Gguf(_)));
    }

    #[test]
    fn says_what_is_missing_or_wrong() {
        let index = r#"{"weight_map": {"a": "model-1.safetensors", "b": "model-2.safetensors"}}"#;
        let (config, tokenizer) = (("config.json", "{}"), ("tokenizer.json", "{}"));
        let huge = r#"{"text_config": {"max_position_embeddings": 1e12}}"#;
        let cases: [(&[(&str, &str)], &str); 13] = [
            (&[], "has no config.json"),
            (&[config], "has no tokenizer.json"),
            (&[config, tokenizer], "has no weights in the format safetensors"),
            (
                &[config, tokenizer, ("pytorch_model.bin", "")],
                "pytorch_model.bin is in the format of pickle",
            ),
            (
                &[config, tokenizer, ("model.pt", "")],
                "model.pt is in the format of pickle",
            ),
            (&[("config.json", "{"), tokenizer], "config.json is not valid JSON"),
            (
                &[("config.json", huge), tokenizer],
                "config.json is damaged: `max_position_embeddings` is 1000000000000.0, which no model has",
            ),
            (
                &[("config.json", r#"{"head_dim": -1}"#), tokenizer],
                "config.json is damaged: `head_dim` is -1",
            ),
            (
                &[config, tokenizer, ("model.safetensors", "{}")],
                "model.safetensors is damaged: it is too short",
            ),
            (
                &[
                    config,
                    tokenizer,
                    ("model-1.safetensors", SAFETENSORS),
                    ("model.safetensors.index.json", index),
                ],
                "has no model-2.safetensors",
            ),
            (&[("a.gguf", GGUF), ("b.gguf", GGUF)], "has 2 GGUF files"),
            (&[("a.gguf", "GGML")], "a.gguf is not a GGUF file"),
            (&[("a.gguf", "GGUF\u{3}")], "a.gguf is damaged: it ends too early"),
        ];
        for (files, message) in cases {
            let error = find(&folder(files)).unwrap_err();
            assert!(error.message().contains(message), "{}", error.message());
            assert_eq!(error.kind(), puna_api::ErrorKind::Configuration);
        }
        let error = Checkpoint::find(Path::new("/nowhere/at/all"), None).unwrap_err();
        let begins = "cannot read the model at /nowhere/at/all: ";
        assert!(error.message().starts_with(begins), "{}", error.message());
        let pickle = folder(&[("model.pth", "")]);
        let error = Checkpoint::find(&pickle.path().join("model.pth"), None).unwrap_err();
        assert!(error.message().contains("format of pickle"), "{}", error.message());
        let no_uqff = folder(&[config, tokenizer, ("model.safetensors", SAFETENSORS)]);
        let error = Checkpoint::find(no_uqff.path(), Some("q4k-0.uqff")).unwrap_err();
        assert!(error.message().ends_with("has no q4k-0.uqff"), "{}", error.message());
    }
}
