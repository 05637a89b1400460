//! Models that are no part of the configuration, and that may be registered while the server runs.

use std::path::PathBuf;
use std::time::Duration;

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

    /// The model that an id stands for.
    pub(crate) fn model(&self, id: &str) -> LocalModel {
        LocalModel {
            id: Some(id.to_owned()),
            load: Load::FirstUse,
            idle_timeout: self.idle_timeout,
            ..LocalModel::new(id)
        }
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use serde_json::json;

    use super::*;

    #[test]
    fn a_registered_model_is_loaded_on_first_use() {
        let registrable: Registrable = serde_json::from_value(json!({"folders": ["/models"]})).unwrap();
        for id in ["/models/a.gguf", "hf:team/tiny@v2"] {
            let model = registrable.model(id);
            assert_eq!((model.id().as_str(), model.path.as_path()), (id, Path::new(id)));
            assert_eq!((model.load, model.idle_timeout), (Load::FirstUse, idle_timeout()));
        }
    }

    #[test]
    fn a_model_may_stay_for_ever() {
        let registrable: Registrable = serde_json::from_value(json!({"idle_timeout": null})).unwrap();
        assert_eq!(registrable.model("hf:a/b").idle_timeout, None);
    }
}
