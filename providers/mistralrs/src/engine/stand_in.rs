//! A folder that stands in for a checkpoint which the engine would take for another.
//!
//! In checkpoints of the kind EmbeddingGemma, `sliding_window` is how many tokens one sees to both sides together. The engine takes it
//! as how many it sees to each side, which changes the vectors of all texts that are longer than half of it.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use serde_json::{Value, json};

const CONFIG: &str = "config.json";

/// The folder, for as long as this lives.
pub(super) struct StandIn(PathBuf);

impl StandIn {
    /// Makes one in `parent` for a model that needs it.
    pub(super) fn of(folder: &Path, parent: &Path) -> Result<Option<Self>, String> {
        let config = fs::read(folder.join(CONFIG)).map_err(|cause| cause.to_string())?;
        let Some(config) = serde_json::from_slice(&config).ok().and_then(narrowed) else {
            return Ok(None);
        };
        let stand_in = Self(parent.join(format!("stand-in-{}", uuid::Uuid::new_v4().simple())));
        let made = stand_in.fill(folder, &config);
        made.map_err(|cause| format!("cannot make the folder {}: {cause}", stand_in.0.display()))?;
        Ok(Some(stand_in))
    }

    fn fill(&self, folder: &Path, config: &Value) -> io::Result<()> {
        fs::create_dir_all(&self.0)?;
        for entry in fs::read_dir(folder)? {
            let name = entry?.file_name();
            if name != CONFIG {
                link(&folder.join(&name), &self.0.join(&name))?;
            }
        }
        fs::write(self.0.join(CONFIG), config.to_string())
    }

    pub(super) fn path(&self) -> &Path {
        &self.0
    }
}

impl Drop for StandIn {
    fn drop(&mut self) {
        // Links go, what they lead to stays. What cannot be removed is small, and in the provider's own folder.
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// The configuration with the window as the engine takes it, where it needs another.
fn narrowed(mut config: Value) -> Option<Value> {
    let is_gemma = config["architectures"]
        .as_array()
        .is_some_and(|names| names.iter().any(|name| name == "Gemma3TextModel"));
    if !is_gemma || config["use_bidirectional_attention"] != true {
        return None;
    }
    let window = config["sliding_window"].as_u64()?;
    config["sliding_window"] = json!(window / 2 + 1);
    Some(config)
}

#[cfg(unix)]
fn link(original: &Path, link: &Path) -> io::Result<()> {
    std::os::unix::fs::symlink(original, link)
}

#[cfg(not(unix))]
fn link(original: &Path, link: &Path) -> io::Result<()> {
    if !original.is_dir() {
        return fs::copy(original, link).map(drop);
    }
    fs::create_dir(link)?;
    for entry in fs::read_dir(original)? {
        let name = entry?.file_name();
        self::link(&original.join(&name), &link.join(&name))?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_window_is_another_and_nothing_stays() {
        let folder = tempfile::tempdir().unwrap();
        let (model, parent) = (folder.path().join("model"), folder.path().join("data"));
        fs::create_dir_all(model.join("1_Pooling")).unwrap();
        fs::write(model.join("1_Pooling/config.json"), "{}").unwrap();
        let config =
            json!({"architectures": ["Gemma3TextModel"], "use_bidirectional_attention": true, "sliding_window": 512});
        fs::write(model.join(CONFIG), config.to_string()).unwrap();
        let stand_in = StandIn::of(&model, &parent).unwrap().unwrap();
        let read = |path: &Path| serde_json::from_slice::<Value>(&fs::read(path).unwrap()).unwrap();
        assert_eq!(read(&stand_in.path().join(CONFIG))["sliding_window"], 257);
        assert_eq!(read(&stand_in.path().join("1_Pooling/config.json")), json!({}));
        drop(stand_in);
        assert_eq!(fs::read_dir(&parent).unwrap().count(), 0);
        assert_eq!(read(&model.join(CONFIG)), config);
        assert_eq!(read(&model.join("1_Pooling/config.json")), json!({}));

        fs::write(
            model.join(CONFIG),
            json!({"architectures": ["Qwen3ForCausalLM"]}).to_string(),
        )
        .unwrap();
        assert!(StandIn::of(&model, &parent).unwrap().is_none());
    }
}
