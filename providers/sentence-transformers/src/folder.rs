//! A model's folder: what is in it is not trusted.

use std::fs;
use std::path::{Component, Path, PathBuf};

use serde::de::DeserializeOwned;
use serde_json::Value;

/// Why a model's folder cannot be used; the loader adds the model's id.
pub(crate) type Fault = String;

/// A folder with a model, or with one module of it.
#[derive(Debug, Clone)]
pub(crate) struct Folder {
    path: PathBuf,
}

impl Folder {
    /// The folder at a path.
    pub(crate) fn open(path: &Path) -> Result<Self, Fault> {
        let metadata = fs::metadata(path).map_err(|error| unreadable(path, &error))?;
        if !metadata.is_dir() {
            return Err(format!("{} is a file; the folder of a model is needed", path.display()));
        }
        Ok(Self { path: path.to_owned() })
    }

    /// The folder of a module, as `modules.json` names it; the model's own for an empty name. Never one outside.
    pub(crate) fn module(&self, name: &str) -> Result<Self, Fault> {
        let relative = Path::new(name);
        if relative
            .components()
            .any(|part| !matches!(part, Component::Normal(_) | Component::CurDir))
        {
            return Err(format!(
                "modules.json names the path `{name}`, which leaves the model's folder"
            ));
        }
        if name.is_empty() {
            return Ok(self.clone());
        }
        Self::open(&self.path.join(relative))
    }

    /// Whether there is a file of this name.
    pub(crate) fn has(&self, name: &str) -> bool {
        self.path.join(name).is_file()
    }

    /// The bytes of a file.
    pub(crate) fn read(&self, name: &str) -> Result<Vec<u8>, Fault> {
        let path = self.path.join(name);
        fs::read(&path).map_err(|error| match error.kind() {
            std::io::ErrorKind::NotFound => format!("the folder {} has no {name}", self.path.display()),
            _ => unreadable(&path, &error),
        })
    }

    /// A file of JSON.
    pub(crate) fn json<T: DeserializeOwned>(&self, name: &str) -> Result<T, Fault> {
        serde_json::from_slice(&self.read(name)?)
            .map_err(|error| format!("{} is not what it should be: {error}", self.path.join(name).display()))
    }

    /// A file of JSON, if it is there.
    pub(crate) fn json_if_there<T: DeserializeOwned>(&self, name: &str) -> Result<Option<T>, Fault> {
        if !self.has(name) {
            return Ok(None);
        }
        self.json(name).map(Some)
    }

    /// The names of the files with weights: one, or those that an index names.
    pub(crate) fn weights(&self) -> Result<Vec<String>, Fault> {
        if self.has("model.safetensors") {
            return Ok(vec!["model.safetensors".to_owned()]);
        }
        let Some(index) = self.json_if_there::<Value>("model.safetensors.index.json")? else {
            return Err(format!(
                "the folder {} has no model.safetensors (files in the format of pickle are not read)",
                self.path.display()
            ));
        };
        let map = index["weight_map"]
            .as_object()
            .ok_or("model.safetensors.index.json has no `weight_map`")?;
        let mut files = Vec::new();
        for file in map.values() {
            let file = file
                .as_str()
                .ok_or("model.safetensors.index.json names a file by something that is no text")?;
            let is_plain = file.ends_with(".safetensors") && Path::new(file).components().count() == 1;
            if !is_plain {
                return Err(format!(
                    "model.safetensors.index.json names `{file}`, which is no file with weights"
                ));
            }
            if !files.iter().any(|known| known == file) {
                files.push(file.to_owned());
            }
        }
        Ok(files)
    }
}

fn unreadable(path: &Path, error: &std::io::Error) -> Fault {
    format!("cannot read {}: {error}", path.display())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn folder(files: &[(&str, &str)]) -> (tempfile::TempDir, Folder) {
        let directory = tempfile::tempdir().unwrap();
        for (name, content) in files {
            fs::write(directory.path().join(name), content).unwrap();
        }
        let folder = Folder::open(directory.path()).unwrap();
        (directory, folder)
    }

    #[test]
    fn a_module_stays_inside() {
        let (directory, folder) = folder(&[]);
        fs::create_dir(directory.path().join("1_Pooling")).unwrap();
        for inside in ["", "1_Pooling", "./1_Pooling"] {
            folder.module(inside).unwrap();
        }
        for outside in ["..", "1_Pooling/../..", "/etc"] {
            let fault = folder.module(outside).unwrap_err();
            assert!(fault.contains("leaves the model's folder"), "{fault}");
        }
        let fault = folder.module("2_Dense").unwrap_err();
        assert!(fault.starts_with("cannot read "), "{fault}");
    }

    #[test]
    fn weights_are_one_file_or_those_of_an_index() {
        assert_eq!(
            folder(&[("model.safetensors", "")]).1.weights().unwrap(),
            ["model.safetensors"]
        );
        let index = r#"{"weight_map": {"a": "1.safetensors", "b": "2.safetensors", "c": "1.safetensors"}}"#;
        let (_directory, indexed) = folder(&[("model.safetensors.index.json", index)]);
        assert_eq!(indexed.weights().unwrap(), ["1.safetensors", "2.safetensors"]);
        for (content, message) in [
            ("{", "is not what it should be"),
            ("{}", "has no `weight_map`"),
            (r#"{"weight_map": {"a": 1}}"#, "no text"),
            (r#"{"weight_map": {"a": "../x.safetensors"}}"#, "no file with weights"),
            (r#"{"weight_map": {"a": "pytorch_model.bin"}}"#, "no file with weights"),
        ] {
            let fault = folder(&[("model.safetensors.index.json", content)])
                .1
                .weights()
                .unwrap_err();
            assert!(fault.contains(message), "{fault}");
        }
        let fault = folder(&[("pytorch_model.bin", "")]).1.weights().unwrap_err();
        assert!(fault.contains("has no model.safetensors"), "{fault}");
    }

    #[test]
    fn a_file_is_no_folder() {
        let (directory, _) = folder(&[("x", "")]);
        assert!(
            Folder::open(&directory.path().join("x"))
                .unwrap_err()
                .contains("is a file")
        );
        assert!(
            Folder::open(Path::new("/nowhere/at/all"))
                .unwrap_err()
                .starts_with("cannot read /nowhere/at/all")
        );
    }
}
