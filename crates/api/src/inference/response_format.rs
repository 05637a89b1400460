//! The form that a model's answer has to take.

use schemars::JsonSchema;
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::{Map, Value};

use super::unknown_fields::keep;

/// The form that the answer has to take, told apart by `type`; `text` when absent.
///
/// Wire shape: OpenAI chat completions. Vendors' own forms (such as `structural_tag` of vLLM) are kept as they came.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum ResponseFormat {
    /// Any text.
    Text(PlainResponseFormat),
    /// Some JSON object.
    JsonObject(PlainResponseFormat),
    /// JSON that matches a schema.
    JsonSchema(JsonSchemaResponseFormat),
    /// A form of another type. Who cannot make use of it has to refuse the request.
    #[serde(untagged)]
    Other(OtherResponseFormat),
}

/// A form of the answer that needs no more than its type.
#[derive(Debug, Clone, PartialEq, Default, Serialize, JsonSchema)]
pub struct PlainResponseFormat {
    /// Fields not named here, such as the `schema` that llama.cpp takes with `json_object`.
    #[serde(flatten)]
    #[schemars(skip)]
    pub extra: Map<String, Value>,
}

/// An answer that is JSON and matches a schema.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct JsonSchemaResponseFormat {
    /// The schema and its name.
    pub json_schema: JsonSchemaFormat,
    /// Fields not named here.
    #[serde(flatten)]
    #[schemars(skip)]
    pub extra: Map<String, Value>,
}

/// A schema for the answer.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(expecting = "an object with a `name`")]
pub struct JsonSchemaFormat {
    /// A name for the schema: letters, digits, underscores and dashes, at most 64 of them at OpenAI.
    pub name: String,
    /// What the answer is for, by which the model decides how to fill it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    /// The JSON Schema.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub schema: Option<Map<String, Value>>,
    /// Whether the answer must match the schema exactly; false when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub strict: Option<bool>,
    /// Fields not named here.
    #[serde(flatten)]
    #[schemars(skip)]
    pub extra: Map<String, Value>,
}

/// A form of a type that has no variant of its own.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct OtherResponseFormat {
    /// The value of `type`.
    #[serde(rename = "type")]
    pub type_name: String,
    /// All other fields, as they came.
    #[serde(flatten)]
    #[schemars(skip)]
    pub extra: Map<String, Value>,
}

/// Every field that any form may have: read in one pass, whatever the place of `type`, so that faults keep their path.
#[derive(Deserialize)]
#[serde(expecting = "an object with a `type`")]
struct ResponseFormatFields {
    #[serde(rename = "type")]
    type_name: String,
    json_schema: Option<JsonSchemaFormat>,
    #[serde(flatten)]
    extra: Map<String, Value>,
}

impl ResponseFormatFields {
    /// The fields that the form's type does not have, among the unknown ones.
    fn into_extra<E: serde::de::Error>(self) -> Result<Map<String, Value>, E> {
        let mut extra = self.extra;
        keep(&mut extra, "json_schema", self.json_schema)?;
        Ok(extra)
    }
}

impl<'de> Deserialize<'de> for ResponseFormat {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        use serde::de::Error;

        let mut format = ResponseFormatFields::deserialize(deserializer)?;
        Ok(match format.type_name.as_str() {
            "text" => Self::Text(PlainResponseFormat {
                extra: format.into_extra()?,
            }),
            "json_object" => Self::JsonObject(PlainResponseFormat {
                extra: format.into_extra()?,
            }),
            "json_schema" => Self::JsonSchema(JsonSchemaResponseFormat {
                json_schema: format
                    .json_schema
                    .take()
                    .ok_or_else(|| D::Error::missing_field("json_schema"))?,
                extra: format.into_extra()?,
            }),
            _ => Self::Other(OtherResponseFormat {
                type_name: std::mem::take(&mut format.type_name),
                extra: format.into_extra()?,
            }),
        })
    }
}
