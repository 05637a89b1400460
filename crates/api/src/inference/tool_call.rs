//! The calls that a model makes to tools.

use schemars::JsonSchema;
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::{Map, Value};

use super::unknown_fields::keep;

/// A call to a tool that the model wants made, told apart by `type`.
///
/// Wire shape: OpenAI chat completions. A call without a `type`, as some vendors send it, is read by the field it has.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum ToolCall {
    /// A call to a function, with arguments as JSON text.
    Function(FunctionToolCall),
    /// A call to a custom tool, with free text as input.
    Custom(CustomToolCall),
    /// A call of another type.
    #[serde(untagged)]
    Other(OtherToolCall),
}

impl ToolCall {
    /// A call to a function; `arguments` is JSON text.
    pub fn function(id: impl Into<String>, name: impl Into<String>, arguments: impl Into<String>) -> Self {
        Self::Function(FunctionToolCall {
            id: id.into(),
            function: FunctionCall {
                name: name.into(),
                arguments: arguments.into(),
                extra: Map::new(),
            },
            extra: Map::new(),
        })
    }

    /// The id that the tool's answer refers to; none where a vendor's own kind of call has none.
    pub fn id(&self) -> Option<&str> {
        match self {
            Self::Function(call) => Some(&call.id),
            Self::Custom(call) => Some(&call.id),
            Self::Other(call) => call.extra.get("id").and_then(Value::as_str),
        }
    }
}

/// A call to a function.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct FunctionToolCall {
    /// The id that the tool's answer refers to.
    pub id: String,
    /// The function and its arguments.
    pub function: FunctionCall,
    /// Fields not named here.
    #[serde(flatten)]
    #[schemars(skip)]
    pub extra: Map<String, Value>,
}

/// A function and the arguments to call it with.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(expecting = "an object with `name` and `arguments`")]
pub struct FunctionCall {
    /// The name of the function.
    pub name: String,
    /// The arguments as JSON text, just as the model wrote it: it may be no valid JSON, or not match the function's schema.
    pub arguments: String,
    /// Fields not named here.
    #[serde(flatten)]
    #[schemars(skip)]
    pub extra: Map<String, Value>,
}

/// A call to a custom tool.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct CustomToolCall {
    /// The id that the tool's answer refers to.
    pub id: String,
    /// The tool and its input.
    pub custom: CustomCall,
    /// Fields not named here.
    #[serde(flatten)]
    #[schemars(skip)]
    pub extra: Map<String, Value>,
}

/// A custom tool and the input to call it with.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(expecting = "an object with `name` and `input`")]
pub struct CustomCall {
    /// The name of the tool.
    pub name: String,
    /// What the model wrote for it, in the tool's format.
    pub input: String,
    /// Fields not named here.
    #[serde(flatten)]
    #[schemars(skip)]
    pub extra: Map<String, Value>,
}

/// A call of a type that has no variant of its own.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct OtherToolCall {
    /// The value of `type`.
    #[serde(rename = "type")]
    pub type_name: String,
    /// All other fields, as they came.
    #[serde(flatten)]
    #[schemars(skip)]
    pub extra: Map<String, Value>,
}

/// A piece of a tool call in a stream: the first piece of a call has its id and name, the later ones more of its arguments.
///
/// Wire shape: OpenAI chat completion chunks.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(expecting = "an object with an `index`")]
pub struct ToolCallDelta {
    /// Which of the message's calls this is a piece of, from 0.
    pub index: u32,
    /// The id of the call, in its first piece.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub id: Option<String>,
    /// The kind of call, in its first piece: `function` or `custom`.
    #[serde(rename = "type", default, skip_serializing_if = "Option::is_none")]
    pub type_name: Option<String>,
    /// The function's name and more of its arguments.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub function: Option<FunctionCallDelta>,
    /// The custom tool's name and more of its input.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub custom: Option<CustomCallDelta>,
    /// Fields not named here.
    #[serde(flatten)]
    #[schemars(skip)]
    pub extra: Map<String, Value>,
}

/// A piece of a function call.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(expecting = "an object")]
pub struct FunctionCallDelta {
    /// The name of the function, in the first piece.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// More of the arguments: the pieces joined are JSON text.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub arguments: Option<String>,
    /// Fields not named here.
    #[serde(flatten)]
    #[schemars(skip)]
    pub extra: Map<String, Value>,
}

/// A piece of a call to a custom tool.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(expecting = "an object")]
pub struct CustomCallDelta {
    /// The name of the tool, in the first piece.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// More of the input.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub input: Option<String>,
    /// Fields not named here.
    #[serde(flatten)]
    #[schemars(skip)]
    pub extra: Map<String, Value>,
}

/// Every field that any call may have: read in one pass, whatever the place of `type`, so that faults keep their path.
#[derive(Deserialize)]
#[serde(expecting = "a tool call: an object with `id`, `type` and `function` or `custom`")]
struct ToolCallFields {
    id: Option<String>,
    #[serde(rename = "type")]
    type_name: Option<String>,
    function: Option<FunctionCall>,
    custom: Option<CustomCall>,
    #[serde(flatten)]
    extra: Map<String, Value>,
}

impl ToolCallFields {
    fn take_id<E: serde::de::Error>(&mut self) -> Result<String, E> {
        self.id.take().ok_or_else(|| E::missing_field("id"))
    }

    /// The fields that the call's type does not have, among the unknown ones.
    fn into_extra<E: serde::de::Error>(self) -> Result<Map<String, Value>, E> {
        let mut extra = self.extra;
        keep(&mut extra, "id", self.id)?;
        keep(&mut extra, "function", self.function)?;
        keep(&mut extra, "custom", self.custom)?;
        Ok(extra)
    }
}

impl<'de> Deserialize<'de> for ToolCall {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        use serde::de::Error;

        let mut call = ToolCallFields::deserialize(deserializer)?;
        let type_name = match call.type_name.take() {
            Some(type_name) => type_name,
            None if call.function.is_some() => "function".to_owned(),
            None if call.custom.is_some() => "custom".to_owned(),
            None => return Err(D::Error::missing_field("type")),
        };
        Ok(match type_name.as_str() {
            "function" => Self::Function(FunctionToolCall {
                id: call.take_id()?,
                function: call
                    .function
                    .take()
                    .ok_or_else(|| D::Error::missing_field("function"))?,
                extra: call.into_extra()?,
            }),
            "custom" => Self::Custom(CustomToolCall {
                id: call.take_id()?,
                custom: call.custom.take().ok_or_else(|| D::Error::missing_field("custom"))?,
                extra: call.into_extra()?,
            }),
            _ => Self::Other(OtherToolCall {
                type_name,
                extra: call.into_extra()?,
            }),
        })
    }
}
