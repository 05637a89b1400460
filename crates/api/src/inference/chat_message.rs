//! The messages of a conversation, as a request holds them.

use schemars::JsonSchema;
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::{Map, Value};

use super::message_content::MessageContent;
use super::tool_call::{FunctionCall, ToolCall};
use super::unknown_fields::keep;

/// A message of a conversation, told apart by `role`.
///
/// Wire shape: OpenAI chat completions. Roles of models' own (such as `ipython`) are kept as they came.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
#[serde(tag = "role", rename_all = "snake_case")]
pub enum ChatMessage {
    /// Instructions of the application's developer, above those of users. Newer models have it instead of `system`.
    Developer(SystemMessage),
    /// Instructions of the application.
    System(SystemMessage),
    /// What a user says.
    User(UserMessage),
    /// What the model said before.
    Assistant(Box<AssistantMessage>),
    /// What a tool answered.
    Tool(ToolMessage),
    /// What a function answered. Deprecated by OpenAI for `tool`.
    Function(FunctionMessage),
    /// A message of another role. Who cannot make use of it has to refuse the request.
    #[serde(untagged)]
    Other(OtherMessage),
}

impl ChatMessage {
    /// A message with instructions.
    pub fn system(content: impl Into<MessageContent>) -> Self {
        Self::System(SystemMessage {
            content: content.into(),
            name: None,
            extra: Map::new(),
        })
    }

    /// A message of the user.
    pub fn user(content: impl Into<MessageContent>) -> Self {
        Self::User(UserMessage {
            content: content.into(),
            name: None,
            extra: Map::new(),
        })
    }

    /// A message of the model.
    pub fn assistant(content: impl Into<MessageContent>) -> Self {
        Self::Assistant(Box::new(AssistantMessage {
            content: Some(content.into()),
            ..AssistantMessage::default()
        }))
    }

    /// The answer of a tool to one call.
    pub fn tool(tool_call_id: impl Into<String>, content: impl Into<MessageContent>) -> Self {
        Self::Tool(ToolMessage {
            content: content.into(),
            tool_call_id: tool_call_id.into(),
            extra: Map::new(),
        })
    }

    /// The value of `role` on the wire.
    pub fn role(&self) -> &str {
        match self {
            Self::Developer(_) => "developer",
            Self::System(_) => "system",
            Self::User(_) => "user",
            Self::Assistant(_) => "assistant",
            Self::Tool(_) => "tool",
            Self::Function(_) => "function",
            Self::Other(message) => &message.role,
        }
    }

    /// What the message says, where it says something.
    pub fn content(&self) -> Option<&MessageContent> {
        match self {
            Self::Developer(message) | Self::System(message) => Some(&message.content),
            Self::User(message) => Some(&message.content),
            Self::Assistant(message) => message.content.as_ref(),
            Self::Tool(message) => Some(&message.content),
            Self::Function(message) => message.content.as_ref(),
            Self::Other(message) => message.content.as_ref(),
        }
    }
}

/// Instructions to the model: a message of the role `system` or `developer`.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct SystemMessage {
    /// The instructions: text only.
    pub content: MessageContent,
    /// Who speaks, where several share the role.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// Fields not named here.
    #[serde(flatten)]
    #[schemars(skip)]
    pub extra: Map<String, Value>,
}

/// A message of a user.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct UserMessage {
    /// What the user says and shows: text, images, audio, files.
    pub content: MessageContent,
    /// Who speaks, where several share the role.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// Fields not named here.
    #[serde(flatten)]
    #[schemars(skip)]
    pub extra: Map<String, Value>,
}

/// A message that the model made earlier in the conversation.
#[derive(Debug, Clone, PartialEq, Default, Serialize, JsonSchema)]
pub struct AssistantMessage {
    /// What the model said: text, or one refusal. May be absent where it called tools.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub content: Option<MessageContent>,
    /// What the model said when it refused.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub refusal: Option<String>,
    /// Who speaks, where several share the role.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// What the model said aloud, as a reference to an earlier answer.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub audio: Option<AudioReference>,
    /// The tools that the model called.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tool_calls: Option<Vec<ToolCall>>,
    /// The function that the model called. Deprecated by OpenAI for `tool_calls`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub function_call: Option<FunctionCall>,
    /// What the model thought before it spoke, as vLLM, DeepSeek and others take it back.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reasoning_content: Option<String>,
    /// The same under the name that newer vLLM, Ollama and OpenRouter use.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reasoning: Option<String>,
    /// Fields not named here.
    #[serde(flatten)]
    #[schemars(skip)]
    pub extra: Map<String, Value>,
}

