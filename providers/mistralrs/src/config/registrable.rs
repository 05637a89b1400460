//! Models that are no part of the configuration, and that may be registered while the server runs.

use std::path::{Component, Path, PathBuf};
use std::time::Duration;

use puna_api::{Error, Result};
use puna_hub::ModelName;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Load, LocalModel, seconds};

/// Which models may be registered while the server runs.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Registrable {
    /// Folders whose models may be registered by their paths, as absolute paths. Default: none.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub folders: Vec<PathBuf>,

    /// Seconds after which such a model is unloaded when nobody uses it; the next request loads it again. `null` is never. Default: 300.
    #[serde(default = "idle_timeout", with = "seconds")]
    #[schemars(with = "Option<f64>")]
    pub idle_timeout: Option<Duration>,
}

impl Default for Registrable {
    fn default() -> Self {
        Self {
            folders: Vec::new(),
            idle_timeout: idle_timeout(),
        }
    }
}

#[expect(clippy::unnecessary_wraps, reason = "the type of the field")]
fn idle_timeout() -> Option<Duration> {
    Some(Duration::from_secs(300))
}

impl Registrable {
    pub(super) fn is_default(&self) -> bool {
        *self == Self::default()
    }

    /// Checks what types alone cannot say: the folder that is wrong, by its place, and why.
    pub(super) fn validate(&self) -> Result<(), (usize, String)> {
        match self.folders.iter().position(|folder| !folder.is_absolute()) {
            None => Ok(()),
            Some(place) => {
                let folder = self.folders[place].display();
                Err((place, format!("must be an absolute path, not `{folder}`")))
            }
        }
    }

    /// The model that this id stands for; nothing where it is neither a path nor a name of the hub. Fails as a configuration error
    /// where it may not be registered.
    pub(crate) fn model(&self, id: &str) -> Result<Option<LocalModel>> {
        let path = Path::new(id);
        let name = ModelName::of_path(path).map_err(|cause| Error::configuration(cause.message()))?;
        if name.is_none() {
            if !path.is_absolute() {
                return Ok(None);
            }
            if !self.folders.iter().any(|folder| is_inside(path, folder)) {
                let message =
                    format!("`{id}` is in none of the folders whose models may be registered (`registrable.folders`)");
                return Err(Error::configuration(message));
            }
        }
        Ok(Some(LocalModel {
            id: Some(id.to_owned()),
            load: Load::FirstUse,
            idle_timeout: self.idle_timeout,
            ..LocalModel::new(path)
        }))
    }
}

/// Whether a path leads into a folder, or to it. Links are the operator's to place.
fn is_inside(path: &Path, folder: &Path) -> bool {
    path.strip_prefix(folder)
        .is_ok_and(|rest| rest.components().all(|part| matches!(part, Component::Normal(_))))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn only_what_the_operator_opened_can_be_registered() {
        let registrable: Registrable = serde_json::from_value(json!({"folders": ["/models", "/one/model"]})).unwrap();
        for id in [
            "/models/a",
            "/models/deep/a.gguf",
            "/models//a",
            "/one/model",
            "hf:team/tiny",
            "hf:team/tiny@v2",
        ] {
            let model = registrable.model(id).unwrap().unwrap();
            assert_eq!((model.id().as_str(), model.path.as_path()), (id, Path::new(id)));
            assert_eq!((model.load, model.idle_timeout), (Load::FirstUse, idle_timeout()));
        }
        for id in ["a", "models/a", "./a", "../models/a", "puna/tiny", ""] {
            assert_eq!(registrable.model(id).unwrap(), None, "{id}");
        }
        for id in [
            "/",
            "/etc",
            "/modelsx/a",
            "/models/../etc",
            "/models/a/../../etc",
            "/one",
        ] {
            let error = registrable.model(id).unwrap_err();
            assert!(error.message().contains("`registrable.folders`"), "{id}: {error}");
        }
        let error = registrable.model("hf:a/b/c").unwrap_err();
        assert!(error.message().contains("names no model of the hub"), "{error}");
    }

    #[test]
    fn a_model_may_stay_for_ever() {
        let registrable: Registrable = serde_json::from_value(json!({"idle_timeout": null})).unwrap();
        assert_eq!(registrable.model("hf:a/b").unwrap().unwrap().idle_timeout, None);
    }
}
