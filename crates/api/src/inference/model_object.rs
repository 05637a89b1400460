//! Models as `GET /models` shows them.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

/// A model, as a list of models shows it.
///
/// Wire shape: OpenAI `GET /models/{model}`, with the `custom_metadata` of Llama Stack. What an upstream leaves out beside the id
/// reads as empty, zero or the usual value.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(expecting = "a model: an object with an `id`")]
pub struct ModelObject {
    /// The id that requests name it by; may contain slashes.
    pub id: String,
    /// Always `model`.
    #[serde(default = "model_object")]
    #[schemars(extend("enum" = ["model"]))]
    pub object: String,
    /// When it was made or became known, in seconds since 1970.
    #[serde(default)]
    pub created: u64,
    /// Who offers it.
    #[serde(default)]
    pub owned_by: String,
    /// What else is known of it, such as its kind and its provider.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub custom_metadata: Option<Map<String, Value>>,
    /// Fields not named here, such as `max_model_len` of vLLM.
    #[serde(flatten)]
    #[schemars(skip)]
    pub extra: Map<String, Value>,
}

impl ModelObject {
    /// A model without metadata; `created` is in seconds since 1970.
    pub fn new(id: impl Into<String>, created: u64, owned_by: impl Into<String>) -> Self {
        Self {
            id: id.into(),
            object: model_object(),
            created,
            owned_by: owned_by.into(),
            custom_metadata: None,
            extra: Map::new(),
        }
    }
}

fn model_object() -> String {
    "model".to_owned()
}

/// The models that requests can name.
///
/// Wire shape: OpenAI `GET /models`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(expecting = "a list of models: an object with `data`")]
pub struct ModelList {
    /// Always `list`.
    #[serde(default = "list_object")]
    #[schemars(extend("enum" = ["list"]))]
    pub object: String,
    /// The models.
    pub data: Vec<ModelObject>,
    /// Fields not named here.
    #[serde(flatten)]
    #[schemars(skip)]
    pub extra: Map<String, Value>,
}

impl ModelList {
    /// A list of these models.
    pub fn new(data: Vec<ModelObject>) -> Self {
        Self {
            object: list_object(),
            data,
            extra: Map::new(),
        }
    }
}

fn list_object() -> String {
    "list".to_owned()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::round_trip::{assert_round_trip, read};
    use super::*;

    #[test]
    fn lists_survive_a_round_trip() {
        assert_round_trip::<ModelList>(&json!({
            "object": "list",
            "data": [
                {"id": "meta-llama/Llama-3.2-3B-Instruct", "object": "model", "created": 1_700_000_000, "owned_by": "vllm",
                 "root": "/models/llama", "parent": null, "max_model_len": 131_072, "permission": [{"allow_view": true}]},
                {"id": "tiny", "object": "model", "created": 0, "owned_by": "puna", "custom_metadata": {"model_type": "llm"}},
            ],
            "has_more": false,
        }));
    }

    #[test]
    fn an_id_is_enough() {
        assert_eq!(
            read::<ModelObject>(&json!({"id": "local.gguf"})),
            ModelObject::new("local.gguf", 0, "")
        );
    }
}
