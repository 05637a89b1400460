//! The tools that a model may call, and how it is to choose among them.

use schemars::JsonSchema;
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::{Map, Value};

use super::open_enum::open_enum;
use super::string_or::{StringOr, string_or_object};
use super::unknown_fields::keep;

/// A tool that the model may call, told apart by `type`.
///
/// Wire shape: OpenAI chat completions. Vendors' own tools (such as `browser_search`) are kept as they came.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum ChatTool {
    /// A function with a JSON Schema for its arguments.
    Function(FunctionTool),
    /// A tool whose input is free text, or follows a grammar.
    Custom(CustomTool),
    /// A tool of another type. Who cannot make use of it has to refuse the request.
    #[serde(untagged)]
    Other(OtherTool),
}

impl ChatTool {
    /// The value of `type` on the wire.
    pub fn type_name(&self) -> &str {
        match self {
            Self::Function(_) => "function",
            Self::Custom(_) => "custom",
            Self::Other(tool) => &tool.type_name,
        }
    }
}

/// A tool that is a function.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct FunctionTool {
    /// The function.
    pub function: FunctionDefinition,
    /// Fields not named here.
    #[serde(flatten)]
    #[schemars(skip)]
    pub extra: Map<String, Value>,
}

/// What a model is told of a function.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(expecting = "an object with a `name`")]
pub struct FunctionDefinition {
    /// The name: letters, digits, underscores and dashes, at most 64 of them at OpenAI.
    pub name: String,
    /// What it does, by which the model decides when and how to call it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    /// The arguments, as a JSON Schema of an object; no arguments when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub parameters: Option<Map<String, Value>>,
    /// Whether the arguments must match `parameters` exactly; false when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub strict: Option<bool>,
    /// Fields not named here.
    #[serde(flatten)]
    #[schemars(skip)]
    pub extra: Map<String, Value>,
}

/// A tool whose input is free text, or follows a grammar.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct CustomTool {
    /// The tool.
    pub custom: CustomToolDefinition,
    /// Fields not named here.
    #[serde(flatten)]
    #[schemars(skip)]
    pub extra: Map<String, Value>,
}

/// What a model is told of a custom tool.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(expecting = "an object with a `name`")]
pub struct CustomToolDefinition {
    /// The name, by which calls refer to it.
    pub name: String,
    /// What it does.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    /// What its input looks like; any text when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub format: Option<CustomToolFormat>,
    /// Fields not named here.
    #[serde(flatten)]
    #[schemars(skip)]
    pub extra: Map<String, Value>,
}

/// What the input of a custom tool looks like.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(expecting = "an object with a `type`")]
pub struct CustomToolFormat {
    /// The kind of format.
    #[serde(rename = "type")]
    pub kind: CustomToolFormatKind,
    /// The grammar; only with the kind `grammar`, which needs it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub grammar: Option<CustomToolGrammar>,
    /// Fields not named here.
    #[serde(flatten)]
    #[schemars(skip)]
    pub extra: Map<String, Value>,
}

open_enum! {
    /// The kind of input that a custom tool takes.
    CustomToolFormatKind {
        /// Any text.
        Text = "text",
        /// Text that follows a grammar.
        Grammar = "grammar",
    }
}

/// A grammar that the input of a custom tool follows.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(expecting = "an object with `definition` and `syntax`")]
pub struct CustomToolGrammar {
    /// The grammar itself.
    pub definition: String,
    /// The language it is written in.
    pub syntax: GrammarSyntax,
    /// Fields not named here.
    #[serde(flatten)]
    #[schemars(skip)]
    pub extra: Map<String, Value>,
}

open_enum! {
    /// The language that a grammar is written in.
    GrammarSyntax {
        /// Lark.
        Lark = "lark",
        /// A regular expression.
        Regex = "regex",
    }
}

/// A tool of a type that has no variant of its own.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct OtherTool {
    /// The value of `type`.
    #[serde(rename = "type")]
    pub type_name: String,
    /// All other fields, as they came.
    #[serde(flatten)]
    #[schemars(skip)]
    pub extra: Map<String, Value>,
}

/// Which tools the model has to call, may call or must not call.
///
/// `none` when there are no tools, `auto` otherwise, when absent. Wire shape: OpenAI chat completions.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
#[serde(untagged)]
pub enum ToolChoice {
    /// A rule for all tools.
    Mode(ToolChoiceMode),
    /// One tool, or a choice among some.
    Tool(Box<NamedToolChoice>),
}

open_enum! {
    /// A rule for all tools.
    ToolChoiceMode {
        /// Call none.
        None = "none",
        /// The model decides.
        Auto = "auto",
        /// Call one or more.
        Required = "required",
    }
}

/// A choice that names tools, told apart by `type`.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum NamedToolChoice {
    /// Choose among some of the tools only.
    AllowedTools(AllowedToolsChoice),
    /// Call this function.
    Function(FunctionChoice),
    /// Call this custom tool.
    Custom(CustomChoice),
    /// A choice of another type. Who cannot make use of it has to refuse the request.
    #[serde(untagged)]
    Other(OtherTool),
}

/// A choice among some of the tools.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct AllowedToolsChoice {
    /// The tools, and whether one must be called.
    pub allowed_tools: AllowedTools,
    /// Fields not named here.
    #[serde(flatten)]
    #[schemars(skip)]
    pub extra: Map<String, Value>,
}