/// A reference to audio that the model made in an earlier answer.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(expecting = "an object with an `id`")]
pub struct AudioReference {
    /// The id that the earlier answer's audio has.
    pub id: String,
    /// Fields not named here.
    #[serde(flatten)]
    #[schemars(skip)]
    pub extra: Map<String, Value>,
}

/// The answer of a tool to one call.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct ToolMessage {
    /// What the tool answered: text only at OpenAI.
    pub content: MessageContent,
    /// The id of the call that this answers.
    pub tool_call_id: String,
    /// Fields not named here.
    #[serde(flatten)]
    #[schemars(skip)]
    pub extra: Map<String, Value>,
}

/// The answer of a function. Deprecated by OpenAI for messages of the role `tool`.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct FunctionMessage {
    /// What the function answered; null where it answered nothing.
    pub content: Option<MessageContent>,
    /// The name of the function.
    pub name: String,
    /// Fields not named here.
    #[serde(flatten)]
    #[schemars(skip)]
    pub extra: Map<String, Value>,
}

/// A message of a role that has no variant of its own.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct OtherMessage {
    /// The role, as it came.
    pub role: String,
    /// What the message says.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub content: Option<MessageContent>,
    /// All other fields, as they came.
    #[serde(flatten)]
    #[schemars(skip)]
    pub extra: Map<String, Value>,
}

/// Every field that any message may have: read in one pass, whatever the place of `role`, so that faults keep their path and
/// long contents are not held twice.
#[derive(Deserialize)]
#[serde(expecting = "a message: an object with a `role`")]
struct MessageFields {
    role: String,
    content: Option<MessageContent>,
    name: Option<String>,
    refusal: Option<String>,
    audio: Option<AudioReference>,
    tool_calls: Option<Vec<ToolCall>>,
    tool_call_id: Option<String>,
    function_call: Option<FunctionCall>,
    reasoning_content: Option<String>,
    reasoning: Option<String>,
    #[serde(flatten)]
    extra: Map<String, Value>,
}

impl MessageFields {
    fn take_content<E: serde::de::Error>(&mut self) -> Result<MessageContent, E> {
        self.content.take().ok_or_else(|| {
            E::custom(format_args!(
                "a message of the role `{}` needs `content`: a string or an array of content parts",
                self.role
            ))
        })
    }

    /// The fields that the message's role does not have, among the unknown ones.
    fn into_extra<E: serde::de::Error>(self) -> Result<Map<String, Value>, E> {
        let mut extra = self.extra;
        keep(&mut extra, "content", self.content)?;
        keep(&mut extra, "name", self.name)?;
        keep(&mut extra, "refusal", self.refusal)?;
        keep(&mut extra, "audio", self.audio)?;
        keep(&mut extra, "tool_calls", self.tool_calls)?;
        keep(&mut extra, "tool_call_id", self.tool_call_id)?;
        keep(&mut extra, "function_call", self.function_call)?;
        keep(&mut extra, "reasoning_content", self.reasoning_content)?;
        keep(&mut extra, "reasoning", self.reasoning)?;
        Ok(extra)
    }

    fn into_system_message<E: serde::de::Error>(mut self) -> Result<SystemMessage, E> {
        Ok(SystemMessage {
            content: self.take_content()?,
            name: self.name.take(),
            extra: self.into_extra()?,
        })
    }
}

impl<'de> Deserialize<'de> for ChatMessage {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        use serde::de::Error;

        let mut message = MessageFields::deserialize(deserializer)?;
        Ok(match message.role.as_str() {
            "developer" => Self::Developer(message.into_system_message()?),
            "system" => Self::System(message.into_system_message()?),
            "user" => Self::User(UserMessage {
                content: message.take_content()?,
                name: message.name.take(),
                extra: message.into_extra()?,
            }),
            "assistant" => Self::Assistant(Box::new(AssistantMessage {
                content: message.content.take(),
                refusal: message.refusal.take(),
                name: message.name.take(),
                audio: message.audio.take(),
                tool_calls: message.tool_calls.take(),
                function_call: message.function_call.take(),
                reasoning_content: message.reasoning_content.take(),
                reasoning: message.reasoning.take(),
                extra: message.into_extra()?,
            })),
            "tool" => Self::Tool(ToolMessage {
                content: message.take_content()?,
                tool_call_id: message
                    .tool_call_id
                    .take()
                    .ok_or_else(|| D::Error::missing_field("tool_call_id"))?,
                extra: message.into_extra()?,
            }),
            "function" => Self::Function(FunctionMessage {
                content: message.content.take(),
                name: message.name.take().ok_or_else(|| D::Error::missing_field("name"))?,
                extra: message.into_extra()?,
            }),
            _ => Self::Other(OtherMessage {
                role: std::mem::take(&mut message.role),
                content: message.content.take(),
                extra: message.into_extra()?,
            }),
        })
    }
}
