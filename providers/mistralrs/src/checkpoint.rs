//! Looks at a model's files before the engine does, so that what is missing is said plainly.

use std::fs::{self, File};
use std::io::Read;
use std::path::{Path, PathBuf};

use puna_api::{Error, Result};
use serde_json::Value;

/// A model's files, as far as a look at names and first bytes can tell complete.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Checkpoint {
    /// A folder in the layout of Hugging Face.
    Folder(PathBuf),
    /// A GGUF file.
    Gguf(PathBuf),
}

impl Checkpoint {
    /// Finds what is at a path. Fails as a configuration error that says what is missing.
    pub(crate) fn find(path: &Path) -> Result<Self> {
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
        for name in [
            "config.json",
            "tokenizer.json",
            "tokenizer_config.json",
            "generation_config.json",
        ] {
            check_json(&path.join(name))?;
        }
        let weights = names(path)?
            .into_iter()
            .filter(|name| name.ends_with(".safetensors"))
            .collect::<Vec<_>>();
        if weights.is_empty() {
            return missing("weights in the format safetensors (files in the format of pickle are not read)");
        }
        check_shards(path, &weights)?;
        let path = path.canonicalize().map_err(|error| unreadable(path, error))?;
        Ok(Self::Folder(path))
    }
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
    let mut magic = [0; 4];
    let read = File::open(path).and_then(|mut file| file.read_exact(&mut magic));
    match read {
        Ok(()) if &magic == b"GGUF" => path
            .canonicalize()
            .map(Checkpoint::Gguf)
            .map_err(|error| unreadable(path, error)),
        Err(error) if error.kind() != std::io::ErrorKind::UnexpectedEof => Err(unreadable(path, error)),
        _ => Err(Error::configuration(format!(
            "the model file {} is not a GGUF file; a model in another format is given by its folder",
            path.display()
        ))),
    }
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

/// Checks that a file is JSON, if it is there.
fn check_json(file: &Path) -> Result<()> {
    if !file.is_file() {
        return Ok(());
    }
    let bytes = fs::read(file).map_err(|error| unreadable(file, error))?;
    serde_json::from_slice::<Value>(&bytes).map(drop).map_err(|error| {
        Error::configuration(format!("the model file {} is not valid JSON: {error}", file.display())).with_source(error)
    })
}

/// Checks that all files that an index of weights names are there.
fn check_shards(folder: &Path, weights: &[String]) -> Result<()> {
    let index = folder.join("model.safetensors.index.json");
    check_json(&index)?;
    let Ok(bytes) = fs::read(&index) else { return Ok(()) };
    let index: Value = serde_json::from_slice(&bytes).unwrap_or_default();
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

    fn folder(files: &[(&str, &str)]) -> tempfile::TempDir {
        let folder = tempfile::tempdir().unwrap();
        for (name, content) in files {
            fs::write(folder.path().join(name), content).unwrap();
        }
        folder
    }

    #[test]
    fn finds_each_kind_of_model() {
        let checkpoint = folder(&[
            ("config.json", "{}"),
            ("tokenizer.json", "{}"),
            ("model.safetensors", ""),
        ]);
        assert!(matches!(Checkpoint::find(checkpoint.path()), Ok(Checkpoint::Folder(_))));
        let gguf = folder(&[("model.Q4.gguf", "GGUF\x03"), ("README.md", "")]);
        let found = Checkpoint::find(gguf.path()).unwrap();
        assert_eq!(found, Checkpoint::find(&gguf.path().join("model.Q4.gguf")).unwrap());
        assert!(matches!(found, Checkpoint::Gguf(_)));
    }

    #[test]
    fn says_what_is_missing() {
        let index = r#"{"weight_map": {"a": "model-1.safetensors", "b": "model-2.safetensors"}}"#;
        let cases: [(&[(&str, &str)], &str); 8] = [
            (&[], "has no config.json"),
            (&[("config.json", "{}")], "has no tokenizer.json"),
            (
                &[("config.json", "{}"), ("tokenizer.json", "{}")],
                "has no weights in the format safetensors",
            ),
            (
                &[
                    ("config.json", "{}"),
                    ("tokenizer.json", "{}"),
                    ("pytorch_model.bin", ""),
                ],
                "has no weights",
            ),
            (
                &[("config.json", "{"), ("tokenizer.json", "{}")],
                "config.json is not valid JSON",
            ),
            (
                &[
                    ("config.json", "{}"),
                    ("tokenizer.json", "{}"),
                    ("model-1.safetensors", ""),
                    ("model.safetensors.index.json", index),
                ],
                "has no model-2.safetensors",
            ),
            (&[("a.gguf", "GGUF"), ("b.gguf", "GGUF")], "has 2 GGUF files"),
            (&[("a.gguf", "GGML")], "a.gguf is not a GGUF file"),
        ];
        for (files, message) in cases {
            let folder = folder(files);
            let error = Checkpoint::find(folder.path()).unwrap_err();
            assert!(error.message().contains(message), "{}", error.message());
            assert_eq!(error.kind(), puna_api::ErrorKind::Configuration);
        }
        let error = Checkpoint::find(Path::new("/nowhere/at/all")).unwrap_err();
        assert!(
            error
                .message()
                .starts_with("cannot read the model at /nowhere/at/all: "),
            "{}",
            error.message()
        );
    }
}