/// Some of the tools, and whether one must be called.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(expecting = "an object with `mode` and `tools`")]
pub struct AllowedTools {
    /// `auto`: the model may call one of them; `required`: it must.
    pub mode: ToolChoiceMode,
    /// The tools, each as `{"type": "function", "function": {"name": …}}` or the like.
    pub tools: Vec<Map<String, Value>>,
    /// Fields not named here.
    #[serde(flatten)]
    #[schemars(skip)]
    pub extra: Map<String, Value>,
}

/// A choice of one function.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct FunctionChoice {
    /// The function.
    pub function: ToolName,
    /// Fields not named here.
    #[serde(flatten)]
    #[schemars(skip)]
    pub extra: Map<String, Value>,
}

/// A choice of one custom tool.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct CustomChoice {
    /// The custom tool.
    pub custom: ToolName,
    /// Fields not named here.
    #[serde(flatten)]
    #[schemars(skip)]
    pub extra: Map<String, Value>,
}

/// The name of a function or custom tool.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(expecting = "an object with a `name`")]
pub struct ToolName {
    /// The name.
    pub name: String,
    /// Fields not named here.
    #[serde(flatten)]
    #[schemars(skip)]
    pub extra: Map<String, Value>,
}

/// Which function the model has to call: `none`, `auto` or one by name. Deprecated by OpenAI for `tool_choice`.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
#[serde(untagged)]
pub enum FunctionCallChoice {
    /// A rule for all functions.
    Mode(ToolChoiceMode),
    /// Call this one.
    Function(ToolName),
}

/// Every field that any tool may have: read in one pass, whatever the place of `type`, so that faults keep their path.
#[derive(Deserialize)]
#[serde(expecting = "a tool: an object with a `type`")]
struct ToolFields {
    #[serde(rename = "type")]
    type_name: String,
    function: Option<FunctionDefinition>,
    custom: Option<CustomToolDefinition>,
    #[serde(flatten)]
    extra: Map<String, Value>,
}

impl ToolFields {
    /// The fields that the tool's type does not have, among the unknown ones.
    fn into_extra<E: serde::de::Error>(self) -> Result<Map<String, Value>, E> {
        let mut extra = self.extra;
        keep(&mut extra, "function", self.function)?;
        keep(&mut extra, "custom", self.custom)?;
        Ok(extra)
    }
}

impl<'de> Deserialize<'de> for ChatTool {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        use serde::de::Error;

        let mut tool = ToolFields::deserialize(deserializer)?;
        Ok(match tool.type_name.as_str() {
            "function" => Self::Function(FunctionTool {
                function: tool
                    .function
                    .take()
                    .ok_or_else(|| D::Error::missing_field("function"))?,
                extra: tool.into_extra()?,
            }),
            "custom" => Self::Custom(CustomTool {
                custom: tool.custom.take().ok_or_else(|| D::Error::missing_field("custom"))?,
                extra: tool.into_extra()?,
            }),
            _ => Self::Other(OtherTool {
                type_name: std::mem::take(&mut tool.type_name),
                extra: tool.into_extra()?,
            }),
        })
    }
}

/// Every field that any named choice may have.
#[derive(Deserialize)]
#[serde(expecting = "an object with a `type`")]
struct ToolChoiceFields {
    #[serde(rename = "type")]
    type_name: String,
    allowed_tools: Option<AllowedTools>,
    function: Option<ToolName>,
    custom: Option<ToolName>,
    #[serde(flatten)]
    extra: Map<String, Value>,
}

impl ToolChoiceFields {
    /// The fields that the choice's type does not have, among the unknown ones.
    fn into_extra<E: serde::de::Error>(self) -> Result<Map<String, Value>, E> {
        let mut extra = self.extra;
        keep(&mut extra, "allowed_tools", self.allowed_tools)?;
        keep(&mut extra, "function", self.function)?;
        keep(&mut extra, "custom", self.custom)?;
        Ok(extra)
    }
}

impl<'de> Deserialize<'de> for NamedToolChoice {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        use serde::de::Error;

        let mut choice = ToolChoiceFields::deserialize(deserializer)?;
        Ok(match choice.type_name.as_str() {
            "allowed_tools" => Self::AllowedTools(AllowedToolsChoice {
                allowed_tools: choice
                    .allowed_tools
                    .take()
                    .ok_or_else(|| D::Error::missing_field("allowed_tools"))?,
                extra: choice.into_extra()?,
            }),
            "function" => Self::Function(FunctionChoice {
                function: choice
                    .function
                    .take()
                    .ok_or_else(|| D::Error::missing_field("function"))?,
                extra: choice.into_extra()?,
            }),
            "custom" => Self::Custom(CustomChoice {
                custom: choice.custom.take().ok_or_else(|| D::Error::missing_field("custom"))?,
                extra: choice.into_extra()?,
            }),
            _ => Self::Other(OtherTool {
                type_name: std::mem::take(&mut choice.type_name),
                extra: choice.into_extra()?,
            }),
        })
    }
}

impl<'de> Deserialize<'de> for ToolChoice {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let expecting = "`none`, `auto`, `required` or an object that names a tool";
        Ok(match string_or_object(deserializer, expecting)? {
            StringOr::String(mode) => Self::Mode(mode.into()),
            StringOr::Value(choice) => Self::Tool(Box::new(choice)),
        })
    }
}

impl<'de> Deserialize<'de> for FunctionCallChoice {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Ok(
            match string_or_object(deserializer, "`none`, `auto` or an object with a `name`")? {
                StringOr::String(mode) => Self::Mode(mode.into()),
                StringOr::Value(function) => Self::Function(function),
            },
        )
    }
}
